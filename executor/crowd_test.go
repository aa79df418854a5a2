package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// crowd is a staged provider with one object per master and a small rate. Each
// request waits for the budget, as the real ones do.
type crowd struct {
	note
	budget actuators.Budget
	*shelf
}

type shelf struct {
	mu      sync.Mutex
	staged  map[fsm.ObjectID]string
	applied map[fsm.ObjectID]string
	tasks   int
	calls   int
	read    error // what every look gets; nil: none
	write   error // what every write gets, without effect; nil: none
	hang    bool  // tasks never end
}

func (c crowd) Open(_ fsm.TargetSpec, b actuators.Budget) (actuators.Actuator, error) {
	c.budget = b
	return c, nil
}

func (c crowd) pay(ctx context.Context, requests int) error {
	for range requests {
		if err := c.budget.Wait(ctx); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls += requests
	return nil
}

func (c crowd) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	began := time.Now()
	if err := c.pay(ctx, 4); err != nil {
		return actuators.Reading{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return actuators.Reading{At: began, Body: body{value: c.staged[s.Step.Object]}}, c.read
}

func (c crowd) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	b, want := r.Body.(body), string(w.Action.Value)
	switch {
	case w.Action.IsRefresh() || b.value != want:
		return actuators.Sight{Verdict: actuators.Absent}
	case w.Covered || w.Action.Phase == fsm.Done:
		return actuators.Sight{Verdict: actuators.Applied}
	}
	return actuators.Sight{Verdict: actuators.Staged, Counted: true, Refresh: &fsm.Refresh{Kind: "crowd", Object: "lb-par/refresh", Act: 5 * time.Second}}
}

func (c crowd) Act(ctx context.Context, w actuators.Work, _ actuators.Sight) (actuators.Outcome, error) {
	if err := c.pay(ctx, 1); err != nil {
		return actuators.Outcome{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.Action.IsRefresh() {
		c.tasks++
		for o, v := range c.staged {
			c.applied[o] = v
		}
		return actuators.Outcome{Waiting: true, Checkpoint: []byte("task")}, nil
	}
	if c.write == nil {
		c.staged[w.Action.Step.Object] = string(w.Action.Value)
	}
	return actuators.Outcome{}, c.write
}

func (c crowd) Follow(ctx context.Context, _ actuators.Work) (actuators.Progress, error) {
	err := c.pay(ctx, 1)
	return actuators.Progress{Done: !c.hang, After: 3 * time.Second}, err
}

// masters seeds a world with n masters on one target of the given rate.
func masters(t *testing.T, n, rate int) (*world, *shelf) {
	t.Helper()
	w := newWorld()
	spec := fsm.Spec{Targets: []fsm.TargetSpec{{ID: "lb-par", Kind: "crowd", Hold: 10 * time.Second, Rate: rate}}}
	for i := range n {
		spec.Masters = append(spec.Masters, fsm.MasterSpec{
			ID: fsm.MasterID(fmt.Sprintf("m%02d", i)), Candidates: []fsm.Candidate{{Address: "a:1"}, {Address: "b:1"}, {Address: "c:1"}},
			Plan: []fsm.Stage{{Name: "cutover", Steps: []fsm.Step{
				{Name: "lb", Target: "lb-par", Kind: "crowd", Object: fsm.ObjectID(fmt.Sprintf("lb-par/frontend/%d", i)), Class: fsm.Readable, Act: 5 * time.Second},
			}}},
		})
	}
	commands := []fsm.Command{fsm.InitCluster{Cluster: "c1"}, fsm.PutSpec{Spec: spec}}
	for _, m := range spec.Masters {
		commands = append(commands, fsm.Observe{Master: m.ID, Revision: 1, Address: "a:1", Epoch: 1, As: fsm.Seed})
	}
	for _, c := range commands {
		if err := w.commit(1, c).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return w, &shelf{staged: map[fsm.ObjectID]string{}, applied: map[fsm.ObjectID]string{}}
}

// leading runs an executor over the crowd until the test ends it.
func leading(t *testing.T, w *world, s *shelf, term fsm.Term) (e *Executor, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &life{world: w, cancel: func(error) {}}
	c := DefaultConfig()
	c.Journal, c.Kinds = l, actuators.Kinds{"crowd": crowd{note: note{lb{l}}, shelf: s}}
	e = New(c)
	over := make(chan struct{})
	go func() { defer close(over); _ = e.Run(ctx, term) }()
	return e, func() { cancel(); <-over }
}

// TestStaged_SmallRateSettlesManyMasters: a provider's rate that is far too small for a
// burning zone slows it down and never stops it.
func TestStaged_SmallRateSettlesManyMasters(t *testing.T) {
	for _, c := range []struct{ masters, rate int }{{8, 60}, {6, 30}, {40, 60}} {
		synctest.Test(t, func(t *testing.T) {
			w, s := masters(t, c.masters, c.rate)
			e, stop := leading(t, w, s, 1)
			began := time.Now()
			for _, m := range w.now().Spec().Masters {
				if _, err := e.Observe(t.Context(), 1, Sighting{Master: m.ID, As: fsm.Advance, Address: "b:1", Epoch: 2}); err != nil {
					t.Fatal(err)
				}
			}
			for len(w.now().Open()) > 0 && time.Since(began) < time.Hour {
				time.Sleep(time.Second)
			}
			took := time.Since(began)
			stop()
			if open := w.now().Open(); len(open) > 0 {
				t.Fatalf("%d masters at %d a minute: %d actions open after an hour, the first %s %s: %s", c.masters, c.rate, len(open), open[0].ID, open[0].Phase, open[0].Reason)
			}
			if most := float64(c.rate) * (1 + took.Minutes()); float64(s.calls) > most+1 {
				t.Errorf("%d requests in %s at %d a minute", s.calls, took, c.rate)
			}
			t.Logf("%d masters at %d a minute: %s, %d requests, %d refreshes", c.masters, c.rate, took.Round(time.Second), s.calls, s.tasks)
		})
	}
}

// TestG8_HungTaskDoesNotHoldTheNextFailover: a provider's task that never ends is
// stuck after a while, with a human's way out, and what is newer goes on.
func TestG8_HungTaskDoesNotHoldTheNextFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := masters(t, 1, 600)
		s.hang = true
		e, stop := leading(t, w, s, 1)
		defer stop()
		see := func(to fsm.Address, epoch fsm.Epoch) {
			if _, err := e.Observe(t.Context(), 1, Sighting{Master: "m00", As: fsm.Advance, Address: to, Epoch: epoch}); err != nil {
				t.Fatal(err)
			}
		}
		see("b:1", 2)
		time.Sleep(taskLimit + time.Minute)
		for _, id := range []fsm.ActionID{"lb-par/refresh/1", "m00/1/lb"} {
			if a, _ := w.now().Action(id); a.Phase != fsm.Stuck {
				t.Fatalf("%s is %s after %s", id, a.Phase, taskLimit)
			}
		}
		s.mu.Lock()
		s.hang = false
		s.mu.Unlock()
		see("c:1", 3)
		time.Sleep(time.Minute)
		if a, _ := w.now().Action("m00/2/lb"); a.Phase != fsm.Done {
			t.Fatalf("the newer failover is %s: %s", a.Phase, a.Reason)
		}
	})
}

// TestG8_PermanentErrorOfALookIsStuck: also where the look is all that is due.
func TestG8_PermanentErrorOfALookIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := masters(t, 1, 600)
		see := fsm.Observe{
			Master: "m00", Revision: 1, Address: "b:1", Epoch: 2, As: fsm.Advance, Term: 1,
			Values: []fsm.Value{{Step: "lb", Value: []byte("b:1")}}, Claims: []fsm.Ride{{Step: "lb", Act: 5 * time.Second}},
		}
		if err := w.commit(1, see).Err(); err != nil { // and its leader died
			t.Fatal(err)
		}
		s.read = actuators.Permanent(errors.New("403 INVALID_CREDENTIAL"))
		_, stop := leading(t, w, s, 2)
		defer stop()
		time.Sleep(time.Minute)
		a, _ := w.now().Action("m00/1/lb")
		if a.Phase != fsm.Stuck || !a.Doubt || s.calls > 10 {
			t.Fatalf("%s, doubt %v, %d requests", a.Phase, a.Doubt, s.calls)
		}
	})
}

// TestLife_SupersededBeforeAnythingWasSentFreesTheObject: the newer value need not
// wait for a window in which nothing can land.
func TestLife_SupersededBeforeAnythingWasSentFreesTheObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := masters(t, 1, 600)
		e, stop := leading(t, w, s, 1)
		defer stop()
		lane := e.lane("lb-par")
		for range cap(lane) {
			lane <- struct{}{} // every attempt of the target is busy
		}
		for i, to := range []fsm.Address{"b:1", "c:1"} {
			if _, err := e.Observe(t.Context(), 1, Sighting{Master: "m00", As: fsm.Advance, Address: to, Epoch: fsm.Epoch(i + 2)}); err != nil {
				t.Fatal(err)
			}
		}
		for range cap(lane) {
			<-lane
		}
		began := time.Now()
		for {
			if a, _ := w.now().Action("m00/2/lb"); a.Phase == fsm.Done {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Fatalf("took %s", took)
		}
	})
}
