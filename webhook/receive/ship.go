package receive

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/pointsman/pointsman/webhook"
)

const (
	joinedBytes = 16 << 20               // of spilled batches in one segment
	shipTry     = 5 * time.Second        // longest try to write one
	shipPause   = 500 * time.Millisecond // after one that is not tried on
)

// ships brings what is spilled to the store, the oldest first, until ctx ends.
func (r *Receiver) ships(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-r.announced:
	}
	apart := time.NewTicker(apartEvery)
	defer apart.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.spill.changed:
		case <-apart.C:
			for _, number := range r.spill.lookApart() {
				r.damaged(number)
			}
		}
		for r.spill.standing().events > 0 {
			if err := r.ship(ctx); err != nil {
				r.told.warn("spill not shipped", "ship", "error", err)
				select {
				case <-ctx.Done():
					return
				case <-time.After(shipPause):
				}
			}
		}
	}
}

// ship writes the oldest batches as one segment of this stream, and drops them.
// Killed in between it ships them twice, in one stream or two: workers find out.
func (r *Receiver) ship(ctx context.Context) error {
	files := r.spill.oldest()
	var events []webhook.Event
	for _, f := range files {
		some, _, err := r.spill.read(f.number)
		if errors.Is(err, webhook.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
			r.spill.aside(f.number)
			r.damaged(f.number)
			r.spill.forget([]spilledBatch{f})
			return err
		}
		if err != nil {
			if r.spill.unread(f) {
				r.log.Error("file of the spill cannot be read, others go on", "number", f.number, "events", f.events, "error", err)
			}
			return err
		}
		events = append(events, some...)
	}
	s, err := r.segment(r.number.Add(1)-1, events)
	if err != nil {
		return err
	}
	if err := r.write(ctx, s, shipTry, true); err != nil {
		return err
	}
	r.meters.shipped.Add(float64(len(events)))
	if err := r.spill.drop(files); err != nil {
		r.meters.undeleted.Inc()
		r.log.Error("shipped files of the spill not deleted, the next start ships them again", "files", len(files), "error", err)
	}
	return nil
}

func (r *Receiver) damaged(number uint64) {
	r.meters.damaged.Inc()
	r.log.Error("file of the spill is damaged, kept aside, or gone", "number", number)
}
