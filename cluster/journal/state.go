package journal

import (
	"time"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

func masterOut(m fsm.Master) *journalv1.Master {
	return &journalv1.Master{
		Id: string(m.ID), Number: uint64(m.Number), Address: string(m.Address), Epoch: uint64(m.Epoch),
		SinceNs: int64(m.Since), WallNs: wall(m.Wall), As: uint32(m.As),
	}
}

func masterIn(m *journalv1.Master) fsm.Master {
	return fsm.Master{
		ID: fsm.MasterID(m.GetId()), Number: fsm.Number(m.GetNumber()), Address: fsm.Address(m.GetAddress()),
		Epoch: fsm.Epoch(m.GetEpoch()), Since: fsm.Clock(m.GetSinceNs()), Wall: unwall(m.GetWallNs()),
		As: fsm.ObservedAs(small(m.GetAs())),
	}
}

func failoverIDOut(f fsm.FailoverID) *journalv1.FailoverID {
	if f == (fsm.FailoverID{}) {
		return nil
	}
	return &journalv1.FailoverID{Master: string(f.Master), Number: uint64(f.Number)}
}

func failoverIDIn(m *journalv1.FailoverID) fsm.FailoverID {
	return fsm.FailoverID{Master: fsm.MasterID(m.GetMaster()), Number: fsm.Number(m.GetNumber())}
}

func failoverOut(f fsm.Failover) *journalv1.Failover {
	return &journalv1.Failover{
		Id: failoverIDOut(f.ID), From: string(f.From), To: string(f.To), Epoch: uint64(f.Epoch), As: uint32(f.As),
		Evidence: f.Evidence, Revision: uint64(f.Revision), Term: uint64(f.Term), Index: f.Index, Node: string(f.Node),
		ClockNs: int64(f.Clock), WallNs: wall(f.Wall), SeenNs: int64(f.Seen), Asked: askedOut(f.Asked),
		Actions: each(f.Actions, func(a fsm.ActionID) string { return string(a) }),
	}
}

func failoverIn(m *journalv1.Failover) fsm.Failover {
	return fsm.Failover{
		ID: failoverIDIn(m.GetId()), From: fsm.Address(m.GetFrom()), To: fsm.Address(m.GetTo()), Epoch: fsm.Epoch(m.GetEpoch()),
		As: fsm.ObservedAs(small(m.GetAs())), Evidence: m.GetEvidence(), Revision: fsm.Revision(m.GetRevision()),
		Term: fsm.Term(m.GetTerm()), Index: m.GetIndex(), Node: fsm.NodeID(m.GetNode()),
		Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()), Seen: time.Duration(m.GetSeenNs()), Asked: askedIn(m.GetAsked()),
		Actions: each(m.GetActions(), func(a string) fsm.ActionID { return fsm.ActionID(a) }),
	}
}

func actionOut(a fsm.Action) *journalv1.Action {
	return &journalv1.Action{
		Id: string(a.ID), For: failoverIDOut(a.For), Stage: int64(a.Stage), Phase: uint32(a.Phase), Step: stepOut(a.Step),
		Target: targetOut(a.Target), StageName: a.Stages, Value: a.Value, Wanted: a.Wanted,
		Token: uint64(a.Token), Term: uint64(a.Term), Node: string(a.Node), Version: a.Version,
		Effect: uint32(a.Effect), Attempts: int64(a.Attempts), Limit: int64(a.Limit), NotBeforeNs: int64(a.NotBefore),
		Doubt: a.Doubt, Partial: a.Partial, Careful: a.Careful, Reason: a.Reason, Checkpoint: a.Checkpoint, On: string(a.On), Rounds: int64(a.Rounds),
		History: each(a.History, attemptOut), CreatedNs: int64(a.Created), ChangedNs: int64(a.Changed),
		CreatedWallNs: wall(a.CreatedWall), ChangedWallNs: wall(a.ChangedWall), Index: a.Index, Mend: a.Mend, ClaimedNs: int64(a.Claimed),
	}
}

