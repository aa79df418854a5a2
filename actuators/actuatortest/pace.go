package actuatortest

import (
	"context"
	"sync"
	"time"
)

// Rate is the requests a minute that a Pace allows, and what its bucket holds.
const Rate = 60

// Pace is a target's rate, as the executor keeps it: a bucket that holds a minute's
// requests. It is an actuators.Budget and may be used concurrently.
type Pace struct {
	mu     sync.Mutex // guards what follows
	tokens float64
	at     time.Time
}

// NewPace makes one whose bucket is full.
func NewPace() *Pace { return &Pace{tokens: Rate, at: time.Now()} }

func (p *Pace) take(n float64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.tokens = min(Rate, p.tokens+now.Sub(p.at).Minutes()*Rate)
	p.at = now
	if p.tokens >= n {
		p.tokens -= n
		return 0
	}
	return time.Duration((n-p.tokens)/Rate*float64(time.Minute)) + time.Millisecond
}

// Wait implements actuators.Budget. One who could not be served before his
// deadline is told at once.
func (p *Pace) Wait(ctx context.Context) error {
	for left := p.take(1); left > 0; left = p.take(1) {
		if at, ok := ctx.Deadline(); ok && time.Until(at) < left {
			return context.DeadlineExceeded
		}
		time.Sleep(left)
	}
	return nil
}

// Afford waits, before an attempt, until all its requests may go. A nil Pace
// affords everything.
func (p *Pace) Afford(n float64) {
	if p == nil {
		return
	}
	for left := p.take(n); left > 0; left = p.take(n) {
		time.Sleep(left)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens += n
}
