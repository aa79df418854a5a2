package leases

import (
	"context"
	"crypto/subtle"
	"math"
	"time"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

// confirm answers everybody who waits out of one barrier that is proposed after
// they came.
func (o *office) confirm(ctx context.Context) error {
	batch := o.take()
	o.asked = time.Now()
	if len(batch) == 0 {
		return nil
	}
	s, err := o.barrier(ctx)
	o.meters.barriers.Inc()
	now := time.Now()
	if err != nil {
		for _, w := range batch {
			w.answer <- outcome{err: ErrNotLeading}
		}
		return err
	}
	o.look(s, now)
	for _, w := range batch {
		answer, err := o.judge(s, w, now)
		o.meters.delay.Observe(now.Sub(w.at).Seconds())
		w.answer <- outcome{answer, err}
	}
	return nil
}

func (o *office) barrier(ctx context.Context) (fsm.State, error) {
	if planted.Bug(planted.RenewalUnconfirmed) {
		s, _ := o.Journal.Watch()
		return s, nil
	}
	return o.Journal.Confirm(ctx, o.term)
}

// judge holds one renewal against the state that was looked at last.
func (o *office) judge(s fsm.State, r *waiter, now time.Time) (Confirmed, error) {
	v, ok := s.Session(r.Session)
	if !ok || !speaksFor(v, r.Key) {
		return Confirmed{}, ErrNoSession
	}
	o.hear(v, r, now)
	if o.holdings[v.Pool] == nil {
		o.holdings[v.Pool] = holdingsOf(s, v.Pool)
	}
	held := o.holdings[v.Pool][v.ID]
	c := Confirmed{State: s, Session: v, Assigned: make([]Assigned, 0, len(held))}
	for _, l := range held {
		c.Assigned = append(c.Assigned, Assigned{Lease: l, ValidFor: o.validFor(l, now)})
	}
	for _, item := range r.Held {
		l, known := s.Lease(v.Pool, item.Number)
		if !known || l.Token != item.Token || l.Session != v.ID || !l.State.Owned() {
			c.Refused = append(c.Refused, Refused{item, l})
			o.meters.fenced.Inc()
		}
	}
	return c, nil
}

// hear notes that a worker lives. One that is new, was quiet, or comes to its end
// changes what its pool should look like.
func (o *office) hear(v fsm.Session, r *waiter, now time.Time) {
	if !o.greeted[v.ID] || o.leaving[v.ID] != r.Leaving || now.Sub(o.heard[v.ID]) >= quiet(v.TTL) {
		o.dirty[v.Pool] = true
	}
	o.heard[v.ID], o.greeted[v.ID] = now, true
	if delete(o.leaving, v.ID); r.Leaving {
		o.leaving[v.ID] = true
	}
	o.compare(v, r)
}

// speaksFor reports whether the key is the session's.
func speaksFor(v fsm.Session, key string) bool {
	return subtle.ConstantTimeCompare([]byte(v.Key), []byte(key)) == 1
}

func holdingsOf(s fsm.State, id fsm.PoolID) map[fsm.SessionID][]fsm.Lease {
	all := map[fsm.SessionID][]fsm.Lease{}
	for _, l := range s.Leases(id) {
		if l.State.Owned() {
			all[l.Session] = append(all[l.Session], l)
		}
	}
	return all
}

// validFor is how long the worker may work on: of a draining partition never
// beyond its drain time, which this leader counts from when it saw it first.
func (o *office) validFor(l fsm.Lease, now time.Time) time.Duration {
	if l.State != fsm.Draining {
		return l.TTL
	}
	left := o.seen[place{l.Pool, l.Number}].since.Add(l.Wait).Sub(now)
	return min(l.TTL, max(left, 0))
}

// reading is a worker's clock beside the leader's.
type reading struct {
	at     time.Time
	uptime time.Duration
	skew   float64 // over the span that ended with it
}

// compare tells how much faster or slower a worker's clock runs than the
// leader's. A worker that was paused before it sent, or a renewal that was long on
// the wire, looks like a clock that is off, by its length over rateSpan, and in the
// next span by as much the other way: only what is off one way twice counts.
func (o *office) compare(v fsm.Session, w *waiter) {
	mark, ok := o.clocks[v.ID]
	span := w.at.Sub(mark.at)
	switch {
	case w.Uptime <= 0:
		return
	case !ok || w.Uptime < mark.uptime: // another process
		o.clocks[v.ID] = reading{at: w.at, uptime: w.Uptime}
		return
	case span < rateSpan:
		return
	}
	skew := (w.Uptime-mark.uptime).Seconds()/span.Seconds() - 1
	o.meters.skew.Observe(math.Abs(skew))
	o.clocks[v.ID] = reading{w.at, w.Uptime, skew}
	o.skews[v.ID], o.dirty[v.Pool] = bothOff(mark.skew, skew), true
	if math.Abs(skew) > skewBound {
		o.Logger.Warn("clock of a worker runs at another rate", "pool", string(v.Pool), "worker", v.Worker, "skew", skew, "span", span)
	}
}

// bothOff is the lesser of two skews in a row; 0 when they are of two signs.
func bothOff(a, b float64) float64 {
	switch {
	case a > 0 && b > 0:
		return min(a, b)
	case a < 0 && b < 0:
		return max(a, b)
	}
	return 0
}
