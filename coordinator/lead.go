package coordinator

import (
	"context"
	"time"

	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
)

// drainFor bounds how long a hand-over waits for requests under way: the act
// span of a claim, within which all its requests end.
const drainFor = 5 * time.Second

// lead is the leader's work, called once per term.
func (c *Coordinator) lead(ctx context.Context, term fsm.Term) error {
	c.api.SetLeading(true)
	defer c.api.SetLeading(false)
	c.sights.setOffice(&office{ctx: ctx, term: term, executor: c.executor})
	defer c.sights.setOffice(nil)
	return c.executor.Run(ctx, term)
}

// handOver stops claims and waits for requests before leadership moves. When
// the attempt ends and the term has not, work goes on.
func (c *Coordinator) handOver(ctx context.Context) error {
	context.AfterFunc(ctx, c.executor.Resume)
	within, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	return c.executor.Drain(within)
}

// office is what only the leader has: a term to observe and to warm up in.
type office struct {
	ctx      context.Context // the term's
	term     fsm.Term
	executor *executor.Executor
}
