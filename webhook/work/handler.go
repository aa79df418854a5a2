package work

import (
	"context"
	"fmt"
	"time"

	"github.com/pointsman/pointsman/webhook"
)

// Delivery is one call of a handler for one event.
type Delivery struct {
	// Event is what the shop has sent, with its body. The handler may keep it.
	Event webhook.Event
	// Token of the lease under which it is handed out. The tokens of one partition
	// only rise: a sink that keeps the highest can refuse who comes late.
	Token uint64
	// Partition that the event's shop belongs to.
	Partition uint32
	// Attempt counts the calls under this lease, from 1.
	Attempt int
	// Key is the idempotency key, 64 hex digits: the same in every call for this
	// event under any token, also when its dead letter is tried again; another one
	// for a replay.
	Key string
	// Deadline is when the call's context ends.
	Deadline time.Time
}

// Handler does the work of an event. It is called for several shops at once,
// never twice at a time for one shop, and for one event again until it has
// answered and that is on record. ctx ends at the deadline or when the lease is
// lost. Nil says that it is done. An error is tried again, unless it is marked
// by Permanent, RetryAfter, PauseShop, Fenced or Unavailable.
type Handler interface {
	Handle(ctx context.Context, d Delivery) error
}

// Func is a function as Handler.
type Func func(ctx context.Context, d Delivery) error

// Handle implements Handler.
func (f Func) Handle(ctx context.Context, d Delivery) error { return f(ctx, d) }

// call calls a handler. One that panics has failed.
func call(ctx context.Context, h Handler, d Delivery) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("handler panics: %v", r)
		}
	}()
	return h.Handle(ctx, d)
}
