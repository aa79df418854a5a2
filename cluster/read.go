package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// State is what this node has applied: a value that never changes under the
// reader. It may be older than the cluster's; say its index and age with it.
func (n *Node) State() fsm.State { return n.machine.state() }

// Watch returns the state and a channel that is closed when it changes next, by
// an entry or by a snapshot that replaces it.
func (n *Node) Watch() (fsm.State, <-chan struct{}) { return n.machine.watch() }

// Applied says when this process applied the claim or grant of a token, on its
// monotonic clock; false when it has not yet. For what came in a snapshot it is
// the moment of the restore, for what was replayed from the own log the moment
// of the replay: always later than the true one, so that a window counted from
// it ends late, never early.
func (n *Node) Applied(t fsm.Token) (time.Time, bool) { return n.machine.applied(t) }

// Clock is the log clock: on the leader carried on by its monotonic time since
// its barrier, elsewhere since this process applied the last value, which is for
// people. It never falls below a logged value.
func (n *Node) Clock() fsm.Clock {
	if t, _ := n.currentTenure(); t.open() {
		return max(t.clock(), n.machine.state().Clock())
	}
	return n.machine.clock()
}

// Read returns a state that holds everything that was acknowledged anywhere
// before the call. The leader passes a barrier, shared by all who wait; another
// node asks the leader where its barrier stood and waits until it has applied
// that. It tries again over leader changes until ctx ends: then ErrNoLeader.
func (n *Node) Read(ctx context.Context) (fsm.State, error) {
	for wait := backoff(ctx); ; wait() {
		index, err := n.joinRead(ctx)
		if err == nil {
			if s, ok := n.waitIndex(ctx, index); ok {
				return s, nil
			}
		}
		if n.ctx.Err() != nil {
			return fsm.State{}, n.ended()
		}
		if ctx.Err() != nil {
			return fsm.State{}, fmt.Errorf("read: %w: %w", ErrNoLeader, context.Cause(ctx))
		}
	}
}

func (n *Node) waitIndex(ctx context.Context, index uint64) (fsm.State, bool) {
	for {
		s, changed := n.machine.watch()
		if s.Index() >= index {
			return s, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fsm.State{}, false
		case <-n.ctx.Done():
			return fsm.State{}, false
		}
	}
}

// readBatch is one barrier, or one question to the leader, and everybody who
// waits for it.
type readBatch struct {
	done  chan struct{}
	index uint64 // of the last command: barriers and no-ops never reach the state machine
	err   error
}

// readIndex is for peers: only a leader answers.
func (n *Node) readIndex(ctx context.Context) (uint64, error) {
	if t, _ := n.currentTenure(); !t.open() {
		return 0, ErrTermOver
	}
	return n.joinRead(ctx)
}

// joinRead joins the next batch: one that is already under way may have been
// overtaken by a write that was acknowledged before this call.
func (n *Node) joinRead(ctx context.Context) (uint64, error) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return 0, ErrClosed
	}
	if n.reads == nil {
		n.reads = &readBatch{done: make(chan struct{})}
	}
	b := n.reads
	if !n.reading {
		n.reading = true
		n.wait.Go(n.runReads)
	}
	n.mu.Unlock()
	select {
	case <-b.done:
		return b.index, b.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// runReads answers one batch after another while somebody waits.
func (n *Node) runReads() {
	for {
		n.mu.Lock()
		b := n.reads
		n.reads = nil
		n.reading = b != nil
		n.mu.Unlock()
		if b == nil {
			return
		}
		if t, _ := n.currentTenure(); t.open() {
			b.index, b.err = n.passBarrier()
		} else {
			b.index, b.err = n.askIndex()
		}
		close(b.done)
	}
}

func (n *Node) passBarrier() (uint64, error) {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.Timings.Stall)
	defer cancel()
	n.barriers.Add(1)
	if planted.Bug(planted.SkipBarrier) {
		return n.machine.state().Index(), nil
	}
	if planted.Bug(planted.VerifyLeader) {
		index := n.machine.state().Index()
		return index, n.await(ctx, n.raft.VerifyLeader())
	}
	if err := n.await(ctx, n.raft.Barrier(enqueueTimeout)); err != nil {
		return 0, err
	}
	return n.machine.state().Index(), nil
}

// askIndex asks the leader where its barrier stood. A leader that takes longer
// than an election is given up: there may be another by then.
func (n *Node) askIndex() (uint64, error) {
	_, leader := n.raft.LeaderWithID()
	if leader == "" || fsm.NodeID(leader) == n.cfg.NodeID {
		return 0, ErrNoLeader
	}
	ctx, cancel := context.WithTimeout(n.ctx, 2*n.cfg.Timings.Election)
	defer cancel()
	said, _, _, err := n.peers.ask(ctx, fsm.NodeID(leader), &journalv1.PeerRequest{Question: &journalv1.PeerRequest_ReadIndex{ReadIndex: &journalv1.ReadIndex{}}})
	if err != nil {
		return 0, err
	}
	return said.GetIndex(), errorOf(said)
}
