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
	again []*reread
	err   error
}

func newPartition(w *Worker, l Lease, led *ledger.Ledger) *partition {
	now := time.Now()
	p := &partition{
		w: w, lease: l, ledger: led, slots: webhook.SlotsOf(int(l.Partition), w.cfg.Partitions),
		results: make(chan result, w.cfg.Concurrency), hauled: make(chan hauling, 1), settled: make(chan committing, 1),
		streams: map[string]*following{}, shops: newShops(w.cfg.Rate, w.cfg.Burst, max(1, w.cfg.MaxWaiting/shopPart)), more: true,
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
