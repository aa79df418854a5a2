package api

import (
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (s *Server) failoverMessage(state fsm.State, f fsm.Failover) *pointsmanv1.Failover {
	actions := state.Actions(f.ID)
	m := &pointsmanv1.Failover{
		Id:            f.ID.String(),
		Master:        string(f.ID.Master),
		Number:        uint64(f.ID.Number),
		From:          string(f.From),
		To:            string(f.To),
		SentinelEpoch: uint64(f.Epoch),
		Kind:          failoverKind(f.As),
		Evidence:      f.Evidence,
		AcceptedTerm:  uint64(f.Term),
		AcceptedIndex: f.Index,
		AcceptedNode:  string(f.Node),
		SpecRevision:  uint64(f.Revision),
		AcceptedAt:    span(f.Clock),
		AcceptedTime:  stamp(f.Wall),
		State:         failoverState(actions),
	}
	if f.Asked.Index > 0 {
		m.Asked = &pointsmanv1.FailoverRequest{
			Actor: f.Asked.Actor, Reason: f.Asked.Reason, Expected: string(f.Asked.To), Sentinel: f.Asked.Sentinel,
			AskedAt: span(f.Asked.Clock), AskedTime: stamp(f.Asked.Wall), AskedIndex: f.Asked.Index,
		}
	}
	if f.Seen > 0 {
		m.PromotedBefore = durationpb.New(f.Seen)
	}
	last, wall, open := f.Clock, f.Wall, false
	for _, a := range actions {
		m.Actions = append(m.Actions, s.actionMessage(state, a))
		open = open || !a.Phase.Final()
		if a.Changed >= last {
			last, wall = a.Changed, a.ChangedWall
		}
	}
	if !open {
		m.SettledAt, m.SettledTime = span(last), stamp(wall)
	}
	return m
}

// failoverState derives how a failover stands from its actions, the worst
// first. A failover without actions is done: it was to be recorded, and is.
func failoverState(actions []fsm.Action) pointsmanv1.FailoverState {
	count := map[fsm.Phase]int{}
	open := 0
	for _, a := range actions {
		count[a.Phase]++
		if !a.Phase.Final() {
			open++
		}
	}
	switch {
	case count[fsm.Stuck] > 0:
		return pointsmanv1.FailoverState_FAILOVER_STATE_STUCK
	case open > 0:
		return pointsmanv1.FailoverState_FAILOVER_STATE_RUNNING
	case count[fsm.Observed] > 0:
		return pointsmanv1.FailoverState_FAILOVER_STATE_OBSERVED
	case count[fsm.Superseded] > 0:
		return pointsmanv1.FailoverState_FAILOVER_STATE_SUPERSEDED
	case count[fsm.Abandoned] > 0:
		return pointsmanv1.FailoverState_FAILOVER_STATE_ABANDONED
	}
	return pointsmanv1.FailoverState_FAILOVER_STATE_DONE
}

func failoverKind(as fsm.ObservedAs) pointsmanv1.FailoverKind {
	switch as {
	case fsm.Advance:
		return pointsmanv1.FailoverKind_FAILOVER_KIND_ADVANCE
	case fsm.Resolve:
		return pointsmanv1.FailoverKind_FAILOVER_KIND_RESOLVE
	}
	return pointsmanv1.FailoverKind_FAILOVER_KIND_UNSPECIFIED
}

// failoverIndex is the log index of the failover's last change, its actions'
// changes and scores included.
func failoverIndex(state fsm.State, f fsm.Failover) uint64 {
	index := f.Index
	for _, id := range f.Actions {
		if a, ok := state.Action(id); ok {
			index = max(index, a.Index)
		}
		if v, ok := state.Score(id); ok {
			index = max(index, v.Index)
		}
	}
	return index
}
