package fsm

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxRepairs bounds the repairs of one step of one failover: beyond it a drift
// is only reported, since somebody else keeps writing.
const MaxRepairs = 10

// Drift is an object that a read found other than its last done action had
// left it. The action's own entry is final and says nothing of it.
type Drift struct {
	Object ObjectID
	Action ActionID // the last done one
	Found  string   // for people
	Repair ActionID // what was opened against it; empty: only reported
	Clock  Clock
	Wall   time.Time // display only
	Index  uint64
}

// NoteDrift says what a read of a done action's object found: another value,
// or, with an empty Found, the right one again. With Repair it opens
// "cache/7/lb~1", an action like any other; Mend lets that one write over a
// human's edit.
type NoteDrift struct {
	Action ActionID
	Found  string
	Repair bool
	Mend   bool
}

// Kind implements Command.
func (NoteDrift) Kind() Kind { return KindNoteDrift }

func (c NoteDrift) apply(s State, e Entry) (State, Answer) {
	a, ok := s.Action(c.Action)
	if !ok {
		return refused(s, refuse(ErrUnknown, "action %s", c.Action))
	}
	if err := s.standing(a); err != nil {
		return refused(s, err)
	}
	if c.Found == "" {
		s.drifts, _, _ = s.drifts.Delete([]byte(a.Step.Object))
		return s, accepted()
	}
	d := Drift{Object: a.Step.Object, Action: a.ID, Found: cut(c.Found), Clock: s.clock, Wall: e.Wall, Index: e.Index}
	if c.Repair {
		var err error
		if s, d.Repair, err = s.repair(a, c.Mend, e); err != nil {
			return refused(s, err)
		}
	}
	s.drifts, _, _ = s.drifts.Insert([]byte(d.Object), d)
	return s, accepted()
}

// standing says whether the action's value is the one that its object should
// have now: done, of the newest failover, and nothing open on the object. What
// cannot be read again, or is nobody's to repeat, is not looked at; nor is what
// belongs to a master that is only observed, where a repair would be a write.
func (s State) standing(a Action) error {
	if spec, _ := s.spec.Master(a.For.Master); spec.Observe {
		return refuse(ErrPhase, "master %s is only observed", a.For.Master)
	}
	m, _ := s.Master(a.For.Master)
	if a.Phase != Done || a.For.Master == "" || a.For.Number != m.Number || !a.Step.Class.readable() {
		return refuse(ErrPhase, "action %s does not stand for its object now", a.ID)
	}
	if owner, step, ok := s.spec.Owner(a.Step.Object); !ok || owner != a.For.Master || !step.is(a.Step) {
		return refuse(ErrPhase, "object %s is no longer that of action %s", a.Step.Object, a.ID)
	}
	for _, b := range s.Actions(a.For) {
		if b.Step.Object == a.Step.Object && !b.Phase.Final() {
			return refuse(ErrPhase, "action %s is open on %s", b.ID, b.Step.Object)
		}
	}
	return nil
}

// repair opens the next "~n" of an action.
func (s State) repair(a Action, mend bool, e Entry) (State, ActionID, error) {
	f, ok := s.Failover(a.For)
	if !ok {
		return s, "", refuse(ErrUnknown, "failover %s", a.For)
	}
	base, _, _ := strings.Cut(a.Step.Name, "~")
	n := 1
	for _, b := range s.Actions(a.For) {
		if strings.HasPrefix(b.Step.Name, base+"~") {
			n++
		}
	}
	if n > MaxRepairs {
		return s, "", refuse(ErrLimit, "%s was repaired %d times (at most %d)", a.Step.Object, n-1, MaxRepairs)
	}
	step := a.Step
	step.Name = fmt.Sprintf("%s~%d", base, n)
	b := Action{
		ID: a.For.Action(step.Name), For: a.For, Stage: a.Stage, Stages: a.Stages, Phase: Pending, Step: step, Target: a.Target,
		Value: a.Value, Wanted: a.Wanted, Limit: step.MaxAttempts, Mend: mend,
		Created: s.clock, Changed: s.clock, CreatedWall: e.Wall, ChangedWall: e.Wall, Index: e.Index,
	}
	f.Actions = append(slices.Clone(f.Actions), b.ID)
	s.failovers, _, _ = s.failovers.Insert(f.ID.key(), f)
	return s.with(b), b.ID, nil
}

// Drift finds what stands against an object; false: nothing.
func (s State) Drift(o ObjectID) (Drift, bool) { return s.drifts.Get([]byte(o)) }

// Drifts lists the objects that were found other than they should be, by id.
func (s State) Drifts() []Drift { return values(s.drifts, nil) }

// Standing finds, for each object of a master's newest failover, the action
// whose value it should have now; objects that something is open on are left out.
func (s State) Standing(id MasterID) []Action {
	m, ok := s.Master(id)
	if !ok || m.Number == 0 {
		return nil
	}
	last := map[ObjectID]Action{}
	var order []ObjectID
	for _, a := range s.Actions(FailoverID{id, m.Number}) {
		if _, seen := last[a.Step.Object]; !seen {
			order = append(order, a.Step.Object)
		}
		if a.Phase == Done || last[a.Step.Object].ID == "" {
			last[a.Step.Object] = a
		}
	}
	var standing []Action
	for _, o := range order {
		if s.standing(last[o]) == nil {
			standing = append(standing, last[o])
		}
	}
	return standing
}

// Unwritten finds the steps of a master's plan whose objects no action of its
// newest failover is about: all of them before the first one, while the master is
// only observed and until the next failover after that, and what the spec has
// added since. What cannot be read is left out.
func (s State) Unwritten(id MasterID) []Step {
	m, ok := s.Master(id)
	spec, declared := s.spec.Master(id)
	if !ok || !m.Known() || !declared {
		return nil
	}
	met := map[ObjectID]bool{}
	for _, a := range s.Actions(FailoverID{id, m.Number}) {
		met[a.Step.Object] = met[a.Step.Object] || !spec.Observe && a.Phase != Observed
	}
	var steps []Step
	for _, step := range spec.steps() {
		if !met[step.Object] && step.Class.readable() {
			steps = append(steps, step)
		}
	}
	return steps
}

// readable reports whether an object of the class holds a value that can be read.
func (c Class) readable() bool { return c != InLog && c != Trigger && c != Blind }
