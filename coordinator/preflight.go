package coordinator

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const (
	// preflightRetry is the most until a preflight that found problems, or met a
	// running failover, is made again. A spec that was just applied is checked at once.
	preflightRetry = time.Minute
	// preflightLimit bounds one preflight by the leader: targets with a small
	// rate and many masters take long.
	preflightLimit = 5 * time.Minute
)

// preflight has the leader look at every step's object when it takes office, at
// each apply, and every Pace.Preflight, so that a right that was revoked is
// known before it is needed.
type preflight struct {
	c *Coordinator

	mu       sync.Mutex
	found    []executor.Checked
	revision fsm.Revision
	at       time.Time // when it ended; zero: never in this term
	took     time.Duration
}

var _ api.Preflight = (*preflight)(nil)

func newPreflight(c *Coordinator) *preflight {
	p := &preflight{c: c}
	c.registry.MustRegister(preflightGauges{p})
	return p
}

// run works for one term.
func (p *preflight) run(ctx context.Context) {
	defer p.keep(nil, 0, time.Time{}, 0)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		state, changed := p.c.node.Watch()
		p.mu.Lock()
		due := state.Spec().Revision != p.revision
		p.mu.Unlock()
		if !due {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				continue
			case <-timer.C:
			}
		}
		wait := min(preflightRetry, p.c.Pace.Preflight)
		if due || !underWay(state.Open(), p.c.node.Clock()) { // what a failover needs comes first
			wait = p.fly(ctx, state)
		}
		timer.Reset(wait)
	}
}

// underWay reports whether one of the open actions is really being carried out.
// One that is stuck, or older than a failover may take, does not keep the leader
// from looking: it can stand for days, and a right that is lost meanwhile, at
// whatever target, must be known before the next failover.
func underWay(open []fsm.Action, now fsm.Clock) bool {
	return slices.ContainsFunc(open, func(a fsm.Action) bool {
		return a.Phase != fsm.Stuck && now-a.Created <= fsm.Clock(executor.LateAfter)
	})
}

// fly makes one preflight and says when the next one is due.
func (p *preflight) fly(ctx context.Context, state fsm.State) time.Duration {
	within, cancel := context.WithTimeout(ctx, preflightLimit)
	defer cancel()
	began := time.Now()
	found := p.c.executor.Preflight(within, state, state.Spec(), false)
	if ctx.Err() != nil {
		return 0
	}
	p.keep(found, state.Spec().Revision, time.Now(), time.Since(began))
	wait := p.c.Pace.Preflight
	for _, f := range found {
		if wrong := slices.Concat(f.Object, f.Problems); len(wrong) > 0 {
			p.c.Logger.Warn("preflight", "master", string(f.Master), "step", f.Step.Name, "object", string(f.Step.Object), "problem", wrong[0])
			wait = min(wait, preflightRetry)
		}
	}
	return wait
}

func (p *preflight) keep(found []executor.Checked, revision fsm.Revision, at time.Time, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found, p.revision, p.at, p.took = found, revision, at, took
}

// Last implements api.Preflight.
func (p *preflight) Last() *pointsmanv1.Preflight {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		return nil
	}
	told := map[fsm.ObjectID]bool{} // by alerts of their own
	for _, f := range p.c.executor.Findings() {
		told[f.Object] = true
	}
	return preflightMessage(p.found, told, p.revision, time.Since(p.at), p.took)
}

// Check implements api.Preflight.
func (p *preflight) Check(ctx context.Context, state fsm.State, spec fsm.Spec) *pointsmanv1.Preflight {
	began := time.Now()
	found := p.c.executor.Preflight(ctx, state, spec, true)
	return preflightMessage(found, nil, spec.Revision, 0, time.Since(began))
}

// preflightMessage leaves out what is wrong with those objects of which that is told elsewhere.
func preflightMessage(found []executor.Checked, told map[fsm.ObjectID]bool, revision fsm.Revision, age, took time.Duration) *pointsmanv1.Preflight {
	m := &pointsmanv1.Preflight{SpecRevision: uint64(revision), Age: durationpb.New(age), Took: durationpb.New(took)}
	for _, f := range found {
		c := &pointsmanv1.StepCheck{
			Master: string(f.Master), Stage: f.Stage, Step: f.Step.Name, Kind: f.Step.Kind, Target: string(f.Step.Target),
			Object: string(f.Step.Object), Found: f.Found, Problems: f.Problems,
		}
		if !told[f.Step.Object] {
			c.Problems = slices.Concat(f.Object, f.Problems)
		}
		if f.Verdict != 0 {
			c.Verdict = f.Verdict.String()
		}
		if f.Typical > 0 {
			c.Typical = durationpb.New(f.Typical)
		}
		for _, o := range f.Outcomes {
			out := &pointsmanv1.StepOutcome{Address: string(o.Address), Wanted: o.Wanted}
			if o.Verdict != 0 {
				out.Verdict = o.Verdict.String()
			}
			c.Outcomes = append(c.Outcomes, out)
		}
		m.Checks = append(m.Checks, c)
	}
	return m
}
