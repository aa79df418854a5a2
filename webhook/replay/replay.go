package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/again"
	"github.com/pointsman/pointsman/webhook/buffer"
)

const (
	// DefaultLate is how far behind an event that arrived in time others are looked
	// for in a stream: so long they may have stood in a receiver's spill.
	DefaultLate = 24 * time.Hour
	// MaxOpen is how many streams are read at once. Of more that overlap, the order
	// over streams is that in which they began.
	MaxOpen = 16
	// MaxStreams is how many streams a buffer may have for a replay.
	MaxStreams = 1 << 16
	// MaxRows is how many shops and topics are counted by themselves.
	MaxRows = 10000
	// maxDamaged is how many damaged segments are named.
	maxDamaged = 10

	skew = time.Hour // by which a receiver's clock may be ahead of the store's
)

// ErrConfig is returned for a Config that makes no sense.
var ErrConfig = errors.New("replay cannot be done")

// Config says what is put in again.
type Config struct {
	Store    buffer.Store
	ID       string    // webhook.ValidReplay
	From, To time.Time // arrival, by the receivers' clocks; To itself is not in
	Late     time.Duration
	App      string // empty: any
	Shop     string // empty: any
	Topic    string // empty: any
	Replays  bool   // those too that were put in again
	Dry      bool   // counts, and writes nothing
	Told     func(Done)
}

// Row is a shop and topic of an app.
type Row struct{ App, Shop, Topic string }

// Done is what came of it, or has so far.
type Done struct {
	Segments int    // read
	Events   int    // put in again, or with Dry: would be; one that is stored twice counts twice
	Redacted int    // left out: their bodies were taken out on request
	Again    int    // left out: they were put in again themselves
	Stream   string // that they were put into
	At       time.Time
	Rows     map[Row]int // with Dry
	Others   int         // beyond MaxRows
	Damaged  []string    // keys of segments that cannot be read; the first ones
	Unread   int         // how many they are
}

// Run puts events in again. After an error the same Config does the rest: what was
// put in already is worked once. With damaged segments there is no error.
func Run(ctx context.Context, cfg Config) (Done, error) {
	if !webhook.ValidReplay(cfg.ID) || !cfg.From.Before(cfg.To) || cfg.Late < 0 {
		return Done{}, fmt.Errorf("%w: id %q, from %s to %s, late %s", ErrConfig, cfg.ID, cfg.From, cfg.To, cfg.Late)
	}
	r := &run{Config: cfg, stream: again.New(cfg.Store, "replay")}
	r.done.Rows = map[Row]int{}
	streams, err := r.streams(ctx)
	if err == nil {
		err = r.merge(ctx, streams)
	}
	err = errors.Join(err, r.stream.Close(ctx))
	r.done.Stream = r.stream.Name()
	return r.done, err
}

type run struct {
	Config
	stream *again.Stream
	done   Done
}

// streams are those that have segments, in the order in which they began: one
// request for each.
func (r *run) streams(ctx context.Context) ([]*cursor, error) {
	var all []*cursor
	for after, more := webhook.PrefixSegments, true; more; {
		page, next, err := r.Store.List(ctx, webhook.PrefixSegments, after, 1)
		if err != nil {
			return nil, fmt.Errorf("list streams: %w", err)
		}
		if len(page) == 0 {
			break
		}
		after, more = page[0].Key, next
		name, _, ok := strings.Cut(strings.TrimPrefix(after, webhook.PrefixSegments), "/")
		if !ok || !webhook.ValidStream(name) {
			continue
		}
		after = webhook.SegmentPrefix(name) + "g" // sorts behind every number
		if c := r.cursor(name); !c.began.After(r.To.Add(r.Late)) {
			all = append(all, c)
		}
		if len(all) > MaxStreams {
			return nil, fmt.Errorf("%w: the buffer has more than %d streams", ErrConfig, MaxStreams)
		}
	}
	slices.SortStableFunc(all, func(a, b *cursor) int { return a.began.Compare(b.began) })
	return all, nil
}

// merge goes over the streams and takes the event that arrived first, again and
// again. A stream is read from when the merge has come to its beginning.
func (r *run) merge(ctx context.Context, waiting []*cursor) error {
	var open []*cursor
	for {
		head := first(open)
		for len(waiting) > 0 && len(open) < MaxOpen && (head < 0 || !waiting[0].began.After(open[head].events[0].Arrived)) {
			c := waiting[0]
			waiting = waiting[1:]
			ok, err := c.fill(ctx)
			if err != nil {
				return err
			}
			if ok {
				open = append(open, c)
				head = first(open)
			}
		}
		if head < 0 {
			return nil
		}
		c := open[head]
		if err := r.take(ctx, c.events[0]); err != nil {
			return err
		}
		c.events = c.events[1:]
		ok, err := c.fill(ctx)
		if err != nil {
			return err
		}
		if !ok {
			open = slices.Delete(open, head, head+1)
		}
	}
}

// first is the cursor whose event arrived first; -1 without any.
func first(open []*cursor) int {
	best := -1
	for i, c := range open {
		if best < 0 || c.events[0].Arrived.Before(open[best].events[0].Arrived) {
			best = i
		}
	}
	return best
}

func (r *run) take(ctx context.Context, e webhook.Event) error {
	r.done.Events++
	r.done.At = e.Arrived
	if r.Dry {
		row := Row{App: e.App, Shop: e.Shop, Topic: e.Topic}
		if _, ok := r.done.Rows[row]; ok || len(r.done.Rows) < MaxRows {
			r.done.Rows[row]++
		} else {
			r.done.Others++
		}
	} else {
		e.Replay = r.ID
		if err := r.stream.Add(ctx, e); err != nil {
			return err
		}
	}
	r.Told(r.done)
	return nil
}

// mayHold reports whether a segment can have an event that is looked for, by when
// it was written and whose shops are in it.
func (r *run) mayHold(seg webhook.Segment, o buffer.Info) bool {
	if r.App != "" && r.Shop != "" && !seg.Slots.Has(webhook.SlotOf(r.App, r.Shop)) {
		return false
	}
	return !o.Modified.Before(r.From.Add(-skew))
}

// over reports whether the segments behind these events have nothing that is
// looked for: arrival never falls within a stream, but for what comes from a spill.
func (r *run) over(events []webhook.Event) bool {
	return slices.ContainsFunc(events, func(e webhook.Event) bool { return e.Arrived.After(r.To.Add(r.Late)) })
}

// chosen are the events of a segment that are put in again.
func (r *run) chosen(events []webhook.Event) []webhook.Event {
	return slices.DeleteFunc(events, func(e webhook.Event) bool {
		switch {
		case e.Arrived.Before(r.From), !e.Arrived.Before(r.To),
			r.App != "" && e.App != r.App, r.Shop != "" && e.Shop != r.Shop, r.Topic != "" && e.Topic != r.Topic,
			e.Replay == r.ID:
			return true
		case e.Replay != "" && !r.Replays:
			r.done.Again++
			return true
		case e.Redacted:
			r.done.Redacted++
			return true
		}
		return false
	})
}

func (r *run) damaged(key string) {
	if r.done.Unread++; len(r.done.Damaged) < maxDamaged {
		r.done.Damaged = append(r.done.Damaged, key)
	}
}
