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
	toWait // the stream is not known yet, and there is no spill
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
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	if b = r.gatherer.next(); b == nil {
		return nil, 0, toWait
	}
	behind := r.spill.takes() && (!r.breaker.closed() || !r.known.Load() || r.spill.standing().events > 0 && r.spill.room(onDisk(b.bytes)) == "")
	switch {
	case behind:
		return b, r.spill.number(), toSpill
	case !r.known.Load(), !time.Now().Before(b.until):
		return b, 0, toWait
	}
	return b, r.number.Add(1) - 1, toStore
}

// commit keeps a batch, in the other place if the first one fails.
func (r *Receiver) commit(b *batch, number uint64, where place) outcome {
	events := b.events()
	switch where {
	case toStore:
		if r.toStore(b, number, events, !r.spill.takes()) {
			return stored
		}
		if r.spill.takes() && r.toSpill(r.spill.number(), events) {
			return spilled
		}
		return unavailable
	case toSpill:
		if r.toSpill(number, events) {
			return spilled
		}
	case toWait:
	}
	select {
	case <-r.announced:
	case <-time.After(time.Until(b.until)):
	}
	if r.known.Load() && time.Now().Before(b.until) && r.toStore(b, r.number.Add(1)-1, events, true) {
		return stored
	}
	return unavailable
}

// toStore writes a batch to the store while there is time; without patience it
// leaves some of it to the spill.
func (r *Receiver) toStore(b *batch, number uint64, events []webhook.Event, patient bool) bool {
	until := b.until
	if !patient {
		until = until.Add(-spillNeeds)
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	s, err := r.segment(number, events)
	if err == nil {
		err = r.write(ctx, s, firstTry, patient)
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
