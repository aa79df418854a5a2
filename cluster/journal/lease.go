package journal

import (
	"time"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

func poolSpecOut(p fsm.PoolSpec) *journalv1.PoolSpec {
	return &journalv1.PoolSpec{
		Id: string(p.ID), Master: string(p.Master), Partitions: int64(p.Partitions), TtlNs: int64(p.TTL), DrainNs: int64(p.Drain),
		LockDelayNs: int64(p.LockDelay), Moves: int64(p.Moves), Immediate: p.Immediate,
	}
}

func poolSpecIn(m *journalv1.PoolSpec) fsm.PoolSpec {
	return fsm.PoolSpec{
		ID: fsm.PoolID(m.GetId()), Master: fsm.MasterID(m.GetMaster()), Partitions: int(m.GetPartitions()), TTL: time.Duration(m.GetTtlNs()),
		Drain: time.Duration(m.GetDrainNs()), LockDelay: time.Duration(m.GetLockDelayNs()), Moves: int(m.GetMoves()), Immediate: m.GetImmediate(),
	}
}

func openSessionOut(c fsm.OpenSession) *journalv1.OpenSession {
	return &journalv1.OpenSession{Pool: string(c.Pool), Worker: c.Worker, Zone: c.Zone, Capacity: int64(c.Capacity), Key: c.Key}
}

func openSessionIn(m *journalv1.OpenSession) fsm.Command {
	return fsm.OpenSession{Pool: fsm.PoolID(m.GetPool()), Worker: m.GetWorker(), Zone: m.GetZone(), Capacity: int(m.GetCapacity()), Key: m.GetKey()}
}

func closeSessionsOut(c fsm.CloseSessions) *journalv1.CloseSessions {
	return &journalv1.CloseSessions{
		Term: uint64(c.Term), How: uint32(c.How),
		Sessions: each(c.Sessions, func(v fsm.SessionID) uint64 { return uint64(v) }),
	}
}

func closeSessionsIn(m *journalv1.CloseSessions) fsm.Command {
	return fsm.CloseSessions{
		Term: fsm.Term(m.GetTerm()), How: fsm.Leaving(small(m.GetHow())),
		Sessions: each(m.GetSessions(), func(v uint64) fsm.SessionID { return fsm.SessionID(v) }),
	}
}

func grantLeasesOut(c fsm.GrantLeases) *journalv1.GrantLeases {
	return &journalv1.GrantLeases{Term: uint64(c.Term), Pool: string(c.Pool), Grants: each(c.Grants, func(g fsm.Grant) *journalv1.Grant {
		return &journalv1.Grant{Number: int64(g.Number), Session: uint64(g.Session)}
	})}
}

func grantLeasesIn(m *journalv1.GrantLeases) fsm.Command {
	return fsm.GrantLeases{Term: fsm.Term(m.GetTerm()), Pool: fsm.PoolID(m.GetPool()), Grants: each(m.GetGrants(), func(g *journalv1.Grant) fsm.Grant {
		return fsm.Grant{Number: int(g.GetNumber()), Session: fsm.SessionID(g.GetSession())}
	})}
}

func moveLeasesOut(c fsm.MoveLeases) *journalv1.MoveLeases {
	return &journalv1.MoveLeases{
		Term: uint64(c.Term), Pool: string(c.Pool), Move: uint32(c.Move), Session: uint64(c.Session), Reason: c.Reason,
		Items: each(c.Items, func(i fsm.LeaseItem) *journalv1.LeaseItem {
			return &journalv1.LeaseItem{Number: int64(i.Number), Token: uint64(i.Token)}
		}),
	}
}

func moveLeasesIn(m *journalv1.MoveLeases) fsm.Command {
	return fsm.MoveLeases{
		Term: fsm.Term(m.GetTerm()), Pool: fsm.PoolID(m.GetPool()), Move: fsm.LeaseMove(small(m.GetMove())),
		Session: fsm.SessionID(m.GetSession()), Reason: m.GetReason(),
		Items: each(m.GetItems(), func(i *journalv1.LeaseItem) fsm.LeaseItem {
			return fsm.LeaseItem{Number: int(i.GetNumber()), Token: fsm.Token(i.GetToken())}
		}),
	}
}

func saveCheckpointOut(c fsm.SaveCheckpoint) *journalv1.SaveCheckpoint {
	return &journalv1.SaveCheckpoint{
		Pool: string(c.Pool), Number: int64(c.Number), Session: uint64(c.Session), Token: uint64(c.Token), Version: c.Version, Data: c.Data,
	}
}

func saveCheckpointIn(m *journalv1.SaveCheckpoint) fsm.Command {
	return fsm.SaveCheckpoint{
		Pool: fsm.PoolID(m.GetPool()), Number: int(m.GetNumber()), Session: fsm.SessionID(m.GetSession()), Token: fsm.Token(m.GetToken()),
		Version: m.GetVersion(), Data: m.GetData(),
	}
}

func poolOut(p fsm.Pool) *journalv1.Pool {
	return &journalv1.Pool{
		Id: string(p.ID), Suspended: failoverIDOut(p.Suspended), Address: string(p.Address), ClockNs: int64(p.Clock), WallNs: wall(p.Wall), Index: p.Index,
	}
}

func poolIn(m *journalv1.Pool) fsm.Pool {
	return fsm.Pool{
		ID: fsm.PoolID(m.GetId()), Suspended: failoverIDIn(m.GetSuspended()), Address: fsm.Address(m.GetAddress()),
		Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()), Index: m.GetIndex(),
	}
}

