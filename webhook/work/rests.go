package work

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// A shop may hold a part of the events that may wait, so that one that is closed
// or fails does not fill its partition. Of what comes beyond only the segments are
// noted, its rests: they are not finished, and are read again when the shop's
// queue has room.
const (
	shopPart  = 8  // of MaxWaiting
	restsPart = 16 // times MaxWaiting rests of all shops; then nothing new is read
)

// rest is a segment whose events of a shop from an index on are not queued. It is
// not changed.
type rest struct {
	stream *following
	number uint64
	key    string
	from   int
}

// reread is what a go has read again for a shop.
type reread struct {
	shop   *shop
	rests  []*rest
	events [][]event
	errs   []error
}

func shopOf(e event) string { return e.App + "\x00" + e.Shop }

// putOff notes the segment of an event whose shop holds enough already.
func (p *partition) putOff(s *following, a arrival) bool {
	sh := p.shops.all[shopOf(a.event)]
	if sh == nil || len(sh.rests) == 0 && len(sh.queue) < p.shops.most {
		return false
	}
	if a.take.put[sh] {
		return true
	}
	if a.take.put == nil {
		a.take.put = map[*shop]bool{}
	}
	a.take.put[sh] = true
	sh.rests = append(sh.rests, &rest{stream: s, number: a.take.number, key: a.take.key, from: a.event.index})
	p.shops.rests++
	s.open[a.take.number]++
	return true
}

// hunger notes whether a shop has room for its rests.
func (s *shops) hunger(sh *shop) {
	if len(sh.rests) > 0 && len(sh.queue) <= s.most/2 {
		s.hungry[sh] = true
	} else {
		delete(s.hungry, sh)
	}
}

// again is what one go is to read again.
func (s *shops) again() []*reread {
	var out []*reread
	left := goSegments
	for sh := range s.hungry {
		n := min(len(sh.rests), goStream, left)
		if n == 0 {
			break
		}
		left -= n
		out = append(out, &reread{shop: sh, rests: append([]*rest(nil), sh.rests[:n]...), events: make([][]event, n), errs: make([]error, n)})
	}
	return out
}

// reread reads rests. The error is one that another go may not meet.
func (r *reader) reread(ctx context.Context, all []*reread) error {
	var goes sync.WaitGroup
	for _, b := range all {
		for i, one := range b.rests {
			goes.Go(func() {
				events, err := r.open(ctx, one.key)
				b.errs[i] = err
				for _, e := range events {
					if e.index >= one.from && shopOf(e) == b.shop.name {
						b.events[i] = append(b.events[i], e)
					}
				}
			})
		}
	}
	goes.Wait()
	for _, b := range all {
		for _, err := range b.errs {
			if err != nil && !lasting(err) {
				return err
			}
		}
	}
	return nil
}

// catchUp queues what was read again, as far as there is room.
func (p *partition) catchUp(all []*reread, now time.Time) {
	for _, b := range all {
		sh := b.shop
		for i, one := range b.rests {
			if len(sh.queue) >= p.shops.most || b.errs[i] != nil && !lasting(b.errs[i]) {
				break
			}
			sh.rests[0] = nil
			sh.rests = sh.rests[1:]
			p.shops.rests--
			if err := b.errs[i]; err != nil { // it is looked for like any that is missing
				one.stream.miss(one.number, now, p.w.cfg.Poll, errors.Is(err, webhook.ErrDamaged))
				one.stream.lacks[one.number].found = false
			}
			p.queue(one, b.events[i], now)
			one.stream.finish(one.number)
		}
		p.shops.hunger(sh)
	}
}

func (p *partition) queue(one *rest, events []event, now time.Time) {
	for _, e := range events {
		if v := p.ledger.Seen(e.Event); v == ledger.WasDone || v == ledger.WasDead {
			p.w.m.skipped.WithLabelValues("duplicate").Inc()
			continue
		}
		one.stream.open[one.number]++
		p.shops.add(&task{event: e, stream: one.stream, number: one.number, key: one.key}, now)
	}
}
