package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// lab is a cluster in one process. On real TCP or on pipes, the latter also
// inside a synctest bubble.
type lab struct {
	t     testing.TB
	dir   string
	net   *switchboard // nil: real TCP
	cfgs  map[fsm.NodeID]Config
	nodes map[fsm.NodeID]*Node
	peers []Peer
}

func newLab(t testing.TB, voters int, board *switchboard, tune func(*Config)) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), net: board, cfgs: map[fsm.NodeID]Config{}, nodes: map[fsm.NodeID]*Node{}}
	for i := range voters {
		p := Peer{ID: fsm.NodeID(fmt.Sprintf("n%d", i+1)), Address: fmt.Sprintf("host%d:7800", i+1)}
		if board == nil {
			p.Address = freeAddress(t)
		}
		l.peers = append(l.peers, p)
	}
	for _, p := range l.peers {
		c := DefaultConfig()
		c.NodeID, c.Zone, c.DataDir, c.Listen, c.Peers = p.ID, "z", filepath.Join(l.dir, string(p.ID)), p.Address, l.peers
		c.Timings, _ = TimingsOf(ProfileFast)
		c.Faults.Free = func(string) (uint64, error) { return 1 << 40, nil }
		if testing.Verbose() {
			c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
		}
		if board != nil {
			c.Network = board.host(p.Address)
		}
		if tune != nil {
			tune(&c)
		}
		l.cfgs[p.ID] = c
	}
	return l
}

func freeAddress(t testing.TB) string {
	t.Helper()
	s, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.Addr().String()
}

func (l *lab) start(ids ...fsm.NodeID) {
	l.t.Helper()
	if len(ids) == 0 {
		for _, p := range l.peers {
			ids = append(ids, p.ID)
		}
	}
	for _, id := range ids {
		n, err := Start(context.Background(), l.cfgs[id])
		if err != nil {
			l.t.Fatalf("start %s: %v", id, err)
		}
		l.nodes[id] = n
	}
}

// stop closes every node, gracefully or not, whatever the test did.
func (l *lab) stop() {
	for id := range l.nodes {
		l.kill(id)
	}
}

// kill ends a node without a hand-over. Everything it has not made durable by
// then is lost with its process.
func (l *lab) kill(id fsm.NodeID) {
	n := l.nodes[id]
	delete(l.nodes, id)
	n.end(func() {})
}

// leader waits for a node that leads with its barrier through.
func (l *lab) leader(not ...fsm.NodeID) *Node {
	l.t.Helper()
	var found *Node
	l.until("a leader", func() bool {
		for id, n := range l.nodes {
			if t, _ := n.currentTenure(); t.open() && n.ctx.Err() == nil && !in(id, not) {
				found = n
				return true
			}
		}
		return false
	})
	return found
}

func in(id fsm.NodeID, ids []fsm.NodeID) bool {
	for _, i := range ids {
		if i == id {
			return true
		}
	}
	return false
}

// follower is any node but the leader.
func (l *lab) follower() *Node {
	leader := l.leader()
	for _, p := range l.peers {
		if n := l.nodes[p.ID]; n != nil && n != leader {
			return n
		}
	}
	l.t.Fatal("no follower")
	return nil
}

func (l *lab) until(what string, ok func() bool) {
	l.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("waited 20s for %s", what)
		}
	}
}

func within10(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (l *lab) put(n *Node, key, value string, opts ...Option) fsm.Answer {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	a, err := n.Propose(ctx, fsm.PutSetting{Key: key, Value: value}, opts...)
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		l.t.Fatalf("put %s=%s on %s: %v", key, value, n.cfg.NodeID, err)
	}
	return a
}

func value(s fsm.State, key string) string {
	v, _ := s.Setting(key)
	return v.Value
}

// sameHashes waits until all nodes stand at one index and compares their states.
func (l *lab) sameHashes() Verified {
	l.t.Helper()
	var first Verified
	l.until("equal indexes", func() bool {
		first = Verified{}
		for _, n := range l.nodes {
			v, err := n.Verify(context.Background())
			if err != nil {
				l.t.Fatal(err)
			}
			if first.StateIndex == 0 {
				first = v
			}
			if v.StateIndex != first.StateIndex {
				return false
			}
			if v.StateHash != first.StateHash {
				l.t.Fatalf("states differ at index %d: %s and %s", v.StateIndex, v.StateHash, first.StateHash)
			}
		}
		return true
	})
	return first
}

// settled waits until every node is a recorded member, after which an idle
// cluster's state stands still.
func (l *lab) settled() {
	l.t.Helper()
	l.until("member records", func() bool {
		for _, n := range l.nodes {
			if len(n.State().Members()) != len(l.nodes) || n.identity().Cluster == "" {
				return false
			}
		}
		return true
	})
}

// switchboard is a network of pipes that can be cut.
type switchboard struct {
	mu    sync.Mutex
	hosts map[string]*pipeHost
	cut   map[[2]string]bool
}

func newSwitchboard() *switchboard {
	return &switchboard{hosts: map[string]*pipeHost{}, cut: map[[2]string]bool{}}
}

func (b *switchboard) host(address string) *pipeHost {
	return &pipeHost{board: b, address: address}
}

// isolate cuts or heals every line of an address, the open ones too.
func (b *switchboard) isolate(address string, cut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for other, h := range b.hosts {
		if other == address {
			continue
		}
		b.cut[[2]string{address, other}], b.cut[[2]string{other, address}] = cut, cut
		if cut {
			h.hangUp(address)
			b.hosts[address].hangUp(other)
		}
	}
}

type pipeHost struct {
	board   *switchboard
	address string
	queue   chan net.Conn
	closed  chan struct{}
	mu      sync.Mutex
	lines   map[net.Conn]string
}

// Listen implements Network.
func (h *pipeHost) Listen(address string) (net.Listener, error) {
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue, h.closed, h.lines = make(chan net.Conn), make(chan struct{}), map[net.Conn]string{}
	h.board.hosts[address] = h
	return &pipeListener{h, sync.Once{}}, nil
}

// Dial implements Network.
func (h *pipeHost) Dial(ctx context.Context, address string) (net.Conn, error) {
	h.board.mu.Lock()
	to, cut := h.board.hosts[address], h.board.cut[[2]string{h.address, address}]
	var queue chan net.Conn // of this life of the host
	var closed chan struct{}
	if to != nil {
		queue, closed = to.queue, to.closed
	}
	h.board.mu.Unlock()
	if cut {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if to == nil {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	select {
	case queue <- theirs:
	case <-closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	to.remember(theirs, h.address)
	return ours, nil
}

func (h *pipeHost) remember(c net.Conn, from string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines[c] = from
}

func (h *pipeHost) hangUp(from string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c, who := range h.lines {
		if who == from {
			_ = c.Close()
			delete(h.lines, c)
		}
	}
}

type pipeListener struct {
	h    *pipeHost
	once sync.Once
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.h.queue:
		return c, nil
	case <-l.h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error { l.once.Do(func() { close(l.h.closed) }); return nil }

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return advertised(l.h.address) }

func shortly(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}
