package executor

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

const first, second2 = "b:1 00000001", "c:1 00000002"

func TestG6_BlindWithALostAnswerAsksAHuman(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Blind)
		o.lose = 1
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		a, _ := o.until(t, "cache/1/do", fsm.Stuck, time.Second)
		claimed := time.Now()
		if !a.Doubt || a.Reason == "" {
			t.Fatalf("doubt %v, reason %q", a.Doubt, a.Reason)
		}
		if err := o.w.commit(1, fsm.Retry{Action: a.ID, Reason: "it did not arrive"}).Err(); err != nil {
			t.Fatal(err)
		}
		o.until(t, a.ID, fsm.Done, time.Minute)
		if took := time.Since(claimed); took < 16*time.Second || len(o.requests()) != 2 {
			t.Fatalf("a retry in doubt went out after %s; %d requests", took, len(o.requests()))
		}
	})
}

func TestG6_BlindStaysStuckForEverWithoutAHuman(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Blind)
		o.lose = 1
		l := o.lead(t, 1, nil)
		l.sees(1)
		time.Sleep(time.Hour)
		l.stop()
		l = o.lead(t, 2, nil) // nor does another leader know better
		time.Sleep(time.Hour)
		l.stop()
		o.until(t, "cache/1/do", fsm.Stuck, time.Second)
		if len(o.requests()) != 1 {
			t.Fatalf("%d requests", len(o.requests()))
		}
		o.fair(t, first)
	})
}

func TestLife_DeadHoldersBlindActionIsStuckAtOnce(t *testing.T) {
	for _, how := range []string{"before", "after"} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, fsm.Blind)
			dead := o.lead(t, 1, &life{dieOn: "act", how: how})
			dead.sees(1)
			<-dead.ctx.Done()
			dead.stop()
			sent := len(o.requests())
			l := o.lead(t, 2, nil)
			defer l.stop()
			a, took := o.until(t, "cache/1/do", fsm.Stuck, time.Second)
			if !a.Doubt || took > 100*time.Millisecond || len(o.requests()) != sent {
				t.Fatalf("dead %s its request: doubt %v after %s, %d requests", how, a.Doubt, took, len(o.requests()))
			}
		})
	}
}

// TestG6_BlindWithAClearAnswerIsDone: and is never looked for, mended or sent again.
func TestG6_BlindWithAClearAnswerIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Blind)
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		a, _ := o.until(t, "cache/1/do", fsm.Done, time.Second)
		time.Sleep(time.Hour)
		if a.Effect != fsm.Changed || len(o.requests()) != 1 || len(o.w.now().Drifts()) != 0 || len(o.w.now().Objects()) != 0 {
			t.Fatalf("%s, %d requests, drifts %v, busy %v", a.Effect, len(o.requests()), o.w.now().Drifts(), o.w.now().Objects())
		}
	})
}

// TestG6_FencedNeverWaitsForAWindow: the request of a dead leader is on the
// wire, and the newer value goes out at once, since the object refuses the late one.
func TestG6_FencedNeverWaitsForAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Fenced)
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
		time.Sleep(20 * time.Second) // the late one lands
		if len(o.requests()) < 2 || o.requests()[len(o.requests())-1].id != "cache/1/do" {
			t.Fatalf("the late request did not land last: %+v", o.requests())
		}
		o.fair(t, second2)
	})
}

// TestG4_EachCompareAndSwapIsAClaimOfItsOwn: somebody else wins twice between
// our read and our write.
func TestG4_EachCompareAndSwapIsAClaimOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Fenced)
		edits := 2
		o.meddle = func(o *outside) {
			if edits--; edits >= 0 {
				o.value, o.version = "z:1 00000000", o.version+1
			}
		}
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		a, _ := o.until(t, "cache/1/do", fsm.Done, time.Minute)
		tokens := map[fsm.Token]string{}
		for _, r := range o.requests() {
			tokens[r.token] = r.version
		}
		if a.Attempts != 3 || len(o.requests()) != 3 || len(tokens) != 3 || o.requests()[0].version == o.requests()[2].version {
			t.Fatalf("%d attempts, requests %+v", a.Attempts, o.requests())
		}
		o.fair(t, first)
	})
}

