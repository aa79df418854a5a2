package actuatortest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/pointsman/pointsman/fsm"
)

func worldOf(class fsm.Class, lie string) World {
	s := &service{class: class, lie: lie, keys: map[string]time.Time{}, now: record{Address: "10.0.1.20:6379"}}
	return World{
		Kind: kind{s}, Name: "tiny", Target: fsm.TargetSpec{ID: "api", Kind: "tiny"},
		Message: wrapperspb.String("step"), TargetOf: wrapperspb.Int32(1),
		A: "10.0.1.20:6379", B: "10.0.2.20:6379", Outside: s, Late: s,
	}
}

// unreadOf is a keyed world that nothing can be read back of.
func unreadOf(lie string) World {
	w := worldOf(fsm.Keyed, lie)
	w.Outside.(*service).unread, w.Unread = true, true
	return w
}

func classes() []fsm.Class { return []fsm.Class{fsm.Fenced, fsm.Keyed, fsm.Readable, fsm.Blind} }

// TestClassesPass: a faithful actuator of each class passes.
func TestClassesPass(t *testing.T) {
	for _, class := range classes() {
		t.Run(class.String(), func(t *testing.T) {
			Run(t, func(*testing.T) World { return worldOf(class, "") })
		})
	}
	t.Run("keyed, unread", func(t *testing.T) { Run(t, func(*testing.T) World { return unreadOf("") }) })
}

// verdict takes a case's failures instead of the test.
type verdict struct {
	testing.TB
	said []string
}

func (v *verdict) Helper()           {}
func (v *verdict) Error(args ...any) { v.said = append(v.said, fmt.Sprint(args...)) }
func (v *verdict) Errorf(f string, args ...any) {
	v.said = append(v.said, fmt.Sprintf(f, args...))
}

func (v *verdict) Fatal(args ...any) { v.Error(args...); runtime.Goexit() }

func (v *verdict) Fatalf(f string, args ...any) { v.Errorf(f, args...); runtime.Goexit() }

// failing runs every case against a world and lists those that fail.
func failing(t *testing.T, world func() World) (names []string) {
	t.Helper()
	for _, c := range cases() {
		synctest.Test(t, func(t *testing.T) {
			v := &verdict{TB: t}
			over := make(chan struct{})
			go func() {
				defer close(over)
				if b := newBench(v, world()); c.about(b) {
					c.run(b)
				}
			}()
			<-over
			if len(v.said) > 0 {
				names = append(names, c.name)
			}
		})
	}
	return names
}

// TestWronglyDeclaredClassesAreCaught: an actuator that does not keep the word
// of its class fails the suite, and in the case that is about it.
func TestWronglyDeclaredClassesAreCaught(t *testing.T) {
	for _, c := range []struct {
		class fsm.Class
		lie   string
		by    string
	}{
		{fsm.Fenced, "reads its version again", "fenced: the claim's version decides"},
		{fsm.Fenced, "digest of the value", "fenced: versions never repeat"},
		{fsm.Keyed, "a key per attempt", "keyed: the key is the action's"},
		{fsm.Readable, "cannot be read", "write and read back"},
		{fsm.Readable, "reads what it wrote", "late write of an older failover is repaired"},
		{fsm.Readable, "compares markers", "compare tells values, whoever wrote them"},
		{fsm.Blind, "compares what it cannot read", "compare tells values, whoever wrote them"},
		{fsm.Readable, "sends again", "connection lost after the effect is doubt"},
		{fsm.Blind, "sends again", "blind: no clear answer is doubt, and nothing is sent again"},
	} {
		got := failing(t, func() World { return worldOf(c.class, c.lie) })
		if !slices.Contains(got, c.by) {
			t.Errorf("%s, %q: caught by %q, want %q among them", c.class, c.lie, strings.Join(got, "; "), c.by)
		}
	}
	const again = "keyed: a lost answer that nothing can read back is asked for again"
	for lie, by := range map[string]string{"a key per attempt": "keyed: the key is the action's", "guesses": again, "forgets its answer": again} {
		if got := failing(t, func() World { return unreadOf(lie) }); !slices.Contains(got, by) {
			t.Errorf("keyed, unread, %q: caught by %q, want %q among them", lie, strings.Join(got, "; "), by)
		}
	}
	for _, class := range classes() {
		if got := failing(t, func() World { return worldOf(class, "") }); len(got) > 0 {
			t.Errorf("%s keeps its word and fails %q", class, got)
		}
	}
}
