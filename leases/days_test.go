package leases

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// until waits in virtual time and tells how long it took.
func (d *desk) until(most time.Duration, what string, ok func() bool) time.Duration {
	d.Helper()
	begun := time.Now()
	for synctest.Wait(); !ok(); synctest.Wait() {
		if time.Since(begun) > most {
			d.Fatalf("waited %s for %s: %s", most, what, d.stands())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begun)
}

func (d *desk) standsAs(want string) func() bool {
	return func() bool { return d.stands() == want }
}

func (d *desk) lease(number int) fsm.Lease {
	s, _ := d.Watch()
	l, _ := s.Lease("work", number)
	return l
}

func (d *desk) put(change func(*fsm.PoolSpec)) {
	d.Helper()
	now, _ := d.Watch()
	s := spec(1)
	change(&s.Pools[0])
	d.do(fsm.PutSpec{Spec: s, IfRevision: now.Spec().Revision})
}

func (d *desk) drain(number int) {
	d.Helper()
	d.do(fsm.MoveLeases{Pool: "work", Move: fsm.MoveDrain, Items: []fsm.LeaseItem{{Number: number, Token: d.lease(number).Token}}})
}

// settled stops the worker and reports one that still believes in partition 0.
func (w *worker) settled(when string) {
	w.d.Helper()
	if w.stop(); time.Now().Before(w.held[0].until) {
		w.d.Errorf("%s: its worker believes in it for another %s", when, time.Until(w.held[0].until))
	}
}

// A drain ends, whoever dies. When its time or its session ends it, nobody
// believes in the partition any more, and it is another's within drain time and
// ttl.
func TestDrainsEnd(t *testing.T) {
	for name, row := range map[string]struct {
		drain, less time.Duration
		dies, moves bool // the holder dies; another leads, half way
		most        time.Duration
	}{
		"never released":              {drain: 10 * time.Second, most: 10*time.Second + ttl},
		"never released, a long time": {drain: 10 * time.Minute, most: 10*time.Minute + ttl},
		"the spec says less":          {drain: time.Minute, less: time.Second, most: time.Minute + ttl},
		"its holder died":             {drain: 10 * time.Second, dies: true, most: 10*time.Second + ttl},
		"another leads":               {drain: 10 * time.Second, moves: true, most: 15*time.Second + ttl},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, 1)
				d.put(func(p *fsm.PoolSpec) { p.Drain = row.drain })
				w := d.hire("w1")
				w.mute.Store(true)
				d.after(time.Second, "0 held w1 a:1; ")
				heir := d.hire("w2")
				begun, old := time.Now(), d.lease(0).Token
				d.drain(0)
				if row.dies {
					w.stop()
				}
				if row.less > 0 {
					d.put(func(p *fsm.PoolSpec) { p.Drain = row.less })
				}
				if row.moves {
					time.Sleep(row.drain / 2)
					d.lead()
				}
				d.until(row.most, "the lock", d.standsAs("0 locked w1 a:1; "))
				if !row.dies {
					w.settled("locked")
				}
				d.until(row.most-time.Since(begun), "a new grant", func() bool { return d.lease(0).Token > old })
				if l := d.lease(0); row.dies && l.Worker != "w2" {
					t.Errorf("granted to the dead: %s", d.stands())
				}
				heir.stop()
			})
		})
	}
}

// A worker that releases when it is asked to hands over within half a second
// from when it was told.
func TestAReleaseIsAtOnceAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; ")
		old := d.lease(0).Token
		d.drain(0)
		if err := w.renew(); err != nil { // the push of a stream made it ask
			t.Error(err)
		}
		took := d.until(time.Second, "a new grant", func() bool { return d.lease(0).Token > old })
		if took > 500*time.Millisecond {
			t.Errorf("granted anew after %s", took)
		}
		w.stop()
	})
}

