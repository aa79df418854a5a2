package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/leases"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Defaults of a pool, where the spec says nothing.
const (
	DefaultTTL       = 15 * time.Second
	DefaultDrain     = 10 * time.Second
	DefaultLockDelay = 5 * time.Second // or a third of the ttl, where that is more: then clocks may run apart by 20 % on both sides
	DefaultMoves     = 4
)

// leaseRetry is how long the count of leases rests before it begins anew in one
// term, when the log refused it.
const leaseRetry = time.Second

// pools compiles the spec's pools. Whether a failover revokes what is held, the
// step that moves the pool says.
func (c *compiler) pools() {
	moved := c.movers()
	for _, id := range sortedKeys(c.spec.GetPools()) {
		p, path := c.spec.GetPools()[id], fmt.Sprintf("pools[%q]", id)
		by, ok := moved[id]
		switch {
		case p.GetMaster() != "" && !slices.ContainsFunc(c.spec.GetMasters(), func(m *pointsmanv1.MasterSpec) bool { return m.GetId() == p.GetMaster() }):
			c.wrong(path+".master", "%q is not declared", p.GetMaster())
		case p.GetMaster() != "" && (!ok || by.master != p.GetMaster()):
			c.wrong(path+".master", "no step `leases` of the plan of %s moves this pool, so after a failover nothing would be granted from it again", p.GetMaster())
		case p.GetMaster() == "" && ok:
			c.wrong(by.path+".leases.pool", "pool %s has no master, so no failover moves it", id)
		}
		c.out.Pools = append(c.out.Pools, fsm.PoolSpec{
			ID: fsm.PoolID(id), Master: fsm.MasterID(p.GetMaster()), Partitions: int(p.GetPartitions()),
			TTL: spanOr(p.GetTtl(), DefaultTTL), Drain: spanOr(p.GetDrain(), DefaultDrain), LockDelay: spanOr(p.GetLockDelay(), max(DefaultLockDelay, spanOr(p.GetTtl(), DefaultTTL)/3)),
			Moves: cmp.Or(int(p.GetMoves()), DefaultMoves), Immediate: by.immediate,
		})
	}
}

// mover is the step that moves a pool.
type mover struct {
	master, path string
	immediate    bool
}

func (c *compiler) movers() map[string]mover {
	all := map[string]mover{}
	for i, m := range c.spec.GetMasters() {
		for j, stage := range m.GetPlan() {
			for k, step := range stage.GetSteps() {
				l := step.GetLeases()
				if l == nil {
					continue
				}
				path := fmt.Sprintf("masters[%d].plan[%d].steps[%d]", i, j, k)
				if c.spec.GetPools()[l.GetPool()] == nil {
					c.wrong(path+".leases.pool", "pool %q is not declared", l.GetPool())
				}
				all[l.GetPool()] = mover{m.GetId(), path, l.GetHandover() == pointsmanv1.LeaseHandover_LEASE_HANDOVER_IMMEDIATE}
			}
		}
	}
	return all
}

// spanOr is a duration of the spec, or its default where none is written.
func spanOr(d *durationpb.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.AsDuration()
}

// keepLeases counts leases for as long as the term lasts.
func (c *Coordinator) keepLeases(ctx context.Context, term fsm.Term) {
	for ctx.Err() == nil {
		if err := c.leases.Run(ctx, term); err != nil && ctx.Err() == nil {
			c.Logger.Warn("leases are counted anew", "term", uint64(term), "error", err)
		}
		sleep(ctx, leaseRetry, nil)
	}
}

// Leaser shows the count of leases as the API wants it.
func Leaser(e *leases.Engine) api.Leaser { return leaser{e} }

type leaser struct{ *leases.Engine }

// Renew implements api.Leaser.
func (l leaser) Renew(ctx context.Context, r api.Renewal) (api.Renewed, error) {
	c, err := l.Engine.Renew(ctx, leases.Renewal(r))
	switch {
	case errors.Is(err, leases.ErrNotLeading):
		return api.Renewed{}, &api.NotLeaderError{}
	case errors.Is(err, leases.ErrNoSession):
		return api.Renewed{}, fmt.Errorf("%w: %w", api.ErrNoSession, err)
	case errors.Is(err, leases.ErrFull):
		return api.Renewed{}, &fsm.Refused{Refusal: fsm.ErrLimit, Detail: err.Error()}
	case err != nil:
		return api.Renewed{}, err
	}
	out := api.Renewed{State: c.State, Session: c.Session, Assigned: make([]api.RenewedLease, 0, len(c.Assigned))}
	for _, a := range c.Assigned {
		out.Assigned = append(out.Assigned, api.RenewedLease(a))
	}
	for _, r := range c.Refused {
		out.Refused = append(out.Refused, api.RefusedLease(r))
	}
	return out, nil
}
