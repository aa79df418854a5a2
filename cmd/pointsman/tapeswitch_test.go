package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// scriptObject makes the next switchovers refused; "object none" ends that.
func (w *tape) scriptObject(args []string) error {
	if err := need(args, 1, "object REASON DETAIL | object none"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objections = nil
	if len(args) > 1 {
		w.objections = []api.Objection{
			{Reason: args[0], Detail: args[1]}, {Reason: "SENTINEL_TILT", Detail: "10.0.3.10:26379 is in tilt"},
		}
	}
	return nil
}

// Switchover implements api.Switcher: what a Sentinel that says yes leaves in
// the log, under the rules of the real state machine.
func (n *node) Switchover(_ context.Context, ask api.SwitchoverAsk) (api.Switched, error) {
	state := n.now()
	n.mu.Lock()
	objections, term := n.objections, n.term
	n.mu.Unlock()
	if len(objections) > 0 {
		return api.Switched{}, &api.ObjectionsError{Master: ask.Master, Objections: objections}
	}
	if _, ok := state.Spec().Master(ask.Master); !ok {
		return api.Switched{}, &fsm.Refused{Refusal: fsm.ErrUnknown, Detail: fmt.Sprintf("master %q is not declared", ask.Master)}
	}
	if err := state.CheckSwitchover(ask.Master); err != nil {
		return api.Switched{}, err
	}
	m, _ := state.Master(ask.Master)
	lag := int64(14)
	out := api.Switched{
		Request: fsm.Switchover{Master: ask.Master, Base: m.Number, From: m.Address, To: "10.0.2.20:6379", Sentinel: "10.0.1.10:26379", Reason: ask.Reason},
		Certain: true, Why: "replica-priority 10 is the lowest; 10.0.3.20:6379 has 100",
		Replicas: []*pointsmanv1.ReplicaStanding{
			{Address: "10.0.2.20:6379", Priority: 10, Offset: 5000, LagBytes: &lag, Link: "connected"},
			{Address: "10.0.3.20:6379", Priority: 100, PassedOver: "flag s_down"},
		},
		Plan:  []*pointsmanv1.PlannedStep{{Stage: "announce", Step: "url", Object: "setting/redis/cache/url", Wanted: "redis/cache/url = redis://10.0.2.20:6379/0", Found: "not set", Verdict: "absent"}},
		Notes: []string{"sentinel 10.0.3.10:26379: no answer in time"},
	}
	if ask.DryRun {
		return out, nil
	}
	answer := n.apply(fsm.AskSwitchover{
		Master: ask.Master, Base: m.Number, Revision: state.Spec().Revision, Term: term, To: out.Request.To, Sentinel: out.Request.Sentinel,
		Reason: ask.Reason, Sender: "call", Window: 5 * time.Minute,
	}, ask.Command, "ann@host")
	if err := answer.Err(); err != nil {
		return api.Switched{}, err
	}
	n.apply(fsm.NoteSwitchover{Master: ask.Master, Token: answer.Token, To: fsm.SwitchoverStarted, Detail: "OK"}, "", "n1")
	out.Request, _ = n.now().Switchover(ask.Master)
	return out, nil
}
