package api

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// leaseMessage names worker, zone and session only while they have the partition,
// or may still believe so.
func leaseMessage(s fsm.State, l fsm.Lease) *pointsmanv1.Lease {
	m := &pointsmanv1.Lease{
		Id: fmt.Sprintf("%s/%d", l.Pool, l.Number), Pool: string(l.Pool), Partition: count(l.Number),
		State: pointsmanv1.LeaseState(l.State), Token: uint64(l.Token), Reason: l.Reason, Index: l.Index, UpdateTime: stamp(l.Wall),
	}
	if l.State != fsm.Free {
		m.Session, m.Worker, m.Zone, m.Address = uint64(l.Session), l.Worker, l.Zone, string(l.Address)
	}
	if c, ok := s.Checkpoint(l.Pool, l.Number); ok {
		m.Checkpoint = &pointsmanv1.Checkpoint{Version: c.Version, Token: uint64(c.Token), Data: c.Data}
	}
	return m
}

func sessionMessage(v fsm.Session) *pointsmanv1.Session {
	return &pointsmanv1.Session{
		Id: uint64(v.ID), Pool: string(v.Pool), Worker: v.Worker, Zone: v.Zone, Capacity: count(v.Capacity),
		Actor: v.Actor, Index: v.Index, OpenTime: stamp(v.Wall),
	}
}

func assignmentMessage(l fsm.Lease, valid time.Duration) *pointsmanv1.Assignment {
	return &pointsmanv1.Assignment{
		Partition: count(l.Number), Token: uint64(l.Token), State: pointsmanv1.LeaseState(l.State),
		ValidFor: durationpb.New(valid), Address: string(l.Address),
	}
}

func poolMessage(s fsm.State, spec fsm.PoolSpec) *pointsmanv1.Pool {
	p, _ := s.Pool(spec.ID)
	m := &pointsmanv1.Pool{
		Id: string(spec.ID), Master: string(spec.Master), Partitions: count(spec.Partitions), Ttl: durationpb.New(spec.TTL),
		Drain: durationpb.New(spec.Drain), LockDelay: durationpb.New(spec.LockDelay), Moves: count(spec.Moves),
		Address: string(p.Address), SuspendedBy: suspendedBy(s, spec.ID), Sessions: count(len(s.Sessions(spec.ID))), Index: p.Index,
	}
	for _, l := range s.Leases(spec.ID) {
		switch l.State {
		case fsm.Held:
			m.Held++
		case fsm.Draining:
			m.Draining++
		case fsm.Locked:
			m.Locked++
		}
	}
	m.Free = m.Partitions - m.Held - m.Draining - m.Locked
	return m
}
