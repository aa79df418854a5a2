package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// Confirm passes a barrier of the given term, in which this node leads, and gives
// the state after it. So the state holds everything that was acknowledged before
// the call, and no later leader passed its own barrier before that: what is told
// because of it was true under this leader. It tries again while the term lasts.
// It may be called concurrently; callers that come in numbers share one call.
//
// Errors: ErrTermOver, or ctx's.
func (n *Node) Confirm(ctx context.Context, term fsm.Term) (fsm.State, error) {
	t, _ := n.currentTenure()
	for wait := backoff(ctx); ; wait() {
		if !t.open() || t.term != term {
			return fsm.State{}, fmt.Errorf("%w: term %d", ErrTermOver, term)
		}
		n.barriers.Add(1)
		err := n.await(ctx, n.raft.Barrier(enqueueTimeout))
		switch {
		case ctx.Err() != nil:
			return fsm.State{}, context.Cause(ctx)
		case err == nil && t.open():
			now := time.Now()
			n.passed.Store(&now)
			return n.machine.state(), nil
		}
	}
}
