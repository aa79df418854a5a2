package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// SwitchoverAsk is a human's request to move a master.
type SwitchoverAsk struct {
	Master  fsm.MasterID
	To      fsm.Address // empty: whoever the Sentinel picks
	Reason  string
	Actor   string
	Command fsm.CommandID // a repeat has the same one
	MaxLag  *int64        // bytes; nil: the default
	DryRun  bool
}

// Switched is what was asked, or would be.
type Switched struct {
	Request  fsm.Switchover // with a dry run: of phase zero
	Certain  bool
	Why      string
	Plan     []*pointsmanv1.PlannedStep
	Replicas []*pointsmanv1.ReplicaStanding
	Notes    []string
}

// Objection is one reason against a switchover, with its values.
type Objection struct {
	Reason, Detail string
}

// ObjectionsError is returned when something stands against a switchover; there
// is at least one objection.
type ObjectionsError struct {
	Master     fsm.MasterID
	Objections []Objection
}

func (e *ObjectionsError) Error() string {
	var all []string
	for _, o := range e.Objections {
		all = append(all, o.Detail)
	}
	return strings.Join(all, "\n")
}

// fault carries the first objection's reason, and all of them by number.
func (e *ObjectionsError) fault() *fault {
	f := &fault{
		code: codes.FailedPrecondition, reason: e.Objections[0].Reason, message: e.Error(),
		facts: map[string]string{"master": string(e.Master)},
	}
	for i, o := range e.Objections {
		f.facts[fmt.Sprintf("objection_%d", i+1)] = o.Reason + ": " + o.Detail
	}
	return f
}

// Switchover is for the leader alone; the forward interceptor brings it there.
func (s masterService) Switchover(ctx context.Context, req *pointsmanv1.SwitchoverRequest) (*pointsmanv1.SwitchoverResponse, error) {
	if req.GetRequestId() == "" && !req.GetValidateOnly() {
		return nil, invalid("request_id", "needed: without it a repeat after a lost answer would move the master again")
	}
	id, err := commandID(req)
	if err != nil {
		return nil, err
	}
	done, err := s.cfg.Switcher.Switchover(ctx, SwitchoverAsk{
		Master: fsm.MasterID(req.GetMaster()), To: fsm.Address(req.GetTo()), Reason: req.GetReason(), Actor: actor(ctx),
		Command: id, MaxLag: req.MaxLagBytes, DryRun: req.GetValidateOnly(),
	})
	if errors.Is(err, ErrOutcomeUnknown) { // the repeat is safe: it has an id
		return nil, &fault{code: codes.Unavailable, reason: ReasonOutcomeUnknown, message: err.Error(), retry: retryAfter}
	}
	if err != nil {
		return nil, err
	}
	st := s.cfg.Log.Status()
	state, _ := s.cfg.Log.Watch()
	m := switchoverMessage(done.Request, clockNow(state, st))
	m.Certain, m.Why = done.Certain, done.Why
	return &pointsmanv1.SwitchoverResponse{
		Header: header(state, st), Switchover: m, Plan: done.Plan, Replicas: done.Replicas, Notes: done.Notes,
	}, nil
}

func switchoverMessage(w fsm.Switchover, now fsm.Clock) *pointsmanv1.Switchover {
	next := w.Base + 1
	m := &pointsmanv1.Switchover{
		Master: string(w.Master), State: switchoverState(w.Phase), From: string(w.From), To: string(w.To), Sentinel: w.Sentinel,
		Actor: w.Actor, Reason: w.Reason, Detail: w.Detail, Failover: fsm.FailoverID{Master: w.Master, Number: next}.String(),
	}
	if w.Phase == 0 {
		return m
	}
	m.AskedAt, m.AskedTime, m.AskedIndex = span(w.Asked), stamp(w.AskedWall), w.Token.Index()
	if w.Phase == fsm.SwitchoverRefused || w.Phase == fsm.SwitchoverUnseen {
		m.Failover = "" // it led to none
	}
	if w.Open(now) {
		m.Left = durationpb.New(w.Left(now))
	} else if w.Phase <= fsm.SwitchoverDoubt {
		m.State, m.Failover = pointsmanv1.SwitchoverState_SWITCHOVER_STATE_UNSEEN, ""
	}
	return m
}

func switchoverState(p fsm.SwitchoverPhase) pointsmanv1.SwitchoverState {
	switch p {
	case fsm.SwitchoverAsked:
		return pointsmanv1.SwitchoverState_SWITCHOVER_STATE_ASKED
	case fsm.SwitchoverStarted:
		return pointsmanv1.SwitchoverState_SWITCHOVER_STATE_STARTED
	case fsm.SwitchoverDoubt:
		return pointsmanv1.SwitchoverState_SWITCHOVER_STATE_DOUBT
	case fsm.SwitchoverRefused:
		return pointsmanv1.SwitchoverState_SWITCHOVER_STATE_REFUSED
	case fsm.SwitchoverLed:
		return pointsmanv1.SwitchoverState_SWITCHOVER_STATE_LED
	case fsm.SwitchoverUnseen:
		return pointsmanv1.SwitchoverState_SWITCHOVER_STATE_UNSEEN
	}
	return pointsmanv1.SwitchoverState_SWITCHOVER_STATE_CHECKED
}
