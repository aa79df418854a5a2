package executor

import (
	"context"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// budget is a target's pace: its rate a minute, as a bucket of one minute. It
// is our own and not x/time/rate, because an attempt is admitted only when the
// bucket covers all its requests, and gives back what it did not use: attempts
// that each get half of what they need would use up a small rate and never end.
type budget struct {
	mu     sync.Mutex
	rate   float64 // tokens a second
	burst  float64
	tokens float64
	at     time.Time
}

// Requests that an attempt may need. One that needs more waits for the rest.
const (
	costAct    = 10 // look, write, read back
	costLook   = 5
	costPost   = 3 // look for running refreshes, post
	costFollow = 1
	// keptBack is the part of a bucket that is kept for what is urgent, one in so many.
	keptBack = 3
)

var _ actuators.Budget = (*budget)(nil)

func newBudget(perMinute int) *budget {
	n := float64(perMinute)
	return &budget{rate: n / time.Minute.Seconds(), burst: n, tokens: n, at: time.Now()}
}

// newShare is the part of a target's rate that looks for drift may use, as a
// bucket that holds one look at least.
func newShare(perMinute int) *budget {
	n := float64(perMinute) / driftShare
	burst := max(n, costLook)
	return &budget{rate: n / time.Minute.Seconds(), burst: burst, tokens: burst, at: time.Now()}
}

func (b *budget) setRate(perMinute int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	b.rate, b.burst = float64(perMinute)/time.Minute.Seconds(), float64(perMinute)
	b.tokens = min(b.tokens, b.burst)
}

// fill, under mu, adds what time has brought.
func (b *budget) fill() {
	now := time.Now()
	b.tokens = min(b.burst, b.tokens+now.Sub(b.at).Seconds()*b.rate)
	b.at = now
}

// manner is how much of a bucket a request leaves to the others. What may be
// left waiting needs more in the bucket than what may not: else it would take
// each token before the other has enough.
type manner uint8

const (
	atOnce    manner = iota // takes what there is
	afresh                  // a deed that has failed often: only out of a bucket that is a part full
	patiently               // warming up, looks for drift: leaves that part, and a deed
)

// take takes n tokens, or the whole bucket if it is smaller. It says how many,
// or how long until it could.
func (b *budget) take(n int, m manner) (taken int, left time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	want := min(float64(n), b.burst)
	need := want
	switch m {
	case afresh:
		need = max(want, b.burst/keptBack)
	case patiently:
		need = min(want+max(b.burst/keptBack, costAct), b.burst)
	}
	if missing := need - b.tokens; missing > 0 {
		return 0, time.Duration(missing/b.rate*float64(time.Second)) + time.Millisecond
	}
	b.tokens -= want
	return int(want), 0
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.burst, b.tokens+float64(n))
}

// until is how long until n tokens could be taken.
func (b *budget) until(n int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	return max(0, time.Duration((min(float64(n), b.burst)-b.tokens)/b.rate*float64(time.Second)))
}

// Wait implements actuators.Budget: out of the attempt's grant, else one more
// token as soon as there is one.
func (b *budget) Wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if g, ok := ctx.Value(grantKey{}).(*grant); ok && g.spend(b) {
		return nil
	}
	for {
		m := atOnce
		if isPatient(ctx) {
			m = patiently
		}
		taken, left := b.take(1, m)
		if taken > 0 {
			return nil
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// grant is what an attempt was admitted with.
type grant struct {
	budget *budget
	mu     sync.Mutex
	tokens int
}

func (g *grant) spend(b *budget) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.budget != b || g.tokens == 0 {
		return false
	}
	g.tokens--
	return true
}

// close gives back what was not used. A nil grant has nothing to give.
func (g *grant) close() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.budget.give(g.tokens)
	g.tokens = 0
}

// admit takes the tokens of a whole attempt, or says how long until there are
// enough. An effect inside the log needs none.
func (t *tools) admit(target fsm.TargetSpec, n int, m manner) (*grant, time.Duration) {
	if target.ID == "" || n == 0 {
		return nil, 0
	}
	t.mu.Lock()
	b := t.budget(target)
	t.mu.Unlock()
	taken, left := b.take(n, m)
	if taken == 0 {
		return nil, left
	}
	return &grant{budget: b, tokens: taken}, 0
}

// cost is what an attempt that may write needs.
func cost(step fsm.Step) int {
	switch step.Class {
	case fsm.InLog:
		return 0
	case fsm.Trigger:
		return costPost
	default:
		return costAct
	}
}

type (
	patientKey struct{}
	grantKey   struct{}
)

// patient marks requests that may wait for the others of their target. The mark
// travels in the context, as the grant does, since an actuator neither knows nor asks.
func patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patientKey{}, true)
}

func isPatient(ctx context.Context) bool {
	is, _ := ctx.Value(patientKey{}).(bool)
	return is
}
