package journal

import (
	"time"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

func specOut(s fsm.Spec) *journalv1.Spec {
	return &journalv1.Spec{
		Revision: uint64(s.Revision), Source: s.Source, Applied: appliedOut(s.Applied),
		Masters: each(s.Masters, masterSpecOut), Targets: each(s.Targets, targetOut), Pools: each(s.Pools, poolSpecOut),
	}
}

func specIn(m *journalv1.Spec) fsm.Spec {
	return fsm.Spec{
		Revision: fsm.Revision(m.GetRevision()), Source: m.GetSource(), Applied: appliedIn(m.GetApplied()),
		Masters: each(m.GetMasters(), masterSpecIn), Targets: each(m.GetTargets(), targetIn), Pools: each(m.GetPools(), poolSpecIn),
	}
}

func appliedOut(a fsm.Applied) *journalv1.Applied {
	if a == (fsm.Applied{}) {
		return nil
	}
	return &journalv1.Applied{Actor: a.Actor, Reason: a.Reason, Index: a.Index, ClockNs: int64(a.Clock), WallNs: wall(a.Wall)}
}

func appliedIn(m *journalv1.Applied) fsm.Applied {
	if m == nil {
		return fsm.Applied{}
	}
	return fsm.Applied{Actor: m.GetActor(), Reason: m.GetReason(), Index: m.GetIndex(), Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs())}
}

func formerOut(f fsm.FormerSpec) *journalv1.FormerSpec {
	return &journalv1.FormerSpec{Revision: uint64(f.Revision), Source: f.Source, Applied: appliedOut(f.Applied)}
}

func formerIn(m *journalv1.FormerSpec) fsm.FormerSpec {
	return fsm.FormerSpec{Revision: fsm.Revision(m.GetRevision()), Source: m.GetSource(), Applied: appliedIn(m.GetApplied())}
}

func masterSpecOut(s fsm.MasterSpec) *journalv1.MasterSpec {
	return &journalv1.MasterSpec{
		Id: string(s.ID),
		Candidates: each(s.Candidates, func(c fsm.Candidate) *journalv1.Candidate {
			return &journalv1.Candidate{Address: string(c.Address), Zone: c.Zone}
		}),
		Plan: each(s.Plan, func(g fsm.Stage) *journalv1.Stage {
			return &journalv1.Stage{Name: g.Name, Steps: each(g.Steps, stepOut)}
		}),
		Mend: s.Mend, Observe: s.Observe,
	}
}

func masterSpecIn(m *journalv1.MasterSpec) fsm.MasterSpec {
	return fsm.MasterSpec{
		ID: fsm.MasterID(m.GetId()),
		Candidates: each(m.GetCandidates(), func(c *journalv1.Candidate) fsm.Candidate {
			return fsm.Candidate{Address: fsm.Address(c.GetAddress()), Zone: c.GetZone()}
		}),
		Plan: each(m.GetPlan(), func(g *journalv1.Stage) fsm.Stage {
			return fsm.Stage{Name: g.GetName(), Steps: each(g.GetSteps(), stepIn)}
		}),
		Mend: m.GetMend(), Observe: m.GetObserve(),
	}
}

func stepOut(s fsm.Step) *journalv1.Step {
	return &journalv1.Step{
		Name: s.Name, Target: string(s.Target), Kind: s.Kind, Object: string(s.Object), Class: uint32(s.Class), Params: s.Params,
		Block: s.Block, WriteOver: s.WriteOver, MaxAttempts: int64(s.MaxAttempts), ActNs: int64(s.Act),
	}
}

func stepIn(m *journalv1.Step) fsm.Step {
	return fsm.Step{
		Name: m.GetName(), Target: fsm.TargetID(m.GetTarget()), Kind: m.GetKind(), Object: fsm.ObjectID(m.GetObject()),
		Class: fsm.Class(small(m.GetClass())), Params: m.GetParams(), Block: m.GetBlock(), WriteOver: m.GetWriteOver(),
		MaxAttempts: int(m.GetMaxAttempts()), Act: time.Duration(m.GetActNs()),
	}
}

func targetOut(t fsm.TargetSpec) *journalv1.TargetSpec {
	return &journalv1.TargetSpec{Id: string(t.ID), Kind: t.Kind, Params: t.Params, HoldNs: int64(t.Hold), Rate: int64(t.Rate)}
}

func targetIn(m *journalv1.TargetSpec) fsm.TargetSpec {
	return fsm.TargetSpec{ID: fsm.TargetID(m.GetId()), Kind: m.GetKind(), Params: m.GetParams(), Hold: time.Duration(m.GetHoldNs()), Rate: int(m.GetRate())}
}
