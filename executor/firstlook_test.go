package executor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// signed is a kind whose object is text with a marker behind it. Text that
// says "mine" stands for what its policy leaves to humans.
type signed struct{ deed }

func (s signed) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) { return s, nil }

func (s signed) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	text := r.Body.([2]string)[0]
	_, m, marked := actuators.ParseMarked(text)
	sight := actuators.Sight{Verdict: actuators.Absent, Detail: text}
	switch {
	case marked && (m.Cluster != string(w.Cluster) || m.Number > w.Action.For.Number):
		sight.Verdict = actuators.Newer
	case strings.HasPrefix(text, "mine"):
		sight.Verdict = actuators.Foreign
	case strings.HasPrefix(text, "busy"):
		sight.Verdict = actuators.Busy
	}
	return sight
}

// firstView is a process that leads over a master that was only seen so far.
func firstView(t *testing.T, o *outside) (e *Executor, r *prometheus.Registry, stop func()) {
	t.Helper()
	l := &life{world: o.w}
	ctx, cancel := context.WithCancelCause(t.Context())
	l.cancel = cancel
	c := DefaultConfig()
	c.Journal, c.Kinds, c.Metrics = l, actuators.Kinds{"deed": signed{deed{lb: lb{l}, o: o, class: fsm.Readable, term: 1}}}, prometheus.NewRegistry()
	e = New(c)
	over := make(chan struct{})
	go func() { defer close(over); _ = e.Run(ctx, 1) }()
	return e, c.Metrics.(*prometheus.Registry), func() { cancel(nil); <-over }
}

// TestFirstLook: what another cluster, or a failover of ours that this log does
// not know, has written is told within seconds of the first view. Nothing is
// written, outside or in the log.
func TestFirstLook(t *testing.T) {
	for name, c := range map[string]struct {
		stands string
		broken error
		want   string
	}{
		"another cluster's marker":             {stands: "text [pm other cache/3]", want: "newer"},
		"a newer one of ours":                  {stands: "text [pm c1 cache/3]", want: "newer"},
		"our own":                              {stands: "text [pm c1 cache/0]"},
		"none":                                 {stands: "text"},
		"what the policy leaves to its writer": {stands: "mine", want: "foreign"},
		"cannot be read":                       {broken: errors.New("503"), want: "unreadable"},
		"may not be read":                      {broken: actuators.Permanent(errors.New("403")), want: "unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := ofClass(t, fsm.Readable)
				o.value, o.blindEye = c.stands, c.broken
				before := o.w.now().Index()
				e, registry, stop := firstView(t, o)
				time.Sleep(2 * driftScan)
				synctest.Wait()
				found := e.Findings()
				metric := gauge(t, registry, "pointsman_executor_first_look_findings")
				if c.want == "" && (len(found) != 0 || metric != 0) {
					t.Errorf("found %+v, metric %v", found, metric)
				}
				if c.want != "" && (len(found) != 1 || found[0].Word() != c.want || found[0].Master != "cache" || found[0].Found == "" || metric != 1) {
					t.Errorf("found %+v, metric %v, want %s", found, metric, c.want)
				}
				if o.looks() != 1 {
					t.Errorf("%d looks", o.looks())
				}
				time.Sleep(10 * time.Minute)
				if looks := o.looks(); looks < 4 || looks > 6 {
					t.Errorf("%d looks in ten minutes", looks)
				}
				if n := len(o.requests()); n != 0 || o.w.now().Index() != before {
					t.Errorf("%d writes, %d entries", n, o.w.now().Index()-before)
				}
				stop()
				if found := e.Findings(); len(found) != 0 {
					t.Errorf("a node that no longer leads says %+v", found)
				}
			})
		})
	}
}

// TestFirstLook_Ends when the marker is taken off, and when a failover is
// accepted, whose own action then tells. What is busy says nothing new.
func TestFirstLook_Ends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		o.value = "text [pm other cache/3]"
		e, _, stop := firstView(t, o)
		defer stop()
		told := func(want bool) {
			t.Helper()
			synctest.Wait()
			if found := e.Findings(); (len(found) == 1) != want {
				t.Fatalf("after %s: %+v", time.Since(o.w.start), found)
			}
		}
		time.Sleep(2 * time.Second)
		told(true)
		since := e.Findings()[0].Since
		o.turn(func() { o.value = "busy" })
		time.Sleep(time.Minute)
		told(true)
		o.turn(func() { o.value = "text [pm other cache/4]" })
		time.Sleep(7 * time.Minute)
		if f := e.Findings(); len(f) != 1 || f[0].Since != since || !strings.Contains(f[0].Found, "cache/4") {
			t.Errorf("found %+v, since %s", f, since)
		}
		o.turn(func() { o.value = "text" })
		time.Sleep(7 * time.Minute)
		told(false)
		o.turn(func() { o.value = "text [pm other cache/5]" })
		time.Sleep(7 * time.Minute)
		told(true)
		o.w.commit(1, fsm.Observe{
			Master: "cache", Revision: 1, Address: "b:1", Epoch: 2, As: fsm.Advance, Term: 1, Values: []fsm.Value{{Step: "do", Value: []byte("b:1")}},
		})
		time.Sleep(2 * driftScan)
		told(false)
		if a, _ := o.w.now().Action("cache/1/do"); a.Phase != fsm.Stuck {
			t.Errorf("the failover's own action is %s", a.Phase)
		}
		if n := len(o.requests()); n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

// TestFirstLook_OfWhatASpecAdds: a step that is new to a plan has no failover
// behind it either.
func TestFirstLook_OfWhatASpecAdds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		e, _, stop := firstView(t, o)
		defer stop()
		spec := o.w.now().Spec()
		plan := spec.Masters[0].Plan[0]
		plan.Steps = append(plan.Steps,
			fsm.Step{Name: "late", Target: "api", Kind: "deed", Object: "api/late", Class: fsm.Readable},
			fsm.Step{Name: "unseen", Target: "api", Kind: "deed", Object: "api/unseen", Class: fsm.Blind},
		)
		spec.Masters = []fsm.MasterSpec{{ID: "cache", Candidates: spec.Masters[0].Candidates, Plan: []fsm.Stage{plan}}}
		if a := o.w.commit(1, fsm.PutSpec{IfRevision: 1, Spec: spec}); a.Err() != nil {
			t.Fatal(a.Err())
		}
		o.turn(func() { o.value = "text [pm other cache/3]" })
		time.Sleep(5 * driftScan)
		synctest.Wait()
		found := e.Findings()
		if len(found) != 2 || found[0].Object != "api/late" || found[1].Object != "api/object" {
			t.Errorf("found %+v", found)
		}
	})
}
