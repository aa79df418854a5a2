package api

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Codes of the alerts that this package raises; sentinel has its own.
const (
	AlertNoLeader    = "NO_LEADER"
	AlertDegraded    = "NODE_DEGRADED"
	AlertUnreachable = "NODE_UNREACHABLE"
	AlertStuck       = "ACTION_STUCK"
	AlertDoubt       = "ACTION_IN_DOUBT"
	AlertNoSpec      = "NO_SPEC"
	AlertDrifted     = "OBJECT_DRIFTED"
	AlertTarget      = "TARGET_NOT_REACHED"
	AlertPreflight   = "STEP_NOT_READY"
)

const (
	warning  = pointsmanv1.AlertSeverity_ALERT_SEVERITY_WARNING
	critical = pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL
)

// clockNow is the log clock as the node counts it on, or of the last entry where
// that is later.
func clockNow(state fsm.State, st Status) fsm.Clock { return max(st.Clock, state.Clock()) }

// clusterAlerts says what is wrong with the cluster as a whole.
func clusterAlerts(state fsm.State, st Status, nodes []*pointsmanv1.Node) (alerts []*pointsmanv1.Alert) {
	now := clockNow(state, st)
	if st.Leader == "" {
		alerts = append(alerts, &pointsmanv1.Alert{
			Code: AlertNoLeader, Severity: critical, Subject: string(st.Node),
			Message: "no leader is known: nothing new is begun", Age: durationpb.New(st.LastContact),
		})
	}
	if state.Spec().Revision == 0 {
		alerts = append(alerts, &pointsmanv1.Alert{Code: AlertNoSpec, Severity: warning, Message: "no spec was applied: no master is watched"})
	}
	for _, n := range nodes {
		if n.GetVoter() && !n.GetReachable() {
			alerts = append(alerts, &pointsmanv1.Alert{
				Code: AlertUnreachable, Severity: critical, Subject: n.GetId(),
				Message: fmt.Sprintf("voter %s does not answer at %s", n.GetId(), n.GetGrpcAddress()),
			})
		}
		if len(n.GetDegraded()) > 0 {
			alerts = append(alerts, &pointsmanv1.Alert{
				Code: AlertDegraded, Severity: warning, Subject: n.GetId(), Message: strings.Join(n.GetDegraded(), "; "),
			})
		}
	}
	alerts = append(alerts, reachAlerts(st, nodes)...)
	for _, d := range state.Drifts() {
		alerts = append(alerts, driftAlert(now, d))
	}
	for _, a := range state.Open() {
		switch {
		case a.Phase == fsm.Stuck:
			alerts = append(alerts, stuckAlert(now, a))
		case a.Doubt:
			alerts = append(alerts, &pointsmanv1.Alert{
				Code: AlertDoubt, Severity: warning, Subject: string(a.ID), Age: span(now - a.Changed),
				Message: "a request got no clear answer and no read has resolved it yet",
			})
		}
	}
	return alerts
}

// reachAlerts tells of followers that do not reach a target: they would make no
// leader. The leader's own are its placement's.
func reachAlerts(st Status, nodes []*pointsmanv1.Node) (alerts []*pointsmanv1.Alert) {
	for _, n := range nodes {
		for _, t := range n.GetTargets() {
			if t.GetReach() == pointsmanv1.Reach_REACH_LOST && n.GetId() != string(st.Leader) {
				alerts = append(alerts, &pointsmanv1.Alert{
					Code: AlertTarget, Severity: warning, Subject: n.GetId(), Age: t.GetSince(),
					Message: fmt.Sprintf("does not reach %s and is given no leadership: %s", t.GetTarget(), t.GetError()),
				})
			}
		}
	}
	return alerts
}

func driftAlert(now fsm.Clock, d fsm.Drift) *pointsmanv1.Alert {
	what := "nothing is done about it: mend it by hand, or set drift: repair on the master"
	if d.Repair != "" {
		what = "repaired by " + string(d.Repair)
	}
	return &pointsmanv1.Alert{
		Code: AlertDrifted, Severity: warning, Subject: string(d.Object), Age: span(now - d.Clock),
		Message: fmt.Sprintf("is not as %s left it (%s); %s", d.Action, d.Found, what),
	}
}

func stuckAlert(now fsm.Clock, a fsm.Action) *pointsmanv1.Alert {
	return &pointsmanv1.Alert{
		Code: AlertStuck, Severity: critical, Subject: string(a.ID), Age: span(now - a.Changed),
		Message: "waits for a human (retry or abandon): " + a.Reason,
	}
}
