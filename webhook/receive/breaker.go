package receive

import (
	"sync"
	"time"
)

const (
	breakAfter = 3                      // failures one after another
	tryEvery   = 500 * time.Millisecond // while it is open
)

// breaker knows whether the store is down. While it is open, one write is let
// through every half second to find out.
type breaker struct {
	mu     sync.Mutex
	failed int
	next   time.Time // when the next write is let through
}

// allow reports whether a write may be tried now.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < breakAfter {
		return true
	}
	if now := time.Now(); !now.Before(b.next) {
		b.next = now.Add(tryEvery)
		return true
	}
	return false
}

// tell says how a write went.
func (b *breaker) tell(ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ok {
		b.failed = 0
		return
	}
	if b.failed++; b.failed == breakAfter {
		b.next = time.Now().Add(tryEvery)
	}
}

func (b *breaker) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed < breakAfter
}
