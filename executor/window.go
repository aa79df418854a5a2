package executor

import (
	"context"
	"time"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/boot"
	"github.com/pointsman/pointsman/internal/planted"
)

// window is what is left of a claim that was not released, as this process
// counts it: from when it applied the claim, with room for clocks 5 % apart.
func (e *Executor) window(h fsm.Hold) time.Duration {
	if planted.Bug(planted.SkipWindow) {
		return 0
	}
	at, ok := e.Journal.Applied(h.Token)
	if !ok {
		return Window(h) // applied in this instant, as far as anybody knows
	}
	return Window(h) - e.rated(time.Since(at))
}

// rated is a span as this process's clock measures it.
func (e *Executor) rated(d time.Duration) time.Duration {
	if e.ClockRate == 0 {
		return d
	}
	return time.Duration(float64(d) * e.ClockRate)
}

// within ends a context when this process's clock has measured so long.
func (e *Executor) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if e.ClockRate != 0 {
		d = time.Duration(float64(d) / e.ClockRate)
	}
	return context.WithTimeout(ctx, d)
}

// Window is the whole span that others than the holder wait before they write
// another value: (act + hold) × 1.05 + 1 s.
func Window(h fsm.Hold) time.Duration {
	return (h.Act+h.Keep)*105/100 + time.Second
}

// now is the moment as the gates want it; with n > 0 the budget for so many
// requests is a gate too.
func (e *Executor) now(term fsm.Term, n int) fsm.Now {
	now := fsm.Now{Clock: e.Journal.Clock(), Term: term, Window: e.window}
	if n > 0 {
		now.Budget = func(id fsm.TargetID) time.Duration { return e.tools.left(id, n) }
	}
	return now
}

// span measures from its start by the larger of the monotonic and the boot
// clock: a machine that was suspended must not believe its claim.
type span struct {
	mono time.Time
	boot time.Duration
}

func startSpan() span { return span{mono: time.Now(), boot: boot.Time()} }

func (s span) elapsed() time.Duration {
	return max(time.Since(s.mono), boot.Time()-s.boot)
}
