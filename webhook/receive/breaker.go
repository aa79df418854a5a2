package receive

import "sync"

const breakAfter = 3 // failures one after another

// breaker knows whether the store is down.
type breaker struct {
	mu     sync.Mutex
	failed int
}

// tell says how a write went.
func (b *breaker) tell(ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed = min(b.failed+1, breakAfter); ok {
		b.failed = 0
	}
}

// closed is false while the store is down.
func (b *breaker) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed < breakAfter
}
