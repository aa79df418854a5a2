package api

import (
	"context"
	"fmt"
	"strings"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// CheckSpec is answered by the leader alone (leaderOnly), whose actuators know
// each target's rate.
func (s specService) CheckSpec(ctx context.Context, req *pointsmanv1.CheckSpecRequest) (*pointsmanv1.CheckSpecResponse, error) {
	var spec fsm.Spec
	var err error
	if req.GetSpec() == nil {
		err = s.check(req)
	} else {
		spec, err = s.compile(req, req.GetSpec())
	}
	if err != nil {
		return nil, err
	}
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	if req.GetSpec() == nil {
		spec = state.Spec()
	}
	within, cancel := context.WithTimeout(ctx, s.limits.CheckTime)
	defer cancel()
	return &pointsmanv1.CheckSpecResponse{Header: head, Preflight: s.cfg.Preflight.Check(within, state, spec)}, nil
}

// preflightAlerts tells of steps that a failover could not do.
func preflightAlerts(p *pointsmanv1.Preflight) (alerts []*pointsmanv1.Alert) {
	for _, c := range p.GetChecks() {
		if len(c.GetProblems()) == 0 {
			continue
		}
		alerts = append(alerts, &pointsmanv1.Alert{
			Code: AlertPreflight, Severity: warning, Subject: c.GetMaster() + "/" + c.GetStep(), Age: p.GetAge(),
			Message: fmt.Sprintf("looked at %s: %s", c.GetObject(), strings.Join(c.GetProblems(), "; ")),
		})
	}
	return alerts
}
