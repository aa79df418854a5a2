package leases

import (
	"errors"
	"fmt"
	"strings"
	"sync"
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

// What renewals name is bounded, too, together.
func TestWhatRenewalsNameIsBounded(t *testing.T) {
	d := newDesk(t, 1)
	d.end()
	d.engine.lead(true)
	defer d.engine.lead(false)
	held := make([]fsm.LeaseItem, fsm.MaxLeaseItems)
	for i := range maxNamed / len(held) {
		if err := d.engine.admit(&waiter{Renewal: Renewal{Session: fsm.SessionID(1<<40 + i), Held: held}, answer: make(chan outcome, 1)}); err != nil {
			t.Fatalf("renewal %d: %v", i, err)
		}
	}
	if err := d.engine.admit(&waiter{Renewal: Renewal{Session: 1 << 41, Held: held[:1]}, answer: make(chan outcome, 1)}); !errors.Is(err, ErrFull) {
		t.Errorf("one name too many: %v", err)
	}
}

// However much is due at once, little of it is on its way together.
func TestProposalsAreMadeInPieces(t *testing.T) {
	const pools = 2*proposeAtOnce + 1
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		now, _ := d.Watch()
		s := spec(1)
		for i := range pools {
			s.Pools = append(s.Pools, fsm.PoolSpec{ID: fsm.PoolID(fmt.Sprint("p", i)), Partitions: 1, TTL: ttl})
		}
		d.do(fsm.PutSpec{Spec: s, IfRevision: now.Spec().Revision})
		d.lead()
		var ids []fsm.SessionID
		for i := range pools {
			ids = append(ids, fsm.SessionID(d.do(fsm.OpenSession{Pool: fsm.PoolID(fmt.Sprint("p", i)), Worker: "w", Key: "k"}).Token))
		}
		var all sync.WaitGroup
		for _, id := range ids {
			all.Go(func() {
				if _, err := d.renew(t.Context(), Renewal{Session: id, Key: "k"}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		now, _ = d.Watch()
		if got := len(now.Leases("")); got != pools || d.most != proposeAtOnce {
			t.Errorf("%d of %d granted, %d proposed at once, want %d", got, pools, d.most, proposeAtOnce)
		}
	})
}

// One renewal that was long on its way makes no clock of its own: the next span is
// off the other way.
func TestOneLateRenewalCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 3)
		one, two := d.hire("w1", func(w *worker) { w.tick = 1 }), d.hire("w2", func(w *worker) { w.tick = 1 })
		id := fsm.SessionID(d.do(fsm.OpenSession{Pool: "work", Worker: "w0", Key: "k"}).Token)
		for i := range 40 { // a renewal each five seconds; that of the first minute is seven seconds on its way
			uptime := time.Since(d.began)
			if i == 12 {
				time.Sleep(7 * time.Second)
			}
			if _, err := d.renew(t.Context(), Renewal{Session: id, Key: "k", Uptime: uptime}); err != nil {
				t.Fatal(err)
			}
			if time.Sleep(time.Until(d.began.Add(time.Duration(i+1) * ttl / 3))); i > 10 && !strings.Contains(d.stands(), "held w0") {
				t.Errorf("after %s it has nothing: %s", time.Since(d.began), d.stands())
				break
			}
		}
		one.stop()
		two.stop()
	})
}
