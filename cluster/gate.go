package cluster

import (
	"fmt"
	"slices"

	"github.com/pointsman/pointsman/fsm"
)

// readable is the version gate. Kinds of the first release need no
// announcement; a later kind is proposed only when every voter has said in the
// log that it can read it.
func readable(k fsm.Kind, s fsm.State, voters []fsm.NodeID) error {
	if k <= fsm.KindNoteDrift {
		return nil
	}
	for _, v := range voters {
		m, ok := s.Member(v)
		if !ok || !slices.Contains(m.Reads, k) {
			return fmt.Errorf("%w: node %s has not announced %s", ErrNotReadable, v, k)
		}
	}
	return nil
}

// observable is the gate of a spec with a master that is only observed: its form
// is as old as the score's. A voter that the log has never met is no hindrance,
// since a cluster gets its first spec before its last node has started; one that
// cannot read it stops and says so.
func observable(c fsm.Command, s fsm.State, voters []fsm.NodeID) error {
	put, ok := c.(fsm.PutSpec)
	if !ok || !slices.ContainsFunc(put.Spec.Masters, func(m fsm.MasterSpec) bool { return m.Observe }) {
		return nil
	}
	return known(fsm.KindNoteScore, "observe_only with a plan", s, voters)
}

// poolable is the same for a spec with pools: their form is as old as sessions.
func poolable(c fsm.Command, s fsm.State, voters []fsm.NodeID) error {
	if put, ok := c.(fsm.PutSpec); !ok || len(put.Spec.Pools) == 0 {
		return nil
	}
	return known(fsm.KindMoveLeases, "pools", s, voters)
}

// known refuses what a voter that the log has met cannot read.
func known(k fsm.Kind, what string, s fsm.State, voters []fsm.NodeID) error {
	for _, v := range voters {
		if m, met := s.Member(v); met && !slices.Contains(m.Reads, k) {
			return fmt.Errorf("%w: node %s has not announced that it knows %s", ErrNotReadable, v, what)
		}
	}
	return nil
}
