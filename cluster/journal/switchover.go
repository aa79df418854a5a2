package journal

import (
	"time"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

func askOut(c fsm.AskSwitchover) *journalv1.AskSwitchover {
	return &journalv1.AskSwitchover{
		Master: string(c.Master), Base: uint64(c.Base), Revision: uint64(c.Revision), Term: uint64(c.Term), To: string(c.To),
		Named: c.Named, Sentinel: c.Sentinel, Reason: c.Reason, Sender: c.Sender, WindowNs: int64(c.Window),
	}
}

func askIn(m *journalv1.AskSwitchover) fsm.Command {
	return fsm.AskSwitchover{
		Master: fsm.MasterID(m.GetMaster()), Base: fsm.Number(m.GetBase()), Revision: fsm.Revision(m.GetRevision()),
		Term: fsm.Term(m.GetTerm()), To: fsm.Address(m.GetTo()), Named: m.GetNamed(), Sentinel: m.GetSentinel(),
		Reason: m.GetReason(), Sender: m.GetSender(), Window: time.Duration(m.GetWindowNs()),
	}
}

func askedOut(a fsm.Asked) *journalv1.Asked {
	if a == (fsm.Asked{}) {
		return nil
	}
	return &journalv1.Asked{
		Actor: a.Actor, Reason: a.Reason, To: string(a.To), Sentinel: a.Sentinel, ClockNs: int64(a.Clock), WallNs: wall(a.Wall), Index: a.Index,
	}
}

func askedIn(m *journalv1.Asked) fsm.Asked {
	return fsm.Asked{
		Actor: m.GetActor(), Reason: m.GetReason(), To: fsm.Address(m.GetTo()), Sentinel: m.GetSentinel(),
		Clock: fsm.Clock(m.GetClockNs()), Wall: unwall(m.GetWallNs()), Index: m.GetIndex(),
	}
}

func switchoverOut(w fsm.Switchover) *journalv1.Switchover {
	return &journalv1.Switchover{
		Master: string(w.Master), Base: uint64(w.Base), Command: string(w.Command), Sender: w.Sender, From: string(w.From), To: string(w.To),
		Named: w.Named, Sentinel: w.Sentinel, WindowNs: int64(w.Window), Actor: w.Actor, Reason: w.Reason, Token: uint64(w.Token),
		Term: uint64(w.Term), Node: string(w.Node), Phase: uint32(w.Phase), Detail: w.Detail, Number: uint64(w.Number),
		AskedNs: int64(w.Asked), ChangedNs: int64(w.Changed), AskedWallNs: wall(w.AskedWall), ChangedWallNs: wall(w.ChangedWall), Index: w.Index,
	}
}

func switchoverIn(m *journalv1.Switchover) fsm.Switchover {
	return fsm.Switchover{
		Master: fsm.MasterID(m.GetMaster()), Base: fsm.Number(m.GetBase()), Command: fsm.CommandID(m.GetCommand()), Sender: m.GetSender(),
		From: fsm.Address(m.GetFrom()), To: fsm.Address(m.GetTo()), Named: m.GetNamed(), Sentinel: m.GetSentinel(),
		Window: time.Duration(m.GetWindowNs()), Actor: m.GetActor(), Reason: m.GetReason(), Token: fsm.Token(m.GetToken()),
		Term: fsm.Term(m.GetTerm()), Node: fsm.NodeID(m.GetNode()), Phase: fsm.SwitchoverPhase(small(m.GetPhase())), Detail: m.GetDetail(),
		Number: fsm.Number(m.GetNumber()), Asked: fsm.Clock(m.GetAskedNs()), Changed: fsm.Clock(m.GetChangedNs()),
		AskedWall: unwall(m.GetAskedWallNs()), ChangedWall: unwall(m.GetChangedWallNs()), Index: m.GetIndex(),
	}
}

func noteSwitchoverIn(m *journalv1.NoteSwitchover) fsm.Command {
	return fsm.NoteSwitchover{
		Master: fsm.MasterID(m.GetMaster()), Token: fsm.Token(m.GetToken()), To: fsm.SwitchoverPhase(small(m.GetTo())), Detail: m.GetDetail(),
	}
}
