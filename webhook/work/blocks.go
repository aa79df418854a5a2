package work

import (
	"context"
	"slices"
	"sort"
	"time"

	"github.com/pointsman/pointsman/webhook"
)

// A block is what was listed of blockSpan numbers of a stream. Blocks serve the
// loops of all partitions, however far behind each is.
const (
	blockSpan = 512
	maxBlocks = 512 // kept: 12 MB
	maxAbsent = 4096
	listPage  = 1000
)

// entry is a segment that is there.
type entry struct {
	number uint64
	slots  webhook.SlotSet
}

type blockKey struct {
	stream string
	block  uint64
}

// block is guarded by feed.mu.
type block struct {
	entries []entry // in order
	hi      uint64  // numbers below were listed
	used    uint64  // when, by feed.uses
}

// put adds an entry that is not there yet.
func (b *block) put(e entry) {
	i := b.from(e.number)
	if i < len(b.entries) && b.entries[i].number == e.number {
		return
	}
	b.entries = append(b.entries, entry{})
	copy(b.entries[i+1:], b.entries[i:])
	b.entries[i] = e
}

// from is the index of the first entry that has the number or a higher one.
func (b *block) from(number uint64) int {
	return sort.Search(len(b.entries), func(i int) bool { return b.entries[i].number >= number })
}

// next answers the segments of a stream from a number on, most at a time, and the
// number up to which they are all there is: what is not among them is missing.
// At the end of what is known it asks nobody; what lies further back is listed.
func (f *feed) next(ctx context.Context, name string, from uint64, most int) ([]entry, uint64, error) {
	beyond := uint64(0) // of what was listed just now: kept, it would hide what lands later
	for {
		f.mu.Lock()
		limit, loaded := f.want(name, from)
		b := f.blocks[blockKey{name, from / blockSpan}]
		if limit > from && b != nil && b.hi >= limit {
			defer f.mu.Unlock()
			f.uses++
			b.used = f.uses
			found, through := b.cut(from, limit, most)
			if len(found) == 0 {
				through = max(through, beyond)
			}
			return found, through, nil
		}
		f.mu.Unlock()
		if !loaded {
			return nil, from, nil
		}
		var err error
		if beyond, err = f.load(ctx, name, from/blockSpan); err != nil {
			return nil, from, err
		}
	}
}

// want is with mu held: up to where the block of a number can be known. False when
// nothing is known from there on. A stream is followed from its first want on.
func (f *feed) want(name string, from uint64) (uint64, bool) {
	s := f.streams[name]
	if s == nil {
		return from, false
	}
	if !s.wanted {
		s.wanted, s.tail, s.due = true, from/blockSpan*blockSpan, time.Time{}
		f.nudge()
	}
	if from >= s.tail {
		return from, false
	}
	return min((from/blockSpan+1)*blockSpan, s.tail), true
}

// cut answers what lies from a number up to a limit.
func (b *block) cut(from, limit uint64, most int) ([]entry, uint64) {
	i, j := b.from(from), b.from(limit)
	if i == j {
		return nil, limit
	}
	if j-i > most {
		return append([]entry(nil), b.entries[i:i+most]...), b.entries[i+most-1].number + 1
	}
	return append([]entry(nil), b.entries[i:j]...), limit
}

// load lists a block, and answers the first number that was seen after it: 0 when
// none was.
func (f *feed) load(ctx context.Context, name string, number uint64) (beyond uint64, err error) {
	f.mu.Lock()
	tail := uint64(0)
	if s := f.streams[name]; s != nil {
		tail = s.tail
	}
	f.mu.Unlock()
	start, end := number*blockSpan, (number+1)*blockSpan
	b := &block{hi: min(tail, end)}
	err = f.list(ctx, webhook.SegmentPrefix(name), webhook.SegmentFrom(name, start), blockSpan+1, func(key string) bool {
		seg, ok := f.parse(key)
		switch {
		case !ok:
		case seg.Number >= end:
			beyond = min(seg.Number, tail)
			return false
		default:
			b.put(entry{seg.Number, seg.Slots})
		}
		return true
	})
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keep(blockKey{name, number}, b)
	return beyond, nil
}

