package leases

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/fsm"
)

func TestAWorkerIsGivenWhatIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 2)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; 1 held w1 a:1; ")
		w.stop()
	})
}

// One that dies: nobody else is given its partition while it may believe in it,
// and its lock delay after that.
func TestExpiryIsConservativeAndLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; ")
		w.stop()
		heir := d.hire("w2")
		d.after(14*time.Second, "0 held w1 a:1; ")
		d.after(3*time.Second+500*time.Millisecond, "0 locked w1 a:1; ")
		d.after(6*time.Second, "0 held w2 a:1; ")
		heir.stop()
	})
}

// A worker that was paused for three ttl and wakes is refused with the token
// that fences it, whoever leads by then.
func TestAZombieIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		time.Sleep(time.Second)
		w.stop()
		heir := d.hire("w2")
		time.Sleep(3 * ttl)
		synctest.Wait()
		if err := w.renew(); !errors.Is(err, ErrNoSession) {
			t.Errorf("an expired session renews: %v", err)
		}
		heir.stop()
		s, _ := d.Watch()
		l, _ := s.Lease("work", 0)
		c, err := d.renew(t.Context(), Renewal{Session: heir.id, Key: "w2", Held: []fsm.LeaseItem{{Number: 0, Token: l.Token - 1}}})
		if err != nil || len(c.Refused) != 1 || c.Refused[0].Now.Token != l.Token || len(c.Assigned) != 1 {
			t.Errorf("an old token: %+v, %v; the partition has %d", c.Refused, err, l.Token)
		}
		if _, err := d.renew(t.Context(), Renewal{Session: heir.id, Key: "w1"}); !errors.Is(err, ErrNoSession) {
			t.Errorf("a stranger's key: %v", err)
		}
	})
}

// Whatever leaders do, no two workers believe in one partition at a time.
func TestLeaderChangeInRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		time.Sleep(time.Second)
		for range 5 { // the old leader is asked until the very change
			d.lead()
			time.Sleep(ttl / 5)
		}
		d.after(0, "0 held w1 a:1; ")
		w.stop()
		heir := d.hire("w2")
		d.lead() // it counts a full ttl anew
		d.after(15*time.Second, "0 held w1 a:1; ")
		believed := w.held[0].until
		for d.stands() != "0 held w2 a:1; " {
			if time.Sleep(100 * time.Millisecond); time.Since(believed) > 10*ttl {
				t.Fatal(d.stands())
			}
		}
		if time.Now().Before(believed) {
			t.Error("granted anew while its worker believed in it")
		}
		heir.stop()
	})
}

func TestADeposedLeaderConfirmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		time.Sleep(time.Second)
		w.stop()
		synctest.Wait()
		d.mu.Lock()
		d.term++ // another leads, and this one has not heard of it
		d.mu.Unlock()
		if err := w.renew(); !errors.Is(err, ErrNotLeading) {
			t.Errorf("renewed by a deposed leader: %v", err)
		}
		d.end = func() {} // its Run has ended, with the term
	})
}

func TestQuorumLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		time.Sleep(time.Second)
		cut := make(chan struct{})
		d.mu.Lock()
		d.cut = cut
		d.mu.Unlock()
		time.Sleep(ttl)
		synctest.Wait()
		if time.Now().Before(w.held[0].until) {
			t.Error("a worker believes in its lease though nobody confirmed it for a ttl")
		}
		close(cut)
		d.mu.Lock()
		d.cut = nil
		d.mu.Unlock()
		d.after(time.Second, "0 held w1 a:1; ") // nobody was there to end the session
		w.stop()
	})
}

