package work

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/tend"
)

// Bounds of one go at reading.
const (
	goSegments = 64 // read, over all streams
	goEntries  = 512
	goStream   = 16 // read, of one stream
)

// goal is what one go is to read of a stream.
type goal struct {
	name   string
	cursor uint64
	looks  []uint64 // missing numbers whose turn it is
	young  []uint64 // those that are looked for before what is new
}

// haul is what a go has read of a stream.
type haul struct {
	name    string
	takes   []*take
	through uint64   // the cursor to go on from
	absent  []uint64 // numbers below through that were not seen
	looked  []uint64 // of the goal's that were looked for
	short   bool     // it was cut
}

// take is one segment that is there.
type take struct {
	number uint64
	key    string
	mine   bool // it may hold events of this partition
	late   bool // it was missing before
	events []event
	err    error
	put    map[*shop]bool // shops that come back for their events
}

// event is one of a segment, without what only a handler needs.
type event struct {
	webhook.Event
	index int
}

// reader reads for one partition. Its goroutine owns it.
type reader struct {
	feed     *feed
	segments *segments
	slots    webhook.SlotSet
	budget   int // events
}

// read carries out goals, as far as the budget goes. Failures of the store leave
// the rest for another go: the error says why.
func (r *reader) read(ctx context.Context, goals []goal) ([]*haul, error) {
	var hauls []*haul
	var failed error
	left := goSegments
	for _, g := range goals { // in random order: they are of a map
		h := &haul{name: g.name, through: g.cursor}
		hauls = append(hauls, h)
		err := r.find(ctx, g, h, &left)
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, context.DeadlineExceeded) { // the others are not to wait as long each
			break
		}
	}
	var all sync.WaitGroup
	for _, h := range hauls {
		for _, t := range h.takes {
			if t.mine {
				all.Go(func() { t.events, t.err = r.open(ctx, t.key) })
			}
		}
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return hauls, errors.Join(failed, r.trim(hauls))
}

// find lists what there is of a stream: takes without their events. What was
// missing comes first: it was written before what is new was sent.
func (r *reader) find(ctx context.Context, g goal, h *haul, left *int) error {
	entries, through, err := r.feed.next(ctx, g.name, g.cursor, goEntries)
	if err != nil {
		return err
	}
	looks := g.looks
	if len(entries) > 0 {
		if entries, looks, err = r.recall(ctx, g, h, entries, through); err != nil {
			return err
		}
	}
	for _, n := range looks {
		e, ok, err := r.feed.look(ctx, g.name, n, r.feed.poll/2)
		if err != nil {
			return err
		}
		h.looked = append(h.looked, n)
		if ok {
			h.takes = append(h.takes, r.take(g.name, e, true))
		}
	}
	slices.SortFunc(h.takes, func(a, b *take) int { return cmp.Compare(a.number, b.number) })
	r.advance(g, h, entries, through, left)
	return nil
}

// recall looks, now that entries are known, for the young numbers below them and
// those between them. It answers the entries with what it has found there, and
// the looks that are left.
func (r *reader) recall(ctx context.Context, g goal, h *haul, entries []entry, through uint64) ([]entry, []uint64, error) {
	gaps := &haul{}
	expected := g.cursor
	for _, e := range entries {
		gaps.lack(expected, e.number)
		expected = e.number + 1
	}
	gaps.lack(expected, through)
	found, err := r.feed.recall(ctx, g.name, append(slices.Clone(g.young), gaps.absent...))
	if err != nil {
		return nil, nil, err
	}
	for _, e := range found {
		if e.number < g.cursor {
			h.takes = append(h.takes, r.take(g.name, e, true))
		} else {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.number, b.number) })
	h.looked = append(h.looked, g.young...)
	looks := slices.DeleteFunc(slices.Clone(g.looks), func(n uint64) bool { _, ok := slices.BinarySearch(g.young, n); return ok })
	return entries, looks, nil
}

