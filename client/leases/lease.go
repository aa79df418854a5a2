package leases

import (
	"errors"
	"fmt"
	"sync"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// moment is a point in time on both clocks.
type moment struct {
	mono time.Time
	boot time.Duration
}

// since is how long a moment is ago, by the clock that counted more.
func (c Config) since(m moment) time.Duration {
	return max(time.Since(m.mono), c.boot()-m.boot)
}

func (c Config) now() moment { return moment{mono: time.Now(), boot: c.boot()} }

// Lease is a grant that a handler works under. Its methods may be called by any
// number at once, also after the handler has returned.
type Lease struct {
	// Pool and Partition name what is granted.
	Pool      string
	Partition uint32
	// Token is that of this grant. The tokens of one partition only rise, so that a
	// sink that keeps the highest one it saw can refuse whoever comes late.
	Token uint64
	// Address of the master that this grant is for, host:port; empty for a pool
	// that depends on none. Another address comes with another grant, never in the
	// life of this one.
	Address string

	cfg      Config
	calls    pointsmanv1.LeaseServiceClient
	session  *session // only its id and key, which never change
	draining chan struct{}

	mu       sync.Mutex // the loop writes, handlers read
	from     moment
	span     time.Duration
	lost     error // why; once set it stays
	finished bool  // draining is closed
}

// ID is pool and partition: webhooks/17.
func (l *Lease) ID() string { return fmt.Sprintf("%s/%d", l.Pool, l.Partition) }

// Draining is closed when the handler is asked to finish and return: the
// partition moves to another worker, or this one stops. The lease stays good
// until the handler returns or its context ends.
func (l *Lease) Draining() <-chan struct{} { return l.draining }

// Left is how long the lease may be believed in if no further answer comes;
// zero when it is lost.
func (l *Lease) Left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left()
}

// Check says, by this process's own clocks and without asking anybody, whether
// the lease may still be believed in: nil, or ErrLost with the reason; once the
// handler has returned it may not. Ask it
// right before whatever must not be done late. It cannot stop what has been sent
// already, nor a process that is paused right after it; a sink that compares
// tokens can.
func (l *Lease) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left() > 0 {
		return nil
	}
	return l.lost
}

// left is with mu held. A lease that is found to be over is lost from then on.
func (l *Lease) left() time.Duration {
	if l.lost != nil {
		return 0
	}
	left := l.span
	if left > 0 { // else it was never granted, and has no clock
		left -= l.cfg.since(l.from)
	}
	if left <= 0 {
		l.lost = fmt.Errorf("lease %s of token %d: no renewal was answered in time: %w", l.ID(), l.Token, ErrLost)
		return 0
	}
	return left
}

// prolong counts anew from the moment before the renewal was sent. A lease that
// is lost stays so.
func (l *Lease) prolong(from moment, span time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left() > 0 {
		l.from, l.span = from, span
	}
}

// lose ends the belief in the lease and answers why it ended: the first reason
// counts.
func (l *Lease) lose(why string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left() > 0 {
		l.lost = fmt.Errorf("lease %s of token %d: %s: %w", l.ID(), l.Token, why, ErrLost)
	}
	return l.lost
}

// finish asks the handler to come to an end.
func (l *Lease) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.finished {
		l.finished = true
		close(l.draining)
	}
}

// asked reports whether the handler was asked to come to an end.
func (l *Lease) asked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.finished
}

// Lost reports whether an error says that a lease is lost.
func Lost(err error) bool { return errors.Is(err, ErrLost) }
