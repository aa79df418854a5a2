package work

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// How a loop keeps time.
const (
	standEvery = time.Second
	tidyEvery  = time.Hour
	readyPart  = 4 // shops that are ready, per call that may run, from which on no more is read
)

// partition is one lease's work. Its loop, run, owns every field below goes.
type partition struct {
	w      *Worker
	lease  Lease
	ledger *ledger.Ledger
	slots  webhook.SlotSet
	goes   sync.WaitGroup

	results chan result
	hauled  chan hauling
	settled chan committing

	streams map[string]*following
	shops   *shops
	running int

	seen      uint64 // version of the feed that is followed
	changed   <-chan struct{}
	reading   bool
	more      bool      // there is something to read, or the last go left something
	lookNext  time.Time // when a missing number is to be looked for
	readAfter time.Time
	readFails int

	commit    commits
	tending   tending
	draining  bool
	standNext time.Time
}

// hauling is what a go at reading has told.
type hauling struct {
	goals []goal
	hauls []*haul
	err   error
}

func newPartition(w *Worker, l Lease, led *ledger.Ledger) *partition {
	now := time.Now()
	p := &partition{
		w: w, lease: l, ledger: led, slots: webhook.SlotsOf(int(l.Partition), w.cfg.Partitions),
		results: make(chan result, w.cfg.Concurrency), hauled: make(chan hauling, 1), settled: make(chan committing, 1),
		streams: map[string]*following{}, shops: newShops(w.cfg.Rate, w.cfg.Burst), more: true,
		commit: commits{tidy: now.Add(jittered(tidyEvery)), moved: now}, tending: newTending(now),
	}
	for name, at := range led.Positions() {
		p.streams[name] = newFollowing(at, now, w.cfg.Poll)
	}
	return p
}

// run works until the lease is handed over or lost. All that it has started has
// ended when it returns.
func (p *partition) run(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer p.goes.Wait()
	defer cancel()
	err := p.loop(ctx)
	if n := p.ledger.Staged(); n > 0 && err != nil {
		if errors.Is(err, ledger.ErrFenced) {
			p.w.m.fenced.Add(float64(n))
		} else {
			p.w.m.given.Add(float64(n))
		}
		p.w.cfg.Log.Warn("completions were not committed", "partition", p.lease.Partition, "token", p.lease.Token, "events", n, "error", err)
	}
	return err
}

func (p *partition) loop(ctx context.Context) error {
	draining := p.lease.Draining
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		wait := min(p.shops.wake(now), p.stand(now))
		p.follow()
		wait = min(wait, p.read(ctx, now), p.save(ctx, now), p.tend(ctx, now))
		if p.draining && p.running == 0 && !p.commit.under && p.ledger.Staged() == 0 && p.moved() == 0 {
			return nil
		}
		free, blocked := p.next(now)
		timer.Reset(max(min(wait, blocked), time.Millisecond))
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-draining:
			draining, p.draining = nil, true
		case <-free:
			err = p.hand(ctx)
		case r := <-p.results:
			err = p.ended(r)
		case h := <-p.hauled:
			p.haul(h)
		case c := <-p.settled:
			err = p.committed(c)
		case failed := <-p.tending.done:
			p.tended(failed)
		case <-p.changed:
		case <-timer.C:
		}
		if err != nil {
			return err
		}
	}
}

// follow looks whether there are other streams than before. One whose receiver's
// object is gone is forgotten: its segments are, too.
func (p *partition) follow() {
	names, version, changed := p.w.feed.news()
	p.changed = changed
	if names == nil || version == p.seen {
		return
	}
	p.seen, p.more = version, true
	there := make(map[string]bool, len(names))
	for _, name := range names {
		there[name] = true
		if p.streams[name] == nil {
			p.streams[name] = newFollowing(ledger.Position{Stream: name}, time.Now(), p.w.cfg.Poll)
		}
	}
	for name, s := range p.streams {
		if !there[name] && len(s.open) == 0 {
			p.ledger.Forget(name)
			delete(p.streams, name)
			p.commit.forgot = true
		}
	}
}

