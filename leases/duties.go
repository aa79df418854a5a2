package leases

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
	"github.com/pointsman/pointsman/leases/assign"
)

// actRounds is how often act looks again at what it has brought about: a session
// that ends locks its partitions, a lock that is over frees them, and what is
// free is granted.
const actRounds = 4

// proposeAtOnce bounds the commands that are on their way together: a batch that
// fails is tried again as a whole.
const proposeAtOnce = 64

// act proposes everything that is due, and what falls due by it. An error means
// that the term is over.
func (o *office) act(ctx context.Context, s fsm.State, now time.Time) error {
	for range actRounds {
		commands := o.owed(s, now)
		if len(commands) == 0 {
			return nil
		}
		if err := o.propose(ctx, commands); err != nil {
			return err
		}
		s, _ = o.Journal.Watch()
		now = time.Now()
		o.look(s, now)
	}
	return nil
}

// owed is everything that is due now.
func (o *office) owed(s fsm.State, now time.Time) []fsm.Command {
	commands := o.expiries(s, now)
	commands = append(commands, o.moves(now)...)
	if now.Sub(o.planned) >= planAgain {
		o.planned = now
		for _, p := range s.Pools() {
			o.dirty[p.ID] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(o.dirty)) {
		if o.settling(s, id, now) {
			continue // it stays dirty
		}
		commands = append(commands, o.plan(s, id, now)...)
		delete(o.dirty, id)
	}
	return commands
}

func (o *office) propose(ctx context.Context, commands []fsm.Command) error {
	for some := range slices.Chunk(commands, proposeAtOnce) {
		if err := o.proposeSome(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (o *office) proposeSome(ctx context.Context, commands []fsm.Command) error {
	answers, err := o.Journal.ProposeAll(ctx, o.term, commands...)
	if err != nil {
		return fmt.Errorf("propose %d lease commands: %w", len(commands), err)
	}
	for i, c := range commands {
		if err := answers[i].Err(); err != nil { // the state has moved on since; the next look sees how
			o.Logger.Debug("lease command refused", "kind", c.Kind().String(), "term", uint64(o.term), "error", err)
			continue
		}
		if end, ok := c.(fsm.CloseSessions); ok {
			o.meters.expired.Add(float64(len(end.Sessions)))
		}
	}
	return nil
}

// late is a span as the leader counts it that a worker counts too.
func (o *office) late(d time.Duration) time.Duration {
	if planted.Bug(planted.LeaseEndsEarly) {
		return d / 2
	}
	return d + d*ratePercent/100 + o.Grace
}

// expiries ends the sessions that were not heard of for their ttl. One whose
// renewal waits for a barrier is heard of: a log that is slow to answer is not its
// worker's silence.
func (o *office) expiries(s fsm.State, now time.Time) []fsm.Command {
	c := fsm.CloseSessions{Term: o.term, How: fsm.LeftBehind}
	for id, at := range o.heard {
		v, ok := s.Session(id)
		if ok && now.Sub(at) >= o.late(v.TTL) && !o.waits(id) && len(c.Sessions) < fsm.MaxLeaseItems {
			c.Sessions = append(c.Sessions, id)
		}
	}
	if len(c.Sessions) == 0 {
		return nil
	}
	slices.Sort(c.Sessions)
	return []fsm.Command{c}
}

// moves locks what has drained too long and frees what was locked long enough.
func (o *office) moves(now time.Time) (commands []fsm.Command) {
	type lot struct {
		pool fsm.PoolID
		move fsm.LeaseMove
	}
	lots := map[lot][]fsm.LeaseItem{}
	for at, v := range o.seen {
		move, span := o.next(v)
		if l := (lot{at.pool, move}); now.Sub(v.since) >= span && len(lots[l]) < fsm.MaxLeaseItems {
			lots[l] = append(lots[l], fsm.LeaseItem{Number: at.number, Token: v.token})
		}
	}
	for l, items := range lots {
		slices.SortFunc(items, func(a, b fsm.LeaseItem) int { return a.Number - b.Number })
		reason := "drain time is over"
		if l.move == fsm.MoveUnlock {
			reason = "lock is over"
		}
		commands = append(commands, fsm.MoveLeases{Term: o.term, Pool: l.pool, Move: l.move, Items: items, Reason: reason})
	}
	return commands
}

// next is what becomes of a partition that drains or is locked, and how long
// after this leader saw it first. While it drains no answer promises more than
// the rest of the drain time or a ttl, so clock rates differ over a ttl only.
func (o *office) next(v sighting) (fsm.LeaseMove, time.Duration) {
	switch {
	case v.state == fsm.Draining:
		return fsm.MoveLapse, max(v.wait-v.ttl, 0) + o.late(v.ttl)
	case v.lapsed:
		return fsm.MoveUnlock, v.wait
	default:
		return fsm.MoveUnlock, o.late(v.ttl) + v.wait
	}
}

// plan grants what is free, and drains what should be another's.
func (o *office) plan(s fsm.State, id fsm.PoolID, now time.Time) (commands []fsm.Command) {
	spec, ok := s.Spec().Pool(id)
	if !ok || s.Grantable(id) != nil {
		return nil
	}
	pool, workers, sessions := o.scene(s, spec, now)
	grants := fsm.GrantLeases{Term: o.term, Pool: id}
	drains := fsm.MoveLeases{Term: o.term, Pool: id, Move: fsm.MoveDrain, Reason: "evens out the load"}
	if s.Balanced(id) != nil {
		pool.Moves = 0
	}
	for _, m := range assign.Plan(pool, workers) {
		if m.Grant() {
			grants.Grants = append(grants.Grants, fsm.Grant{Number: m.Partition, Session: sessions[m.To]})
		} else if l, ok := s.Lease(id, m.Partition); ok {
			drains.Items = append(drains.Items, fsm.LeaseItem{Number: m.Partition, Token: l.Token})
		}
	}
	if len(grants.Grants) > 0 {
		commands = append(commands, grants)
	}
	if len(drains.Items) > 0 {
		commands = append(commands, drains)
	}
	return commands
}

// quiet is how long a worker may be silent before it is given nothing more: its
// renewals come at least three times in a ttl.
func quiet(ttl time.Duration) time.Duration { return ttl * 2 / 5 }

// settling reports whether a new leader has still to hear from workers that were
// there before it, and waits for them: those that come back first must not be
// given everybody's share, and the dead must not be given any.
func (o *office) settling(s fsm.State, id fsm.PoolID, now time.Time) bool {
	return slices.ContainsFunc(s.Sessions(id), func(v fsm.Session) bool {
		return v.Index <= o.first && !o.greeted[v.ID] && now.Sub(o.began) < quiet(v.TTL)
	})
}

// scene is a pool as package assign wants it. A worker is known by its name, and
// by its session too where two of a name are there. One that is quiet, was never
// heard of, or comes to its end is given nothing.
func (o *office) scene(s fsm.State, spec fsm.PoolSpec, now time.Time) (assign.Pool, []assign.Worker, map[string]fsm.SessionID) {
	pool := assign.Pool{Partitions: spec.Partitions, Held: map[int]string{}, Draining: map[int]string{}, Locked: map[int]bool{}, Moves: spec.Moves}
	names, sessions := map[fsm.SessionID]string{}, map[string]fsm.SessionID{}
	var workers []assign.Worker
	for _, v := range slices.Backward(s.Sessions(spec.ID)) { // the newest has its name alone: one that was restarted keeps its place
		name := v.Worker
		if _, taken := sessions[name]; taken {
			name = fmt.Sprintf("%s %d", v.Worker, v.ID) // no worker's name has a blank
		}
		names[v.ID], sessions[name] = name, v.ID
		if o.greeted[v.ID] && !o.leaving[v.ID] && now.Sub(o.heard[v.ID]) < quiet(v.TTL) {
			workers = append(workers, assign.Worker{ID: name, Zone: v.Zone, Capacity: v.Capacity})
		}
	}
	o.leaveOut(workers, sessions)
	for _, l := range s.Leases(spec.ID) {
		switch l.State {
		case fsm.Held:
			pool.Held[l.Number] = names[l.Session]
		case fsm.Draining:
			pool.Draining[l.Number] = names[l.Session]
		case fsm.Locked:
			pool.Locked[l.Number] = true
		}
	}
	return pool, workers, sessions
}

// leaveOut takes the workers out whose clocks run at a rate of their own: they get
// nothing, and what they hold moves away. Where half of them do, it may be the
// leader's clock; nothing is said before half of them have been compared.
func (o *office) leaveOut(workers []assign.Worker, sessions map[string]fsm.SessionID) {
	var off []int
	compared := 0
	for i, w := range workers {
		skew, ok := o.skews[sessions[w.ID]]
		if ok {
			compared++
		}
		if math.Abs(skew) > skewBound {
			off = append(off, i)
		}
	}
	if 2*len(off) >= len(workers) || 2*compared < len(workers) {
		return
	}
	for _, i := range off {
		workers[i].Capacity = 0
	}
}
