package fsm

// Grant gives a partition to a session.
type Grant struct {
	Number  int
	Session SessionID
}

// GrantLeases gives free partitions of an open pool to sessions. All of them get
// the entry's token. It is refused unless its term is its entry's; a grant that
// cannot be made is passed over, and when none can, all is refused.
type GrantLeases struct {
	Term   Term
	Pool   PoolID
	Grants []Grant
}

// Kind implements Command.
func (GrantLeases) Kind() Kind { return KindGrantLeases }

func (c GrantLeases) apply(s State, e Entry) (State, Answer) {
	if c.Term != e.Term {
		return refused(s, refuse(ErrTerm, "granted in term %d, logged in term %d", c.Term, e.Term))
	}
	spec, pool, err := s.grantable(c.Pool)
	if err != nil {
		return refused(s, err)
	}
	if len(c.Grants) == 0 || len(c.Grants) > MaxLeaseItems {
		return refused(s, refuse(ErrLimit, "%d grants (1 to %d)", len(c.Grants), MaxLeaseItems))
	}
	has := map[SessionID]int{}
	for _, l := range s.Leases(c.Pool) {
		if l.State.Owned() {
			has[l.Session]++
		}
	}
	token := TokenOf(s.generation, e.Index)
	taken, first := false, error(nil)
	for _, g := range c.Grants {
		v, err := s.grant(g, spec, has)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		taken = true
		has[v.ID]++
		s = s.turn(Lease{
			Pool: c.Pool, Number: g.Number, Token: token, Session: v.ID, Worker: v.Worker, Zone: v.Zone, Address: pool.Address, TTL: v.TTL,
		}, Held, "granted", e)
	}
	if !taken {
		return refused(s, first)
	}
	return s, Answer{Token: token}
}

// grant finds the session that a grant may be made to.
func (s State) grant(g Grant, spec PoolSpec, has map[SessionID]int) (Session, error) {
	l, known := s.Lease(spec.ID, g.Number)
	v, alive := s.Session(g.Session)
	switch {
	case g.Number < 0 || g.Number >= spec.Partitions:
		return v, refuse(ErrUnknown, "pool %s has no partition %d", spec.ID, g.Number)
	case known && l.State != Free:
		return v, refuse(ErrHeld, "partition %s/%d is %s", spec.ID, g.Number, l.State)
	case !alive || v.Pool != spec.ID:
		return v, refuse(ErrUnknown, "no session %d in pool %s", g.Session, spec.ID)
	case has[v.ID] >= v.Capacity:
		return v, refuse(ErrLimit, "session %d has %d partitions (at most %d)", v.ID, has[v.ID], v.Capacity)
	}
	return v, nil
}

// LeaseMove is what becomes of partitions that were granted.
type LeaseMove uint8

// The moves.
const (
	MoveDrain   LeaseMove = iota + 1 // held: its holder is asked to finish
	MoveRevoke                       // held or draining: locked at once, though its holder may still believe in it
	MoveLapse                        // draining: locked, since its drain time is over and its holder's belief has run out
	MoveUnlock                       // locked: free, since its lock has lasted long enough
	MoveRelease                      // the holder's word that it has stopped all work: free
)

var leaseMoveNames = [...]string{"", "drain", "revoke", "lapse", "unlock", "release"}

func (m LeaseMove) String() string { return name(leaseMoveNames[:], uint8(m)) }

// LeaseItem names one grant.
type LeaseItem struct {
	Number int
	Token  Token
}

// MoveLeases moves partitions on. An item whose partition stands elsewhere, or
// has another token, is passed over, and when nothing is left all is refused:
// with ErrFenced when its token is not the newest grant's.
type MoveLeases struct {
	Term    Term // of the leader that counted; 0: a person or a worker asks
	Pool    PoolID
	Move    LeaseMove
	Session SessionID // the holder; with MoveRelease
	Items   []LeaseItem
	Reason  string // for people
}

// Kind implements Command.
func (MoveLeases) Kind() Kind { return KindMoveLeases }

func (c MoveLeases) apply(s State, e Entry) (State, Answer) {
	counted := c.Move == MoveLapse || c.Move == MoveUnlock
	switch {
	case (counted || c.Term != 0) && c.Term != e.Term:
		return refused(s, refuse(ErrTerm, "counted in term %d, logged in term %d", c.Term, e.Term))
	case c.Move < MoveDrain || c.Move > MoveRelease || len(c.Items) == 0 || len(c.Items) > MaxLeaseItems:
		return refused(s, refuse(ErrLimit, "%s of %d partitions (1 to %d)", c.Move, len(c.Items), MaxLeaseItems))
	}
	if c.Move == MoveDrain && c.Term != 0 { // to even out the load
		if err := s.Balanced(c.Pool); err != nil {
			return refused(s, err)
		}
	}
	taken, first := false, error(nil)
	for _, item := range c.Items {
		l, err := s.movable(c, item)
		switch {
		case err == nil:
			s, taken = s.shift(l, c, e), true
		case first == nil:
			first = err
		}
	}
	if !taken {
		return refused(s, first)
	}
	return s, accepted()
}

func (s State) movable(c MoveLeases, item LeaseItem) (Lease, error) {
	l, ok := s.Lease(c.Pool, item.Number)
	fits := false
	switch c.Move {
	case MoveDrain:
		fits = l.State == Held
	case MoveRevoke:
		fits = l.State.Owned()
	case MoveLapse:
		fits = l.State == Draining
	case MoveUnlock:
		fits = l.State == Locked
	case MoveRelease:
		fits = l.State != Free && l.Session == c.Session
	}
	switch {
	case !ok:
		return l, refuse(ErrUnknown, "partition %s/%d was never granted", c.Pool, item.Number)
	case l.Token != item.Token:
		return l, refuse(ErrFenced, "partition %s/%d has token %d, not %d", c.Pool, item.Number, l.Token, item.Token)
	case !fits && c.Move == MoveRelease && l.Session != c.Session:
		return l, refuse(ErrFenced, "partition %s/%d is not that of session %d", c.Pool, item.Number, c.Session)
	case !fits:
		return l, refuse(ErrPhase, "partition %s/%d is %s: no %s", c.Pool, item.Number, l.State, c.Move)
	}
	return l, nil
}

func (s State) shift(l Lease, c MoveLeases, e Entry) State {
	switch c.Move {
	case MoveDrain:
		return s.turn(l, Draining, c.Reason, e)
	case MoveRevoke:
		return s.lock(l, false, c.Reason, e)
	case MoveLapse:
		return s.lock(l, true, c.Reason, e)
	default:
		return s.turn(l, Free, c.Reason, e)
	}
}
