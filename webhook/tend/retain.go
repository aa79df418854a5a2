package tend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// Bounds of one Retain.
const (
	// MaxRemoved is how many segments one call removes at most; the next goes on.
	MaxRemoved = 20_000
	page       = 1000
)

// Retention says what may go.
type Retention struct {
	Store      buffer.Store
	Partitions int
	// Keep is the age from which a finished segment goes: until then it can be
	// replayed. At least ledger.MinKeep.
	Keep time.Duration
	// Positions tells how far a partition has come, by its current head.
	Positions func(ctx context.Context, partition uint32) (map[string]ledger.Position, error)
}

// Removed is what a Retain has removed.
type Removed struct {
	Segments int
	Streams  int
	More     bool // MaxRemoved was reached
}

// Retain removes segments that are older than Keep and that every partition they
// are for has finished, then streams that have none left and whose receiver was
// not heard of for Keep. Nothing unfinished is ever removed, however old.
func Retain(ctx context.Context, r Retention) (Removed, error) {
	if r.Keep < ledger.MinKeep {
		return Removed{}, fmt.Errorf("segments are to be kept for %s: must be at least %s", r.Keep, ledger.MinKeep)
	}
	k := keeper{Retention: r, at: make([]map[string]ledger.Position, r.Partitions)}
	for p := range r.Partitions {
		var err error
		if k.at[p], err = r.Positions(ctx, uint32(p)); err != nil {
			return Removed{}, fmt.Errorf("positions of partition %d: %w", p, err)
		}
	}
	now, err := clock(ctx, r.Store)
	if err != nil {
		return Removed{}, err
	}
	k.oldest = now.Add(-r.Keep)
	err = eachKey(ctx, r.Store, webhook.PrefixReceivers, func(i buffer.Info) error { return k.stream(ctx, i) })
	if errors.Is(err, errEnough) {
		k.removed.More, err = true, nil
	}
	return k.removed, err
}

type keeper struct {
	Retention
	at      []map[string]ledger.Position
	oldest  time.Time
	removed Removed
}

// errEnough ends a walk that has done its share.
var errEnough = errors.New("enough for now")

// stream removes what may go of one stream.
func (k *keeper) stream(ctx context.Context, rx buffer.Info) error {
	name := strings.TrimPrefix(rx.Key, webhook.PrefixReceivers)
	left := false
	err := eachKey(ctx, k.Store, webhook.SegmentPrefix(name), func(i buffer.Info) error {
		if s, ok := segmentOf(i.Key); !ok || i.Modified.After(k.oldest) || !k.finished(s) {
			left = true
			return nil
		}
		if k.removed.Segments == MaxRemoved {
			return errEnough
		}
		k.removed.Segments++
		return k.Store.Delete(ctx, i.Key, buffer.Condition{})
	})
	if err != nil || left {
		return err
	}
	if rx.Modified.After(k.oldest) { // even after its end, a write that was given up may land late
		return nil
	}
	k.removed.Streams++
	return k.Store.Delete(ctx, rx.Key, buffer.Condition{})
}

// segmentOf reads a segment's key; false for what is none.
func segmentOf(key string) (webhook.Segment, bool) {
	s, err := webhook.ParseSegment(key)
	return s, err == nil
}

// finished reports whether every partition is past the segment.
func (k *keeper) finished(s webhook.Segment) bool {
	for p, at := range k.at {
		if !s.Slots.Meets(webhook.SlotsOf(p, k.Partitions)) {
			continue
		}
		pos := at[s.Stream]
		if _, missing := slices.BinarySearch(pos.Missing, s.Number); s.Number >= pos.Next || missing {
			return false
		}
	}
	return true
}

// clock reads the store's clock: the age of an object that was just written.
func clock(ctx context.Context, store buffer.Store) (time.Time, error) {
	key := webhook.PrefixProbe + "clock-" + strings.ToLower(rand.Text())
	if _, err := store.Put(ctx, key, []byte("clock\n"), buffer.Condition{}); err != nil {
		return time.Time{}, fmt.Errorf("the store's clock: %w", err)
	}
	o, err := store.Get(ctx, key)
	if err != nil {
		return time.Time{}, fmt.Errorf("the store's clock: %w", err)
	}
	return o.Modified, store.Delete(ctx, key, buffer.Condition{})
}

// eachKey visits keys in order. What is written or removed meanwhile may or may
// not be visited.
func eachKey(ctx context.Context, store buffer.Store, prefix string, visit func(buffer.Info) error) error {
	for after := ""; ; {
		infos, more, err := store.List(ctx, prefix, after, page)
		if err != nil {
			return err
		}
		for _, i := range infos {
			if err := visit(i); err != nil {
				return err
			}
			after = i.Key
		}
		if !more || len(infos) == 0 {
			return nil
		}
	}
}
