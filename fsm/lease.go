package fsm

import (
	"fmt"
	"strings"
	"time"
)

// Bounds of pools, sessions and leases.
const (
	MaxPools           = 1024
	MaxPartitions      = 4096   // of one pool
	MaxLeases          = 131072 // partitions of all pools
	MaxSessions        = 20000  // open at once, of all pools
	MaxLeaseItems      = 4096   // partitions or sessions in one command
	MaxWorkerBytes     = 128    // of a worker's name, its zone, and the key's hash
	MaxCheckpointBytes = 512    // of a checkpoint's data: 64 MiB in all partitions
)

// PoolID names a pool of partitions that workers share, such as "webhooks".
type PoolID string

// SessionID is the token of the entry that opened the session, so no number is
// ever used twice.
type SessionID uint64

// PoolSpec declares a pool.
type PoolSpec struct {
	ID         PoolID
	Master     MasterID // whose failovers suspend it; empty: none's
	Partitions int
	TTL        time.Duration // how long a worker may work on without an answer
	Drain      time.Duration // how long a worker may take to finish a partition
	LockDelay  time.Duration // how long a lost partition stays locked, at least
	Moves      int           // partitions that may drain at once to even out the load
	Immediate  bool          // a failover revokes what is held instead of draining it
}

// Pool is what the log has decided for a declared pool.
type Pool struct {
	ID        PoolID
	Suspended FailoverID // nothing is granted until its action for this pool is over; zero: open
	Address   Address    // of the master that grants are for
	Clock     Clock
	Wall      time.Time // display only
	Index     uint64    // of the entry that changed it last
}

// Session is one worker's stay in one pool.
type Session struct {
	ID       SessionID
	Pool     PoolID
	Worker   string
	Zone     string
	Capacity int           // most partitions that it takes
	Key      string        // SHA-256, in hex, of what proves that somebody speaks for it
	TTL      time.Duration // of the pool when it was opened: what its worker was told holds, whatever the spec says later
	Actor    string
	Clock    Clock
	Wall     time.Time // display only
	Index    uint64
}

// LeaseState is where a partition stands.
type LeaseState uint8

// The states of a partition. doc.go draws the moves between them.
const (
	Free     LeaseState = iota + 1 // nobody's; it may be granted
	Held                           // its session's
	Draining                       // its session's still, which is asked to finish
	Locked                         // nobody's, and not to be granted: its worker did not say that it stopped
)

var leaseStateNames = [...]string{"", "free", "held", "draining", "locked"}

func (l LeaseState) String() string { return name(leaseStateNames[:], uint8(l)) }

// Owned reports whether a session still has the partition.
func (l LeaseState) Owned() bool { return l == Held || l == Draining }

// Lease is one partition that was granted at least once, or locked by Restored.
type Lease struct {
	Pool    PoolID
	Number  int
	State   LeaseState
	Token   Token         // of the newest grant; it only rises
	Session SessionID     // of that grant
	Worker  string        // of that session, for people
	Zone    string        // the same
	Address Address       // of the pool when it was granted
	TTL     time.Duration // of that session: for so long after an answer its worker may believe in the grant
	Wait    time.Duration // of a draining one: the pool's drain time when it began to drain; of a locked one: the pool's lock delay when it was locked
	Lapsed  bool          // of a locked one: its worker's belief had run out before; else it was revoked and may still be believed in
	Reason  string        // for people
	Clock   Clock
	Wall    time.Time // display only
	Index   uint64    // of the entry that changed it last
}

// PoolObject is the object of the step that moves a pool.
func PoolObject(id PoolID) ObjectID { return ObjectID("pool/" + string(id)) }

// Pool finds a declared pool.
func (s Spec) Pool(id PoolID) (PoolSpec, bool) {
	for _, p := range s.Pools {
		if p.ID == id {
			return p, true
		}
	}
	return PoolSpec{}, false
}

// checkPools holds pools against the plans: who has a master is moved by exactly
// one step of its plan, since nothing else would open it again.
func (s Spec) checkPools(objects map[ObjectID]string) error {
	if len(s.Pools) > MaxPools {
		return refuse(ErrLimit, "%d pools (at most %d)", len(s.Pools), MaxPools)
	}
	seen, sum := map[ObjectID]bool{}, 0
	for _, p := range s.Pools {
		object := PoolObject(p.ID)
		master, declared := s.Master(p.Master)
		step, moved := objects[object]
		switch {
		case p.ID == "" || seen[object]:
			return refuse(ErrSpec, "pool %q is empty or declared twice", p.ID)
		case p.Partitions < 1 || p.Partitions > MaxPartitions || p.TTL <= 0 || p.Drain < 0 || p.LockDelay < 0 || p.Moves < 0:
			return refuse(ErrSpec, "pool %s: %d partitions (1 to %d), ttl %s, drain %s, lock delay %s, %d moves", p.ID, p.Partitions, MaxPartitions, p.TTL, p.Drain, p.LockDelay, p.Moves)
		case p.Master != "" && !declared:
			return refuse(ErrSpec, "pool %s: master %q is not declared", p.ID, p.Master)
		case p.Master != "" && master.Observe:
			return refuse(ErrSpec, "pool %s: its master %s is only observed, so nothing would move its workers", p.ID, p.Master)
		case p.Master == "" && moved:
			return refuse(ErrSpec, "step %s moves pool %s, which has no master", step, p.ID)
		case p.Master != "" && !master.moves(object):
			return refuse(ErrSpec, "pool %s: no step of the plan of its master %s moves it", p.ID, p.Master)
		}
		seen[object] = true
		sum += p.Partitions
	}
	if sum > MaxLeases {
		return refuse(ErrLimit, "%d partitions in all pools (at most %d)", sum, MaxLeases)
	}
	for _, m := range s.Masters {
		for _, step := range m.steps() {
			if strings.HasPrefix(string(step.Object), string(PoolObject(""))) && !seen[step.Object] {
				return refuse(ErrSpec, "step %s/%s: %s is not declared", m.ID, step.Name, step.Object)
			}
		}
	}
	return nil
}

