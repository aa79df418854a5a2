package executor

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

// tools keeps what outlives an action: an open actuator and a rate budget per
// target, and the warm-up reads.
type tools struct {
	Config
	mu      sync.Mutex
	open    map[fsm.TargetID]tool // at most fsm.MaxTargets
	budgets map[fsm.TargetID]*budget
	warm    map[fsm.ObjectID]warmth // at most one per declared object; of no use after WarmFor
}

// warmth is a look at an object before anything is decided.
type warmth struct {
	began   time.Time // of the look, which may be under way
	reading actuators.Reading
}

type tool struct {
	actuators.Actuator
	kind   actuators.Kind // what opened it; it may have steps of several names
	params string         // what it was opened from: another spec opens it anew
}

func newTools(c Config) *tools {
	return &tools{Config: c, open: map[fsm.TargetID]tool{}, budgets: map[fsm.TargetID]*budget{}, warm: map[fsm.ObjectID]warmth{}}
}

// of gives the actuator of a step's target. Secrets are resolved when it is
// opened; a failed opening is tried again at the next use.
func (t *tools) of(step fsm.Step, target fsm.TargetSpec) (actuators.Actuator, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := target.ID
	if key == "" {
		key = fsm.TargetID("in-log/" + step.Kind)
	}
	kind, ok := t.Kinds[step.Kind]
	if !ok {
		return nil, actuators.Permanent(fmt.Errorf("this build has no actuator of kind %q", step.Kind))
	}
	if have, ok := t.open[key]; ok && have.kind == kind && have.params == string(target.Params) {
		return have.Actuator, nil
	}
	a, err := kind.Open(target, t.budget(target))
	if err != nil {
		return nil, fmt.Errorf("open target %s: %w", target.ID, err)
	}
	closeIdle(t.open[key].Actuator)
	t.open[key] = tool{Actuator: a, kind: kind, params: string(target.Params)}
	return a, nil
}

// forget makes the next use of a target open it anew.
func (t *tools) forget(id fsm.TargetID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	closeIdle(t.open[id].Actuator)
	delete(t.open, id)
}

// closeIdle lets go of idle connections; attempts under way keep theirs.
func closeIdle(a actuators.Actuator) {
	if c, ok := a.(io.Closer); ok {
		_ = c.Close()
	}
}

// budget is the target's pace: its rate a minute, as a bucket of one minute.
// The caller holds mu.
func (t *tools) budget(target fsm.TargetSpec) *budget {
	perMinute := t.rate(target)
	b, ok := t.budgets[target.ID]
	if !ok {
		b = newBudget(perMinute)
		t.budgets[target.ID] = b
	}
	b.setRate(perMinute)
	return b
}

// rate is a target's requests a minute.
func (t *tools) rate(target fsm.TargetSpec) int {
	if target.Rate > 0 {
		return target.Rate
	}
	return t.Rate
}

// left is how long until the target may be asked so many times.
func (t *tools) left(id fsm.TargetID, n int) time.Duration {
	t.mu.Lock()
	b, ok := t.budgets[id]
	t.mu.Unlock()
	if !ok {
		return 0
	}
	return b.until(n)
}

// Warm reads the objects of the first stage of a master's plan, since a switch
// is coming: what it saw counts as the look before, for WarmFor. It changes
// nothing and may be called as often as the Sentinels give cause. It blocks
// until ctx ends unless Run runs.
func (e *Executor) Warm(ctx context.Context, id fsm.MasterID) {
	state, _ := e.Journal.Watch()
	m, ok := state.Spec().Master(id)
	now, known := state.Master(id)
	if !ok || !known || len(m.Plan) == 0 {
		return
	}
	var others []fsm.Address
	for _, c := range m.Candidates {
		if c.Address != now.Address {
			others = append(others, c.Address)
		}
	}
	for _, step := range m.Plan[0].Steps {
		if step.Target == "" || !e.tools.beginLook(step.Object) {
			continue
		}
		target, _ := state.Spec().Target(step.Target)
		err := e.hand(ctx, func(ctx context.Context) { e.tools.look(ctx, step, target, others) })
		if err != nil {
			return
		}
	}
}

// look keeps a reading; errors are of no interest, since the attempt looks again.
func (t *tools) look(ctx context.Context, step fsm.Step, target fsm.TargetSpec, candidates []fsm.Address) {
	a, err := t.of(step, target)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(patient(ctx), t.WarmFor)
	defer cancel()
	r, err := a.Read(ctx, actuators.Subject{Step: step, Candidates: candidates})
	if err != nil {
		t.Logger.Debug("warm-up read", "object", string(step.Object), "error", err)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.warm[step.Object] = warmth{began: r.At, reading: r}
}

// beginLook allows one look at an object in half of WarmFor, done or under way:
// the Sentinels give cause many times, and the provider's rate is small.
func (t *tools) beginLook(o fsm.ObjectID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, ok := t.warm[o]
	if ok && time.Since(w.began) < t.WarmFor/2 {
		return false
	}
	w.began = time.Now()
	t.warm[o] = w
	return true
}

// take gives a warm-up read once, if it is young enough.
func (t *tools) take(o fsm.ObjectID) *actuators.Reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.warm[o]
	delete(t.warm, o)
	if w.reading.At.IsZero() || time.Since(w.reading.At) > t.WarmFor && !planted.Bug(planted.StaleWarmUp) {
		return nil
	}
	return &w.reading
}
