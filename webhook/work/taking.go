package work

import (
	"context"
	"errors"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// read begins a go at reading when there is something to read and room for it.
func (p *partition) read(ctx context.Context, now time.Time) time.Duration {
	hungry := len(p.shops.hungry) > 0
	if p.reading || p.draining || p.seen == 0 || p.crowded() || p.full() && !hungry || len(p.shops.ready) >= readyPart*p.w.cfg.Concurrency {
		return time.Hour
	}
	if left := p.readAfter.Sub(now); left > 0 {
		return left
	}
	if left := p.lookNext.Sub(now); !p.more && !hungry && left > 0 {
		return left
	}
	var goals []goal
	if !p.full() {
		goals = p.goals(now)
		p.more = false
	}
	again := p.shops.again()
	if len(goals)+len(again) == 0 {
		return max(p.lookNext.Sub(now), 0)
	}
	p.reading = true
	r := &reader{feed: p.w.feed, segments: p.w.segments, slots: p.slots, budget: p.w.cfg.MaxWaiting - p.shops.waiting}
	p.goes.Go(func() {
		hauls, err := r.read(ctx, goals)
		err = errors.Join(err, r.reread(ctx, again))
		p.hauled <- hauling{goals, hauls, again, err}
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

// full reports whether nothing new may be read, crowded whether nothing at all.
func (p *partition) full() bool { return p.crowded() || p.shops.rests >= restsPart*p.w.cfg.MaxWaiting }

func (p *partition) crowded() bool { return p.shops.waiting >= p.w.cfg.MaxWaiting }

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
	p.catchUp(h.again, now)
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
	if p.putOff(s, a) {
		return
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
