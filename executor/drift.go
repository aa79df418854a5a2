package executor

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

const (
	driftScan = time.Second
	// driftJitter spreads the looks at many objects: up to so much is added.
	driftJitter = 0.2
)

// driftDelays are the spans between the looks at an object after its action is
// done; the last one repeats. A write that was on the wire lands soon after, a
// human comes any time.
func driftDelays() []time.Duration {
	return []time.Duration{time.Second, 10 * time.Second, time.Minute, 5 * time.Minute}
}

// watched is an object that is looked at again.
type watched struct {
	action fsm.ActionID
	looks  int
	next   time.Time
}

func (w watched) after() watched {
	delays := driftDelays()
	d := delays[min(w.looks, len(delays)-1)]
	w.looks++
	w.next = time.Now().Add(d + rand.N(time.Duration(float64(d)*driftJitter)))
	return w
}

// watchDrift looks again at what is done, for as long as the term lasts. A new
// leader begins anew with the short spans: it does not know what the old one
// left on the wire.
func (e *Executor) watchDrift(ctx context.Context, term fsm.Term) {
	objects := map[fsm.ObjectID]watched{} // those of the newest failover of each master
	tick := time.NewTicker(driftScan)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		state, _ := e.Journal.Watch()
		stand := map[fsm.ObjectID]watched{}
		for _, m := range state.Masters() {
			for _, a := range state.Standing(m.ID) {
				w, ok := objects[a.Step.Object]
				if !ok || w.action != a.ID {
					w = watched{action: a.ID}.after()
				}
				if !time.Now().Before(w.next) && e.lookForDrift(ctx, term, a) {
					w = w.after()
				}
				stand[a.Step.Object] = w
			}
		}
		objects = stand
	}
}

// lookForDrift begins one look, unless the budget is wanted by others or the
// node is about to hand over. It has a lane of its own: a look waits for nobody
// who acts, and nobody who acts for a look.
func (e *Executor) lookForDrift(ctx context.Context, term fsm.Term, a fsm.Action) bool {
	id := "drift/" + a.ID
	e.mu.Lock()
	busy := e.draining || e.running[id]
	e.mu.Unlock()
	if busy || planted.Bug(planted.DriftUnwatched) {
		return false
	}
	g, left := e.tools.admit(a.Target, costLook, true)
	if left > 0 {
		return false
	}
	t := try{Executor: e, term: term, id: a.ID}
	e.start(ctx, id, job{do: func(ctx context.Context) { t.drifted(patient(ctx)) }, target: "drift/" + a.Target.ID, grant: g})
	return true
}

// drifted looks at the object of a done action and logs what differs. It only
// reads: a repair is an action of its own.
func (t try) drifted(ctx context.Context) {
	state, _ := t.Journal.Watch()
	a, ok := state.Action(t.id)
	if !ok || !slices.ContainsFunc(state.Standing(a.For.Master), func(b fsm.Action) bool { return b.ID == a.ID }) {
		return
	}
	seen, _, err := t.look(ctx, state, a, false)
	if err != nil {
		t.Logger.Debug("look for drift", "action", string(a.ID), "error", err)
		return
	}
	c := fsm.NoteDrift{Action: a.ID, Found: seen.Verdict.String() + ": " + seen.Detail}
	was, known := state.Drift(a.Step.Object)
	spec, _ := state.Spec().Master(a.For.Master)
	switch seen.Verdict {
	case actuators.Absent: // what an older write of ours left
		c.Repair = true
	case actuators.Foreign:
		c.Repair, c.Mend = spec.Mend, spec.Mend
	case actuators.Newer:
	default:
		c.Found = ""
	}
	if c.Found == was.Found && known == (c.Found != "") && !c.Repair {
		return
	}
	t.note(ctx, a, c)
}

func (t try) note(ctx context.Context, a fsm.Action, c fsm.NoteDrift) {
	_, err := t.propose(ctx, t.term, c)
	if err != nil && isRefusal(err) && c.Repair { // repaired too often: somebody else keeps writing
		c.Repair, c.Mend = false, false
		_, err = t.propose(ctx, t.term, c)
	}
	if err == nil && c.Found != "" {
		t.Logger.Warn("drifted", "action", string(a.ID), "object", string(a.Step.Object), "found", c.Found, "repair", c.Repair)
	}
}
