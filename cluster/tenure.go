package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
)

// tenure is one term in which this node leads. It is made when raft says so,
// usable once its barrier is through, and over when raft says otherwise.
type tenure struct {
	ctx    context.Context // ends with the term
	cancel context.CancelCauseFunc

	// Set before ready is closed, fixed from then on.
	ready chan struct{}
	term  fsm.Term
	base  fsm.Clock // log clock when the barrier was through
	since time.Time

	faults Faults
}

// clock is the leader's log clock: the last logged value, carried on by the
// monotonic clock.
func (t *tenure) clock() fsm.Clock { return t.base + fsm.Clock(t.faults.since(t.since)) }

// open reports whether the barrier is through and the term is not over.
func (t *tenure) open() bool {
	if t == nil || t.ctx.Err() != nil {
		return false
	}
	select {
	case <-t.ready:
		return true
	default:
		return false
	}
}

// begun is what a tenure's barrier found.
type begun struct {
	tenure *tenure
	term   fsm.Term
}

// watchLeadership owns the tenures. Raft sends each gain and each loss, in
// order, and waits while nobody reads; the buffer is read dry before a barrier's
// result is believed, so a term that was lost and regained meanwhile is two
// tenures.
func (n *Node) watchLeadership() {
	results := make(chan begun)
	var now *tenure
	turn := func(leads bool) {
		if now != nil {
			now.cancel(ErrTermOver)
			now = nil
		}
		if leads {
			t := &tenure{ready: make(chan struct{}), faults: n.cfg.Faults}
			t.ctx, t.cancel = context.WithCancelCause(n.ctx)
			n.wait.Go(func() { n.takeOffice(t, results) })
			now = t
		}
		n.setTenure(now)
	}
	defer func() { turn(false) }()
	for {
		select {
		case <-n.ctx.Done():
			return
		case leads := <-n.notify:
			turn(leads)
		case r := <-results:
			for len(n.notify) > 0 {
				turn(<-n.notify)
			}
			if r.tenure == now {
				n.open(now, r.term)
			}
		}
	}
}

// open makes a tenure usable.
func (n *Node) open(t *tenure, term fsm.Term) {
	t.term, t.base, t.since = term, n.machine.state().Clock(), time.Now()
	close(t.ready)
	n.setTenure(t)
	n.logger.Info("leading", "term", term)
	n.wait.Go(func() { n.watchdog(t) })
	n.wait.Go(func() { n.lead(t) })
	n.wait.Go(func() { n.enlarge(t) })
}

// takeOffice passes a barrier, so that everything of older terms is applied,
// and learns from it which term this is.
func (n *Node) takeOffice(t *tenure, results chan<- begun) {
	for t.ctx.Err() == nil {
		term, err := n.barrierTerm(t.ctx)
		if err != nil {
			n.logger.Warn("barrier of a new term", "error", err)
			pause(t.ctx, 10*time.Millisecond)
			continue
		}
		select {
		case results <- begun{t, term}:
		case <-t.ctx.Done():
		}
		return
	}
}

// barrierTerm commits a barrier and reads the term of its entry.
func (n *Node) barrierTerm(ctx context.Context) (fsm.Term, error) {
	f := n.raft.Barrier(enqueueTimeout)
	if err := n.await(ctx, f); err != nil {
		return 0, err
	}
	at, ok := f.(raft.IndexFuture)
	if !ok {
		return 0, errors.New("barrier has no index")
	}
	var l raft.Log
	if err := n.logs.GetLog(at.Index(), &l); err != nil {
		return 0, fmt.Errorf("read barrier: %w", err)
	}
	return fsm.Term(l.Term), nil
}

// setTenure publishes the tenure, nil when another node leads, and wakes who
// waits for it to change.
func (n *Node) setTenure(t *tenure) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tenure = t
	close(n.turned)
	n.turned = make(chan struct{})
}

func (n *Node) currentTenure() (*tenure, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tenure, n.turned
}

// Lead runs f once in each term that this node leads, after a barrier of that
// term. The context that f gets ends with the term; a term lost and regained is
// two calls, and the next waits for f to return. Lead returns when ctx or the
// node ends, or when f returns an error while its term still lasts.
func (n *Node) Lead(ctx context.Context, f func(ctx context.Context, term fsm.Term) error) error {
	var last *tenure
	for {
		t, turned := n.currentTenure()
		if t == last || !t.open() {
			select {
			case <-turned:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-n.ctx.Done():
				return n.ended()
			}
		}
		last = t
		scope, cancel := context.WithCancelCause(t.ctx)
		stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
		err := f(scope, t.term)
		over := scope.Err() != nil
		stop()
		cancel(nil)
		if err != nil && !over {
			return fmt.Errorf("lead term %d: %w", t.term, err)
		}
	}
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
