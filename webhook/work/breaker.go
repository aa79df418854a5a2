package work

import (
	"sync"
	"time"
)

// breaker stops calls of a handler that fails whoever's event it is given.
//
//	closed ── BreakAfter failures in a row, of breakShops shops or unreached ──▶ open
//	open ──── BreakFor, doubling to breakMost ──▶ probing: one call at a time
//	probing ─ success ──▶ closed          probing ─ failure ──▶ open
//
// A failure of one shop's event alone never opens it, else one bad event could
// hold up all. Its methods may be called by any number at once.
type breaker struct {
	after int
	first time.Duration

	mu       sync.Mutex
	failures int             // in a row
	shops    map[string]bool // of these failures, breakShops at most
	open     time.Duration   // how long it was opened for last; 0: closed
	until    time.Time
	probing  bool
}

const (
	breakShops = 3
	breakMost  = 30 * time.Second
	probeLook  = 100 * time.Millisecond // between two looks at somebody else's probe
)

func newBreaker(after int, first time.Duration) *breaker {
	return &breaker{after: after, first: first, shops: map[string]bool{}}
}

// wait is how long no call may begin; 0: one may.
func (b *breaker) wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open == 0:
		return 0
	case b.probing:
		return probeLook
	}
	return max(b.until.Sub(now), 0)
}

// begin asks to make a call. probe says that it is the one that finds out; every
// call that may go on ends with end.
func (b *breaker) begin(now time.Time) (probe, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == 0 {
		return false, true
	}
	if b.probing || now.Before(b.until) {
		return false, false
	}
	b.probing = true
	return true, true
}

// end tells how a call ended. none says that nothing was learnt.
func (b *breaker) end(now time.Time, probe bool, shop string, k kind, failed, none bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch {
	case none || !probe && b.open > 0: // begun before it opened
	case !failed || k != kindAgain && k != kindUnavailable: // somebody has answered
		b.failures, b.open = 0, 0
		clear(b.shops)
	default:
		b.failures++
		if len(b.shops) < breakShops {
			b.shops[shop] = true
		}
		if probe || b.failures >= b.after && (len(b.shops) >= breakShops || k == kindUnavailable) {
			b.open = min(max(2*b.open, b.first), breakMost)
			b.until = now.Add(b.open)
		}
	}
}

// isOpen reports whether calls are stopped.
func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open > 0
}
