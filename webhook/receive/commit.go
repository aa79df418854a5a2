package receive

import (
	"context"
	"time"

	"github.com/pointsman/pointsman/webhook"
)

// place is where a batch goes first.
type place int

const (
	toStore place = iota
	toSpill
	nowhere // the store is down, and there is no spill
)

// commits writes batches until there are no more. Several run at once.
func (r *Receiver) commits() {
	for {
		b, number, where := r.take()
		if b == nil {
			return
		}
		r.finish(b, r.commit(b, number, where))
	}
}

// take takes the next batch, and in the same order its place in the stream or in
// the spill.
func (r *Receiver) take() (b *batch, number uint64, where place) {
	r.turn.Lock()
	defer r.turn.Unlock()
	if b = r.gatherer.next(); b == nil {
		return nil, 0, nowhere
	}
	behind := r.spill.takes() && r.spill.standing().events > 0 && r.spill.room(b.bytes) == ""
	switch {
	case !behind && r.known.Load() && r.breaker.allow():
		return b, r.number.Add(1) - 1, toStore
	case r.spill.takes():
		return b, r.spill.number(), toSpill
	}
	return b, 0, nowhere
}

// commit keeps a batch, in the other place if the first one fails.
func (r *Receiver) commit(b *batch, number uint64, where place) outcome {
	events := b.events()
	switch where {
	case toStore:
		if r.toStore(b, number, events) {
			return stored
		}
		if r.spill.takes() && r.toSpill(r.spill.number(), events) {
			return spilled
		}
	case toSpill:
		if r.toSpill(number, events) {
			return spilled
		}
		if r.known.Load() && r.toStore(b, r.number.Add(1)-1, events) {
			return stored
		}
	case nowhere:
	}
	return unavailable
}

// toStore writes a batch to the store while there is time.
func (r *Receiver) toStore(b *batch, number uint64, events []webhook.Event) bool {
	until := b.until
	if r.spill.takes() {
		until = until.Add(-spillNeeds)
	}
	if !time.Now().Before(until) {
		return false
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	s, err := r.segment(number, events)
	if err == nil {
		err = r.write(ctx, s, firstTry)
	}
	if err != nil {
		r.told.warn("segment not stored", "store", "number", number, "events", len(events), "error", err)
	}
	return err == nil
}

// toSpill writes a batch to this machine's disk.
func (r *Receiver) toSpill(number uint64, events []webhook.Event) bool {
	why, err := r.spill.put(number, events)
	if why == "" {
		r.meters.spillIn.Add(float64(len(events)))
		return true
	}
	r.meters.unspilled.WithLabelValues(why).Inc()
	r.told.warn("batch not spilled", "spill", "reason", why, "events", len(events), "error", err)
	return false
}

// finish tells everybody who waits for a batch.
func (r *Receiver) finish(b *batch, o outcome) {
	for _, t := range b.tickets {
		r.seen.end(t, o != unavailable)
		t.end, t.event.Body = o, nil
		r.memory.give(t.room)
		close(t.done)
	}
}
