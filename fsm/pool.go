package fsm

import (
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

// checkPools says whether the pools that stand may become those of a new spec.
func (s State) checkPools(next Spec) error {
	for _, p := range s.Pools() {
		was, _ := s.spec.Pool(p.ID)
		will, kept := next.Pool(p.ID)
		from := 0 // the first partition that must be free
		if kept && will.Master == was.Master {
			from = will.Partitions
		} else if p.Suspended.Master != "" {
			return refuse(ErrOpenActions, "pool %s is suspended by failover %s; let it finish, or abandon its action", p.ID, p.Suspended)
		}
		if from >= was.Partitions {
			continue
		}
		for _, l := range s.Leases(p.ID) {
			if l.Number >= from && l.State != Free {
				return refuse(ErrHeld, "pool %s: partition %d is %s (worker %s); stop its workers first", p.ID, l.Number, l.State, l.Worker)
			}
		}
	}
	return nil
}

// putPools brings the pools in step with the spec that was just put.
func (s State) putPools(was Spec, e Entry) State {
	for _, p := range s.Pools() {
		if now, kept := s.spec.Pool(p.ID); !kept {
			s = s.dropPool(p.ID)
		} else if old, _ := was.Pool(p.ID); now.Partitions < old.Partitions {
			s = s.dropLeases(p.ID, now.Partitions)
		}
	}
	for _, spec := range s.spec.Pools {
		p, known := s.Pool(spec.ID)
		if old, _ := was.Pool(spec.ID); known && old.Master == spec.Master {
			continue
		}
		m, _ := s.Master(spec.Master)
		p.ID, p.Address = spec.ID, m.Address
		s = s.touch(p, e)
	}
	return s
}

func (s State) touch(p Pool, e Entry) State {
	p.Clock, p.Wall, p.Index = s.clock, e.Wall, e.Index
	return s.withPool(p)
}

func (s State) dropPool(id PoolID) State {
	for _, v := range s.Sessions(id) {
		s = s.withoutSession(v)
	}
	s = s.dropLeases(id, 0)
	s.leased = s.index
	s.pools, _, _ = s.pools.Delete([]byte(id))
	return s
}

func (s State) dropLeases(id PoolID, from int) State {
	for _, l := range s.Leases(id) {
		if l.Number >= from {
			s.leased = s.index
			s.leases, _, _ = s.leases.Delete(leaseKey(id, l.Number))
			s.checkpoints, _, _ = s.checkpoints.Delete(leaseKey(id, l.Number))
		}
	}
	return s
}

// located tells the pools of a master its first address.
func (s State) located(id MasterID, to Address, e Entry) State {
	for _, spec := range s.spec.Pools {
		if p, ok := s.Pool(spec.ID); ok && spec.Master == id && p.Suspended.Master == "" {
			p.Address = to
			s = s.touch(p, e)
		}
	}
	return s
}

// suspend holds the pools of a master back in the entry that accepts a failover
// of it: whoever holds a partition is asked to finish, or loses it.
func (s State) suspend(f FailoverID, e Entry) State {
	for _, spec := range s.spec.Pools {
		p, ok := s.Pool(spec.ID)
		if !ok || spec.Master != f.Master || planted.Bug(planted.PoolNotHeldBack) {
			continue
		}
		p.Suspended = f
		s = s.touch(p, e)
		reason := "failover " + f.String()
		for _, l := range s.Leases(spec.ID) {
			switch {
			case spec.Immediate && l.State.Owned():
				s = s.lock(l, false, reason, e)
			case l.State == Held:
				s = s.turn(l, Draining, reason, e)
			}
		}
	}
	return s
}

// reopen ends the suspension when the action that moves the pool is done, or
// given up by a human: grants go on, for the accepted address.
func (s State) reopen(a Action, e Entry) State {
	f, _ := s.Failover(a.For)
	for _, spec := range s.spec.Pools {
		if a.Step.Class != InLog || PoolObject(spec.ID) != a.Step.Object {
			continue
		}
		if p, ok := s.Pool(spec.ID); ok && p.Suspended == a.For && f.To != "" {
			p.Suspended, p.Address = FailoverID{}, f.To
			s = s.touch(p, e)
		}
	}
	return s
}

// grantable says why a pool may not be granted from; nil: it may.
func (s State) grantable(id PoolID) (PoolSpec, Pool, error) {
	spec, declared := s.spec.Pool(id)
	p, ok := s.Pool(id)
	switch {
	case !declared || !ok:
		return spec, p, refuse(ErrUnknown, "pool %q", id)
	case p.Suspended.Master != "":
		return spec, p, refuse(ErrSuspended, "pool %s: failover %s has not moved it yet", id, p.Suspended)
	case spec.Master != "" && p.Address == "":
		return spec, p, refuse(ErrSuspended, "pool %s: its master %s has had no first view", id, spec.Master)
	}
	return spec, p, nil
}

// Grantable says why nothing may be granted from a pool; nil: it may. Its error
// is a *Refused.
func (s State) Grantable(id PoolID) error {
	_, _, err := s.grantable(id)
	return err
}

// Balanced says why nothing may be taken from a holder of the pool to even out the
// load; nil: it may. While a failover of its master is carried out, it may not; one
// that is stuck at a step which blocks waits for a human, and holds back nobody.
// The error is a *Refused.
func (s State) Balanced(id PoolID) error {
	spec, _, err := s.grantable(id)
	if err != nil {
		return err
	}
	m, _ := s.Master(spec.Master)
	for _, a := range s.Actions(FailoverID{m.ID, m.Number}) {
		if a.Step.Block && !a.Phase.Final() && !a.underWay() {
			break
		}
		if a.underWay() {
			return refuse(ErrSuspended, "pool %s: %s is under way", id, a.ID)
		}
	}
	return nil
}

// unflattened takes pools, sessions, leases and checkpoints out of a snapshot.
func (s State) unflattened(f Flat) State {
	s.index = f.Index
	for _, p := range f.Pools {
		s = s.withPool(p)
	}
	for _, v := range f.Sessions {
		s = s.withSession(v)
	}
	for _, l := range f.Leases {
		s = s.withLease(l)
	}
	for _, c := range f.Checkpoints {
		s = s.withCheckpoint(c)
	}
	return s
}

// MaxGeneration is the highest generation: tokens beyond it would not fit into a
// signed number of 64 bits, which is what databases compare.
const MaxGeneration = 1<<15 - 1

// Restored is the state of a snapshot as a cluster may begin from it again, under
// a generation above any that it had, so that tokens rise. What was granted after
// the snapshot nobody knows any more, and its workers may live: every session is
// ended, and every partition is locked, those that were never granted too, for the
// longest ttl that a session of its pool had or may have been given. Nothing else
// changes: a checkpoint is the snapshot's. ErrTerm unless the generation is higher, ErrLimit above MaxGeneration.
func (s State) Restored(generation uint16) (State, error) {
	switch {
	case generation <= s.generation:
		return s, refuse(ErrTerm, "generation %d is not above %d", generation, s.generation)
	case generation > MaxGeneration:
		return s, refuse(ErrLimit, "generation %d (at most %d)", generation, MaxGeneration)
	}
	s.generation = generation
	e := Entry{Index: s.index, Term: s.term}
	longest := map[PoolID]time.Duration{} // a session that is older than the spec has the ttl of its own time
	for _, v := range s.Sessions("") {
		longest[v.Pool] = max(longest[v.Pool], v.TTL)
		s = s.withoutSession(v)
	}
	for _, spec := range s.spec.Pools {
		for n := range spec.Partitions {
			l, _ := s.Lease(spec.ID, n)
			l.Pool, l.Number, l.TTL = spec.ID, n, max(l.TTL, spec.TTL, longest[spec.ID])
			s = s.lock(l, false, "the cluster was restored from a snapshot", e)
		}
	}
	return s, nil
}

// Alone is the state with no coordinator on record but one, so that others may
// come with new stores.
func (s State) Alone(node NodeID) State {
	for _, m := range s.Members() {
		if m.Node != node {
			s.members, _, _ = s.members.Delete([]byte(m.Node))
		}
	}
	return s
}
