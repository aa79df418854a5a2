package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
)

// drainFor bounds how long a hand-over waits for requests under way: the act
// span of a claim, within which all its requests end, and drainRest for the
// entries that free and settle it.
const (
	drainFor  = 5 * time.Second
	drainRest = time.Second
)

// lead is the leader's work, called once per term.
func (c *Coordinator) lead(ctx context.Context, term fsm.Term) error {
	c.api.SetLeading(true)
	defer c.api.SetLeading(false)
	held := &office{ctx: ctx, term: term, executor: c.executor}
	c.sights.setOffice(held)
	defer c.sights.setOffice(nil)
	c.vault.setOffice(held)
	defer c.vault.setOffice(nil)
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { c.placer.run(ctx) })
	beside.Go(func() { c.preflight.run(ctx) })
	beside.Go(func() { c.keepLeases(ctx, term) })
	return c.executor.Run(ctx, term)
}

// handOver stops claims and waits for requests before leadership moves. When
// the attempt ends and the term has not, work goes on.
func (c *Coordinator) handOver(ctx context.Context) error {
	context.AfterFunc(ctx, c.executor.Resume)
	within, cancel := context.WithTimeout(ctx, c.drainTime())
	defer cancel()
	return c.executor.Drain(within)
}

// drainTime covers the longest claim that stands.
func (c *Coordinator) drainTime() time.Duration {
	longest := drainFor
	for _, a := range c.node.State().Open() {
		if a.Phase == fsm.Claimed {
			longest = max(longest, a.Step.Act)
		}
	}
	return longest + drainRest
}

// office is what only the leader has: a term to observe and to warm up in.
type office struct {
	ctx      context.Context // the term's
	term     fsm.Term
	executor *executor.Executor
}
