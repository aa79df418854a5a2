package again

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// Bounds of a segment that is written here.
const (
	MaxEvents = 1024
	MaxBytes  = 16 << 20 // but one event may be larger by itself
	beatEvery = 10 * time.Second
	waitMost  = 5 * time.Second // of an event that was taken, as long as Tick is called
)

// Stream takes events and writes them in their order. One goroutine at a time
// may use it.
type Stream struct {
	store buffer.Store
	label string // first part of its name
	name  string // empty until the first segment
	next  uint64
	beat  uint64
	told  time.Time // when the stream's object was written last

	batch  []webhook.Event
	bytes  int
	since  time.Time // when the first of the batch was taken
	failed error     // once set it stays
}

// New answers a stream that writes nothing before the first event; label, lower-case
// letters, begins its name.
func New(store buffer.Store, label string) *Stream { return &Stream{store: store, label: label} }

// Name is the stream's; empty as long as nothing was written.
func (s *Stream) Name() string { return s.name }

// Add takes an event, whose body is copied, and writes a segment when there is
// enough for one. Its time of arrival becomes now.
func (s *Stream) Add(ctx context.Context, e webhook.Event) error {
	e.Arrived, e.Body = time.Now(), bytes.Clone(e.Body)
	size := webhook.SegmentSize(e)
	if len(s.batch) == MaxEvents || len(s.batch) > 0 && s.bytes+size > MaxBytes {
		if err := s.Flush(ctx); err != nil {
			return err
		}
	}
	if len(s.batch) == 0 {
		s.since = e.Arrived
	}
	s.batch, s.bytes = append(s.batch, e), s.bytes+size
	return nil
}

// Tick writes what was taken when it has waited for some seconds. A body that has
// to go on request must not come back from memory long after.
func (s *Stream) Tick(ctx context.Context) error {
	if len(s.batch) == 0 || time.Since(s.since) < waitMost {
		return nil
	}
	return s.Flush(ctx)
}

// Flush writes what was taken; nil says that all of it can be read back. After
// an error nobody knows about the last segment, and the stream is of no more use.
func (s *Stream) Flush(ctx context.Context) error {
	if s.failed == nil && len(s.batch) > 0 {
		s.failed = s.flush(ctx)
	}
	return s.failed
}

func (s *Stream) flush(ctx context.Context) error {
	if err := s.announce(ctx); err != nil {
		return err
	}
	seg := webhook.Segment{Stream: s.name, Number: s.next}
	for _, e := range s.batch {
		seg.Slots.Add(e.Slot())
	}
	b, err := webhook.EncodeSegment(s.batch)
	if err != nil {
		return err
	}
	s.next++
	if err := s.put(ctx, seg.Key(), b, buffer.Condition{Absent: true}); err != nil {
		return err
	}
	clear(s.batch)
	s.batch, s.bytes = s.batch[:0], 0
	return nil
}

// Close writes what was taken and says that no more will come. A stream that
// failed is ended too, as far as the store answers.
func (s *Stream) Close(ctx context.Context) error {
	err := s.Flush(ctx)
	if s.next == 0 {
		return err
	}
	return errors.Join(err, s.tell(ctx, s.next, buffer.Condition{}))
}

// announce makes the stream known, later that it lives.
func (s *Stream) announce(ctx context.Context) error {
	if s.name == "" {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		s.name = fmt.Sprintf("%s-%012x-%x", s.label, time.Now().UnixMilli()&(1<<48-1), random)
		return s.tell(ctx, 0, buffer.Condition{Absent: true})
	}
	if time.Since(s.told) < beatEvery {
		return nil
	}
	s.beat++
	return s.tell(ctx, 0, buffer.Condition{})
}

func (s *Stream) tell(ctx context.Context, end uint64, c buffer.Condition) error {
	b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&webhookv1.Receiver{Name: s.label, Beat: s.beat, End: end})
	if err != nil {
		return err
	}
	s.told = time.Now()
	return s.put(ctx, webhook.ReceiverKey(s.name), b, c)
}

// put writes an object and tries again while nobody knows whether it is there.
func (s *Stream) put(ctx context.Context, key string, body []byte, c buffer.Condition) error {
	return repeat(ctx, func(ctx context.Context) error {
		_, err := s.store.Put(ctx, key, body, c)
		if errors.Is(err, buffer.ErrCondition) { // an earlier try may have landed
			have, again := s.store.Get(ctx, key)
			if again != nil {
				return again
			}
			if bytes.Equal(have.Body, body) {
				return nil
			}
		}
		return err
	})
}
