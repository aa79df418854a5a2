package api

import (
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (s *Server) masterMessage(state fsm.State, spec fsm.MasterSpec) *pointsmanv1.Master {
	now, known := state.Master(spec.ID)
	sight := s.cfg.Sights.See(spec.ID)
	last := fsm.FailoverID{Master: spec.ID, Number: now.Number}
	clock := clockNow(state, s.cfg.Log.Status())
	m := &pointsmanv1.Master{
		Id:          string(spec.ID),
		Address:     string(now.Address),
		Epoch:       uint64(now.Epoch),
		Number:      uint64(now.Number),
		ObserveOnly: s.specs.master(state.Spec(), spec.ID).GetObserveOnly(),
		Sentinels:   sight.Sentinels,
		Roles:       sight.Roles,
		Alerts:      sight.Alerts,
		Probes:      sight.Probes,
	}
	for _, c := range spec.Candidates {
		m.Candidates = append(m.Candidates, &pointsmanv1.Candidate{Address: string(c.Address), Zone: c.Zone})
	}
	for _, a := range state.Actions(last) {
		if !a.Phase.Final() {
			m.OpenActions++
		}
		if a.Phase == fsm.Stuck {
			m.Alerts = append(m.Alerts, stuckAlert(clock, a))
		}
	}
	for _, d := range state.Drifts() {
		if a, ok := state.Action(d.Action); ok && a.For.Master == spec.ID {
			m.Alerts = append(m.Alerts, driftAlert(clock, d))
		}
	}
	if f, ok := state.Failover(last); ok {
		m.SpecRevision = uint64(f.Revision)
	}
	if w, ok := state.Switchover(spec.ID); ok {
		m.Switchover = switchoverMessage(w, clock)
	}
	m.State = masterState(known && now.Known(), m.OpenActions > 0, sight.Standing)
	return m
}

// masterState puts what the Sentinels make of a master together with what the
// log has of it.
func masterState(known, open bool, standing pointsmanv1.MasterState) pointsmanv1.MasterState {
	switch {
	case !known:
		return pointsmanv1.MasterState_MASTER_STATE_UNKNOWN
	case standing == pointsmanv1.MasterState_MASTER_STATE_DISPUTED:
		return standing
	case open:
		return pointsmanv1.MasterState_MASTER_STATE_CUTTING_OVER
	case standing == pointsmanv1.MasterState_MASTER_STATE_FAILING_OVER:
		return standing
	}
	return pointsmanv1.MasterState_MASTER_STATE_STEADY
}
