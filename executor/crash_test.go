package executor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

func seeded(t *testing.T) *world {
	w := newWorld()
	spec := fsm.Spec{
		Targets: []fsm.TargetSpec{{ID: "lb-par", Kind: "lb", Hold: 10 * time.Second, Rate: 6000}},
		Masters: []fsm.MasterSpec{{ID: "cache", Candidates: []fsm.Candidate{{Address: "a:1"}, {Address: "b:1"}, {Address: "c:1"}}, Plan: []fsm.Stage{
			{Name: "cutover", Steps: []fsm.Step{
				{Name: "lb", Target: "lb-par", Kind: "lb", Object: "lb-par/frontend/1", Class: fsm.Readable, Act: 5 * time.Second},
				{Name: "url", Kind: "note", Object: fsm.SettingObject("url"), Class: fsm.InLog},
			}},
			{Name: "announce", Steps: []fsm.Step{
				{Name: "second", Kind: "note", Object: fsm.SettingObject("second"), Class: fsm.InLog},
			}},
		}}},
	}
	spec.Masters[0].Plan[1].Steps[0].Object = fsm.SettingObject("url2")
	for _, c := range []fsm.Command{
		fsm.InitCluster{Cluster: "c1"}, fsm.PutSpec{Spec: spec},
		fsm.Observe{Master: "cache", Revision: 1, Address: "a:1", Epoch: 1, As: fsm.Seed},
	} {
		if err := w.commit(1, c).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// live runs one process as leader of a term, sees each switch that the log
// has not accepted, and stops when the log is settled or the process dies.
func live(ctx context.Context, l *life, term fsm.Term, switches []Sighting) {
	ctx, l.cancel = context.WithCancelCause(ctx)
	defer l.cancel(nil)
	c := DefaultConfig()
	c.Journal, c.Kinds = l, actuators.Kinds{"lb": lb{l}, "note": second{note{lb{l}}}}
	e := New(c)
	over := make(chan struct{})
	go func() { defer close(over); _ = e.Run(ctx, term) }()
	defer func() { l.cancel(nil); <-over }()
	for _, s := range switches {
		if m, _ := l.now().Master("cache"); m.Epoch >= s.Epoch {
			continue
		}
		e.Warm(ctx, "cache")
		if _, err := e.Observe(ctx, term, s); err != nil {
			return
		}
		if s.Epoch == 2 && len(switches) > 1 {
			time.Sleep(30 * time.Millisecond) // the first is under way when the second comes
		}
	}
	for {
		state, changed := l.Watch()
		if len(state.Open()) == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// second writes its own key.
type second struct{ note }

func (s second) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) { return s, nil }

func (s second) Act(_ context.Context, w actuators.Work, _ actuators.Sight) (actuators.Outcome, error) {
	key := string(w.Action.Step.Object[len("setting/"):])
	return actuators.Outcome{Settings: []fsm.SettingWrite{{Key: key, Value: string(w.Action.Value)}}}, nil
}

func sightings(n int) (all []Sighting) {
	for i, to := range []fsm.Address{"b:1", "c:1"}[:n] {
		all = append(all, Sighting{Master: "cache", As: fsm.Advance, Address: to, Epoch: fsm.Epoch(i + 2)})
	}
	return all
}

// TestG6_OneEffectWhereverTheLeaderDies kills the first leader, and then also the
// second, at each call that it makes to the log or the provider, before and
// after the call's effect, and with the write on the wire to land late.
func TestG6_OneEffectWhereverTheLeaderDies(t *testing.T) {
	for _, n := range []int{1, 2} {
		for _, how := range []string{"before", "after", "late"} {
			for at := 1; ; at++ {
				died := false
				synctest.Test(t, func(t *testing.T) { died = oneLife(t, n, at, how) })
				if !died {
					t.Logf("%d failovers, %s: %d crash points", n, how, at-1)
					break
				}
			}
		}
	}
}

func oneLife(t *testing.T, n, at int, how string) bool {
	w := seeded(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	first := &life{world: w, dieAt: at, how: how, late: 14 * time.Second}
	live(ctx, first, 1, sightings(n))
	next := &life{world: w, dieAt: at / 2, how: how, late: 14 * time.Second}
	live(ctx, next, 2, sightings(n))
	live(ctx, &life{world: w}, 3, sightings(n))
	time.Sleep(30 * time.Second) // what is on the wire lands
	name := fmt.Sprintf("%d failovers, dead %s call %d (%s), then at %s", n, how, at, first.at, next.at)
	judge(t, w, n, name)
	return first.dead
}

// judge counts at the provider and reads the log.
func judge(t *testing.T, w *world, n int, name string) {
	t.Helper()
	changes, stale := w.changes()
	for m, c := range changes {
		if c > 1 {
			t.Errorf("%s: failover %s changed the value %d times: %q", name, m, c, w.writes)
		}
	}
	want := fmt.Sprintf("%s %08d", sightings(n)[n-1].Address, n)
	if stale > 0 || w.applied != want || w.pending {
		t.Errorf("%s: applied %q (pending %v), want %q; %d stale; writes %q", name, w.applied, w.pending, want, stale, w.writes)
	}
	for _, f := range w.now().Failovers("cache") {
		for _, a := range w.now().Actions(f.ID) {
			if a.Phase != fsm.Done && (a.Phase != fsm.Superseded || int(f.ID.Number) == n) {
				t.Errorf("%s: %s is %s: %s", name, a.ID, a.Phase, a.Reason)
			}
		}
	}
	if len(w.now().Failovers("cache")) != n {
		t.Errorf("%s: %d failovers accepted for %d switches", name, len(w.now().Failovers("cache")), n)
	}
	if v, _ := w.now().Setting("url2"); v.Value != want {
		t.Errorf("%s: setting is %q, want %q", name, v.Value, want)
	}
}

// TestG3_NewerValueWaitsForADeadClaimsWindow pins the price of G3.
func TestG3_NewerValueWaitsForADeadClaimsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := seeded(t)
		first := &life{world: w, dieOn: "act", how: "before"}
		live(t.Context(), first, 1, sightings(1))
		began := time.Now()
		live(t.Context(), &life{world: w}, 2, sightings(2)[1:])
		window := Window(fsm.Hold{Act: 5 * time.Second, Keep: 10 * time.Second})
		if took := time.Since(began); took < window-time.Second || took > window+3*time.Second {
			t.Fatalf("took %s, the window is %s", took, window)
		}
	})
}

// TestG3_SameActionIsTakenOverAtOnce pins that a load balancer which waits is an outage.
func TestG3_SameActionIsTakenOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := seeded(t)
		live(t.Context(), &life{world: w, dieOn: "act", how: "before"}, 1, sightings(1))
		began := time.Now()
		live(t.Context(), &life{world: w}, 2, sightings(1))
		if took := time.Since(began); took > 3*time.Second {
			t.Fatalf("took %s", took)
		}
		judge(t, w, 1, "taken over")
	})
}

