package executor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// mute is a process whose log takes proposals of some kinds and does not answer.
type mute struct {
	*life
	kinds  map[fsm.Kind]bool
	commit bool          // and commits them, unheard
	slow   time.Duration // or answers so late
}

func (m mute) ProposeAs(ctx context.Context, term fsm.Term, c fsm.Command) (fsm.Answer, error) {
	if !m.kinds[c.Kind()] {
		return m.life.ProposeAs(ctx, term, c)
	}
	if m.slow > 0 {
		time.Sleep(m.slow)
		return m.life.ProposeAs(ctx, term, c)
	}
	if m.commit {
		m.world.commit(term, c)
	}
	<-ctx.Done()
	return fsm.Answer{}, context.Cause(ctx)
}

// leadMute leads with a log that is silent to some kinds.
func (o *outside) leadMute(t *testing.T, term fsm.Term, m mute) *leader {
	t.Helper()
	l := o.lead(t, term, m.life)
	l.stop()
	ctx, cancel := context.WithCancelCause(t.Context())
	m.life.cancel = cancel
	c := l.Config
	c.Journal = m
	e := New(c)
	over := make(chan struct{})
	go func() { defer close(over); _ = e.Run(ctx, term) }()
	return &leader{Executor: e, t: t, o: o, l: m.life, term: term, ctx: ctx, stop: func() { cancel(nil); <-over }}
}

// TestG2_NoRequestBeforeItsClaimIsKnownToBeCommitted: not while it is proposed,
// nor when it was committed and this process did not hear of it.
func TestG2_NoRequestBeforeItsClaimIsKnownToBeCommitted(t *testing.T) {
	for _, commit := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, fsm.Readable)
			l := o.leadMute(t, 1, mute{life: &life{}, kinds: map[fsm.Kind]bool{fsm.KindObserve: true, fsm.KindClaim: true}, commit: commit})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := l.Observe(ctx, 1, Sighting{Master: "cache", As: fsm.Advance, Address: "b:1", Epoch: 2})
			if err == nil || len(o.requests()) != 0 {
				t.Fatalf("observe: %v, requests %+v", err, o.requests())
			}
			l.stop()
			if !commit {
				return
			}
			l = o.lead(t, 2, nil) // who takes over claims anew, and then sends
			defer l.stop()
			o.until(t, "cache/1/do", fsm.Done, time.Minute)
			if len(o.requests()) != 1 {
				t.Fatalf("requests %+v", o.requests())
			}
			o.fair(t, first)
		})
	}
}

// TestG9_NoDeedWithoutTheLog: a leader that lost its quorum in mid-plan begins
// nothing and takes nothing back.
func TestG9_NoDeedWithoutTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		o.refuse = errors.New("503 before anything was done")
		l := o.lead(t, 1, nil)
		l.sees(1)
		o.until(t, "cache/1/do", fsm.Pending, time.Second)
		l.stop()
		o.refuse = nil
		every := map[fsm.Kind]bool{}
		for _, k := range fsm.Kinds() {
			every[k] = true
		}
		l = o.leadMute(t, 2, mute{life: &life{}, kinds: every})
		time.Sleep(time.Hour)
		l.stop()
		if len(o.requests()) != 0 {
			t.Fatalf("requests %+v", o.requests())
		}
	})
}

func TestG4_WhatStandsAsWantedIsNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		o.value = first
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		if a, _ := o.until(t, "cache/1/do", fsm.Done, time.Minute); a.Effect != fsm.Already || len(o.requests()) != 0 {
			t.Fatalf("%s, requests %+v", a.Effect, o.requests())
		}
	})
}

// TestG4_DoneMeansThatAReadSawIt: an answer that says yes is not enough.
func TestG4_DoneMeansThatAReadSawIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		o.ignore = 2
		l := o.lead(t, 1, nil)
		defer l.stop()
		l.sees(1)
		if a, _ := o.until(t, "cache/1/do", fsm.Done, time.Minute); a.Attempts != 3 || a.Effect != fsm.Changed {
			t.Fatalf("done, %s, after %d attempts", a.Effect, a.Attempts)
		}
		o.fair(t, first)
	})
}

