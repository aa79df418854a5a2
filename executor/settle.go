package executor

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

// span is how long a claim's requests may take.
func (e *Executor) span(step fsm.Step) time.Duration {
	if step.Act > 0 {
		return step.Act
	}
	return e.Act
}

func (t try) work(state fsm.State, a fsm.Action, covered bool) actuators.Work {
	a.Doubt = a.Doubt || t.doubt
	return actuators.Work{Cluster: state.Cluster(), Action: a, Covered: covered}
}

// look judges the object: the reading that the try has if it is young enough,
// else a new one, which must come within the span of a claim.
func (t try) look(ctx context.Context, state fsm.State, a fsm.Action, covered bool) (actuators.Sight, actuators.Actuator, error) {
	tool, err := t.tools.of(a.Step, a.Target)
	if err != nil {
		return actuators.Sight{}, nil, err
	}
	r := t.reading
	if r == nil || time.Since(r.At) > t.WarmFor && !planted.Bug(planted.StaleWarmUp) {
		ctx, cancel := context.WithTimeout(ctx, t.Executor.span(a.Step))
		defer cancel()
		subject := actuators.Subject{Step: a.Step, Value: a.Value}
		if f, ok := state.Failover(a.For); ok {
			subject.Candidates = []fsm.Address{f.To}
		}
		fresh, err := tool.Read(ctx, subject)
		if err != nil {
			return actuators.Sight{}, tool, err
		}
		r = &fresh
	}
	seen := tool.Judge(*r, t.work(state, a, covered))
	seen.Reading = *r
	return seen, tool, nil
}

// await gives the action as it stands after the claim was applied here.
func (t try) await(ctx context.Context) (fsm.State, fsm.Action, bool) {
	for {
		state, changed := t.Journal.Watch()
		if state.Index() >= t.token.Index() {
			a, ok := state.Action(t.id)
			return state, a, ok && a.Phase == fsm.Claimed && a.Token == t.token
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state, fsm.Action{}, false
		}
	}
}

// settle logs what came of the attempt. A refusal means that somebody else's
// word was first (a newer failover, a human): nothing is left to do.
func (t try) settle(ctx context.Context, a fsm.Action, c fsm.Settle) {
	c.Action, c.Token, c.First = a.ID, t.token, t.first
	crashAt(beforeSettle, a)
	crashDuring(settling, a)
	if _, err := t.propose(ctx, t.term, c); err != nil {
		return
	}
	crashAt(settled, a)
	t.meters.settled(a, c)
	t.Logger.Info("settled", "action", string(a.ID), "to", c.To.String(), "effect", effect(c), "term", uint64(t.term),
		"token", uint64(t.token), "attempt", a.Attempts, "reason", c.Reason)
}

// departure is the log clock when the request that may change the object left.
// The claim's is of the same node and term, so their difference is a span of
// one monotonic clock. A transport may call note from a goroutine of its own.
type departure struct{ clock atomic.Int64 } // one more than the clock; 0: nothing left

func (d *departure) note(now fsm.Clock) { d.clock.CompareAndSwap(0, int64(now)+1) }

// after is zero when nothing left.
func (d *departure) after(claimed fsm.Clock) time.Duration {
	at := fsm.Clock(d.clock.Load())
	if at == 0 {
		return 0
	}
	return max(1, time.Duration(at-1-claimed))
}

func effect(c fsm.Settle) string {
	if c.To != fsm.Done {
		return ""
	}
	return c.Effect.String()
}

// free logs that every request of the claim has been answered.
func (t try) free(ctx context.Context, a fsm.Action) {
	state, _ := t.Journal.Watch()
	o, _ := state.Object(a.Step.Object)
	held := slices.ContainsFunc(o.Held, func(h fsm.Hold) bool { return h.Token == t.token })
	if !held {
		return
	}
	if _, err := t.propose(ctx, t.term, fsm.Release{Object: o.ID, Token: t.token}); err == nil {
		crashAt(released, a)
	}
}

// freeing is free beside the read after the write; the channel closes when it is logged.
func (t try) freeing(ctx context.Context, a fsm.Action) <-chan struct{} {
	done := make(chan struct{})
	t.wg.Go(func() {
		defer close(done)
		t.free(ctx, a)
	})
	return done
}

// settingEffect tells whether an effect inside the log changes anything.
func settingEffect(state fsm.State, out actuators.Outcome) fsm.Effect {
	if len(out.Settings) == 0 { // the object says all: a pool, which its failover has suspended
		return fsm.Changed
	}
	for _, w := range out.Settings {
		if now, ok := state.Setting(w.Key); !ok || now.Value != w.Value {
			return fsm.Changed
		}
	}
	return fsm.Already
}
