package leases

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

// place is one partition.
type place struct {
	pool   fsm.PoolID
	number int
}

// sighting is since when this leader has seen a partition drain or be locked.
type sighting struct {
	token  fsm.Token
	state  fsm.LeaseState
	lapsed bool
	ttl    time.Duration // that its worker was told
	wait   time.Duration // drain time or lock delay
	since  time.Time
}

// office is one term's count. One goroutine owns it.
type office struct {
	*Engine
	term    fsm.Term
	heard   map[fsm.SessionID]time.Time // the barrier that confirmed it last
	greeted map[fsm.SessionID]bool      // it has renewed in this term
	leaving map[fsm.SessionID]bool      // it has said that it comes to its end
	began   time.Time                   // the term
	first   uint64                      // index of the state that it began with
	clocks  map[fsm.SessionID]reading   // of workers that tell theirs
	skews   map[fsm.SessionID]float64   // how much faster their clocks ran than this leader's, by the last comparison
	seen    map[place]sighting          // partitions that drain or are locked
	dirty   map[fsm.PoolID]bool         // to be planned
	// holdings is what sessions have, gathered when a pool is asked for first after
	// the last change.
	holdings map[fsm.PoolID]map[fsm.SessionID][]fsm.Lease
	looked   uint64 // State.Leased of the last look; 0: none yet
	index    uint64 // State.Index of it
	acted    time.Time
	planned  time.Time // all pools
	asked    time.Time // the last barrier
}

// Run keeps count until the term is over. Whoever waits then is sent away.
func (e *Engine) Run(ctx context.Context, term fsm.Term) error {
	s, err := e.Journal.Confirm(ctx, term)
	if err != nil {
		return ended(ctx, err)
	}
	o := &office{
		Engine: e, term: term, heard: map[fsm.SessionID]time.Time{}, greeted: map[fsm.SessionID]bool{},
		leaving: map[fsm.SessionID]bool{},
		seen:    map[place]sighting{}, dirty: map[fsm.PoolID]bool{}, clocks: map[fsm.SessionID]reading{}, skews: map[fsm.SessionID]float64{},
		holdings: map[fsm.PoolID]map[fsm.SessionID][]fsm.Lease{},
	}
	o.inherit(s, time.Now())
	e.lead(true)
	defer e.lead(false)
	return ended(ctx, o.run(ctx))
}

// ended drops what the end of the term said.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the caller ended it
	}
	return err
}

// inherit gives every session its full ttl from this leader's barrier, and a
// little more, drawn, so that they do not all run out at once.
func (o *office) inherit(s fsm.State, now time.Time) {
	o.began, o.first = now, s.Index()
	for _, v := range s.Sessions("") {
		o.heard[v.ID] = now.Add(rand.N(v.TTL/10 + 1)) //nolint:gosec // spreads, guards nothing
		if planted.Bug(planted.TTLNotAnew) {
			o.heard[v.ID] = now.Add(-v.TTL)
		}
	}
	o.look(s, now)
}

func (o *office) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s, changed := o.Journal.Watch()
		now := time.Now()
		o.look(s, now)
		if o.due(now) {
			if err := o.act(ctx, s, now); err != nil {
				return err
			}
			o.acted = time.Now() // what it changed wakes us through changed
			continue
		}
		var arrived <-chan struct{}
		if wait := o.asked.Add(o.Every).Sub(now); wait <= 0 {
			arrived = o.arrived
		}
		timer.Reset(o.rest(now))
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-timer.C:
		case <-arrived:
			if err := o.confirm(ctx); err != nil {
				return err
			}
		}
	}
}

// due reports whether it is time to act: at most once in Every.
func (o *office) due(now time.Time) bool { return now.Sub(o.acted) >= o.Every }

// rest is how long nothing has to be done unless something happens.
func (o *office) rest(now time.Time) time.Duration {
	wait := time.Hour // the state wakes us
	if len(o.heard) > 0 || len(o.seen) > 0 || len(o.dirty) > 0 {
		wait = o.acted.Add(o.Every).Sub(now)
	}
	if barrier := o.asked.Add(o.Every).Sub(now); barrier > 0 {
		wait = min(wait, barrier)
	}
	return max(wait, time.Millisecond)
}

// look takes up what the state has changed: sessions that came and went,
// partitions that drain or are locked now, and tells those who hold them.
func (o *office) look(s fsm.State, now time.Time) {
	if o.looked != 0 && s.Leased() == o.looked && s.Index() >= o.index {
		return
	}
	since := o.index
	if s.Index() < since {
		since = 0 // a restore
	}
	o.looked, o.index = s.Leased(), s.Index()
	clear(o.holdings)
	for _, p := range s.Pools() {
		if p.Index > since {
			o.dirty[p.ID] = true
		}
	}
	sessions, changed := o.lookAtSessions(s, since, now)
	parts := map[standing]int{}
	unsettled := map[place]sighting{}
	for _, l := range s.Leases("") {
		parts[standing{l.Pool, l.State}]++
		if l.Index > since {
			changed[l.Session] = true
			o.dirty[l.Pool] = true
			if since > 0 {
				o.meters.moves.WithLabelValues(string(l.Pool), l.State.String()).Inc()
			}
		}
		o.lookAt(l, unsettled, now)
	}
	o.seen = unsettled
	o.meters.stand(sessions, parts)
	o.tell(changed)
}

// lookAt notes since when a partition drains or is locked.
func (o *office) lookAt(l fsm.Lease, unsettled map[place]sighting, now time.Time) {
	at := place{l.Pool, l.Number}
	old, known := o.seen[at]
	fresh := sighting{l.Token, l.State, l.Lapsed, l.TTL, l.Wait, now}
	same := known && old.token == fresh.token && old.state == fresh.state && old.lapsed == fresh.lapsed
	if known && !same && old.state == fsm.Draining {
		o.meters.drains.WithLabelValues(l.State.String()).Observe(now.Sub(old.since).Seconds())
	}
	switch {
	case l.State != fsm.Draining && l.State != fsm.Locked:
	case same:
		unsettled[at] = old
	default:
		unsettled[at] = fresh
	}
}

func (o *office) lookAtSessions(s fsm.State, since uint64, now time.Time) (count map[fsm.PoolID]int, gone map[fsm.SessionID]bool) {
	all := s.Sessions("")
	here := make(map[fsm.SessionID]bool, len(all))
	count, gone = map[fsm.PoolID]int{}, map[fsm.SessionID]bool{}
	for _, v := range all {
		here[v.ID] = true
		count[v.Pool]++
		if v.Index > since {
			o.dirty[v.Pool] = true
		}
		if _, known := o.heard[v.ID]; !known {
			o.heard[v.ID] = now
		}
	}
	for id := range o.heard {
		if !here[id] {
			delete(o.heard, id)
			delete(o.greeted, id)
			delete(o.leaving, id)
			delete(o.clocks, id)
			delete(o.skews, id)
			gone[id] = true
		}
	}
	return count, gone
}
