package fsm

import "slices"

// OpenSession makes a worker known to a pool. Nothing is granted by it. The
// answer's token is the session's id.
type OpenSession struct {
	Pool     PoolID
	Worker   string
	Zone     string
	Capacity int    // 0: as many as there are
	Key      string // SHA-256, in hex, of what proves that somebody speaks for it
}

// Kind implements Command.
func (OpenSession) Kind() Kind { return KindOpenSession }

func (c OpenSession) apply(s State, e Entry) (State, Answer) {
	spec, ok := s.spec.Pool(c.Pool)
	switch {
	case !ok:
		return refused(s, refuse(ErrUnknown, "pool %q", c.Pool))
	case c.Worker == "" || c.Key == "" || max(len(c.Worker), len(c.Zone), len(c.Key)) > MaxWorkerBytes:
		return refused(s, refuse(ErrLimit, "worker, zone and key have %d, %d and %d bytes (at most %d)", len(c.Worker), len(c.Zone), len(c.Key), MaxWorkerBytes))
	case s.sessions.Len() >= MaxSessions:
		return refused(s, refuse(ErrLimit, "%d sessions (at most %d)", s.sessions.Len(), MaxSessions))
	}
	token := TokenOf(s.generation, e.Index)
	if c.Capacity <= 0 { // the pool may grow
		c.Capacity = MaxPartitions
	}
	return s.withSession(Session{
		ID: SessionID(token), Pool: c.Pool, Worker: c.Worker, Zone: c.Zone, Capacity: min(c.Capacity, MaxPartitions), Key: c.Key, TTL: spec.TTL,
		Actor: e.Actor, Clock: s.clock, Wall: e.Wall, Index: e.Index,
	}), Answer{Token: token}
}

// Leaving is how a session ends.
type Leaving uint8

// The ways to end a session.
const (
	LeftByItself Leaving = iota + 1 // the worker says that it has stopped all work: its partitions are free
	LeftBehind                      // its ttl ran out, as the leader counts: its partitions are locked
	LeftByForce                     // somebody ended it: its partitions are locked, and may still be believed in
)

var leavingNames = [...]string{"", "closed", "expired", "revoked"}

func (l Leaving) String() string { return name(leavingNames[:], uint8(l)) }

// CloseSessions ends sessions. It is refused when none of them is open, and
// when it says that their ttl ran out in another term than its entry's.
type CloseSessions struct {
	Term     Term // of the leader that counted; with LeftBehind
	How      Leaving
	Sessions []SessionID
}

// Kind implements Command.
func (CloseSessions) Kind() Kind { return KindCloseSessions }

func (c CloseSessions) apply(s State, e Entry) (State, Answer) {
	switch {
	case c.How < LeftByItself || c.How > LeftByForce || len(c.Sessions) > MaxLeaseItems:
		return refused(s, refuse(ErrLimit, "%d sessions (at most %d), %s", len(c.Sessions), MaxLeaseItems, c.How))
	case c.How == LeftBehind && c.Term != e.Term:
		return refused(s, refuse(ErrTerm, "counted in term %d, logged in term %d", c.Term, e.Term))
	}
	gone := map[SessionID]bool{}
	var pools []PoolID
	for _, id := range c.Sessions {
		v, ok := s.Session(id)
		if !ok {
			continue
		}
		gone[id] = true
		if !slices.Contains(pools, v.Pool) {
			pools = append(pools, v.Pool)
		}
		s = s.withoutSession(v)
	}
	if len(gone) == 0 {
		return refused(s, refuse(ErrUnknown, "no such session"))
	}
	for _, p := range pools {
		for _, l := range s.Leases(p) {
			if gone[l.Session] {
				s = s.leave(l, c.How, e)
			}
		}
	}
	return s, accepted()
}

// leave takes a partition from a session that ends.
func (s State) leave(l Lease, how Leaving, e Entry) State {
	reason := "session " + how.String()
	switch {
	case how == LeftByItself && l.State != Free:
		return s.turn(l, Free, reason, e)
	case l.State.Owned():
		return s.lock(l, how == LeftBehind, reason, e)
	case l.State == Locked && how == LeftBehind && !l.Lapsed: // revoked before; by now its worker's belief has run out
		return s.lock(l, true, reason, e)
	}
	return s
}
