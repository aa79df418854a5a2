package leases

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/fsm"
)

// Clocks that run apart, by a fifth on both sides with the default lock delay, by a
// tenth in all with none: no two workers believe in a partition, however the first
// one loses it.
func TestClocksAFifthApart(t *testing.T) {
	for how, lose := range map[string]func(*desk, *worker){
		"expired": func(*desk, *worker) {},
		"revoked": func(d *desk, _ *worker) {
			d.do(fsm.MoveLeases{Pool: "work", Move: fsm.MoveRevoke, Items: []fsm.LeaseItem{{Number: 0, Token: d.lease(0).Token}}})
		},
		"drained": func(d *desk, w *worker) {
			d.drain(0)
			time.Sleep(min(5*time.Second, w.ttl/2))
			if err := w.renew(); err != nil {
				d.Error(err)
			}
		},
	} {
		for _, ttl := range []time.Duration{2 * time.Second, 15 * time.Second, 2 * time.Minute, -2 * time.Minute} {
			rate, lock := 0.8/1.2, max(5*time.Second, ttl/3)
			if ttl < 0 {
				ttl, rate, lock = -ttl, 1/1.1, 0
			}
			t.Run(fmt.Sprint(how, " ", ttl, " lock ", lock), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDesk(t, 1)
					d.put(func(p *fsm.PoolSpec) { p.TTL, p.LockDelay = ttl, lock })
					w := d.hire("w1", func(w *worker) { w.rate = rate })
					w.mute.Store(true)
					d.after(time.Second, "0 held w1 a:1; ")
					w.stop()
					if err := w.renew(); err != nil {
						t.Fatal(err)
					}
					lose(d, w)
					heir := d.hire("w2")
					d.until(2*ttl+20*time.Second, "the heir", d.standsAs("0 held w2 a:1; "))
					if left := time.Until(w.held[0].until); left > 0 {
						t.Errorf("granted while its worker, by a clock that runs at %v, believes in it for another %s", rate, left)
					}
					heir.stop()
				})
			})
		}
	}
}

// The leader counts a little longer than it told, whatever workers take off: to
// the moment.
func TestExpiryIsCountedInFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		w := d.hire("w1")
		d.after(time.Second, "0 held w1 a:1; ")
		w.stop()
		began := time.Now()
		if _, err := d.renew(t.Context(), Renewal{Session: w.id, Key: "w1"}); err != nil {
			t.Fatal(err)
		}
		least := ttl + ttl*ratePercent/100 + DefaultGrace
		d.until(2*ttl, "the end", d.standsAs("0 locked w1 a:1; "))
		if took := time.Since(began); took < least || took > least+time.Second {
			t.Errorf("ended after %s, want %s and at most a second", took, least)
		}
	})
}

// What a new leader inherits does not all run out in one moment.
func TestInheritedSessionsEndOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 1)
		for i := range 1000 {
			d.do(fsm.OpenSession{Pool: "work", Worker: fmt.Sprint(i), Key: "k"})
		}
		d.lead()
		left := func() int {
			s, _ := d.Watch()
			return len(s.Sessions("work"))
		}
		d.until(2*ttl, "the first ends", func() bool { return left() < 1000 })
		if n := left(); n < 500 {
			t.Errorf("%d of 1000 are left when the first have ended", n)
		}
		if took := d.until(ttl, "the last end", func() bool { return left() == 0 }); took < ttl/20 {
			t.Errorf("all have ended %s after the first", took)
		}
	})
}

// A worker whose clock is measured to run at a rate of its own is given nothing,
// and what it has moves away; unless most are, since then it is the leader's.
func TestAClockOfItsOwn(t *testing.T) {
	for _, off := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, 4)
			var all []*worker
			for i := range 3 {
				all = append(all, d.hire(fmt.Sprint("w", i), func(w *worker) {
					if w.tick = 1; i < off {
						w.tick = 0.8
					}
				}))
			}
			time.Sleep(5 * rateSpan)
			shares := map[string]int{}
			for n := range 4 {
				if l := d.lease(n); l.State == fsm.Held {
					shares[l.Worker]++
				}
			}
			if gone := shares["w0"] == 0; gone != (off == 1) || shares["w0"]+shares["w1"]+shares["w2"] != 4 {
				t.Errorf("%d clocks are off: %v", off, shares)
			}
			for _, w := range all {
				w.stop()
			}
		})
	}
}

// What becomes of partitions is counted, whoever asked for it, and so is what
// came late.
func TestMovesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 2)
		registry := prometheus.NewRegistry()
		d.metrics = registry
		d.lead()
		w := d.hire("w1")
		time.Sleep(time.Second)
		old := d.lease(0).Token
		d.drain(0)
		time.Sleep(3 * time.Second)
		w.stop()
		if _, err := d.renew(t.Context(), Renewal{Session: w.id, Key: "w1", Held: []fsm.LeaseItem{{Number: 0, Token: old}, {Number: 1, Token: d.lease(1).Token}}}); err != nil {
			t.Fatal(err)
		}
		all, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range all {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		for name, want := range map[string]float64{
			"pointsman_lease_moves_total work held": 3, "pointsman_lease_moves_total work draining": 1,
			"pointsman_lease_fenced_total": 1, "pointsman_lease_drain_seconds free": 1,
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
	})
}
