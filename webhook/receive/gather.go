package receive

import (
	"sync"
	"time"

	"github.com/pointsman/pointsman/webhook"
)

const (
	batchBytes = 8 << 20 // of bodies in a batch that has more than one
	maxJoined  = 1024    // events of one segment
)

// ticket is an event on its way to the store.
type ticket struct {
	event webhook.Event
	room  int64     // bytes of memory that its body has
	until time.Time // when the store has to have it
	done  chan struct{}
	end   outcome // stored, spilled or unavailable; read after done
}

// batch is what becomes one segment.
type batch struct {
	tickets []*ticket
	bytes   int
	until   time.Time // the earliest of its tickets
}

func (b *batch) events() []webhook.Event {
	events := make([]webhook.Event, len(b.tickets))
	for i, t := range b.tickets {
		events[i] = t.event
	}
	return events
}

// gatherer makes batches of tickets: one is closed when its first ticket has
// waited for the linger, or when it is full. Closed ones wait in order.
type gatherer struct {
	linger time.Duration
	most   int

	began time.Time // wall and monotonic clock of the stream's start

	mu     sync.Mutex
	wake   sync.Cond
	open   *batch
	closed []*batch
	over   bool
}

func newGatherer(linger time.Duration, most int, began time.Time) *gatherer {
	g := &gatherer{linger: linger, most: most, began: began}
	g.wake.L = &g.mu
	return g
}

// add puts a ticket into the open batch, and says when it arrived; false after
// stop.
func (g *gatherer) add(t *ticket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return false
	}
	t.event.Arrived = time.Unix(0, g.began.UnixNano()+int64(time.Since(g.began)))
	if g.open != nil && g.open.bytes+len(t.event.Body) > batchBytes {
		g.close()
	}
	if g.open == nil {
		b := &batch{tickets: make([]*ticket, 0, g.most), until: t.until}
		g.open = b
		if g.linger > 0 {
			time.AfterFunc(g.linger, func() { g.lingered(b) })
		}
	}
	b := g.open
	b.tickets = append(b.tickets, t)
	b.bytes += len(t.event.Body)
	if t.until.Before(b.until) {
		b.until = t.until
	}
	if len(b.tickets) >= g.most || b.bytes >= batchBytes || g.linger <= 0 {
		g.close()
	}
	return true
}

func (g *gatherer) lingered(b *batch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == b {
		g.close()
	}
}

// close ends the open batch; mu is held.
func (g *gatherer) close() {
	g.closed = append(g.closed, g.open)
	g.open = nil
	g.wake.Signal()
}

// next waits for a batch and takes it; nil after stop when none is left.
func (g *gatherer) next() *batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.closed) == 0 {
		if g.over {
			return nil
		}
		g.wake.Wait()
	}
	b := g.closed[0]
	g.closed[0] = nil
	g.closed = g.closed[1:]
	return b
}

// stop takes no more tickets; what is gathered can still be taken.
func (g *gatherer) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != nil {
		g.close()
	}
	g.over = true
	g.wake.Broadcast()
}
