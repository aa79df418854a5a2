package executor

import (
	"testing"
	"testing/synctest"

	"github.com/pointsman/pointsman/actuators"
)

// TestRehearse: the plan of a failover that has not happened, in its order, with
// what stands at the provider and in the log. Nothing is logged or written, and
// an object that cannot be read does not hide the others.
func TestRehearse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := seeded(t)
		w.staged = "q:1 00000009"
		l := &life{world: w, cancel: func(error) {}}
		c := DefaultConfig()
		c.Journal, c.Kinds = l, actuators.Kinds{"lb": lb{l}, "note": note{lb{l}}}
		e := New(c)
		at := w.now().Index()

		plan := e.Rehearse(t.Context(), w.now(), "cache", "b:1", true)
		want := []struct {
			stage, step, found string
			verdict            actuators.Verdict
		}{
			{"cutover", "lb", "q:1 00000009", actuators.Newer},
			{"cutover", "url", "not set", actuators.Absent},
			{"announce", "second", "not set", actuators.Absent},
		}
		if len(plan) != len(want) {
			t.Fatalf("%d steps", len(plan))
		}
		for i, p := range plan {
			if p.Stage != want[i].stage || p.Step.Name != want[i].step || p.Found != want[i].found || p.Verdict != want[i].verdict || p.Problem != "" || p.Wanted != "b:1 00000001" {
				t.Errorf("step %d: %+v, want %+v", i, p, want[i])
			}
		}
		for _, p := range e.Rehearse(t.Context(), w.now(), "cache", "b:1", false) {
			if p.Found != "" || p.Verdict != 0 {
				t.Errorf("read without being asked to: %+v", p)
			}
		}
		l.dead = true // whatever is asked of the provider fails
		plan = e.Rehearse(t.Context(), w.now(), "cache", "b:1", true)
		if plan[0].Problem != "cannot be read: "+errDead.Error() || plan[2].Found != "not set" {
			t.Errorf("%+v", plan)
		}
		c.Kinds = actuators.Kinds{"note": note{lb{l}}}
		if plan = New(c).Rehearse(t.Context(), w.now(), "cache", "b:1", true); plan[0].Problem == "" {
			t.Errorf("no actuator of the kind: %+v", plan[0])
		}
		if now := w.now().Index(); now != at || len(w.writes) != 0 || w.refreshes != 0 {
			t.Errorf("%d entries, writes %v, %d refreshes", now-at, w.writes, w.refreshes)
		}
	})
}