// The failover's own entry takes what is held back; nothing is granted until its
// step is done, and then for the new address.
func TestFailoverMovesTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 2)
		one, two := d.hire("w1"), d.hire("w2")
		time.Sleep(ttl) // they share
		d.do(fsm.Observe{Master: "cache", Revision: 1, Address: "b:1", Epoch: 2, As: fsm.Advance, Values: []fsm.Value{{Step: "workers"}}})
		time.Sleep(4 * time.Second)
		synctest.Wait()
		s, _ := d.Watch()
		for _, l := range s.Leases("work") {
			if l.State != fsm.Free {
				t.Errorf("suspended, and %d is %s", l.Number, l.State)
			}
		}
		d.mu.Lock()
		term := d.term
		d.mu.Unlock()
		token := d.do(fsm.Claim{Action: "cache/1/workers", Term: term, Act: time.Second}).Token
		d.do(fsm.Settle{Action: "cache/1/workers", Token: token, To: fsm.Done, Effect: fsm.Changed})
		time.Sleep(time.Second)
		synctest.Wait()
		s, _ = d.Watch()
		for _, l := range s.Leases("work") {
			if l.State != fsm.Held || l.Address != "b:1" {
				t.Errorf("%d is %s for %s", l.Number, l.State, l.Address)
			}
		}
		one.stop()
		two.stop()
	})
}

// However many renew, they share a barrier, five a second at most, and the log
// does not grow by it.
func TestRenewalsShareBarriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 50)
		var all []*worker
		for i := range 50 {
			all = append(all, d.hire(fmt.Sprintf("w%d", i)))
		}
		time.Sleep(10 * ttl) // until they share alike
		synctest.Wait()
		d.mu.Lock()
		passed, entries := d.passed, d.entries
		d.mu.Unlock()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		d.mu.Lock()
		passed, entries = d.passed-passed, d.entries-entries
		d.mu.Unlock()
		if passed > 101 || entries > 0 {
			t.Errorf("in 20 s: %d barriers, %d entries", passed, entries)
		}
		for _, w := range all {
			w.stop()
		}
	})
}

func TestWhoeverWaitsIsSentAwayAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		time.Sleep(time.Second)
		w.stop()
		d.mu.Lock()
		d.cut = make(chan struct{})
		d.mu.Unlock()
		said := make(chan error, 1)
		go func() {
			_, err := d.renew(context.Background(), Renewal{Session: w.id, Key: "w1"})
			said <- err
		}()
		time.Sleep(time.Second)
		d.end()
		if err := <-said; !errors.Is(err, ErrNotLeading) {
			t.Errorf("at the end of the term: %v", err)
		}
		if _, err := d.renew(t.Context(), Renewal{}); !errors.Is(err, ErrNotLeading) || d.engine.Leading() {
			t.Errorf("after it: %v", err)
		}
	})
}

// A worker's clock is compared with the leader's, over a minute, and again when
// another process has taken its place.
func TestClocksAreCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		time.Sleep(time.Second)
		w.stop()
		registry := prometheus.NewRegistry()
		d.engine.meters.skew = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "skew", Buckets: []float64{.01, .05, .15}})
		registry.MustRegister(d.engine.meters.skew)
		for i, uptime := range []time.Duration{time.Hour, time.Hour + 11*time.Second, time.Hour + 66*time.Second, time.Second, 2 * time.Second, 61 * time.Second} {
			if _, err := d.renew(t.Context(), Renewal{Session: w.id, Key: "w1", Uptime: uptime}); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			if synctest.Wait(); i%3 == 0 {
				time.Sleep(10 * time.Second)
			} else {
				d.alive(w, 50*time.Second)
			}
		}
		got, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var said string
		for _, b := range got[0].GetMetric()[0].GetHistogram().GetBucket() {
			said += fmt.Sprintf("%d up to %v; ", b.GetCumulativeCount(), b.GetUpperBound())
		}
		if want := "1 up to 0.01; 1 up to 0.05; 2 up to 0.15; "; said != want { // 66 s in 60, 60 in 60
			t.Errorf("%s, want %s", said, want)
		}
	})
}

// alive renews for a worker for so long, without telling its clock.
func (d *desk) alive(w *worker, span time.Duration) {
	d.Helper()
	for begun := time.Now(); time.Since(begun) < span; time.Sleep(10 * time.Second) {
		if _, err := d.renew(d.Context(), Renewal{Session: w.id, Key: w.name}); err != nil {
			d.Fatal(err)
		}
	}
}
