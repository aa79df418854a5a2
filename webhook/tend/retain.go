package tend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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

// Removed is what a Retain has done.
type Removed struct {
	Segments int
	Streams  int
	Found    int  // streams with unfinished segments that were not known any more, and are again
	More     bool // MaxRemoved was reached
}

// Retain removes segments that are older than Keep and that every partition they
// are for has finished, then streams that have none left and whose receiver was
// not heard of for Keep. Nothing unfinished is ever removed, however old.
func Retain(ctx context.Context, r Retention) (Removed, error) {
	if r.Keep < ledger.MinKeep {
		return Removed{}, fmt.Errorf("segments are to be kept for %s: must be at least %s", r.Keep, ledger.MinKeep)
	}
	k := keeper{Retention: r, at: make([]map[string]ledger.Position, r.Partitions), known: map[string]bool{}}
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
	if err == nil {
		err = k.unknown(ctx)
	}
	if errors.Is(err, errEnough) {
		k.removed.More, err = true, nil
	}
	return k.removed, err
}

type keeper struct {
	Retention
	at      []map[string]ledger.Position
	known   map[string]bool // streams with a receiver's object
	oldest  time.Time
	removed Removed
}

// errEnough ends a walk that has done its share, errYoung one that has come to
// what is kept.
var (
	errEnough = errors.New("enough for now")
	errYoung  = errors.New("the rest is kept")
)

// stream removes what may go of one stream.
func (k *keeper) stream(ctx context.Context, rx buffer.Info) error {
	name := strings.TrimPrefix(rx.Key, webhook.PrefixReceivers)
	k.known[name] = true
	left, err := k.segments(ctx, name)
	if err != nil {
		return err
	}
	if left || rx.Modified.After(k.oldest) { // even after its end, a write that was given up may land late
		return nil
	}
	k.removed.Streams++
	return k.Store.Delete(ctx, rx.Key, buffer.Condition{})
}

// segments removes the old and finished ones of a stream, and reports whether any
// is left. Numbers rise with time, but for writes that landed late.
func (k *keeper) segments(ctx context.Context, name string) (left bool, err error) {
	var old []string
	err = eachKey(ctx, k.Store, webhook.SegmentPrefix(name), func(i buffer.Info) error {
		s, ok := segmentOf(i.Key)
		switch {
		case i.Modified.After(k.oldest):
			left = true
			return errYoung
		case !ok || !k.finished(s):
			left = true
			return nil
		}
		if old = append(old, i.Key); len(old) < page {
			return nil
		}
		defer func() { old = old[:0] }()
		return k.remove(ctx, old)
	})
	if err == nil || errors.Is(err, errYoung) {
		err = k.remove(ctx, old)
	}
	return left, err
}

// remove deletes segments, several at a time.
func (k *keeper) remove(ctx context.Context, keys []string) error {
	if k.removed.Segments+len(keys) > MaxRemoved {
		return errEnough
	}
	var all sync.WaitGroup
	errs := make([]error, removers)
	for n := range removers {
		all.Go(func() {
			for i := n; i < len(keys) && errs[n] == nil; i += removers {
				errs[n] = k.Store.Delete(ctx, keys[i], buffer.Condition{})
			}
		})
	}
	all.Wait()
	k.removed.Segments += len(keys)
	return errors.Join(errs...)
}

const removers = 8

// unknown makes streams known again that have segments and no receiver's object:
// their receiver's machine had stood still for so long that the stream was given
// up, and wrote when it woke.
func (k *keeper) unknown(ctx context.Context) error {
	for after := webhook.PrefixSegments; ; {
		first, _, err := k.Store.List(ctx, webhook.PrefixSegments, after, 1)
		if err != nil || len(first) == 0 {
			return err
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(first[0].Key, webhook.PrefixSegments), "/")
		after = webhook.SegmentPrefix(name) + "z" // sorts behind every number
		if k.known[name] || !webhook.ValidStream(name) {
			continue
		}
		if _, err := k.Store.Put(ctx, webhook.ReceiverKey(name), nil, buffer.Condition{Absent: true}); err != nil && !errors.Is(err, buffer.ErrCondition) {
			return err
		}
		k.removed.Found++
	}
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
