package api

import (
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// actionMessage shows an action; gates are asked for a pending one only.
func (s *Server) actionMessage(state fsm.State, a fsm.Action) *pointsmanv1.Action {
	m := &pointsmanv1.Action{
		Id:         string(a.ID),
		Kind:       a.Step.Kind,
		Target:     string(a.Target.ID),
		Object:     string(a.Step.Object),
		State:      actionState(a.Phase),
		Effect:     actionEffect(a.Effect),
		Wanted:     a.Wanted,
		Attempts:   uint32(a.Attempts),
		Token:      uint64(a.Token),
		Term:       uint64(a.Term),
		NodeId:     string(a.Node),
		InDoubt:    a.Doubt,
		Reason:     a.Reason,
		Checkpoint: readable(a.Checkpoint),
		Refresh:    string(a.On),
		PlannedAt:  span(a.Created),
		Index:      a.Index,
	}
	if !a.IsRefresh() {
		m.Failover, m.Stage, m.Step = a.For.String(), a.Stages, a.Step.Name
	}
	if a.Claimed > 0 {
		m.ClaimedAt = span(a.Claimed)
	}
	if a.Phase.Final() {
		m.SettledAt, m.SettledTime = span(a.Changed), stamp(a.ChangedWall)
	}
	if a.Phase == fsm.Pending {
		for _, g := range s.cfg.Gates.Gates(state, a) {
			m.Gates = append(m.Gates, gateMessage(g))
		}
	}
	m.Score = scoreMessage(state, a)
	for _, at := range a.History {
		m.History = append(m.History, attemptMessage(at))
	}
	return m
}

func attemptMessage(at fsm.Attempt) *pointsmanv1.Attempt {
	m := &pointsmanv1.Attempt{
		Token:       uint64(at.Token),
		Term:        uint64(at.Term),
		NodeId:      string(at.Node),
		Index:       at.Token.Index(),
		Outcome:     actionState(at.Outcome),
		Reason:      at.Reason,
		RequestIds:  at.Requests,
		InDoubt:     at.Doubt,
		SettledAt:   span(at.Clock),
		SettledTime: stamp(at.Wall),
	}
	if at.Claimed > 0 {
		m.ClaimedAt = span(at.Claimed)
	}
	if at.First > 0 {
		m.FirstRequestAfter = durationpb.New(at.First)
	}
	return m
}

func gateMessage(g fsm.Gate) *pointsmanv1.Gate {
	m := &pointsmanv1.Gate{Kind: gateKind(g.Kind), Detail: g.Detail}
	if g.Remaining > 0 {
		m.Remaining = durationpb.New(g.Remaining)
	}
	return m
}

func actionState(p fsm.Phase) pointsmanv1.ActionState {
	switch p {
	case fsm.Pending:
		return pointsmanv1.ActionState_ACTION_STATE_PENDING
	case fsm.Claimed:
		return pointsmanv1.ActionState_ACTION_STATE_CLAIMED
	case fsm.Waiting:
		return pointsmanv1.ActionState_ACTION_STATE_WAITING
	case fsm.Done:
		return pointsmanv1.ActionState_ACTION_STATE_DONE
	case fsm.Stuck:
		return pointsmanv1.ActionState_ACTION_STATE_STUCK
	case fsm.Superseded:
		return pointsmanv1.ActionState_ACTION_STATE_SUPERSEDED
	case fsm.Abandoned:
		return pointsmanv1.ActionState_ACTION_STATE_ABANDONED
	case fsm.Observed:
		return pointsmanv1.ActionState_ACTION_STATE_OBSERVED
	}
	return pointsmanv1.ActionState_ACTION_STATE_UNSPECIFIED
}

func actionEffect(e fsm.Effect) pointsmanv1.ActionEffect {
	switch e {
	case fsm.Changed:
		return pointsmanv1.ActionEffect_ACTION_EFFECT_CHANGED
	case fsm.Already:
		return pointsmanv1.ActionEffect_ACTION_EFFECT_ALREADY
	}
	return pointsmanv1.ActionEffect_ACTION_EFFECT_UNSPECIFIED
}

func gateKind(k fsm.GateKind) pointsmanv1.GateKind {
	switch k {
	case fsm.GateStage:
		return pointsmanv1.GateKind_GATE_KIND_STAGE
	case fsm.GateWindow:
		return pointsmanv1.GateKind_GATE_KIND_WINDOW
	case fsm.GateBusy:
		return pointsmanv1.GateKind_GATE_KIND_BUSY
	case fsm.GateBackoff:
		return pointsmanv1.GateKind_GATE_KIND_BACKOFF
	case fsm.GateBudget:
		return pointsmanv1.GateKind_GATE_KIND_BUDGET
	case fsm.GatePause:
		return pointsmanv1.GateKind_GATE_KIND_PAUSE
	case fsm.GateHold:
		return pointsmanv1.GateKind_GATE_KIND_HOLD
	case fsm.GateApproval:
		return pointsmanv1.GateKind_GATE_KIND_APPROVAL
	}
	return pointsmanv1.GateKind_GATE_KIND_UNSPECIFIED
}