func TestG4_WarmUpReadCountsForTwoSeconds(t *testing.T) {
	for age, reads := range map[time.Duration]int{0: 2, 1900 * time.Millisecond: 2, 2100 * time.Millisecond: 3} { // warm-up, look before, look after
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, fsm.Readable)
			l := o.lead(t, 1, nil)
			defer l.stop()
			time.Sleep(2 * driftScan) // the first look at an object that no failover has written
			before := o.looks()
			l.Warm(t.Context(), "cache")
			synctest.Wait() // the look has begun
			time.Sleep(age)
			l.sees(1)
			o.until(t, "cache/1/do", fsm.Done, time.Minute)
			if got := o.looks() - before; got != reads {
				t.Errorf("%s after the warm-up: %d reads, want %d", age, got, reads)
			}
		})
	}
}

// TestG5_ATimeOutIsDoubtUntilARead: neither success nor failure, and shown.
func TestG5_ATimeOutIsDoubtUntilARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		l := o.lead(t, 1, nil)
		defer l.stop()
		o.turn(func() { o.slow = time.Minute }) // longer than the claim's span
		l.sees(1)
		time.Sleep(100 * time.Millisecond)
		o.turn(func() { o.blindEye = errors.New("503") })
		a, took := o.until(t, "cache/1/do", fsm.Pending, 6*time.Second)
		if !a.Doubt || a.Effect != 0 || took > 5*time.Second {
			t.Fatalf("after %s: doubt %v, effect %s", took, a.Doubt, a.Effect)
		}
		time.Sleep(time.Minute)
		if a, _ = o.w.now().Action(a.ID); !a.Doubt || a.Phase.Final() {
			t.Fatalf("guessed: %s", a.Phase)
		}
		o.turn(func() { o.blindEye, o.slow = nil, 0 })
		a, _ = o.until(t, a.ID, fsm.Done, time.Minute)
		if a.Doubt || a.Effect != fsm.Changed {
			t.Fatalf("doubt %v, effect %s", a.Doubt, a.Effect)
		}
		o.fair(t, first)
	})
}

// TestG7_LateWriteOfADeadLeaderNeverLandsAfterTheNewer, as long as it lands
// within the window that everybody waits.
func TestG7_LateWriteOfADeadLeaderNeverLandsAfterTheNewer(t *testing.T) {
	for _, class := range []fsm.Class{fsm.Readable, fsm.Keyed, fsm.Fenced} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, class)
			dead := o.lead(t, 1, &life{dieOn: "act", how: "late", late: 15 * time.Second})
			dead.sees(1)
			<-dead.ctx.Done()
			dead.stop()
			l := o.lead(t, 2, nil)
			l.sees(2)
			o.until(t, "cache/2/do", fsm.Done, time.Minute)
			l.stop() // so that no look for drift could mend it
			time.Sleep(time.Minute)
			if len(o.requests()) < 2 {
				t.Fatalf("%s: the late request did not land: %+v", class, o.requests())
			}
			o.fair(t, second2)
		})
	}
}

// TestG8_EveryActionEndsOrStandsForAHuman: whatever the provider does.
func TestG8_EveryActionEndsOrStandsForAHuman(t *testing.T) {
	for name, spoil := range map[string]func(*outside){
		"refused for good": func(o *outside) { o.refuse = actuators.Permanent(errors.New("403")) },
		"refused for now":  func(o *outside) { o.refuse = errors.New("503") },
		"every answer lost and no read": func(o *outside) {
			o.lose, o.blindEye = 1000, errors.New("503")
		},
		"writes without effect": func(o *outside) { o.ignore = 1000 },
	} {
		synctest.Test(t, func(t *testing.T) {
			o := ofClass(t, fsm.Readable, func(s *fsm.Step) { s.MaxAttempts = 4 })
			spoil(o)
			l := o.lead(t, 1, nil)
			defer l.stop()
			l.sees(1)
			a, _ := o.until(t, "cache/1/do", fsm.Stuck, 10*time.Minute)
			if a.Reason == "" || a.Attempts > 4 {
				t.Fatalf("%s: %d attempts, reason %q", name, a.Attempts, a.Reason)
			}
			o.turn(func() { o.refuse, o.blindEye, o.lose, o.ignore = nil, nil, 0, 0 })
			if err := o.w.commit(1, fsm.Retry{Action: a.ID, Reason: "mended"}).Err(); err != nil {
				t.Fatal(err)
			}
			o.until(t, a.ID, fsm.Done, time.Minute)
			o.fair(t, first)
		})
	}
}
