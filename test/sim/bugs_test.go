package sim

import (
	"context"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	actovh "github.com/pointsman/pointsman/actuators/ovh"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/sentinel"
)

// bug is a guard taken out of this composition; nil: none.
type bug struct {
	name  string
	seeds []uint64 // that it is played with
	desk  func(*desk) executor.Journal
	tool  func(actuators.Actuator) actuators.Actuator
	judge func(sentinel.View, sentinel.Accepted, sentinel.Verdict) sentinel.Verdict
	rates map[string]float64 // of the nodes' clocks, instead of the plan's
}

func (b *bug) journal(d *desk) executor.Journal {
	if b == nil || b.desk == nil {
		return d
	}
	return b.desk(d)
}

func (b *bug) kinds(k actuators.Kinds) actuators.Kinds {
	if b != nil && b.tool != nil {
		k[actovh.Name] = &wrappedKind{k[actovh.Name], b.tool}
	}
	return k
}

func (b *bug) verdict(v sentinel.View, acc sentinel.Accepted, said sentinel.Verdict) sentinel.Verdict {
	if b == nil || b.judge == nil {
		return said
	}
	return b.judge(v, acc, said)
}

// bugs are the planted ones, each with the guard that it takes out.
func bugs() []*bug {
	return []*bug{
		{name: "no window", seeds: []uint64{7, 9, 12}, desk: func(d *desk) executor.Journal { return noWindow{d} }},
		{name: "freed in doubt", seeds: []uint64{30, 33}, desk: func(d *desk) executor.Journal { return freedInDoubt{d} }},
		{name: "freed when superseded", seeds: []uint64{7, 14, 30}, desk: func(d *desk) executor.Journal { return freedWhenSuperseded{d} }},
		{name: "done when staged", seeds: []uint64{1, 2, 3}, desk: func(d *desk) executor.Journal { return doneWhenStaged{d} }},
		{name: "task not followed", seeds: []uint64{1, 9, 2}, tool: func(a actuators.Actuator) actuators.Actuator { return notFollowed{a} }},
		{name: "pending count trusted", seeds: []uint64{2, 5, 3}, tool: func(a actuators.Actuator) actuators.Actuator { return countTrusted{a} }},
		{name: "clocks too far apart", seeds: []uint64{98, 88, 31, 33, 8, 4, 12, 43, 7}, rates: map[string]float64{"n1": 0.7, "n2": 1.3, "n3": 1}},
		{name: "acts when it warms up", seeds: []uint64{1, 2}, tool: func(a actuators.Actuator) actuators.Actuator { return &hasty{Actuator: a} }},
		{name: "conflict accepted", seeds: []uint64{9, 2}, judge: conflictAccepted},
	}
}

// noWindow believes every claim's window to have run out.
type noWindow struct{ *desk }

func (noWindow) Applied(fsm.Token) (time.Time, bool) { return time.Now().Add(-time.Hour), true }

// freedInDoubt releases the object when an attempt ends, though its request may still land.
type freedInDoubt struct{ *desk }

func (d freedInDoubt) ProposeAs(ctx context.Context, term fsm.Term, c fsm.Command) (fsm.Answer, error) {
	answer, err := d.desk.ProposeAs(ctx, term, c)
	if s, ok := c.(fsm.Settle); ok && s.Doubt && err == nil {
		a, _ := d.State().Action(s.Action)
		_, _ = d.desk.ProposeAs(ctx, term, fsm.Release{Object: a.Step.Object, Token: s.Token})
	}
	return answer, err
}

// freedWhenSuperseded releases what a newer failover has superseded.
type freedWhenSuperseded struct{ *desk }

func (d freedWhenSuperseded) ProposeAs(ctx context.Context, term fsm.Term, c fsm.Command) (fsm.Answer, error) {
	answer, err := d.desk.ProposeAs(ctx, term, c)
	if _, ok := c.(fsm.Observe); ok && err == nil && answer.Number > 0 {
		state := d.State()
		for _, o := range state.Objects() {
			for _, h := range o.Held {
				if a, _ := state.Action(h.Action); a.Phase == fsm.Superseded {
					_, _ = d.desk.ProposeAs(ctx, term, fsm.Release{Object: o.ID, Token: h.Token})
				}
			}
		}
	}
	return answer, err
}

// doneWhenStaged takes what the provider stored for what is in effect.
type doneWhenStaged struct{ *desk }

func (d doneWhenStaged) ProposeAs(ctx context.Context, term fsm.Term, c fsm.Command) (fsm.Answer, error) {
	if s, ok := c.(fsm.Settle); ok && s.Refresh != nil {
		s.To, s.Effect, s.Refresh = fsm.Done, fsm.Changed, nil
		c = s
	}
	return d.desk.ProposeAs(ctx, term, c)
}

// wrappedKind opens every actuator with something taken out.
type wrappedKind struct {
	actuators.Kind
	wrap func(actuators.Actuator) actuators.Actuator
}

func (k *wrappedKind) Open(t fsm.TargetSpec, b actuators.Budget) (actuators.Actuator, error) {
	a, err := k.Kind.Open(t, b)
	if err != nil {
		return nil, err
	}
	return k.wrap(a), nil
}

// notFollowed takes a provider's task for done as soon as it has a number.
type notFollowed struct{ actuators.Actuator }

func (notFollowed) Follow(context.Context, actuators.Work) (actuators.Progress, error) {
	return actuators.Progress{Done: true}, nil
}

// hasty writes once more what it was told last, whenever it reads: without a claim.
type hasty struct {
	actuators.Actuator
	mu   sync.Mutex
	work *actuators.Work
	seen actuators.Sight
}

func (h *hasty) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	h.mu.Lock()
	h.work, h.seen = &w, seen
	h.mu.Unlock()
	return h.Actuator.Act(ctx, w, seen)
}

func (h *hasty) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	h.mu.Lock()
	w, seen := h.work, h.seen
	h.mu.Unlock()
	if w != nil {
		_, _ = h.Actuator.Act(ctx, *w, seen)
	}
	return h.Actuator.Read(ctx, s)
}

// countTrusted takes an empty count of pending changes for a proof.
type countTrusted struct{ actuators.Actuator }

func (c countTrusted) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	w.Covered = true
	return c.Actuator.Judge(r, w)
}

// conflictAccepted takes another address at the accepted epoch at once.
func conflictAccepted(v sentinel.View, acc sentinel.Accepted, said sentinel.Verdict) sentinel.Verdict {
	for _, r := range v.Reports {
		if acc.Known && !acc.Rebased && r.Seen && r.Epoch == acc.Epoch && r.Address != acc.Address && said.Kind == sentinel.None {
			said.Kind, said.Address, said.Epoch = sentinel.Resolve, r.Address, r.Epoch
		}
	}
	return said
}
