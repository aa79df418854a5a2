package executor

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// TestDrift_LooksComeAt1And10And60SecondsThenEvery5Minutes, each up to a fifth
// later and at the next tick of the scan.
func TestDrift_LooksComeAt1And10And60SecondsThenEvery5Minutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		o.until(t, "cache/1/do", fsm.Done, time.Minute)
		last, reads := time.Now(), o.looks()
		for i, want := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 5 * time.Minute, 5 * time.Minute} {
			for o.looks() == reads {
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
			}
			took := time.Since(last)
			if took < want || took > want*6/5+2*driftScan {
				t.Errorf("look %d came after %s, want %s", i, took, want)
			}
			last, reads = time.Now(), o.looks()
		}
	})
}

// settledCrowd is a zone's masters on one target, all done, without the reads
// and writes that brought them there.
func settledCrowd(t *testing.T, n, rate int) (*world, *shelf) {
	t.Helper()
	w, s := masters(t, n, rate)
	for _, m := range w.now().Spec().Masters {
		see := fsm.Observe{
			Master: m.ID, Revision: 1, Address: "b:1", Epoch: 2, As: fsm.Advance, Term: 1,
			Values: []fsm.Value{{Step: "lb", Value: []byte("b:1 " + m.ID)}}, Claims: []fsm.Ride{{Step: "lb"}},
		}
		a := w.commit(1, see).Claims[0]
		object := m.Plan[0].Steps[0].Object
		for _, c := range []fsm.Command{
			fsm.Settle{Action: a.Action, Token: a.Token, To: fsm.Done, Effect: fsm.Changed},
			fsm.Release{Object: object, Token: a.Token},
		} {
			if err := w.commit(1, c).Err(); err != nil {
				t.Fatal(err)
			}
		}
		s.staged[object] = "b:1 " + string(m.ID)
	}
	return w, s
}

// gauge reads one gauge of a registry; the largest of its labels.
func gauge(t *testing.T, r *prometheus.Registry, name string) (most float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			most = max(most, m.GetGauge().GetValue())
		}
	}
	return most
}

// TestDrift_LooksTakeAFixedShareOfTheRate: 60 objects at 60 requests a minute
// are more than a fifth of it can look at in 5 minutes. The looks lie further
// apart, each object gets its turn, the metric tells, and a write goes at once.
func TestDrift_LooksTakeAFixedShareOfTheRate(t *testing.T) {
	const objects, rate = 60, 60
	synctest.Test(t, func(t *testing.T) {
		w, s := settledCrowd(t, objects, rate)
		registry := prometheus.NewRegistry()
		ctx, cancel := context.WithCancel(t.Context())
		l := &life{world: w, cancel: func(error) {}}
		c := DefaultConfig()
		c.Journal, c.Kinds, c.Metrics = l, actuators.Kinds{"crowd": crowd{note: note{lb{l}}, shelf: s}}, registry
		e := New(c)
		over := make(chan struct{})
		go func() { defer close(over); _ = e.Run(ctx, 2) }()
		defer func() { cancel(); <-over }()

		const minutes = 80
		time.Sleep(minutes * time.Minute)
		synctest.Wait()
		s.mu.Lock()
		calls := s.calls
		s.mu.Unlock()
		if most := rate/driftShare*minutes + rate; calls > most || calls < most/2 {
			t.Errorf("%d requests in %d minutes; a share of %d a minute", calls, minutes, rate/driftShare)
		}
		// A look is charged as costLook requests: a round over all takes 60 × 5 / 12 minutes.
		round := time.Duration(objects*costLook) * time.Minute / (rate / driftShare)
		age := time.Duration(gauge(t, registry, "pointsman_executor_drift_look_age_seconds")) * time.Second
		if age < round/2 || age > round*5/4 {
			t.Errorf("the object that waits longest was seen %s ago, want about %s", age, round)
		}
		e.mu.Lock()
		seen := len(e.seen)
		e.mu.Unlock()
		if seen != objects {
			t.Errorf("%d of %d objects were ever seen", seen, objects)
		}

		began := time.Now()
		if _, err := e.Observe(ctx, 2, Sighting{Master: "m07", As: fsm.Advance, Address: "c:1", Epoch: 3}); err != nil {
			t.Fatal(err)
		}
		for w.write7(s) == "" && time.Since(began) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("a write waited %s behind the looks", took)
		}
	})
}

// write7 is what was last written to the frontend of m07, once it is of its second failover.
func (w *world) write7(s *shelf) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.staged["lb-par/frontend/7"]; v != "b:1 m07" {
		return v
	}
	return ""
}

// TestDrift_FewObjectsAreSeenInTime: where the share covers all, nothing is stretched.
func TestDrift_FewObjectsAreSeenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := settledCrowd(t, 20, 120)
		e, stop := leading(t, w, s, 2)
		defer stop()
		time.Sleep(30 * time.Minute)
		e.mu.Lock()
		defer e.mu.Unlock()
		for o, at := range e.seen {
			if age := time.Since(at); age > 6*time.Minute+2*driftScan {
				t.Errorf("%s was seen %s ago", o, age)
			}
		}
		if len(e.seen) != 20 {
			t.Errorf("seen %s", fmt.Sprint(e.seen))
		}
	})
}
