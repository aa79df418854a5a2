package executor

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// TestConfirmHoldsDone: what was read as wanted is done only once confirmed.
// Until then nothing is written or refreshed again, the provider is seldom
// asked, later stages stay closed, and a newer failover supersedes it.
func TestConfirmHoldsDone(t *testing.T) {
	for _, c := range []struct {
		name  string
		found bool // it stood so before: no refresh to wait for
		held  fsm.Phase
	}{{"written and refreshed", false, fsm.Waiting}, {"found as wanted", true, fsm.Pending}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := seeded(t)
				l := &life{world: w}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				conf := DefaultConfig()
				conf.Journal, conf.Kinds = l, actuators.Kinds{"lb": lb{l}, "note": second{note{lb{l}}}}
				if c.found {
					conf.Kinds["lb"] = found{lb{l}, new(1)}
				}
				var open atomic.Bool
				conf.Confirm = func(a fsm.Action) string {
					if open.Load() || a.Step.Kind != "lb" {
						return ""
					}
					return "traffic has not arrived"
				}
				e := New(conf)
				go func() { _ = e.Run(ctx, 1) }()
				if _, err := e.Observe(ctx, 1, sightings(2)[0]); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute + time.Second)
				a, _ := w.now().Action("cache/1/lb")
				if a.Phase != c.held {
					t.Fatalf("held as %s: %s", a.Phase, a.Reason)
				}
				if c.found && a.Reason != "traffic has not arrived" {
					t.Errorf("reason %q", a.Reason)
				}
				writes, refreshes, calls := l.counts()
				time.Sleep(time.Minute)
				writesNow, refreshesNow, callsNow := l.counts()
				if writesNow != writes || refreshesNow != refreshes || writes > 1 || refreshes > 1 {
					t.Errorf("%d writes and %d refreshes, then %d and %d", writes, refreshes, writesNow, refreshesNow)
				}
				if n := callsNow - calls; !c.found && n > 4 {
					t.Errorf("%d calls in a minute of waiting", n)
				}
				if _, err := e.Observe(ctx, 1, sightings(2)[1]); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				if a, _ := w.now().Action("cache/1/lb"); a.Phase != fsm.Superseded {
					t.Errorf("after a newer failover: %s", a.Phase)
				}
				open.Store(true)
				time.Sleep(10 * time.Second)
				if a, _ := w.now().Action("cache/2/lb"); a.Phase != fsm.Done {
					t.Errorf("once confirmed: %s", a.Phase)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

// counts is what the provider took, and the calls of the process.
func (l *life) counts() (writes, refreshes, calls int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	return len(l.writes), l.refreshes, l.calls
}
