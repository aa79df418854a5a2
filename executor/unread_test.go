package executor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// keyedUnread is a keyed deed that nothing can read back: its answer, kept as the
// checkpoint, is all that there is to see.
func keyedUnread(t *testing.T) *outside {
	o := ofClass(t, fsm.Keyed)
	o.unread = true
	o.task = func() actuators.Progress { return actuators.Progress{Done: true} }
	return o
}

// TestG4_KeyedThatNothingReadsBackIsDoneByItsAnswer: each lost answer is asked
// for again with the same key; with one, it is never looked for or sent again.
func TestG4_KeyedThatNothingReadsBackIsDoneByItsAnswer(t *testing.T) {
	for lost := range 4 {
		synctest.Test(t, func(t *testing.T) {
			o := keyedUnread(t)
			o.lose = lost
			l := o.lead(t, 1, nil)
			defer l.stop()
			l.sees(1)
			a, _ := o.until(t, "cache/1/do", fsm.Done, time.Minute)
			time.Sleep(time.Hour)
			if a.Effect != fsm.Changed || a.Doubt || len(o.requests()) != lost+1 {
				t.Errorf("%d lost: %s, doubt %v, %d requests", lost, a.Effect, a.Doubt, len(o.requests()))
			}
			if drifts, busy := o.w.now().Drifts(), o.w.now().Objects(); len(drifts) != 0 || len(busy) != 0 {
				t.Errorf("%d lost: drifts %v, busy %v", lost, drifts, busy)
			}
			o.fair(t, first)
		})
	}
}

// TestG5_KeyedWithoutAnAnswerIsNeverDone: it is in doubt for as long as that
// lasts, asked for at growing distances, and done by the first answer.
func TestG5_KeyedWithoutAnAnswerIsNeverDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := keyedUnread(t)
		o.lose = 1 << 20
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		const outage = 10 * time.Minute
		time.Sleep(outage)
		a, _ := o.w.now().Action("cache/1/do")
		sent := o.requests()
		if n := len(sent); a.Phase.Final() || !a.Doubt || n < 5 || n > 250 || sent[n-1].at.Sub(sent[n-2].at) < 5*time.Second {
			t.Fatalf("%s, doubt %v, %d requests in %s", a.Phase, a.Doubt, n, outage)
		}
		o.turn(func() { o.lose = 0 })
		if a, _ = o.until(t, a.ID, fsm.Done, 2*time.Minute); a.Effect != fsm.Changed || a.Doubt {
			t.Errorf("%s, doubt %v", a.Effect, a.Doubt)
		}
		o.fair(t, first)
	})
}

// TestG6_KeyedThatNothingReadsBackWhereverTheLeaderDies kills the leader at each
// call that it makes: one change, and the next leader brings it to its end.
func TestG6_KeyedThatNothingReadsBackWhereverTheLeaderDies(t *testing.T) {
	for _, how := range []string{"before", "after", "late"} {
		points := 0
		for died := true; died; {
			points++
			synctest.Test(t, func(t *testing.T) {
				o := keyedUnread(t)
				fate := &life{dieAt: points, how: how, late: 14 * time.Second}
				dead := o.lead(t, 1, fate)
				dead.sees(1)
				for end := time.Now().Add(20 * time.Second); dead.ctx.Err() == nil && time.Now().Before(end); {
					time.Sleep(10 * time.Millisecond)
				}
				dead.stop()
				if died = fate.dead; !died {
					return
				}
				l := o.lead(t, 2, nil)
				defer l.stop()
				if m, _ := o.w.now().Master("cache"); m.Number == 0 {
					l.sees(1) // it died before the switch was accepted
				}
				o.until(t, "cache/1/do", fsm.Done, time.Minute)
				time.Sleep(20 * time.Second) // what is on the wire lands
				if n := len(o.requests()); n < 1 || n > 2 {
					t.Errorf("dead %s call %d (%s): %d requests", how, points, fate.at, n)
				}
				o.fair(t, first)
			})
		}
		if points < 5 {
			t.Errorf("%s: %d crash points: the leader was not there", how, points-1)
		}
	}
}
