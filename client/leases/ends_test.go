package leases

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// While it stops, a worker says so: the cluster gives it nothing more.
func TestAWorkerThatStopsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		w.job.mu.Lock()
		w.deafFor = 5 * time.Second
		w.job.mu.Unlock()
		w.grant(0, "")
		w.pass(time.Second)
		w.fake.mu.Lock()
		said := w.leaving
		w.fake.mu.Unlock()
		w.stop()
		w.pass(100 * time.Millisecond)
		w.fake.mu.Lock()
		says := w.leaving
		w.fake.mu.Unlock()
		if said || !says {
			t.Errorf("leaving before its end: %v, at it: %v", said, says)
		}
		w.finish(t)
	})
}

// A margin that the ttl has no room for would have the worker hold partitions
// that it never works on.
func TestAMarginHasToFitTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, func(c *Config, _ *fake) { c.Margin = ttl/2 + 1 })
		if err := <-w.done; !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "ttl of pool jobs, 10s: at most 5s") {
			t.Errorf("run: %v", err)
		}
	})
}

// A handler that never returns must not keep its partition for ever: the worker
// ends, so that its session does, and others take over.
func TestAStuckHandlerEndsTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, nil)
		w.job.mu.Lock()
		w.deafFor = time.Hour
		w.job.mu.Unlock()
		w.grant(0, "")
		w.pass(time.Second)
		w.job.mu.Lock()
		w.deafFor = 0
		w.job.mu.Unlock()
		w.grant(1, "")
		w.pass(time.Second)
		w.revoke(0)
		w.pass(time.Minute)
		w.fake.mu.Lock()
		early := w.leaving
		w.fake.mu.Unlock()
		if early {
			t.Fatal("the worker ends though nobody waits")
		}
		w.grant(0, "") // what nobody works on
		w.pass(time.Second)
		w.fake.mu.Lock()
		leaving := w.leaving
		w.fake.mu.Unlock()
		if !leaving {
			t.Error("the worker does not end")
		}
		w.pass(DefaultStop + time.Second)
		w.fake.mu.Lock()
		before := len(w.renewals)
		w.fake.mu.Unlock()
		w.pass(ttl)
		w.fake.mu.Lock()
		after := len(w.renewals)
		w.fake.mu.Unlock()
		if after != before {
			t.Error("it goes on renewing")
		}
		if err := <-w.done; !errors.Is(err, ErrStuck) { // in an hour
			t.Errorf("run: %v", err)
		}
	})
}
