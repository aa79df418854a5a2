package executor

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// constant is a kind whose object should stand as its step says, whichever
// failover it is.
type constant struct{ deed }

func (c constant) Constant(fsm.Step) bool { return true }

func (c constant) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) { return c, nil }

func (c constant) Render(s fsm.Step, _ actuators.Facts) (fsm.Value, error) {
	return fsm.Value{Step: s.Name, Value: s.Params, Wanted: string(s.Params)}, nil
}

func (c constant) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	text := r.Body.([2]string)[0]
	s := actuators.Sight{Verdict: actuators.Absent, Owed: true, Detail: "there is " + text}
	switch {
	case text == string(w.Action.Value):
		s.Verdict = actuators.Applied
	case w.Action.Phase == fsm.Done && !w.Action.Mend:
		s.Verdict = actuators.Foreign
	}
	return s
}

// constants is a process that leads over a master with such a step.
func constants(t *testing.T, params string) (o *outside, e *Executor) {
	t.Helper()
	o = ofClass(t, fsm.Readable, func(s *fsm.Step) { s.Params = []byte(params) })
	ctx, cancel := context.WithCancelCause(t.Context())
	l := &life{world: o.w, cancel: cancel}
	c := DefaultConfig()
	c.Journal, c.Kinds = l, actuators.Kinds{"deed": constant{deed{lb: lb{l}, o: o, class: fsm.Readable, term: 1}}}
	e = New(c)
	over := make(chan struct{})
	go func() { defer close(over); _ = e.Run(ctx, 1) }()
	t.Cleanup(func() { cancel(nil); <-over })
	return o, e
}

// want changes what the spec says of the step, and of repairs.
func (o *outside) want(t *testing.T, params string, mend bool) {
	t.Helper()
	spec := o.w.now().Spec()
	m := spec.Masters[0]
	step := m.Plan[0].Steps[0]
	step.Params = []byte(params)
	spec.Masters = []fsm.MasterSpec{{ID: m.ID, Candidates: m.Candidates, Mend: mend, Plan: []fsm.Stage{{Name: "cutover", Steps: []fsm.Step{step}}}}}
	if err := o.w.commit(1, fsm.PutSpec{IfRevision: spec.Revision, Spec: spec}).Err(); err != nil {
		t.Fatal(err)
	}
}

// findingsOf waits for a round of looks, and gives what the findings say.
func findingsOf(e *Executor) string {
	time.Sleep(6 * time.Minute)
	synctest.Wait()
	var words []string
	for _, f := range e.Findings() {
		words = append(words, f.Word()+": "+f.Found)
	}
	return strings.Join(words, "; ")
}

// TestConstant: what should stand and does not is told before any failover, and
// nothing is written; a failover writes it; what goes is repaired by policy.
func TestConstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, e := constants(t, "one")
		o.want(t, "one", true)
		if got := findingsOf(e); got != "absent: there is " || len(o.requests()) != 0 {
			t.Fatalf("%q, %d writes", got, len(o.requests()))
		}
		o.turn(func() { o.value = "one" })
		if got := findingsOf(e); got != "" {
			t.Fatalf("%q", got)
		}
		o.turn(func() { o.value = "" })
		if _, err := e.Observe(t.Context(), 1, sightings(1)[0]); err != nil {
			t.Fatal(err)
		}
		o.until(t, "cache/1/do", fsm.Done, time.Minute)
		o.turn(func() { o.value = "" })
		o.until(t, "cache/1/do~1", fsm.Done, 10*time.Minute)
		if got := findingsOf(e); got != "" || o.requests()[1].value != "one" {
			t.Errorf("%q, %+v", got, o.requests())
		}
	})
}

// TestConstant_Changed: once the spec wants another value the former one is
// neither repaired nor told as drifted; what lacks of the present one is told.
func TestConstant_Changed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, e := constants(t, "one")
		if _, err := e.Observe(t.Context(), 1, sightings(1)[0]); err != nil {
			t.Fatal(err)
		}
		o.until(t, "cache/1/do", fsm.Done, time.Minute)
		o.turn(func() { o.value = "by hand" })
		if got := findingsOf(e); got != "" || len(o.w.now().Drifts()) != 1 {
			t.Fatalf("%q, drifts %+v", got, o.w.now().Drifts())
		}
		o.want(t, "two", true)
		if got := findingsOf(e); got != "absent: there is by hand" || len(o.w.now().Drifts()) != 0 || len(o.requests()) != 1 {
			t.Fatalf("%q, drifts %+v, %d writes", got, o.w.now().Drifts(), len(o.requests()))
		}
		o.turn(func() { o.value = "two" })
		if got := findingsOf(e); got != "" {
			t.Errorf("%q", got)
		}
	})
}

// openings is a kind that counts how often a target is opened.
type openings struct {
	lb
	opened *int
}

func (c openings) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) {
	*c.opened++
	return c, nil
}

// TestTools_KindWithTwoSteps: steps of one kind under two names share what is open.
func TestTools_KindWithTwoSteps(t *testing.T) {
	c := DefaultConfig()
	kind, other := openings{opened: new(int)}, openings{opened: new(int)}
	c.Kinds = actuators.Kinds{"fields": kind, "hooks": kind, "other": other}
	tools := newTools(c)
	target := fsm.TargetSpec{ID: "shop", Kind: "shop"}
	for _, name := range []string{"fields", "hooks", "fields", "other"} {
		if _, err := tools.of(fsm.Step{Kind: name}, target); err != nil {
			t.Fatal(err)
		}
	}
	if *kind.opened != 1 || *other.opened != 1 {
		t.Errorf("opened %d and %d times", *kind.opened, *other.opened)
	}
}
