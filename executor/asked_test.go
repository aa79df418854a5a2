package executor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// TestAsk_LostAnswer: in doubt, told as such, not asked again, and Led once the
// failover is seen.
func TestAsk_LostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := askable(t)
		l := leads(t, w, 1)
		l.answer = func(context.Context) (fsm.SwitchoverPhase, string) { return fsm.SwitchoverDoubt, "no answer" }
		if got, err := l.call(t.Context(), "one", "call-1"); err != nil || got.Phase != fsm.SwitchoverDoubt || got.Detail != "no answer" {
			t.Fatalf("%+v, %v", got, err)
		}
		_, err := l.call(t.Context(), "two", "call-2")
		l.refuses(err, fsm.ErrSwitchover)
		l.sent(1)
		w.moves(t, 1, "c:1")
		l.stands(fsm.SwitchoverLed)
	})
}

// TestAsk_Refused: a clear no ends it at once, and another may be asked.
func TestAsk_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leads(t, askable(t), 1)
		l.answer = func(context.Context) (fsm.SwitchoverPhase, string) { return fsm.SwitchoverRefused, "NOGOODSLAVE" }
		for _, id := range []fsm.CommandID{"one", "two"} {
			if got, err := l.call(t.Context(), id, string(id)); err != nil || got.Phase != fsm.SwitchoverRefused || got.Detail != "NOGOODSLAVE" {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		l.sent(2)
	})
}

// TestAsk_Paused: a process that wakes up too late, or in whose way the commit
// was, does not send: the log has said to others how long it might.
func TestAsk_Paused(t *testing.T) {
	for pause, want := range map[time.Duration]int{askAct - time.Millisecond: 1, askAct: 0, time.Hour: 0} {
		synctest.Test(t, func(t *testing.T) {
			l := leads(t, askable(t), 1)
			l.logged = func() { time.Sleep(pause) }
			var left time.Duration
			l.answer = func(ctx context.Context) (fsm.SwitchoverPhase, string) {
				at, _ := ctx.Deadline()
				left = time.Until(at)
				return fsm.SwitchoverStarted, "OK"
			}
			_, err := l.call(t.Context(), "one", "call-1")
			if err != nil {
				t.Fatal(err)
			}
			l.sent(want)
			if want == 0 {
				l.stands(fsm.SwitchoverRefused)
			} else if left != time.Millisecond {
				t.Errorf("%s were left to send and hear, want what is left of %s", left, askAct)
			}
		})
	}
}

// TestAsk_MovedByItself: a failover that was accepted between the entry and the
// sending is not followed by another one, and is nobody's.
func TestAsk_MovedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := askable(t)
		l := leads(t, w, 1)
		l.logged = func() { w.moves(t, 1, "c:1") }
		if got, err := l.call(t.Context(), "one", "call-1"); err != nil || got.Phase != fsm.SwitchoverRefused {
			t.Fatalf("%+v, %v", got, err)
		}
		l.sent(0)
		if f, _ := w.now().Failover(fsm.FailoverID{Master: "cache", Number: 1}); f.Asked.Index != 0 {
			t.Errorf("the failover says %+v", f.Asked)
		}
	})
}

// TestAsk_OldRepeat: a repeat of a request that is over and no longer the newest
// is not answered with another human's request, and sends nothing.
func TestAsk_OldRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := askable(t)
		l := leads(t, w, 1)
		for _, id := range []fsm.CommandID{"one", "two"} {
			if _, err := l.call(t.Context(), id, string(id)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(askWindow)
		}
		l.sent(2)
		_, err := l.call(t.Context(), "one", "call-3")
		l.refuses(err, fsm.ErrNotHolder)
		l.sent(2)
	})
}

// TestAsk_AskerGone: once it is in the log, the caller's end changes nothing.
func TestAsk_AskerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leads(t, askable(t), 1)
		ctx, cancel := context.WithCancel(t.Context())
		l.logged = cancel
		l.answer = func(ctx context.Context) (fsm.SwitchoverPhase, string) {
			if ctx.Err() != nil {
				return fsm.SwitchoverDoubt, "cut"
			}
			return fsm.SwitchoverStarted, "OK"
		}
		_, _ = l.call(ctx, "one", "call-1")
		l.sent(1)
		l.stands(fsm.SwitchoverStarted)
	})
}

// TestAsk_Drain: a handover waits for a request on the wire and lets none begin.
func TestAsk_Drain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leads(t, askable(t), 1)
		l.answer = func(context.Context) (fsm.SwitchoverPhase, string) {
			time.Sleep(3 * time.Second)
			return fsm.SwitchoverStarted, "OK"
		}
		done := make(chan struct{})
		go func() { defer close(done); _, _ = l.call(t.Context(), "one", "call-1") }()
		synctest.Wait()
		began := time.Now()
		if err := l.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 3*time.Second || d > 4*time.Second {
			t.Errorf("drained after %s", d)
		}
		l.stands(fsm.SwitchoverStarted)
		<-done
		if _, err := l.call(t.Context(), "two", "call-2"); !errors.Is(err, ErrDraining) {
			t.Errorf("%v", err)
		}
		l.sent(1)
		l.Resume()
		_, err := l.call(t.Context(), "three", "call-3")
		l.refuses(err, fsm.ErrSwitchover)
	})
}

// TestUnseen_NoHotLoop: a log that does not take the last word is told again
// with pauses.
func TestUnseen_NoHotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leads(t, askable(t), 1)
		if _, err := l.call(t.Context(), "one", "call-1"); err != nil {
			t.Fatal(err)
		}
		l.log.denying(errors.New("not every voter can read this command"))
		done := make(chan struct{})
		go func() { defer close(done); _ = l.Run(l.log.office, 1) }()
		time.Sleep(askWindow + time.Minute + time.Second)
		if n := l.log.denying(nil); n < 3 || n > 8 {
			t.Errorf("told %d times in a minute", n)
		}
		time.Sleep(unseenAgain + time.Second)
		l.stands(fsm.SwitchoverUnseen)
		l.depose()
		<-done
	})
}
