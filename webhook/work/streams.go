package work

import (
	"maps"
	"slices"
	"time"

	"github.com/pointsman/pointsman/webhook/ledger"
)

// How missing numbers are looked for.
const (
	lookMost    = 5 * time.Minute
	lookFor     = 24 * time.Hour
	looksAtOnce = 64               // of one stream in one go
	youngFor    = 10 * time.Second // a write of such a number may still be answered: 3.5 s, and what clocks and pauses add
)

// following is how far a partition has come in a stream. Its loop owns it.
type following struct {
	name   string
	cursor uint64              // the next number to read
	open   map[uint64]int      // read segments, and how many of their events are not finished
	lacks  map[uint64]*absence // numbers below the cursor that were not seen, or are not finished since
	dirty  bool                // something has moved that is not committed
	since  uint64              // the cursor of the last commit
}

// absence is a number that was not seen, or cannot be decoded.
type absence struct {
	since   time.Time
	next    time.Time // of the next look
	wait    time.Duration
	damaged bool
	found   bool // it is in open by now
}

func newFollowing(p ledger.Position, now time.Time, poll time.Duration) *following {
	f := &following{name: p.Stream, cursor: p.Next, since: p.Next, open: map[uint64]int{}, lacks: map[uint64]*absence{}}
	for _, n := range p.Missing { // any of them may have landed since, before what comes next was sent
		f.miss(n, now, poll, false)
		f.lacks[n].next = now
	}
	return f
}

// miss notes a number that is not there.
func (f *following) miss(n uint64, now time.Time, poll time.Duration, damaged bool) {
	a := f.lacks[n]
	if a == nil {
		first := min(time.Second, poll)
		a = &absence{since: now, wait: first, next: now.Add(jittered(first))}
		f.lacks[n] = a
		f.dirty = true
	}
	a.damaged = a.damaged || damaged
}

// absentAgain sets when a number is looked for next.
func (a *absence) absentAgain(now time.Time) {
	a.wait = min(2*a.wait, lookMost)
	a.next = now.Add(jittered(a.wait))
}

// due are the numbers to look for now.
func (f *following) due(now time.Time) []uint64 {
	var out []uint64
	most := min(looksAtOnce, ledger.MaxMissing/2-f.found()) // the ledger keeps them with the others
	for n, a := range f.lacks {
		if len(out) >= most {
			break
		}
		if !a.found && !now.Before(a.next) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// young are the numbers that are looked for before anything newer is handed out:
// the shop may have been told that they are kept before it sent that. In order.
func (f *following) young(now time.Time) []uint64 {
	var out []uint64
	for n, a := range f.lacks {
		if !a.found && !a.damaged && now.Sub(a.since) < youngFor {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// abandon forgets numbers that were looked for long enough, and the lowest when
// there are more than the ledger keeps. A damaged segment is forgotten last.
func (f *following) abandon(now time.Time) (gone []uint64) {
	for n, a := range f.lacks {
		if !a.found && !a.damaged && now.Sub(a.since) > lookFor {
			gone = append(gone, n)
			delete(f.lacks, n)
		}
	}
	if more := len(f.lacks) - f.found() - ledger.MaxMissing/2; more > 0 {
		numbers := slices.SortedFunc(maps.Keys(f.lacks), func(a, b uint64) int {
			if d := rank(f.lacks[a]) - rank(f.lacks[b]); d != 0 || a == b {
				return d
			}
			if a < b {
				return -1
			}
			return 1
		})
		for _, n := range numbers[:more] { // those that were found are the last
			gone = append(gone, n)
			delete(f.lacks, n)
		}
	}
	f.dirty = f.dirty || len(gone) > 0
	return gone
}

// found is how many of the numbers are found, and not finished.
func (f *following) found() (n int) {
	for _, a := range f.lacks {
		if a.found {
			n++
		}
	}
	return n
}

func rank(a *absence) int {
	switch {
	case a.found:
		return 2
	case a.damaged:
		return 1
	}
	return 0
}

// finish notes the end of one event of a segment.
func (f *following) finish(n uint64) {
	f.dirty = true
	if f.open[n]--; f.open[n] > 0 {
		return
	}
	delete(f.open, n)
	if a := f.lacks[n]; a != nil && a.found {
		delete(f.lacks, n)
	}
}

// position is what may be committed: everything below Next is finished, but for
// what is missing.
func (f *following) position() ledger.Position {
	p := ledger.Position{Stream: f.name, Next: f.cursor}
	for n := range f.open {
		if f.lacks[n] == nil {
			p.Next = min(p.Next, n)
		}
	}
	for n := range f.lacks {
		if n < p.Next {
			p.Missing = append(p.Missing, n)
		}
	}
	slices.Sort(p.Missing)
	return p
}