func actionIn(m *journalv1.Action) fsm.Action {
	return fsm.Action{
		ID: fsm.ActionID(m.GetId()), For: failoverIDIn(m.GetFor()), Stage: int(m.GetStage()), Phase: fsm.Phase(small(m.GetPhase())),
		Step: stepIn(m.GetStep()), Target: targetIn(m.GetTarget()), Stages: m.GetStageName(), Value: m.GetValue(), Wanted: m.GetWanted(),
		Token: fsm.Token(m.GetToken()), Term: fsm.Term(m.GetTerm()), Node: fsm.NodeID(m.GetNode()), Version: m.GetVersion(),
		Effect: fsm.Effect(small(m.GetEffect())), Attempts: int(m.GetAttempts()), Limit: int(m.GetLimit()), NotBefore: fsm.Clock(m.GetNotBeforeNs()),
		Doubt: m.GetDoubt(), Partial: m.GetPartial(), Careful: m.GetCareful(), Reason: m.GetReason(), Checkpoint: m.GetCheckpoint(), On: fsm.ActionID(m.GetOn()), Rounds: int(m.GetRounds()),
		History: each(m.GetHistory(), attemptIn), Created: fsm.Clock(m.GetCreatedNs()), Changed: fsm.Clock(m.GetChangedNs()),
		CreatedWall: unwall(m.GetCreatedWallNs()), ChangedWall: unwall(m.GetChangedWallNs()), Index: m.GetIndex(), Mend: m.GetMend(), Claimed: fsm.Clock(m.GetClaimedNs()),
	}
}

func attemptOut(a fsm.Attempt) *journalv1.Attempt {
	return &journalv1.Attempt{
		Token: uint64(a.Token), Term: uint64(a.Term), Node: string(a.Node), Outcome: uint32(a.Outcome), Doubt: a.Doubt,
		Reason: a.Reason, Requests: a.Requests, ClockNs: int64(a.Clock), WallNs: wall(a.Wall),
		ClaimedNs: int64(a.Claimed), FirstNs: int64(a.First),
	}
}

func attemptIn(m *journalv1.Attempt) fsm.Attempt {
	return fsm.Attempt{
		Token: fsm.Token(m.GetToken()), Term: fsm.Term(m.GetTerm()), Node: fsm.NodeID(m.GetNode()), Outcome: fsm.Phase(small(m.GetOutcome())),
		Doubt: m.GetDoubt(), Reason: m.GetReason(), Requests: m.GetRequests(), Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()),
		Claimed: fsm.Clock(m.GetClaimedNs()), First: time.Duration(m.GetFirstNs()),
	}
}

func objectOut(o fsm.Object) *journalv1.Object {
	return &journalv1.Object{Id: string(o.ID), Held: each(o.Held, func(h fsm.Hold) *journalv1.Hold {
		return &journalv1.Hold{
			Token: uint64(h.Token), Action: string(h.Action), Term: uint64(h.Term), Node: string(h.Node),
			ActNs: int64(h.Act), KeepNs: int64(h.Keep),
		}
	})}
}

func objectIn(m *journalv1.Object) fsm.Object {
	return fsm.Object{ID: fsm.ObjectID(m.GetId()), Held: each(m.GetHeld(), func(h *journalv1.Hold) fsm.Hold {
		return fsm.Hold{
			Token: fsm.Token(h.GetToken()), Action: fsm.ActionID(h.GetAction()), Term: fsm.Term(h.GetTerm()), Node: fsm.NodeID(h.GetNode()),
			Act: time.Duration(h.GetActNs()), Keep: time.Duration(h.GetKeepNs()),
		}
	})}
}

func refreshesOut(r fsm.Refreshes) *journalv1.Refreshes {
	return &journalv1.Refreshes{Target: string(r.Target), Last: r.Last, Oldest: r.Oldest}
}

func refreshesIn(m *journalv1.Refreshes) fsm.Refreshes {
	return fsm.Refreshes{Target: fsm.TargetID(m.GetTarget()), Last: m.GetLast(), Oldest: m.GetOldest()}
}

func settingOut(v fsm.Setting) *journalv1.Setting {
	return &journalv1.Setting{
		Key: v.Key, Value: v.Value, Revision: v.Revision, Owner: string(v.Owner), Actor: v.Actor,
		ClockNs: int64(v.Clock), WallNs: wall(v.Wall),
	}
}

func settingIn(m *journalv1.Setting) fsm.Setting {
	return fsm.Setting{
		Key: m.GetKey(), Value: m.GetValue(), Revision: m.GetRevision(), Owner: fsm.ActionID(m.GetOwner()), Actor: m.GetActor(),
		Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()),
	}
}

