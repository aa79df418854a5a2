package executor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// TestWindows_HolderCountsFromBeforeProposing: a claim that took longer than
// its span to be committed sends nothing.
func TestWindows_HolderCountsFromBeforeProposing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		l := o.leadMute(t, 1, mute{life: &life{}, kinds: map[fsm.Kind]bool{fsm.KindObserve: true, fsm.KindClaim: true}, slow: 5 * time.Second})
		defer l.stop()
		l.sees(1)
		time.Sleep(time.Minute)
		a, _ := o.w.now().Action("cache/1/do")
		if len(o.requests()) != 0 || a.Attempts < 2 || a.Phase.Final() {
			t.Fatalf("%s after %d attempts, requests %+v", a.Phase, a.Attempts, o.requests())
		}
	})
}

func TestWindows_OthersWaitForActAndHoldAndFivePercentAndASecond(t *testing.T) {
	if got, want := Window(fsm.Hold{Act: 5 * time.Second, Keep: 10 * time.Second}), 16750*time.Millisecond; got != want {
		t.Fatalf("window %s, want %s", got, want)
	}
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		dead := o.lead(t, 1, &life{dieOn: "act", how: "before"})
		dead.sees(1)
		<-dead.ctx.Done()
		dead.stop()
		applied := time.Now()
		see := fsm.Observe{
			Master: "cache", Base: 1, Revision: 1, Address: "c:1", Epoch: 3, As: fsm.Advance,
			Values: []fsm.Value{{Step: "do", Value: []byte(second2)}},
		}
		if err := o.w.commit(1, see).Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // the next leader takes over late: it applied the claim live, and counts from then
		l := o.lead(t, 2, nil)
		defer l.stop()
		o.until(t, "cache/2/do", fsm.Done, time.Minute)
		if waited := o.requests()[0].at.Sub(applied); waited < 16750*time.Millisecond || waited > 17500*time.Millisecond {
			t.Fatalf("another value went out %s after the claim was applied", waited)
		}
		o.fair(t, second2)
	})
}

// TestWindows_ProcessThatDidNotSeeTheClaimWaitsForAllOfIt: after a restart the
// stamps of claims are those of its own leadership.
func TestWindows_ProcessThatDidNotSeeTheClaimWaitsForAllOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		dead := o.lead(t, 1, &life{dieOn: "act", how: "before"})
		dead.sees(1)
		<-dead.ctx.Done()
		dead.stop()
		time.Sleep(time.Hour)
		o.w.mu.Lock()
		for token := range o.w.stamps {
			o.w.stamps[token] = time.Now() // as cluster stamps what it finds at the begin of a leadership
		}
		o.w.mu.Unlock()
		began := time.Now()
		l := o.lead(t, 2, nil)
		defer l.stop()
		l.sees(2)
		o.until(t, "cache/2/do", fsm.Done, time.Minute)
		if waited := time.Since(began); waited < 16*time.Second {
			t.Fatalf("waited only %s", waited)
		}
	})
}

// TestWindows_CleanReturnNeedsNoWait: the same leader, every request answered.
func TestWindows_CleanReturnNeedsNoWait(t *testing.T) {
	for _, class := range []fsm.Class{fsm.Readable, fsm.Keyed, fsm.Blind} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, class)
			l := o.lead(t, 1, nil)
			defer l.stop()
			for n, id := range []fsm.ActionID{"cache/1/do", "cache/2/do", "cache/3/do"} {
				l.sees(n + 1)
				if _, took := o.until(t, id, fsm.Done, time.Minute); took > 100*time.Millisecond {
					t.Fatalf("%s: %s took %s", class, id, took)
				}
			}
			o.fair(t, "a:1 00000003")
		})
	}
}

// TestWindows_OnNewerWriteDoesNotWait: the step trades the wait for a repair,
// should the late request land.
func TestWindows_OnNewerWriteDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable, func(s *fsm.Step) { s.WriteOver = true })
		dead := o.lead(t, 1, &life{dieOn: "act", how: "late", late: 14 * time.Second})
		dead.sees(1)
		<-dead.ctx.Done()
		dead.stop()
		l := o.lead(t, 2, nil)
		defer l.stop()
		l.sees(2)
		if _, took := o.until(t, "cache/2/do", fsm.Done, time.Minute); took > time.Second {
			t.Fatalf("waited %s", took)
		}
		o.until(t, "cache/2/do~1", fsm.Done, 2*time.Minute) // the late one landed, and does not stand
		o.turn(func() {
			if o.value != second2 {
				t.Errorf("the value is %q", o.value)
			}
		})
	})
}