func (m MasterSpec) moves(o ObjectID) bool {
	for _, step := range m.steps() {
		if step.Object == o && step.Class == InLog {
			return true
		}
	}
	return false
}

// Leased is the index of the last entry that may have changed pools, sessions or
// leases; of a snapshot's state it is the snapshot's own.
func (s State) Leased() uint64 { return s.leased }

// Pool finds what was decided for a declared pool.
func (s State) Pool(id PoolID) (Pool, bool) { return s.pools.Get([]byte(id)) }

// Pools lists the declared pools, by id.
func (s State) Pools() []Pool { return values(s.pools, nil) }

// Session finds an open session.
func (s State) Session(id SessionID) (Session, bool) { return s.sessions.Get(indexKey(uint64(id))) }

// Sessions lists a pool's open sessions, the oldest first; all pools' for an
// empty id.
func (s State) Sessions(id PoolID) []Session {
	if id == "" {
		return values(s.sessions, nil)
	}
	var all []Session
	s.joined.Root().WalkPrefix([]byte(id+"/"), func(_ []byte, v SessionID) bool {
		one, _ := s.Session(v)
		all = append(all, one)
		return false
	})
	return all
}

// Lease finds a partition that was granted at least once.
func (s State) Lease(id PoolID, number int) (Lease, bool) { return s.leases.Get(leaseKey(id, number)) }

// Leases lists a pool's partitions that were granted at least once, by number;
// all pools' for an empty id.
func (s State) Leases(id PoolID) []Lease {
	if id == "" {
		return values(s.leases, nil)
	}
	return values(s.leases, []byte(id+"/"))
}

// Holdings lists what a session has, by number.
func (s State) Holdings(v Session) (all []Lease) {
	s.leases.Root().WalkPrefix([]byte(v.Pool+"/"), func(_ []byte, l Lease) bool {
		if l.Session == v.ID && l.State.Owned() {
			all = append(all, l)
		}
		return false
	})
	return all
}

func leaseKey(id PoolID, number int) []byte { return fmt.Appendf(nil, "%s/%04d", id, number) }

func joinedKey(id PoolID, v SessionID) []byte {
	return append([]byte(id+"/"), indexKey(uint64(v))...)
}

func (s State) withPool(p Pool) State {
	s.leased = s.index
	s.pools, _, _ = s.pools.Insert([]byte(p.ID), p)
	return s
}

func (s State) withSession(v Session) State {
	s.leased = s.index
	s.sessions, _, _ = s.sessions.Insert(indexKey(uint64(v.ID)), v)
	s.joined, _, _ = s.joined.Insert(joinedKey(v.Pool, v.ID), v.ID)
	return s
}

func (s State) withoutSession(v Session) State {
	s.leased = s.index
	s.sessions, _, _ = s.sessions.Delete(indexKey(uint64(v.ID)))
	s.joined, _, _ = s.joined.Delete(joinedKey(v.Pool, v.ID))
	return s
}

func (s State) withLease(l Lease) State {
	s.leased = s.index
	s.leases, _, _ = s.leases.Insert(leaseKey(l.Pool, l.Number), l)
	return s
}

// turn sets a partition's state. It is the one place where that changes.
func (s State) turn(l Lease, to LeaseState, reason string, e Entry) State {
	l.State, l.Reason, l.Lapsed, l.Wait = to, cut(reason), false, 0
	spec, _ := s.spec.Pool(l.Pool)
	switch to {
	case Draining:
		l.Wait = spec.Drain
	case Locked:
		l.Wait = spec.LockDelay
	}
	l.Clock, l.Wall, l.Index = s.clock, e.Wall, e.Index
	return s.withLease(l)
}

// lock is turn to Locked.
func (s State) lock(l Lease, lapsed bool, reason string, e Entry) State {
	s = s.turn(l, Locked, reason, e)
	l, _ = s.Lease(l.Pool, l.Number)
	l.Lapsed = lapsed
	return s.withLease(l)
}