func sessionOut(v fsm.Session) *journalv1.Session {
	return &journalv1.Session{
		Id: uint64(v.ID), Pool: string(v.Pool), Worker: v.Worker, Zone: v.Zone, Capacity: int64(v.Capacity), Key: v.Key, Actor: v.Actor,
		ClockNs: int64(v.Clock), WallNs: wall(v.Wall), Index: v.Index, TtlNs: int64(v.TTL),
	}
}

func sessionIn(m *journalv1.Session) fsm.Session {
	return fsm.Session{
		ID: fsm.SessionID(m.GetId()), Pool: fsm.PoolID(m.GetPool()), Worker: m.GetWorker(), Zone: m.GetZone(), Capacity: int(m.GetCapacity()),
		Key: m.GetKey(), Actor: m.GetActor(), Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()), Index: m.GetIndex(),
		TTL: time.Duration(m.GetTtlNs()),
	}
}

func leaseOut(l fsm.Lease) *journalv1.Lease {
	return &journalv1.Lease{
		Pool: string(l.Pool), Number: int64(l.Number), State: uint32(l.State), Token: uint64(l.Token), Session: uint64(l.Session),
		Worker: l.Worker, Zone: l.Zone, Address: string(l.Address), Lapsed: l.Lapsed, Reason: l.Reason,
		ClockNs: int64(l.Clock), WallNs: wall(l.Wall), Index: l.Index, TtlNs: int64(l.TTL), DrainNs: int64(l.Wait),
	}
}

func leaseIn(m *journalv1.Lease) fsm.Lease {
	return fsm.Lease{
		Pool: fsm.PoolID(m.GetPool()), Number: int(m.GetNumber()), State: fsm.LeaseState(small(m.GetState())), Token: fsm.Token(m.GetToken()),
		Session: fsm.SessionID(m.GetSession()), Worker: m.GetWorker(), Zone: m.GetZone(), Address: fsm.Address(m.GetAddress()),
		TTL: time.Duration(m.GetTtlNs()), Wait: time.Duration(m.GetDrainNs()), Lapsed: m.GetLapsed(), Reason: m.GetReason(), Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()), Index: m.GetIndex(),
	}
}

func checkpointOut(c fsm.Checkpoint) *journalv1.Checkpoint {
	return &journalv1.Checkpoint{
		Pool: string(c.Pool), Number: int64(c.Number), Version: c.Version, Token: uint64(c.Token), Data: c.Data,
		ClockNs: int64(c.Clock), WallNs: wall(c.Wall), Index: c.Index,
	}
}

func checkpointIn(m *journalv1.Checkpoint) fsm.Checkpoint {
	return fsm.Checkpoint{
		Pool: fsm.PoolID(m.GetPool()), Number: int(m.GetNumber()), Version: m.GetVersion(), Token: fsm.Token(m.GetToken()), Data: m.GetData(),
		Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()), Index: m.GetIndex(),
	}
}

func leaseReaders() map[fsm.Kind]reader {
	return map[fsm.Kind]reader{
		fsm.KindOpenSession:    reading(openSessionIn),
		fsm.KindCloseSessions:  reading(closeSessionsIn),
		fsm.KindGrantLeases:    reading(grantLeasesIn),
		fsm.KindMoveLeases:     reading(moveLeasesIn),
		fsm.KindSaveCheckpoint: reading(saveCheckpointIn),
	}
}

// leaseRecords lists pools, sessions, partitions and checkpoints, each in key order.
func leaseRecords(f fsm.Flat) (all []*journalv1.Record) {
	for _, v := range f.Pools {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Pool{Pool: poolOut(v)}})
	}
	for _, v := range f.Sessions {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Session{Session: sessionOut(v)}})
	}
	for _, v := range f.Leases {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Lease{Lease: leaseOut(v)}})
	}
	for _, v := range f.Checkpoints {
		all = append(all, &journalv1.Record{Piece: &journalv1.Record_Checkpoint{Checkpoint: checkpointOut(v)}})
	}
	return all
}

// takeLease adds one of those records to the state; false: it is none.
func takeLease(f *fsm.Flat, m *journalv1.Record) bool {
	switch p := m.GetPiece().(type) {
	case *journalv1.Record_Pool:
		f.Pools = append(f.Pools, poolIn(p.Pool))
	case *journalv1.Record_Session:
		f.Sessions = append(f.Sessions, sessionIn(p.Session))
	case *journalv1.Record_Lease:
		f.Leases = append(f.Leases, leaseIn(p.Lease))
	case *journalv1.Record_Checkpoint:
		f.Checkpoints = append(f.Checkpoints, checkpointIn(p.Checkpoint))
	default:
		return false
	}
	return true
}
