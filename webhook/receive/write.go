package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// Times of one write.
const (
	pauseFirst = 25 * time.Millisecond // between two tries; then longer
	pauseMost  = 400 * time.Millisecond
	lookTry    = 500 * time.Millisecond // longest look for what a try has left
)

// errForeign is why a write is given up when another object has its key.
var errForeign = errors.New("an object that is not ours has the key")

// segment is events as one object.
type segment struct {
	webhook.Segment
	bytes  []byte
	events int
}

// segment encodes events as the segment of a number.
func (r *Receiver) segment(number uint64, events []webhook.Event) (segment, error) {
	s := segment{Segment: webhook.Segment{Stream: r.stream, Number: number}, events: len(events)}
	for _, e := range events {
		s.Slots.Add(e.Slot())
	}
	var err error
	s.bytes, err = webhook.EncodeSegment(events)
	return s, err
}

// write puts a segment into the store, and tries again until ctx ends as long as
// nobody knows whether it is there; longest bounds each try. Who is not
// patient gives up once the store is known to be down. Nil says that it can be
// read back.
func (r *Receiver) write(ctx context.Context, s segment, longest time.Duration, patient bool) error {
	for pause := pauseFirst; ; pause = min(2*pause, pauseMost) {
		err := r.try(ctx, s, longest)
		if err == nil {
			r.meters.events.Observe(float64(s.events))
			r.meters.bytes.Observe(float64(len(s.bytes)))
			return nil
		}
		if errors.Is(err, buffer.ErrRefused) || errors.Is(err, errForeign) || !patient && !r.breaker.closed() {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // jitter, no secret
		}
	}
}

// try writes once. An object that is there all the same is ours when its bytes
// are: then this try or an earlier one has landed.
func (r *Receiver) try(ctx context.Context, s segment, longest time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	began := time.Now()
	_, err := r.c.Store.Put(bounded, s.Key(), s.bytes, buffer.Condition{Absent: true})
	result := "ok"
	if err != nil {
		result = "error"
		r.meters.errors.WithLabelValues("put").Inc()
	}
	r.meters.puts.WithLabelValues(result).Observe(time.Since(began).Seconds())
	if err != nil && !errors.Is(err, buffer.ErrRefused) {
		err = r.landed(ctx, s, err)
	}
	r.breaker.tell(err == nil)
	return err
}

// landed reads back a segment whose write went wrong; nil when it is there.
func (r *Receiver) landed(ctx context.Context, s segment, wrong error) error {
	bounded, cancel := context.WithTimeout(ctx, lookTry)
	defer cancel()
	err := r.compare(bounded, s.Key(), s.bytes)
	if err == nil || errors.Is(err, errForeign) {
		return err
	}
	return wrong
}

// compare reads an object back; nil when it has these bytes.
func (r *Receiver) compare(ctx context.Context, key string, want []byte) error {
	have, err := r.c.Store.Get(ctx, key)
	switch {
	case errors.Is(err, buffer.ErrNotFound):
		return err
	case err != nil:
		r.meters.errors.WithLabelValues("get").Inc()
		return fmt.Errorf("read back %s: %w", key, err)
	case !bytes.Equal(have.Body, want):
		return fmt.Errorf("%s: %w", key, errForeign)
	}
	return nil
}
