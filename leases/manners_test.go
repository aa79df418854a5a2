package leases

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

func (d *desk) release(w *worker, number int) {
	d.Helper()
	d.do(fsm.MoveLeases{Pool: "work", Move: fsm.MoveRelease, Session: w.id, Items: []fsm.LeaseItem{{Number: number, Token: d.lease(number).Token}}})
}

// A worker that comes to its end gives back one partition after the other, and is
// not given them again, not even where there is nobody else, nor by another leader.
func TestOneThatLeavesIsGivenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 2)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; 1 held w1 a:1; ")
		w.leaving.Store(true)
		time.Sleep(w.ttl / 6)
		d.release(w, 0)
		d.after(ttl, "0 free w1 a:1; 1 held w1 a:1; ")
		d.lead()
		d.after(ttl, "0 free w1 a:1; 1 held w1 a:1; ")
		heir := d.hire("w2")
		d.after(time.Second, "0 held w2 a:1; 1 held w1 a:1; ")
		w.leaving.Store(false) // it has thought better of it
		d.release(heir, 0)
		heir.stop()
		d.until(3*ttl, "both back", d.standsAs("0 held w1 a:1; 1 held w1 a:1; "))
		w.stop()
	})
}

// A new leader gives what is free to workers that it has heard of: not all of it
// to the first that comes back, and nothing to those that died with the old one.
func TestANewLeaderWaitsForTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 4)
		var all []*worker
		for i := range 3 {
			all = append(all, d.hire(fmt.Sprintf("w%d", i)))
		}
		time.Sleep(ttl)
		for _, w := range all {
			w.stop()
		}
		for n := range 4 {
			l := d.lease(n)
			d.do(fsm.MoveLeases{Pool: "work", Move: fsm.MoveRelease, Session: l.Session, Items: []fsm.LeaseItem{{Number: n, Token: l.Token}}})
		}
		d.lead()
		all[0].wake() // the others: one is late, one dead
		begun := time.Now()
		time.Sleep(time.Second)
		all[1].wake()
		d.until(quiet(ttl)+time.Second, "grants", func() bool {
			held := 0
			for n := range 4 {
				if d.lease(n).State == fsm.Held {
					held++
				}
			}
			return held == 4
		})
		if took := time.Since(begun); took < quiet(ttl) {
			t.Errorf("granted after %s, before everybody had a chance to be heard", took)
		}
		shares := map[string]int{}
		for n := range 4 {
			shares[d.lease(n).Worker]++
		}
		if shares["w0"] != 2 || shares["w1"] != 2 {
			t.Errorf("shares: %v", shares)
		}
		all[0].stop()
		all[1].stop()
	})
}

// A log that takes long to answer is not the workers' silence.
func TestASlowLogEndsNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 2)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; 1 held w1 a:1; ")
		w.stop()
		d.mu.Lock()
		d.lag = 2 * ttl
		d.mu.Unlock()
		d.release(w, 1) // to be granted: that proposal hangs
		time.Sleep(time.Second)
		asked := make(chan error, 1)
		go func() {
			_, err := d.renew(t.Context(), Renewal{Session: w.id, Key: "w1"})
			asked <- err
		}()
		if err := <-asked; err != nil {
			t.Errorf("a renewal that waited for a slow log: %v", err)
		}
	})
}

// What was taken by force stays locked for the lock delay after its worker's
// belief has run out, though the worker lives and says nothing.
func TestARevokedOneIsLockedForBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; ")
		token := d.lease(0).Token
		d.do(fsm.MoveLeases{Pool: "work", Move: fsm.MoveRevoke, Items: []fsm.LeaseItem{{Number: 0, Token: token}}})
		took := d.until(2*ttl, "the next grant", func() bool { return d.lease(0).Token > token })
		if least := ttl + 5*time.Second; took < least || took > least+2*time.Second {
			t.Errorf("granted after %s, want %s and a little more", took, least)
		}
		w.stop()
	})
}

// Without a lock delay a dead worker's partition is another's within ttl and a
// second, from its last renewal.
func TestTheNextOneIsSoonThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		d.put(func(p *fsm.PoolSpec) { p.TTL, p.LockDelay = 2*time.Second, 0 })
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; ")
		w.stop()
		heir := d.hire("w2")
		d.after(time.Second, "0 held w1 a:1; ")
		if _, err := d.renew(t.Context(), Renewal{Session: w.id, Key: "w1"}); err != nil {
			t.Fatal(err)
		}
		if took := d.until(3*time.Second, "the heir", d.standsAs("0 held w2 a:1; ")); took > 2750*time.Millisecond {
			t.Errorf("granted after %s", took)
		}
		heir.stop()
	})
}

// Nobody crowds the workers out: a wrong key is refused at once, and so are many
// renewals of one session, or of sessions that nobody knows.
func TestTheQueueIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; ")
		w.stop()
		cut := make(chan struct{})
		d.mu.Lock()
		d.cut = cut
		d.mu.Unlock()
		ask := func(r Renewal, want error) {
			go func() {
				if _, err := d.renew(t.Context(), r); !errors.Is(err, want) {
					t.Errorf("%d: %v, want %v", r.Session, err, want)
				}
			}()
			synctest.Wait()
		}
		ask(Renewal{Session: w.id, Key: "w1"}, nil) // its barrier waits for a quorum
		time.Sleep(time.Second)
		for range maxOfSession {
			ask(Renewal{Session: w.id, Key: "w1"}, nil)
		}
		ask(Renewal{Session: w.id, Key: "w1"}, ErrFull)
		ask(Renewal{Session: w.id, Key: "w2"}, ErrNoSession)
		for i := range maxStrangers {
			ask(Renewal{Session: fsm.SessionID(1<<40 + i)}, ErrNoSession)
		}
		ask(Renewal{Session: 1 << 41}, ErrFull)
		d.mu.Lock()
		d.cut = nil
		d.mu.Unlock()
		close(cut)
		time.Sleep(time.Second)
	})
}