// keep is with mu held.
func (f *feed) keep(k blockKey, b *block) {
	f.uses++
	b.used = f.uses
	f.blocks[k] = b
	for len(f.blocks) > maxBlocks {
		var oldest blockKey
		least := f.uses + 1
		for k, b := range f.blocks {
			if b.used < least {
				oldest, least = k, b.used
			}
		}
		delete(f.blocks, oldest)
	}
}

// absorb takes what a poll has found from a stream's tail on. A block that was
// known up to the old tail is known up to the new one; others are listed when
// they are asked for.
func (f *feed) absorb(s *stream, found []webhook.Segment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := s.tail
	touched := map[uint64]*block{}
	if b := f.blocks[blockKey{s.name, was / blockSpan}]; b != nil {
		touched[was/blockSpan] = b
	}
	for _, seg := range found {
		n := seg.Number / blockSpan
		b := f.blocks[blockKey{s.name, n}]
		if b == nil && n*blockSpan >= was {
			b = &block{hi: n * blockSpan}
			f.keep(blockKey{s.name, n}, b)
		}
		if b != nil {
			b.put(entry{seg.Number, seg.Slots})
			touched[n] = b
		}
		s.tail = max(s.tail, seg.Number+1)
	}
	for n, b := range touched {
		if end := (n + 1) * blockSpan; b.hi >= min(was, end) {
			b.hi = min(s.tail, end)
		}
	}
	if s.tail > was {
		f.tell()
	}
}

// look asks for one segment that was not among the listed. What somebody found
// absent less than age ago is not asked for again.
func (f *feed) look(ctx context.Context, name string, number uint64, age time.Duration) (entry, bool, error) {
	k := blockKey{name, number}
	f.mu.Lock()
	b, at := f.blocks[blockKey{name, number / blockSpan}], f.absent[k]
	if b != nil {
		if i := b.from(number); i < len(b.entries) && b.entries[i].number == number {
			defer f.mu.Unlock()
			return b.entries[i], true, nil
		}
	}
	f.mu.Unlock()
	if !at.IsZero() && time.Since(at) < age {
		return entry{}, false, nil
	}
	var found *entry
	err := f.list(ctx, webhook.SegmentFrom(name, number)+"-", "", 1, func(key string) bool {
		if seg, ok := f.parse(key); ok {
			found = &entry{seg.Number, seg.Slots}
		}
		return false
	})
	if err != nil {
		return entry{}, false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if found == nil {
		if len(f.absent) >= maxAbsent {
			clear(f.absent)
		}
		f.absent[k] = time.Now()
		return entry{}, false, nil
	}
	delete(f.absent, k)
	if b := f.blocks[blockKey{name, number / blockSpan}]; b != nil {
		b.put(*found)
	}
	return *found, true, nil
}

// recall asks for numbers, in order, that were not among the listed: one list for
// all that lie within a page.
func (f *feed) recall(ctx context.Context, name string, numbers []uint64) ([]entry, error) {
	var found []entry
	for len(numbers) > 0 {
		page, more, err := f.page(ctx, webhook.SegmentPrefix(name), webhook.SegmentFrom(name, numbers[0]), listPage)
		if err != nil {
			return nil, err
		}
		last := numbers[len(numbers)-1]
		for _, o := range page {
			seg, ok := f.parse(o.Key)
			if !ok {
				continue
			}
			if more {
				last = seg.Number // so far it is known
			}
			if _, wanted := slices.BinarySearch(numbers, seg.Number); wanted {
				found = append(found, entry{seg.Number, seg.Slots})
			}
		}
		i, there := slices.BinarySearch(numbers, last)
		if there {
			i++
		}
		numbers = numbers[max(i, 1):]
	}
	f.recalled(name, found)
	return found, nil
}

// recalled has others find them too.
func (f *feed) recalled(name string, found []entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range found {
		delete(f.absent, blockKey{name, e.number})
		if b := f.blocks[blockKey{name, e.number / blockSpan}]; b != nil {
			b.put(e)
		}
	}
}