// read begins a go at reading when there is something to read and room for it.
func (p *partition) read(ctx context.Context, now time.Time) time.Duration {
	if p.reading || p.draining || p.seen == 0 || p.full() || len(p.shops.ready) >= readyPart*p.w.cfg.Concurrency {
		return time.Hour
	}
	if left := p.readAfter.Sub(now); left > 0 {
		return left
	}
	if left := p.lookNext.Sub(now); !p.more && left > 0 {
		return left
	}
	goals := p.goals(now)
	p.more = false
	if len(goals) == 0 {
		return max(p.lookNext.Sub(now), 0)
	}
	p.reading = true
	r := &reader{feed: p.w.feed, segments: p.w.segments, slots: p.slots, budget: p.w.cfg.MaxWaiting - p.shops.waiting}
	p.goes.Go(func() {
		hauls, err := r.read(ctx, goals)
		p.hauled <- hauling{goals, hauls, err}
	})
	return time.Hour
}

// goals are what there is to read. It sets when there is more to look for.
func (p *partition) goals(now time.Time) []goal {
	var out []goal
	p.lookNext = now.Add(lookMost)
	for name, s := range p.streams {
		g := goal{name: name, cursor: s.cursor, looks: s.due(now), young: s.young(now)}
		if p.more || len(g.looks) > 0 {
			out = append(out, g)
		}
		for _, a := range s.lacks {
			if !a.found && a.next.Before(p.lookNext) {
				p.lookNext = a.next
			}
		}
	}
	return out
}

// full reports whether no more may be read.
func (p *partition) full() bool { return p.shops.waiting >= p.w.cfg.MaxWaiting }

// haul takes in what was read.
func (p *partition) haul(h hauling) {
	now := time.Now()
	p.reading, p.lookNext = false, now // what was missed may have to be looked for sooner
	if h.err != nil {
		p.readFails++
		p.more = true
		p.readAfter = now.Add(jittered(min(p.w.cfg.Poll<<min(p.readFails, 8), maxFailWait)))
		p.w.m.failed("read")
		p.w.cfg.Log.Warn("segments cannot be read", "partition", p.lease.Partition, "error", h.err)
	} else {
		p.readFails = 0
	}
	for _, one := range h.hauls {
		s := p.streams[one.name]
		if s == nil { // forgotten meanwhile
			continue
		}
		p.more = p.more || one.short
		if one.through > s.cursor {
			s.cursor, s.dirty, p.more = one.through, true, true
		}
		p.take(s, one, now)
	}
	for _, a := range merged(h.hauls) {
		if s := p.streams[a.haul.name]; s != nil {
			p.enqueue(s, a, now)
		}
	}
	for _, one := range h.hauls {
		if s := p.streams[one.name]; s != nil {
			p.close(s, one)
		}
	}
}

// take notes which segments of a stream are there and which are not.
func (p *partition) take(s *following, h *haul, now time.Time) {
	for _, n := range h.absent {
		s.miss(n, now, p.w.cfg.Poll, false)
	}
	for _, n := range h.looked {
		if a := s.lacks[n]; a != nil && !now.Before(a.next) { // not each time that something new has come
			a.absentAgain(now)
		}
	}
	for _, t := range h.takes {
		switch {
		case t.err != nil:
			damaged := errors.Is(t.err, webhook.ErrDamaged)
			if a := s.lacks[t.number]; damaged && (a == nil || !a.damaged) {
				p.w.cfg.Log.Error("segment is damaged, its events are not handed out; it is tried again", "key", t.key, "error", t.err)
			}
			s.miss(t.number, now, p.w.cfg.Poll, damaged)
		case t.late:
			if a := s.lacks[t.number]; a != nil {
				a.found, a.damaged = true, false
				s.dirty = true
			}
			s.open[t.number]++ // held open until all its events are in
		default:
			s.open[t.number]++
		}
	}
	if gone := s.abandon(now); len(gone) > 0 {
		p.w.m.abandoned.Add(float64(len(gone)))
		p.w.cfg.Log.Warn("missing segments are looked for no more", "stream", s.name, "from", gone[0], "count", len(gone))
	}
}