func driftOut(d fsm.Drift) *journalv1.Drift {
	return &journalv1.Drift{
		Object: string(d.Object), Action: string(d.Action), Found: d.Found, Repair: string(d.Repair),
		ClockNs: int64(d.Clock), WallNs: wall(d.Wall), Index: d.Index,
	}
}

func driftIn(m *journalv1.Drift) fsm.Drift {
	return fsm.Drift{
		Object: fsm.ObjectID(m.GetObject()), Action: fsm.ActionID(m.GetAction()), Found: m.GetFound(), Repair: fsm.ActionID(m.GetRepair()),
		Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()), Index: m.GetIndex(),
	}
}

func conditionOut(c fsm.Condition) *journalv1.Condition {
	return &journalv1.Condition{
		Master: string(c.Master), Sight: uint32(c.Sight), Note: c.Note, Word: uint32(c.Word), SinceNs: int64(c.Since), WallNs: wall(c.Wall),
		Number: uint64(c.Number), BeganNs: int64(c.Began), Told: uint64(c.Told),
		SpansNs: each(c.Spans, func(d time.Duration) int64 { return int64(d) }),
	}
}

func conditionIn(m *journalv1.Condition) fsm.Condition {
	return fsm.Condition{
		Master: fsm.MasterID(m.GetMaster()), Sight: fsm.Sight(small(m.GetSight())), Note: m.GetNote(), Word: fsm.Word(small(m.GetWord())),
		Since: fsm.Clock(m.GetSinceNs()), Wall: unwall(m.GetWallNs()), Number: fsm.Number(m.GetNumber()),
		Began: fsm.Clock(m.GetBeganNs()), Told: fsm.Number(m.GetTold()),
		Spans: each(m.GetSpansNs(), func(d int64) time.Duration { return time.Duration(d) }),
	}
}

func memberOut(m fsm.Member) *journalv1.Member {
	return &journalv1.Member{
		Node: string(m.Node), Zone: m.Zone, Store: string(m.Store), Raft: m.Raft, Grpc: m.GRPC, Http: m.HTTP, Version: m.Version,
		Reads:   each(m.Reads, func(k fsm.Kind) uint32 { return uint32(k) }),
		ClockNs: int64(m.Clock), WallNs: wall(m.Wall),
	}
}

func memberIn(m *journalv1.Member) fsm.Member {
	return fsm.Member{
		Node: fsm.NodeID(m.GetNode()), Zone: m.GetZone(), Store: fsm.StoreID(m.GetStore()), Raft: m.GetRaft(),
		GRPC: m.GetGrpc(), HTTP: m.GetHttp(), Version: m.GetVersion(),
		Reads: each(m.GetReads(), func(k uint32) fsm.Kind { return fsm.Kind(small(k)) }),
		Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()),
	}
}

func keptOut(k fsm.Kept) *journalv1.Kept {
	return &journalv1.Kept{Id: string(k.ID), ClockNs: int64(k.Clock), Answer: &journalv1.Answer{
		Refusal: uint32(k.Answer.Refusal), Detail: k.Answer.Detail, Index: k.Answer.Index, Number: uint64(k.Answer.Number), Token: uint64(k.Answer.Token),
		Claims: each(k.Answer.Claims, func(g fsm.Granted) *journalv1.Granted {
			return &journalv1.Granted{Action: string(g.Action), Token: uint64(g.Token)}
		}),
	}}
}

func keptIn(m *journalv1.Kept) fsm.Kept {
	a := m.GetAnswer()
	return fsm.Kept{ID: fsm.CommandID(m.GetId()), Clock: fsm.Clock(m.GetClockNs()), Answer: fsm.Answer{
		Refusal: fsm.Refusal(small(a.GetRefusal())), Detail: a.GetDetail(), Index: a.GetIndex(), Number: fsm.Number(a.GetNumber()), Token: fsm.Token(a.GetToken()),
		Claims: each(a.GetClaims(), func(g *journalv1.Granted) fsm.Granted {
			return fsm.Granted{Action: fsm.ActionID(g.GetAction()), Token: fsm.Token(g.GetToken())}
		}),
	}}
}