// drifting runs one failover to its end, lets change do something to the
// object, and gives the looks for drift the time they need.
func drifting(t *testing.T, mend bool, change func(*world)) *world {
	t.Helper()
	w := seeded(t)
	spec := w.now().Spec()
	spec.Masters[0].Mend = mend
	if err := w.commit(1, fsm.PutSpec{Spec: spec, IfRevision: spec.Revision}).Err(); err != nil {
		t.Fatal(err)
	}
	live(t.Context(), &life{world: w}, 1, sightings(1))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	l := &life{world: w, cancel: func(error) {}}
	c := DefaultConfig()
	c.Journal, c.Kinds = l, actuators.Kinds{"lb": lb{l}, "note": second{note{lb{l}}}}
	over := make(chan struct{})
	go func() { defer close(over); _ = New(c).Run(ctx, 2) }()
	time.Sleep(30 * time.Second)
	change(w)
	time.Sleep(10 * time.Minute)
	cancel()
	<-over
	return w
}

// TestDrift_OfAStaleWriteIsRepaired is G6 beyond the window: a request that a
// paused process sent much later lands on a newer value, and does not stand.
func TestDrift_OfAStaleWriteIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := drifting(t, false, func(w *world) { w.write("z:1 00000000") })
		want := "b:1 00000001"
		if w.applied != want || w.pending {
			t.Fatalf("applied %q, pending %v, writes %q", w.applied, w.pending, w.writes)
		}
		a, ok := w.now().Action("cache/1/lb~1")
		if !ok || a.Phase != fsm.Done || a.Effect != fsm.Changed {
			t.Fatalf("repair %v %s %s", ok, a.Phase, a.Effect)
		}
		if d := w.now().Drifts(); len(d) != 0 {
			t.Fatalf("still drifted: %+v", d)
		}
		if first, _ := w.now().Action("cache/1/lb"); first.Phase != fsm.Done || len(first.History) != 2 {
			t.Fatalf("the final entry changed: %+v", first)
		}
	})
}

