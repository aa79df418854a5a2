package journal

import (
	"time"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

func noteScoreOut(c fsm.NoteScore) *journalv1.NoteScore {
	return &journalv1.NoteScore{Term: uint64(c.Term), Action: string(c.Action), Looks: int64(c.Looks), Look: lookOut(c.Look), Held: c.Held}
}

func noteScoreIn(m *journalv1.NoteScore) fsm.Command {
	return fsm.NoteScore{
		Term: fsm.Term(m.GetTerm()), Action: fsm.ActionID(m.GetAction()), Looks: int(m.GetLooks()), Look: lookIn(m.GetLook()), Held: m.GetHeld(),
	}
}

func scoreOut(v fsm.Score) *journalv1.Score {
	return &journalv1.Score{
		Action: string(v.Action), Looks: int64(v.Looks), First: lookOut(v.First), Held: v.Held, Kept: each(v.Kept, lookOut), Now: lookOut(v.Now),
		CameNs: int64(v.Came), CameAfterNs: int64(v.CameAfter), AppliedNs: int64(v.Applied),
		Changes: int64(v.Changes), Wrong: int64(v.Wrong), SetBack: int64(v.SetBack),
		LastNs: int64(v.Last), Term: uint64(v.Term), Gaps: int64(v.Gaps), UnseenNs: int64(v.Unseen), Index: v.Index,
	}
}

func scoreIn(m *journalv1.Score) fsm.Score {
	return fsm.Score{
		Action: fsm.ActionID(m.GetAction()), Looks: int(m.GetLooks()), First: lookIn(m.GetFirst()), Held: m.GetHeld(),
		Kept: each(m.GetKept(), lookIn), Now: lookIn(m.GetNow()),
		Came: fsm.Clock(m.GetCameNs()), CameAfter: fsm.Clock(m.GetCameAfterNs()), Applied: fsm.Clock(m.GetAppliedNs()),
		Changes: int(m.GetChanges()), Wrong: int(m.GetWrong()), SetBack: int(m.GetSetBack()),
		Last: fsm.Clock(m.GetLastNs()), Term: fsm.Term(m.GetTerm()), Gaps: int(m.GetGaps()), Unseen: time.Duration(m.GetUnseenNs()), Index: m.GetIndex(),
	}
}

// lookOut leaves out a look that was never made.
func lookOut(l fsm.Look) *journalv1.Look {
	if l == (fsm.Look{}) {
		return nil
	}
	return &journalv1.Look{
		ClockNs: int64(l.Clock), AfterNs: int64(l.After), Term: uint64(l.Term), Shows: uint32(l.Shows), At: string(l.At),
		Meets: uint32(l.Meets), Found: l.Found, WallNs: wall(l.Wall),
	}
}

func lookIn(m *journalv1.Look) fsm.Look {
	return fsm.Look{
		Clock: fsm.Clock(m.GetClockNs()), After: fsm.Clock(m.GetAfterNs()), Term: fsm.Term(m.GetTerm()), Shows: fsm.Showing(small(m.GetShows())),
		At: fsm.Address(m.GetAt()), Meets: fsm.Meets(small(m.GetMeets())), Found: m.GetFound(), Wall: unwall(m.GetWallNs()),
	}
}