// advance takes entries as far as one go may read.
func (r *reader) advance(g goal, h *haul, entries []entry, through uint64, left *int) {
	expected, reads := g.cursor, 0
	for _, e := range entries {
		t := r.take(g.name, e, false)
		if t.mine {
			if reads == goStream || *left <= 0 {
				h.through = e.number
				break
			}
			reads++
			*left--
		}
		h.lack(expected, e.number)
		if t.mine {
			h.takes = append(h.takes, t)
		}
		expected = e.number + 1
		h.through = expected
	}
	if len(entries) == 0 || h.through > entries[len(entries)-1].number {
		h.lack(expected, through)
		h.through = through
	} else {
		h.lack(expected, h.through)
	}
}

// lack notes the numbers from one up to another, at most as many as are ever
// looked for: the highest.
func (h *haul) lack(from, to uint64) {
	if to > from && to-from > maxLack {
		from = to - maxLack
	}
	for n := from; n < to; n++ {
		h.absent = append(h.absent, n)
	}
}

const maxLack = 512

func (r *reader) take(name string, e entry, late bool) *take {
	t := &take{number: e.number, mine: e.slots.Meets(r.slots), late: late}
	if t.mine {
		t.key = webhook.Segment{Stream: name, Number: e.number, Slots: e.slots}.Key()
	}
	return t
}

// open reads a segment's events of this partition.
func (r *reader) open(ctx context.Context, key string) ([]event, error) {
	all, err := r.segments.read(ctx, key)
	if err != nil {
		return nil, err
	}
	var mine []event
	for i, e := range all {
		if r.slots.Has(e.Slot()) {
			one := webhook.Event{ID: e.ID, Sum: e.Sum, App: e.App, Shop: e.Shop, Arrived: e.Arrived, Replay: e.Replay}
			if tend.Asks(e) {
				one.Topic = e.Topic
			}
			mine = append(mine, event{Event: one, index: i})
		}
	}
	return mine, nil
}

// trim cuts each haul where the store failed or the budget was used up: by turns,
// so that no stream uses up all of it.
func (r *reader) trim(hauls []*haul) error {
	var failed error
	cut := map[*haul]int{}
	for i, more := 0, true; more; i++ {
		more = false
		for _, h := range hauls {
			if _, done := cut[h]; done || i >= len(h.takes) {
				continue
			}
			t := h.takes[i]
			if t.err != nil && !lasting(t.err) || r.budget <= 0 {
				cut[h] = i
				failed = errors.Join(failed, t.err)
				continue
			}
			r.budget -= len(t.events)
			more = true
		}
	}
	for h, i := range cut {
		h.cut(i)
	}
	return failed
}

// cut takes back what comes from the i-th take on.
func (h *haul) cut(i int) {
	h.short = true
	for _, t := range h.takes[i:] {
		if t.late { // it is looked for again
			h.looked = slices.DeleteFunc(h.looked, func(n uint64) bool { return n == t.number })
			continue
		}
		h.through = min(h.through, t.number)
	}
	h.takes = h.takes[:i]
	h.absent = slices.DeleteFunc(h.absent, func(n uint64) bool { return n >= h.through })
}

// lasting reports whether reading a segment again at once has no use: it counts
// as missing then.
func lasting(err error) bool {
	return errors.Is(err, webhook.ErrDamaged) || errors.Is(err, buffer.ErrNotFound)
}

// merged are the events of a go in the order in which they are to be handed out:
// exact within a stream, by the receivers' clocks between streams.
func merged(hauls []*haul) []arrival {
	var all []arrival
	for _, h := range hauls {
		var newest time.Time
		for _, t := range h.takes {
			for _, e := range t.events {
				if e.Arrived.After(newest) {
					newest = e.Arrived
				}
				all = append(all, arrival{haul: h, take: t, event: e, at: newest})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return a.at.Compare(b.at) })
	return all
}

// arrival is an event with where it stands and when it counts as arrived.
type arrival struct {
	haul  *haul
	take  *take
	event event
	at    time.Time
}