func TestDrift_ByAHumanIsReportedOrMendedByPolicy(t *testing.T) {
	edit := func(w *world) { w.write("z:1 00000001") } // the marker stays, the value changes
	synctest.Test(t, func(t *testing.T) {
		w := drifting(t, false, edit)
		d, ok := w.now().Drift("lb-par/frontend/1")
		if !ok || d.Repair != "" || d.Action != "cache/1/lb" {
			t.Fatalf("drift %v %+v", ok, d)
		}
		if w.staged != "z:1 00000001" {
			t.Fatalf("a human's edit was written over: %q", w.writes)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := drifting(t, true, edit)
		if w.applied != "b:1 00000001" || len(w.now().Drifts()) != 0 {
			t.Fatalf("applied %q, drifts %+v", w.applied, w.now().Drifts())
		}
	})
}

func TestLife_PermanentErrorIsStuckAtOnceAndLaterStagesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := seeded(t)
		l := &life{world: w}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := DefaultConfig()
		c.Journal, c.Kinds = l, actuators.Kinds{"lb": refusing{lb{l}}, "note": second{note{lb{l}}}}
		e := New(c)
		go func() { _ = e.Run(ctx, 1) }()
		if _, err := e.Observe(ctx, 1, sightings(1)[0]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if a, _ := w.now().Action("cache/1/lb"); a.Phase != fsm.Stuck || a.Attempts != 1 {
			t.Fatalf("%s after %d attempts", a.Phase, a.Attempts)
		}
		if a, _ := w.now().Action("cache/1/second"); a.Phase != fsm.Done {
			t.Fatalf("a stuck step held back the next stage: %s", a.Phase)
		}
		if o := w.now().Objects(); len(o) != 0 {
			t.Fatalf("busy after a clean answer: %+v", o)
		}
		cancel()
		synctest.Wait()
	})
}

type refusing struct{ lb }

func (r refusing) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) { return r, nil }

func (r refusing) Act(context.Context, actuators.Work, actuators.Sight) (actuators.Outcome, error) {
	return actuators.Outcome{}, actuators.Permanent(errors.New("403 Forbidden"))
}

func TestWindows_LeaderStopsClaimingBeforeATransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := seeded(t)
		l := &life{world: w}
		ctx, cancel := context.WithCancel(t.Context())
		c := DefaultConfig()
		c.Journal, c.Kinds = l, actuators.Kinds{"lb": lb{l}, "note": second{note{lb{l}}}}
		e := New(c)
		go func() { _ = e.Run(ctx, 1) }()
		if _, err := e.Observe(ctx, 1, sightings(1)[0]); err != nil {
			t.Fatal(err)
		}
		if err := e.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		for _, a := range w.now().Open() {
			if a.Phase == fsm.Claimed {
				t.Fatalf("%s is claimed after the drain", a.ID)
			}
		}
		if len(w.now().Objects()) != 0 {
			t.Fatal("an object is busy after the drain")
		}
		e.Resume()
		time.Sleep(5 * time.Second)
		cancel()
		synctest.Wait()
		judge(t, w, 1, "drained and resumed")
	})
}
