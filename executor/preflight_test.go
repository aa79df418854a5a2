package executor

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// check makes one preflight of a spec and checks that nothing was written. It
// begins when what ran before has come to rest: an outcome's entry is followed
// by others that it makes due.
func (l *leader) check(ctx context.Context, spec fsm.Spec) []Checked {
	l.t.Helper()
	synctest.Wait()
	before, index := len(l.o.requests()), l.o.w.now().Index()
	found := l.Preflight(ctx, l.o.w.now(), spec, true)
	if len(l.o.requests()) != before || l.o.w.now().Index() != index {
		l.t.Errorf("a preflight has written: requests %d to %d, index %d to %d", before, len(l.o.requests()), index, l.o.w.now().Index())
	}
	return found
}

func TestPreflight_TellsWhatStandsAndWhatWouldBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		o.slow = 300 * time.Millisecond
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		o.until(t, "cache/1/do", fsm.Done, time.Minute)
		o.turn(func() { o.value = "b:1 00000001" })
		found := l.check(t.Context(), o.w.now().Spec())
		if len(found) != 1 {
			t.Fatalf("%d checks", len(found))
		}
		got := found[0]
		if got.Verdict != actuators.Applied || len(got.Problems)+len(got.Object) > 0 || got.Master != "cache" || got.Stage != "cutover" || got.Typical < o.slow || got.Typical > time.Second {
			t.Errorf("%+v", got)
		}
		want := []Outcome{{"a:1", "a:1 00000002", actuators.Absent}, {"c:1", "c:1 00000002", actuators.Absent}}
		if !reflect.DeepEqual(got.Outcomes, want) {
			t.Errorf("outcomes %+v, want %+v", got.Outcomes, want)
		}
	})
}

// TestPreflight_NamesWhatAFailoverWouldBeStuckAt, once, however many candidates there are.
func TestPreflight_NamesWhatAFailoverWouldBeStuckAt(t *testing.T) {
	for name, c := range map[string]struct {
		turn func(*outside)
		want string
	}{
		"newer":      {func(o *outside) { o.value = "z:1 00000009" }, "a failover would be stuck: newer: z:1 00000009"},
		"not served": {func(o *outside) { o.blindEye = actuators.Permanent(errors.New("403: no such key")) }, "cannot be read: 403: no such key"},
		"in trouble": {func(o *outside) { o.blindEye = errors.New("503") }, "cannot be read: 503"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := ofClass(t, fsm.Readable)
				l := o.lead(t, 1, nil)
				defer l.stop()
				o.turn(func() { c.turn(o) })
				got := l.check(t.Context(), o.w.now().Spec())[0]
				if len(got.Object) != 1 || !strings.Contains(got.Object[0], c.want) || len(got.Problems) > 0 {
					t.Errorf("object %q, problems %q, want %q", got.Object, got.Problems, c.want)
				}
			})
		})
	}
}

// TestPreflight_OfASpecThatIsNotApplied opens its targets for itself: those of
// the applied spec stay as they are.
func TestPreflight_OfASpecThatIsNotApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.check(t.Context(), o.w.now().Spec())
		before := l.tools.open["api"]
		spec := o.w.now().Spec()
		spec.Targets = []fsm.TargetSpec{{ID: "api", Kind: "deed", Params: []byte("other")}, {ID: "lost", Kind: "gone"}}
		spec.Masters = append(spec.Masters, fsm.MasterSpec{ID: "new", Candidates: []fsm.Candidate{{Address: "x:1"}, {Address: "y:1"}}, Plan: []fsm.Stage{
			{Name: "cutover", Steps: []fsm.Step{{Name: "far", Target: "lost", Kind: "gone", Object: "lost/object", Class: fsm.Readable}}},
		}})
		found := l.check(t.Context(), spec)
		if len(found) != 2 || len(found[0].Problems)+len(found[0].Object) > 0 || len(found[0].Outcomes) != 2 {
			t.Fatalf("%+v", found)
		}
		if len(found[1].Problems) != 1 || !strings.Contains(found[1].Problems[0], `no actuator of kind "gone"`) {
			t.Errorf("problems %q", found[1].Problems)
		}
		if after := l.tools.open["api"]; after != before {
			t.Error("the applied spec's target was opened anew")
		}
	})
}

// TestPreflight_EndsWithItsContext, and says so for what it did not read.
func TestPreflight_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		l := o.lead(t, 1, nil)
		defer l.stop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got := l.check(ctx, o.w.now().Spec())[0]
		if len(got.Object) != 1 || !strings.Contains(got.Object[0], "canceled") {
			t.Errorf("object %q, problems %q", got.Object, got.Problems)
		}
	})
}
