package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// sided judges each side by what it carried out against what the log granted:
// no write without its claim, none of an older failover over a newer one's and
// no second change for one action, unless a request outlasted its window, or was delivered again
// after its answer had freed the object; done
// only when the value stood; and in the end every object is where its master is.
func (r *run) sided(state fsm.State, log []decided) {
	claims, spoilt := grants(log), map[string][]time.Time{}
	r.fenced(state, claims)
	for _, s := range r.sides {
		if s.fences != nil {
			continue
		}
		r.sideWrites(state, s, claims, spoilt)
		for _, m := range r.plan.Masters {
			if s.forgot != nil {
				key := s.name + "/" + m.ID
				spoilt[key] = append(spoilt[key], s.forgot(m.ID)...)
			}
		}
	}
	for _, d := range log {
		c, ok := d.Command.(fsm.Settle)
		if !ok || c.To != fsm.Done || d.answer.Refusal != 0 {
			continue
		}
		a, _ := d.after.Action(c.Action)
		now, is := d.sides[sideObject(a)]
		f, _ := d.after.Failover(a.For)
		if is && now != f.To && !r.spoiltBefore(d, spoilt[sideObject(a)]) {
			r.fail("side false success", "entry %d settled %s done while it was at %q, not %s", d.Index, a.ID, now, f.To)
		}
	}
	for _, f := range r.sidesWrong(state) {
		r.fail(f.Check, "%s", f.Detail)
	}
}

// spoiltBefore: a request that had outlasted its window landed after the read
// that an outcome was logged by, or so shortly before that the read lagged.
func (r *run) spoiltBefore(d decided, at []time.Time) bool {
	const lag = 2 * time.Second
	return slices.ContainsFunc(at, func(landed time.Time) bool {
		return !landed.After(d.entry.at) && d.entry.at.Sub(landed) < r.plan.Act+lag
	})
}

// sideObject is the key of an action's object in run.sideValues.
func sideObject(a fsm.Action) string { return string(a.Step.Target) + "/" + string(a.For.Master) }

// sideWrites judges the writes of one side, and notes when one landed that had
// outlasted its window.
func (r *run) sideWrites(state fsm.State, s *side, claims []*grant, spoilt map[string][]time.Time) {
	highest, spoiled := map[fsm.MasterID]fsm.Number{}, map[fsm.MasterID]bool{}
	changes, actions := map[fsm.FailoverID]int{}, map[fsm.FailoverID]map[fsm.ActionID]bool{}
	for _, g := range claims {
		if g.action.Step.Target != fsm.TargetID(s.name) {
			continue
		}
		if actions[g.action.For] == nil {
			actions[g.action.For] = map[fsm.ActionID]bool{}
		}
		actions[g.action.For][g.action.ID] = true
	}
	for _, w := range s.writes() {
		late := s.edge.twin(w.came)
		w.came = s.edge.arrived(w.came)
		if w.of.Number == 0 {
			w.of.Number = newestTo(state, s, w, claims)
		}
		outlasted, owned := r.sideLate(s, w, claims)
		late = late || outlasted
		if !owned {
			r.fail("side orphans", "%s carried out a write of %s at %s that no claim stands for", s.name, w.of, w.effect.Sub(r.story.began))
			continue
		}
		id := w.of.Master
		spoiled[id] = spoiled[id] || late || s.forgot != nil && slices.ContainsFunc(s.forgot(string(id)), w.effect.After)
		if late {
			r.figures.SideLate++
			spoilt[s.name+"/"+string(id)] = append(spoilt[s.name+"/"+string(id)], w.landed())
		}
		if w.of.Number < highest[id] && w.before != w.after && !late {
			r.fail("side stale", "%s: %s after number %d", s.name, w.of, highest[id])
		}
		highest[id] = max(highest[id], w.of.Number)
		if w.before == w.after {
			continue
		}
		r.figures.SideChanges++
		if changes[w.of]++; changes[w.of] > len(actions[w.of]) && !spoiled[id] {
			r.fail("side duplicates", "%s: change %d under %s", s.name, changes[w.of], w.of)
		}
	}
}

// newestTo is the newest failover to where a write leads that had a claim there
// when it came; 0: none had.
func newestTo(state fsm.State, s *side, w sideWrite, claims []*grant) (n fsm.Number) {
	for _, g := range claims {
		f, ok := state.Failover(g.action.For)
		if ok && g.action.Step.Target == fsm.TargetID(s.name) && f.ID.Master == w.of.Master && f.To == w.to && !g.by.at.After(w.came) {
			n = max(n, f.ID.Number)
		}
	}
	return n
}

// sideLate finds the claim that a write was sent under, the newest before it
// came, and says whether the write outlasted that claim's window.
func (r *run) sideLate(s *side, w sideWrite, claims []*grant) (late, owned bool) {
	for _, g := range claims {
		if g.action.Step.Target != fsm.TargetID(s.name) || g.action.For != w.of || g.by.at.After(w.came) {
			continue
		}
		owned = true
		late = w.effect.Sub(g.by.at) > g.by.author.clock.real(g.act)+r.plan.Hold
	}
	return late, owned
}

// sidesWrong lists the objects that are not where the newest failover with an
// action there wants them.
func (r *run) sidesWrong(state fsm.State) (list []failure) {
	for _, s := range r.sides {
		for i, m := range r.plan.Masters {
			if s.fences != nil {
				continue
			}
			a, ok := newestAction(state, m, s.name)
			if !ok {
				continue
			}
			f, _ := state.Failover(a.For)
			switch now := s.value(i, m); {
			case a.Phase == fsm.Stuck:
				list = append(list, failure{"side left open", fmt.Sprintf("%s is stuck: %s", a.ID, a.Reason)})
			case now != f.To:
				list = append(list, failure{"side final value", fmt.Sprintf("%s of %s is at %q; %s (%s) wants %s", s.name, m.ID, now, a.ID, a.Phase, f.To)})
			}
		}
	}
	return list
}

// newestAction is that of a master's newest failover that has the step.
func newestAction(state fsm.State, m masterPlan, step string) (fsm.Action, bool) {
	stands, _ := state.Master(fsm.MasterID(m.ID))
	for n := stands.Number; n > 0; n-- {
		id := fsm.FailoverID{Master: fsm.MasterID(m.ID), Number: n}
		if a, ok := state.Action(id.Action(step)); ok {
			return a, true
		}
	}
	return fsm.Action{}, false
}
