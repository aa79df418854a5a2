package cluster

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// TestG5_TornVoteGivesNoSecondVote lets a real node lose power at each write of
// a vote and asks it again, after its restart, for the candidate of its vote
// before: one whose log lacks what was acknowledged. A vote for it would let
// that be lost (raft #661).
func TestG5_TornVoteGivesNoSecondVote(t *testing.T) {
	for _, lands := range []bool{false, true} {
		for at := 1; at <= 3; at++ {
			t.Run(fmt.Sprintf("write %d lands %v", at, lands), func(t *testing.T) { tornVote(t, at, lands) })
		}
	}
}

func tornVote(t *testing.T, at int, lands bool) {
	victim := &faulty{lands: lands}
	tune := func(c *Config) {
		if c.NodeID == "n1" {
			c.Faults.Store = func(s Store) Store { victim.Store = s; return victim }
		}
	}
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		l.leader()
		for i := range 5 {
			l.put(l.nodes["n1"], fmt.Sprint("k/", i), "v")
		}
		l.settled()
		l.sameHashes()
		for _, id := range []fsm.NodeID{"n2", "n3"} {
			l.kill(id)
		}
		n1 := l.nodes["n1"]
		last, term := n1.raft.LastIndex(), n1.raft.CurrentTerm()
		ask := elector(t, l, "n2")
		ask(request(term+1, "first:7800", last, term)) // the vote before: for a candidate that has everything
		voted, err := n1.logs.Get([]byte(keyVoteFor))
		if err != nil || string(voted) != "first:7800" {
			t.Fatalf("no vote before: %q %v", voted, err)
		}
		victim.set(func(f *faulty) { f.dieAt = f.writes + at })
		ask(request(term+2, "second:7800", last, term)) // power is lost while this one is written
		l.kill("n1")
		c := l.cfgs["n1"]
		c.Faults.Store = nil
		l.cfgs["n1"] = c
		l.start("n1")
		if ask(request(term+2, "first:7800", 1, 1)) {
			t.Errorf("voted for a candidate without the acknowledged entries up to %d", last)
		}
	})
}

func request(term uint64, candidate string, last, lastTerm uint64) raft.RequestVoteRequest {
	return raft.RequestVoteRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("n2"), Addr: []byte(candidate)},
		Term:      term, LastLogIndex: last, LastLogTerm: lastTerm,
		LeadershipTransfer: true, // or a node that still names a leader does not answer
	}
}

// elector speaks for a node that is down, with raft's own transport over its port.
func elector(t *testing.T, l *lab, id fsm.NodeID) func(raft.RequestVoteRequest) bool {
	t.Helper()
	c := l.cfgs[id]
	n := &Node{cfg: c, logger: c.Logger, machine: newMachine(func(error) {}), id: l.nodes["n1"].identity(), logs: &guard{}}
	n.logs.voted.Store(true)
	n.id.Node, n.id.Store = id, l.storeOf(id)
	p := &port{network: c.Network, address: c.address(id), logger: c.Logger, hello: n.hello, judge: n.judge, nodeAt: n.nodeAt,
		serve: func(context.Context, net.Conn, *journalv1.Hello) {}}
	if err := p.open(c.Listen); err != nil {
		t.Fatal(err)
	}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: p, Logger: bridge(c.Logger), MaxPool: 1, Timeout: time.Second})
	t.Cleanup(func() { _ = transport.Close() })
	return func(q raft.RequestVoteRequest) bool {
		var answer raft.RequestVoteResponse
		err := transport.RequestVote("n1", raft.ServerAddress(l.cfgs["n1"].address("n1")), &q, &answer)
		return err == nil && answer.Granted
	}
}

// storeOf is the store that the log knows of a member.
func (l *lab) storeOf(id fsm.NodeID) fsm.StoreID {
	m, _ := l.nodes["n1"].State().Member(id)
	return m.Store
}
