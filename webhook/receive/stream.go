package receive

import (
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

const (
	beatEvery = 10 * time.Second
	beatTry   = 5 * time.Second // longest write of one
)

// newStream names the stream of a start.
func newStream(name string, began time.Time) string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return fmt.Sprintf("%s-%012x-%x", name, began.UnixMilli()&(1<<48-1), random)
}

// lives makes the stream known, then beats until ctx ends.
func (r *Receiver) lives(ctx context.Context) {
	if !r.announce(ctx) {
		return
	}
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.beat++
			if err := r.tell(ctx, r.object(0), buffer.Condition{}); err != nil && ctx.Err() == nil {
				r.told.warn("beat not written", "beat", "error", err)
			}
		}
	}
}

// announce writes the stream's object until it is there; false when ctx ended
// first. No segment is written before.
func (r *Receiver) announce(ctx context.Context) bool {
	first := r.object(0)
	for pause := pauseFirst; ; pause = min(2*pause, pauseMost) {
		err := r.tell(ctx, first, buffer.Condition{Absent: true})
		if err == nil {
			r.known.Store(true)
			close(r.announced)
			r.log.Info("stream begins", "stream", r.stream)
			return true
		}
		r.told.warn("stream not made known", "announce", "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

// object is what the stream's object holds now; an end of 0 says that it goes
// on.
func (r *Receiver) object(end uint64) []byte {
	b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&webhookv1.Receiver{
		Name: r.c.Name, Beat: r.beat, End: end, Spilled: uint64(r.spill.standing().events),
	})
	if err != nil {
		panic(err) // the name is checked, and nothing else is text
	}
	return b
}

// tell writes the stream's object.
func (r *Receiver) tell(ctx context.Context, b []byte, c buffer.Condition) error {
	bounded, cancel := context.WithTimeout(ctx, beatTry)
	defer cancel()
	key := webhook.ReceiverKey(r.stream)
	_, err := r.c.Store.Put(bounded, key, b, c)
	if errors.Is(err, buffer.ErrCondition) { // an earlier try has landed
		err = r.compare(bounded, key, b)
	}
	if err != nil {
		r.meters.errors.WithLabelValues("beat").Inc()
	}
	return err
}
