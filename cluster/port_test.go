package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// A node that is stopped accepts connections and answers nothing. A question to
// it ends with its caller's context, not with the longer bound of a handshake:
// one that hung there held up every linearizable read of a follower.
func TestSilentPeerCostsNoMoreThanItsCaller(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts; the kernel does
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := &port{
		network: tcp{}, logger: slog.New(slog.DiscardHandler),
		hello:  func() *journalv1.Hello { return &journalv1.Hello{} },
		judge:  func(byte, *journalv1.Hello) string { return "" },
		nodeAt: func(string) fsm.NodeID { return "" },
	}
	if err := p.open("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer p.wait.Wait()
	defer p.cutOff()
	asked := &peers{port: p, address: func(fsm.NodeID) string { return silent.Addr().String() }, idle: map[fsm.NodeID]net.Conn{}}

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, _, sent, err := asked.ask(ctx, "n2", &journalv1.PeerRequest{})
	if took := time.Since(begin); took > handshakeDeadline/2 || err == nil || sent {
		t.Errorf("sent %t after %s: %v", sent, took, err)
	}
	begin = time.Now()
	var timeout net.Error
	_, err = p.Dial(raft.ServerAddress(silent.Addr().String()), 100*time.Millisecond)
	if took := time.Since(begin); took > handshakeDeadline/2 || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a dial of raft gave up after %s: %v", took, err)
	}
}