// enqueue puts an event into its shop's queue, unless it is on record already.
func (p *partition) enqueue(s *following, a arrival, now time.Time) {
	switch p.ledger.Seen(a.event.Event) {
	case ledger.WasDone, ledger.WasDead:
		p.w.m.skipped.WithLabelValues("duplicate").Inc()
		return
	case ledger.New, ledger.OtherBody: // it is asked once more when its turn comes
	}
	s.open[a.take.number]++
	p.shops.add(&task{event: a.event, stream: s, number: a.take.number, key: a.take.key}, now)
}

// close lets go of the segments whose events are all in.
func (p *partition) close(s *following, h *haul) {
	for _, t := range h.takes {
		if t.err == nil {
			s.finish(t.number)
		}
	}
}

// next answers from where a call may be begun; nil while none may, and how long
// that is at most.
func (p *partition) next(now time.Time) (<-chan struct{}, time.Duration) {
	if p.draining || len(p.shops.ready) == 0 || p.ledger.Staged() >= MaxUncommitted {
		return nil, time.Hour
	}
	if wait := p.w.breaker.wait(now); wait > 0 {
		return nil, wait
	}
	return p.w.free, time.Hour
}

// hand hands the next event out. It holds a token of the free ones.
func (p *partition) hand(ctx context.Context) error {
	now := time.Now()
	back := func() { p.w.free <- struct{}{} }
	if err := p.lease.Check(); err != nil {
		back()
		return err
	}
	sh := p.ahead(now)
	if sh == nil {
		back()
		return nil
	}
	probe, ok := p.w.breaker.begin(now)
	if !ok {
		back()
		sh.ready = true
		p.shops.ready = append([]*shop{sh}, p.shops.ready...)
		return nil
	}
	t := sh.queue[0]
	sh.under = true
	p.running++
	p.goes.Go(func() {
		defer back()
		select {
		case p.results <- p.carryOut(ctx, sh, t, probe):
		case <-ctx.Done(): // the loop has ended
		}
	})
	return nil
}

// ahead is the next shop that has something to do: what was finished since it was
// read is dropped.
func (p *partition) ahead(now time.Time) *shop {
	for sh := p.shops.take(); sh != nil; sh = p.shops.take() {
		t := sh.queue[0]
		switch p.ledger.Seen(t.event.Event) {
		case ledger.WasDone, ledger.WasDead:
			p.w.m.skipped.WithLabelValues("duplicate").Inc()
			p.drop(sh, now)
		case ledger.OtherBody:
			t.other = true
			return sh
		case ledger.New:
			return sh
		}
	}
	return nil
}

// drop takes a shop's first task out for good.
func (p *partition) drop(sh *shop, now time.Time) {
	t := sh.queue[0]
	t.stream.finish(t.number)
	p.shops.drop(sh, now)
}

// stand shows how the partition stands, once in a while.
func (p *partition) stand(now time.Time) time.Duration {
	if left := p.standNext.Sub(now); left > 0 {
		return left
	}
	p.standNext = now.Add(standEvery)
	s := standing{waiting: p.shops.waiting, held: len(p.shops.waits), full: p.full()}
	if oldest := p.shops.sweep(now); !oldest.IsZero() {
		s.oldest = max(now.Sub(oldest), 0)
	}
	for _, f := range p.streams {
		s.unread += p.w.feed.behind(f.name, f.cursor)
		for _, a := range f.lacks {
			if a.damaged {
				s.damaged++
			} else if !a.found {
				s.absent++
			}
		}
	}
	p.w.m.stand(p.lease.Partition, s)
	p.w.m.broken(p.w.breaker.isOpen())
	return standEvery
}

// lost says that another token has the partition.
func (p *partition) lost(err error) error {
	return fmt.Errorf("partition %d, token %d: %w: %w", p.lease.Partition, p.lease.Token, err, leases.ErrLost)
}