// A spec that lowers the ttl must not let the leader count less than a worker
// was told.
func TestALowerTTLDoesNotFreeEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; ")
		w.stop() // paused, and it believes
		d.put(func(p *fsm.PoolSpec) { p.TTL, p.LockDelay = 2*time.Second, 0 })
		heir := d.hire("w2")
		d.until(ttl+2*time.Second, "another holder", d.standsAs("0 held w2 a:1; "))
		if time.Now().Before(w.held[0].until) {
			t.Errorf("granted anew while its worker believes in it for another %s", time.Until(w.held[0].until))
		}
		heir.stop()
	})
}

// A revoked partition is not another's while its worker, which has not asked
// since, may believe in it.
func TestARevokedOneStaysLockedForATTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; ")
		w.stop()
		heir := d.hire("w2")
		d.do(fsm.MoveLeases{Pool: "work", Move: fsm.MoveRevoke, Items: []fsm.LeaseItem{{Number: 0, Token: d.lease(0).Token}}})
		d.until(ttl+7*time.Second, "another holder", d.standsAs("0 held w2 a:1; "))
		if time.Now().Before(w.held[0].until) {
			t.Error("granted anew while its worker believes in it")
		}
		heir.stop()
	})
}

// After a restore a worker of before is told to stop, and what it believed in
// stays locked for a ttl.
func TestARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		snapshot, _ := d.Watch()
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; ")
		w.stop()
		old := d.lease(0).Token
		d.end()
		fresh, err := snapshot.Restored(snapshot.Generation() + 1)
		if err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		d.state = fresh
		d.mu.Unlock()
		d.lead()
		if err := w.renew(); !errors.Is(err, ErrNoSession) {
			t.Errorf("a session of before: %v", err)
		}
		heir := d.hire("w2")
		d.until(ttl+7*time.Second, "a holder", d.standsAs("0 held w2 a:1; "))
		if time.Now().Before(w.held[0].until) {
			t.Error("granted while a worker of before believes in it")
		}
		if token := d.lease(0).Token; token <= old {
			t.Errorf("token %d after the restore, %d before it", token, old)
		}
		heir.stop()
	})
}

// However many come back to a new leader at once, one barrier or two answer them
// all, and whoever is too many is sent away.
func TestTenThousandComeBackAtOnce(t *testing.T) {
	const many = 10000
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		ids := make([]fsm.SessionID, many)
		d.mu.Lock()
		for i := range ids {
			name := fmt.Sprintf("w%d", i)
			ids[i] = fsm.SessionID(d.apply(fsm.OpenSession{Pool: "work", Worker: name, Key: name}).Token)
		}
		d.mu.Unlock()
		d.lead()
		synctest.Wait()
		d.mu.Lock()
		before, begun := d.passed, time.Now()
		d.mu.Unlock()
		var all sync.WaitGroup
		for i, id := range ids {
			all.Go(func() {
				if _, err := d.renew(t.Context(), Renewal{Session: id, Key: fmt.Sprintf("w%d", i)}); err != nil {
					t.Errorf("w%d: %v", i, err)
				}
			})
		}
		all.Wait()
		d.mu.Lock()
		passed := d.passed - before
		d.mu.Unlock()
		if took := time.Since(begun); took > time.Second || passed > 6 {
			t.Errorf("answered after %s with %d barriers", took, passed)
		}
		d.engine.mu.Lock()
		d.engine.waiting.all = make([]*waiter, MaxWaiting)
		d.engine.mu.Unlock()
		if _, err := d.renew(t.Context(), Renewal{}); !errors.Is(err, ErrFull) {
			t.Errorf("one too many: %v", err)
		}
		d.engine.take()
	})
}

// The stream of a worker that is gone is told when its session ends, though it
// held nothing: it would stay half open otherwise.
func TestTheEndOfASessionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		id := fsm.SessionID(d.do(fsm.OpenSession{Pool: "work", Worker: "w1", Key: "w1"}).Token)
		told, done := d.engine.Subscribe(id)
		defer done()
		begun := time.Now()
		<-told
		now, _ := d.Watch()
		if _, ok := now.Session(id); ok || time.Since(begun) < ttl {
			t.Errorf("told after %s, the session is there: %v", time.Since(begun), ok)
		}
	})
}
