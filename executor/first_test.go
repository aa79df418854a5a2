package executor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// dialed is a kind that needs a while before its request leaves; the first
// attempt finds nobody to send it to.
type dialed struct {
	lb
	dials *int
}

func (d dialed) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) { return d, nil }

func (d dialed) Act(ctx context.Context, w actuators.Work, s actuators.Sight) (actuators.Outcome, error) {
	time.Sleep(7 * time.Millisecond)
	if *d.dials++; *d.dials == 1 {
		return actuators.Outcome{}, errors.New("connection refused")
	}
	actuators.Sending(ctx)
	time.Sleep(20 * time.Millisecond)
	actuators.Sending(ctx) // a second word changes nothing
	return d.lb.Act(ctx, w, s)
}

// TestFirstRequest: an attempt keeps when its request left, counted from the
// log clock of its claim; one that sent nothing keeps nothing.
func TestFirstRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := seeded(t)
		time.Sleep(time.Second) // the log clock is not at zero
		l := &life{world: w}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := DefaultConfig()
		c.Journal, c.Kinds = l, actuators.Kinds{"lb": dialed{lb{l}, new(int)}, "note": second{note{lb{l}}}}
		e := New(c)
		go func() { _ = e.Run(ctx, 1) }()
		s := sightings(1)[0]
		s.First = time.Now().Add(-40 * time.Millisecond)
		if _, err := e.Observe(ctx, 1, s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if f, _ := w.now().Failover(fsm.FailoverID{Master: "cache", Number: 1}); f.Seen != 40*time.Millisecond {
			t.Errorf("seen %s before the acceptance, want 40 ms", f.Seen)
		}
		a, _ := w.now().Action("cache/1/lb")
		if a.Phase != fsm.Done || len(a.History) < 3 {
			t.Fatalf("%s after %d attempts: %+v", a.Phase, len(a.History), a.History)
		}
		refused, sent, last := a.History[0], a.History[1], a.History[len(a.History)-1]
		if refused.First != 0 || refused.Claimed != fsm.Clock(time.Second) {
			t.Errorf("nothing left, kept %s after %s", refused.First, time.Duration(refused.Claimed))
		}
		if sent.First != 7*time.Millisecond || sent.Claimed <= refused.Clock {
			t.Errorf("left %s after its claim at %s, want 7ms", sent.First, time.Duration(sent.Claimed))
		}
		if last.First != 0 || last.Token != a.Token || last.Claimed != a.Claimed {
			t.Errorf("the read after the refresh: %+v", last)
		}
		for _, h := range w.mustAction(t, "cache/1/url").History {
			if h.First != 0 {
				t.Errorf("an effect inside the log sent a request after %s", h.First)
			}
		}
		cancel()
		synctest.Wait()
	})
}

func (w *world) mustAction(t *testing.T, id fsm.ActionID) fsm.Action {
	t.Helper()
	a, ok := w.now().Action(id)
	if !ok {
		t.Fatalf("no action %s", id)
	}
	return a
}