// TestLife_VersionRidesAlongOnlyIfWarmUpHasReadIt: one entry then lies between
// sight and deed, else two.
func TestLife_VersionRidesAlongOnlyIfWarmUpHasReadIt(t *testing.T) {
	for _, warm := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, fsm.Fenced)
			l := o.lead(t, 1, nil)
			defer l.stop()
			if warm {
				l.Warm(t.Context(), "cache")
				synctest.Wait()
			}
			l.sees(1)
			a, _ := o.until(t, "cache/1/do", fsm.Done, time.Minute)
			f, _ := o.w.now().Failover(fsm.FailoverID{Master: "cache", Number: 1})
			if rode := a.Token.Index() == f.Index; rode != warm {
				t.Fatalf("warm %v: the claim rode along: %v", warm, rode)
			}
			if a.Version != "v0" {
				t.Fatalf("version %q", a.Version)
			}
			o.fair(t, first)
		})
	}
}

func TestG4_PermanentErrorOfAFencedLookIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Fenced)
		o.blindEye = actuators.Permanent(errLost)
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		if a, _ := o.until(t, "cache/1/do", fsm.Stuck, time.Minute); a.Doubt || len(o.requests()) != 0 {
			t.Fatalf("doubt %v, %d requests", a.Doubt, len(o.requests()))
		}
	})
}

// TestG6_KeyedHoldsTheWindowAndDedupes: a key does not order, so another value
// waits; the same action goes on at once, and its late request changes nothing.
func TestG6_KeyedHoldsTheWindowAndDedupes(t *testing.T) {
	for _, newer := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, fsm.Keyed)
			dead := o.lead(t, 1, &life{dieOn: "act", how: "late", late: 14 * time.Second})
			dead.sees(1)
			<-dead.ctx.Done()
			dead.stop()
			l := o.lead(t, 2, nil)
			defer l.stop()
			if newer {
				l.sees(2)
				if _, took := o.until(t, "cache/2/do", fsm.Done, time.Minute); took < 15*time.Second {
					t.Fatalf("another value waited only %s", took)
				}
				o.fair(t, second2)
				return
			}
			if _, took := o.until(t, "cache/1/do", fsm.Done, time.Minute); took > time.Second {
				t.Fatalf("the same action waited %s", took)
			}
			time.Sleep(20 * time.Second)
			if len(o.requests()) != 2 {
				t.Fatalf("%d requests", len(o.requests()))
			}
			o.fair(t, first)
		})
	}
}

// TestG6_LostAnswersChangeTheValueOnce, in every class that may try again by itself.
func TestG6_LostAnswersChangeTheValueOnce(t *testing.T) {
	for _, class := range []fsm.Class{fsm.Fenced, fsm.Keyed, fsm.Readable} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, class)
			o.lose = 3
			l := o.lead(t, 1, nil)
			defer l.stop()
			l.sees(1)
			if a, _ := o.until(t, "cache/1/do", fsm.Done, time.Minute); a.Effect != fsm.Changed {
				t.Errorf("%s: %s", class, a.Effect)
			}
			o.fair(t, first)
		})
	}
}

// TestG4_FencedWithoutAVersionSendsNothing: where the look before the claim was
// refused, the claim names no version; a look that works afterwards is no
// reason to write without one. The next claim names its own.
func TestG4_FencedWithoutAVersionSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Fenced)
		o.blindEye, o.blink = actuators.Permanent(errLost), 1
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		a, _ := o.until(t, "cache/1/do", fsm.Done, time.Minute)
		if a.Attempts != 2 || len(o.requests()) != 1 || o.requests()[0].version == "" {
			t.Fatalf("%d attempts, requests %+v", a.Attempts, o.requests())
		}
		o.fair(t, first)
	})
}

// TestG4_WhyAFencedLookFailedStandsInTheLog: a provider that does not answer
// the look before the claim is told like one that does not answer the write, and
// each look counts as an attempt. Nothing is sent without a version.
func TestG4_WhyAFencedLookFailedStandsInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Fenced)
		o.turn(func() { o.blindEye = errLost })
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			a, _ := o.w.now().Action("cache/1/do")
			if a.Phase == fsm.Pending && a.Attempts >= 2 && strings.Contains(a.Reason, errLost.Error()) && !a.Doubt {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s after %d attempts, doubt %v: %q", a.Phase, a.Attempts, a.Doubt, a.Reason)
			}
		}
		if n := len(o.requests()); n > 0 {
			t.Fatalf("%d requests while nothing could be read", n)
		}
		o.turn(func() { o.blindEye = nil })
		o.until(t, "cache/1/do", fsm.Done, time.Minute)
		if r := o.requests(); len(r) != 1 || r[0].version == "" {
			t.Fatalf("requests %+v", r)
		}
		o.fair(t, first)
	})
}
