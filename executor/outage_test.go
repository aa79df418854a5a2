package executor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// outage plays a failover under a provider whose looks or writes fail for so
// long, and says how much later than its end the value was written.
func outage(t *testing.T, rate int, lasts time.Duration, read, write error) (late time.Duration, a fsm.Action, calls int) {
	w, s := masters(t, 1, rate)
	s.read, s.write = read, write
	e, stop := leading(t, w, s, 1)
	defer stop()
	if _, err := e.Observe(t.Context(), 1, Sighting{Master: "m00", As: fsm.Advance, Address: "b:1", Epoch: 2}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lasts)
	s.mu.Lock()
	s.read, s.write = nil, nil
	s.mu.Unlock()
	for over := time.Now(); time.Since(over) < time.Hour; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		calls = s.calls
		written := len(s.staged) > 0
		s.mu.Unlock()
		if written {
			a, _ = w.now().Action("m00/1/lb")
			return time.Since(over), a, calls
		}
	}
	t.Fatal("never written")
	return 0, a, 0
}

// An outage is followed within a small part of its own length, and costs few
// requests and no entries however long it lasts.
func TestLife_OutageIsFollowedSoon(t *testing.T) {
	for _, c := range []struct{ lasts, within time.Duration }{
		{15 * time.Second, 500 * time.Millisecond},
		{2 * time.Minute, 4 * time.Second},
		{time.Hour, DefaultConfig().BackoffCap},
	} {
		synctest.Test(t, func(t *testing.T) {
			late, a, calls := outage(t, 6000, c.lasts, errors.New("500"), nil)
			if late > c.within {
				t.Errorf("an outage of %s: written %s after it, want %s", c.lasts, late, c.within)
			}
			if a.Attempts > fsm.LetPass+2 {
				t.Errorf("an outage of %s: %d attempts in the log", c.lasts, a.Attempts)
			}
			if looks := calls / 4; looks > 64 && c.lasts < time.Minute || looks > 400 {
				t.Errorf("an outage of %s: %d looks", c.lasts, looks)
			}
		})
	}
}

// At a small rate the looks of the first seconds leave enough of it for those of
// the last ones. A look of this provider takes four requests, so that the rate
// is one of 45 looks a minute.
func TestLife_OutageAtASmallRateIsFollowedSoon(t *testing.T) {
	for lasts := 13 * time.Second; lasts <= 16*time.Second; lasts += 250 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			if late, _, _ := outage(t, 180, lasts, errors.New("500"), nil); late > 550*time.Millisecond {
				t.Errorf("an outage of %s: written %s after it", lasts, late)
			}
		})
	}
}

// What the provider asks for is kept, whatever we would do.
func TestLife_OutageKeepsTheProvidersDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, calls := outage(t, 6000, 2*time.Minute, &actuators.Error{Err: errors.New("429"), After: 10 * time.Second}, nil)
		if looks := calls / 4; looks > 20 {
			t.Errorf("%d looks in two minutes at a provider that asks for ten seconds between them", looks)
		}
	})
}

// The same where looks are answered and writes are not: each repeat is an
// attempt in the log, and comes after a look that found nothing written.
func TestLife_OutageOfWritesIsFollowedSoon(t *testing.T) {
	for _, c := range []struct{ lasts, within time.Duration }{
		{15 * time.Second, time.Second},
		{2 * time.Minute, 4 * time.Second},
		{time.Hour, DefaultConfig().BackoffCap},
	} {
		synctest.Test(t, func(t *testing.T) {
			late, a, calls := outage(t, 6000, c.lasts, nil, &actuators.Error{Err: errors.New("500"), Doubt: true})
			if late > c.within {
				t.Errorf("an outage of %s: written %s after it, want %s", c.lasts, late, c.within)
			}
			if least := int(c.lasts / DefaultConfig().BackoffCap); a.Attempts < least || a.Attempts > 500 {
				t.Errorf("an outage of %s: %d attempts, %d requests", c.lasts, a.Attempts, calls)
			}
		})
	}
}