// TestLife_RetryAfterDoubtWaits: the same action may go on at once, for it
// writes the same value; what a human retries in doubt waits for its window.
func TestLife_RetryAfterDoubtWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable, func(s *fsm.Step) { s.MaxAttempts = 1 })
		o.lose, o.ignore = 1, 1
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		a, _ := o.until(t, "cache/1/do", fsm.Stuck, time.Minute)
		if !a.Doubt {
			t.Fatal("no doubt")
		}
		if err := o.w.commit(1, fsm.Retry{Action: a.ID}).Err(); err != nil {
			t.Fatal(err)
		}
		o.until(t, a.ID, fsm.Done, time.Minute)
		if apart := o.requests()[1].at.Sub(o.requests()[0].at); apart < 16*time.Second {
			t.Fatalf("sent again after %s", apart)
		}
	})
}

func TestLife_AttemptsOfAStepAreLimited(t *testing.T) {
	for _, limit := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, fsm.Readable, func(s *fsm.Step) { s.MaxAttempts = limit })
			o.ignore = 1000
			l := o.lead(t, 1, nil)
			defer l.stop()
			l.sees(1)
			if a, _ := o.until(t, "cache/1/do", fsm.Stuck, time.Minute); a.Attempts != limit || len(o.requests()) != limit {
				t.Fatalf("%d attempts, %d requests, want %d: %s", a.Attempts, len(o.requests()), limit, a.Reason)
			}
		})
	}
}

// TestLife_TimeoutOfAStepBoundsAllItsRequests: counted from before the claim.
func TestLife_TimeoutOfAStepBoundsAllItsRequests(t *testing.T) {
	for _, act := range []time.Duration{time.Second, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, fsm.Readable, func(s *fsm.Step) { s.Act, s.MaxAttempts = act, 1 })
			o.slow, o.ignore = time.Hour, 1
			l := o.lead(t, 1, nil)
			defer l.stop()
			l.sees(1)
			a, took := o.until(t, "cache/1/do", fsm.Stuck, time.Minute)
			if !a.Doubt || took < act-100*time.Millisecond || took > act+100*time.Millisecond {
				t.Fatalf("doubt %v after %s, want %s", a.Doubt, took, act)
			}
		})
	}
}

// TestLife_SupersededInEveryState: wherever the older failover's action stands,
// the newer value ends on the object, and at once unless a request may be out.
func TestLife_SupersededInEveryState(t *testing.T) {
	for name, c := range map[string]struct {
		bring func(*outside)
		phase fsm.Phase
		doubt bool
	}{
		"claimed":          {func(o *outside) { o.slow = 2 * time.Second }, fsm.Claimed, false},
		"pending, backoff": {func(o *outside) { o.refuse = &actuators.Error{Err: errors.New("429"), After: time.Hour} }, fsm.Pending, false},
		"pending in doubt": {func(o *outside) { o.lose, o.ignore = 1, 1 }, fsm.Pending, true},
		"stuck":            {func(o *outside) { o.refuse = actuators.Permanent(errors.New("403")) }, fsm.Stuck, false},
		"done":             {func(*outside) {}, fsm.Done, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := ofClass(t, fsm.Readable)
				c.bring(o)
				l := o.lead(t, 1, nil)
				defer l.stop()
				l.BackoffBase, l.BackoffCap = 20*time.Second, 20*time.Second
				l.sees(1)
				a, _ := o.until(t, "cache/1/do", c.phase, time.Second)
				if a.Doubt != c.doubt {
					t.Fatalf("doubt %v", a.Doubt)
				}
				synctest.Wait() // what it does, it has begun
				o.turn(func() { o.slow, o.refuse, o.lose, o.ignore = 0, nil, 0, 0 })
				l.sees(2)
				_, took := o.until(t, "cache/2/do", fsm.Done, time.Minute)
				if waited := took > 10*time.Second; waited != c.doubt {
					t.Errorf("the newer value took %s", took)
				}
				want := fsm.Superseded
				if c.phase == fsm.Done {
					want = fsm.Done
				}
				if a, _ = o.w.now().Action(a.ID); a.Phase != want || a.Doubt {
					t.Errorf("the older one is %s, doubt %v", a.Phase, a.Doubt)
				}
				o.fair(t, second2)
			})
		})
	}
}
