package sim

import (
	"fmt"

	"github.com/pointsman/pointsman/fsm"
)

// states: at every entry, a master's built-in state is not ok while its newest
// failover has open actions; a note never covers what was accepted after it was
// seen; entries about states are few; and in the end, when nothing is open,
// every master is ok.
func (r *run) states(state fsm.State, log []decided) {
	notes, switches := 0, 0
	for _, d := range log {
		if d.answer.Refusal != 0 {
			continue
		}
		switch c := d.Command.(type) {
		case fsm.NoteState:
			notes += len(c.Notes)
			for _, n := range c.Notes {
				m, _ := d.before.Master(n.Master)
				was, _ := d.before.Condition(n.Master)
				now, _ := d.after.Condition(n.Master)
				if n.Base < m.Number && (was.Word != now.Word || was.Sight != now.Sight) {
					r.fail("late note", "entry %d noted %s of %s against %d, which was at %d", d.Index, n.Sight, n.Master, n.Base, m.Number)
				}
			}
		case fsm.Observe:
			switches++
		}
		for _, c := range d.after.Conditions() {
			if open := openOf(d.after, c.Master); c.Word == fsm.StateOK && open != "" {
				r.fail("state", "after entry %d %s is ok while %s is open", d.Index, c.Master, open)
			}
		}
	}
	// One note begins a master, two may come of a switch that came to nothing,
	// and each leader may find it late.
	if most := 2*len(r.plan.Masters) + 4*switches + 4*r.leaders(log); notes > most {
		r.fail("state", "%d notes for %d acceptances, at most %d", notes, switches, most)
	}
	for _, m := range r.plan.Masters {
		if why := r.misstated(state, m); why != "" {
			r.fail("state", "%s", why)
		}
	}
}

// misstated tells of a master's state that is not what a settled run leaves. The
// leader notes what it sees with pauses, and none before every member reads
// such notes.
func (r *run) misstated(state fsm.State, m masterPlan) string {
	id := fsm.MasterID(m.ID)
	c, known := state.Condition(id)
	shown, _ := state.Setting(fsm.StateKey(id))
	want := fsm.StateOK
	stands, _ := state.Master(id)
	if truth, _ := r.redis.told(m.ID); r.stuck(state, m) || stands.As == fsm.Rebase && string(stands.Address) != truth {
		want = fsm.StateDegraded
	}
	if !known || c.Word != want || shown.Plain() != want.String() {
		return fmt.Sprintf("%s is settled and its state is %q (noted %s: %s), want %s", m.ID, shown.Value, c.Sight, c.Note, want)
	}
	return ""
}

func openOf(s fsm.State, id fsm.MasterID) string {
	m, _ := s.Master(id)
	for _, a := range s.Actions(fsm.FailoverID{Master: id, Number: m.Number}) {
		if !a.Phase.Final() {
			return fmt.Sprintf("%s (%s)", a.ID, a.Phase)
		}
	}
	return ""
}

// leaders counts the terms in which something was logged.
func (r *run) leaders(log []decided) (n int) {
	last := fsm.Term(0)
	for _, d := range log {
		if d.Entry.Term != last {
			last = d.Entry.Term
			n++
		}
	}
	return n
}
