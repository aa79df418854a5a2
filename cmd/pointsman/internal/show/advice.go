package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// triedInVain is how many attempts without success make an open action worth a
// warning: one is a blip, and the next may be under way.
const triedInVain = 2

// failing lists the open actions that are tried again and again. Each is still
// carried out by itself once its provider answers.
func (s Status) failing() []*pointsmanv1.Action {
	var all []*pointsmanv1.Action
	for _, a := range s.Actions.GetActions() {
		if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_PENDING && a.GetAttempts() >= triedInVain && a.GetReason() != "" {
			all = append(all, a)
		}
	}
	return all
}

// worst is the gravest alert, the first of several.
func (s Status) worst() *pointsmanv1.Alert {
	alerts := s.alerts()
	if len(alerts) == 0 {
		return nil
	}
	return slices.MaxFunc(alerts, func(a, b *pointsmanv1.Alert) int { return cmp.Compare(a.GetSeverity(), b.GetSeverity()) })
}

// advice is what to do about an alert: one line, which begins with what to
// type where typing helps. Every code has its cause and cure in docs/errors.md.
func (s Status) advice(a *pointsmanv1.Alert) string {
	switch code := a.GetCode(); code {
	case "NODE_UNREACHABLE":
		if missing := s.missing(); len(missing) > 0 {
			return "start " + strings.Join(missing, ", ") + ", or look at the network to it: pointsman nodes list -o wide"
		}
		return "pointsman masters show " + a.GetSubject()
	case "NODE_DEGRADED", "TARGET_NOT_REACHED", "LEADER_WITHOUT_TARGET", "LEADER_TARGET_NOT_REACHED":
		return "pointsman nodes list -o wide (docs/errors.md explains " + code + ")"
	case "OBJECT_DRIFTED":
		if by := s.author(a.GetSubject()); by != "" {
			return "pointsman actions show " + by + ", then mend the object by hand, or set drift: repair on its master"
		}
		return "mend the object by hand, or set drift: repair on its master"
	case "OBJECT_MISSING":
		return "make by hand what is missing, or pointsman switchover (docs/errors.md explains " + code + ")"
	case "OBJECT_NOT_OURS":
		return "find out who writes " + a.GetSubject() + ", and take the marker off it to adopt it (docs/errors.md explains " + code + ")"
	case "OBJECT_UNREADABLE":
		return "mend the step's ids or the target's credentials; it is looked at again by itself"
	case "STEP_NOT_READY":
		return "pointsman spec check"
	case "ACTION_IN_DOUBT":
		return "pointsman actions show " + a.GetSubject() + " (it is read again by itself)"
	default:
		if s.isMaster(a.GetSubject()) {
			return fmt.Sprintf("pointsman masters show %s (docs/errors.md explains %s)", a.GetSubject(), code)
		}
		return "pointsman doctor (docs/errors.md explains " + code + ")"
	}
}

func (s Status) isMaster(id string) bool {
	return slices.ContainsFunc(s.Masters.GetMasters(), func(m *pointsmanv1.Master) bool { return m.GetId() == id })
}

// author is the action that wrote an object last.
func (s Status) author(object string) string {
	for _, o := range s.objects() {
		if o.action.GetObject() == object {
			return o.action.GetId()
		}
	}
	return ""
}

// next is what a human should type, when one is needed.
func (s Status) next() string {
	if s.Health() == NoLeader {
		return s.nextWithoutLeader()
	}
	for _, a := range s.Actions.GetActions() {
		if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_STUCK {
			return stuckNext(a)
		}
	}
	if s.Cluster.GetCluster().GetSpecRevision() == 0 {
		return "pointsman config init spec > spec.yaml, edit it, pointsman apply -f spec.yaml"
	}
	if some := s.failing(); len(some) > 0 {
		return "pointsman actions show " + some[0].GetId() + " (it is tried again by itself; look at the provider)"
	}
	if a := s.worst(); a != nil {
		return s.advice(a)
	}
	for _, m := range s.Masters.GetMasters() {
		if trouble(m) > 0 && m.GetState() != pointsmanv1.MasterState_MASTER_STATE_CUTTING_OVER {
			return "pointsman masters show " + m.GetId()
		}
	}
	return ""
}

func (s Status) nextWithoutLeader() string {
	start := ""
	if missing := s.missing(); len(missing) > 0 {
		start = "start " + strings.Join(missing, ", ")
	}
	nodes := s.Cluster.GetCluster().GetNodes()
	if len(nodes) > 0 && len(s.missing()) < len(nodes)/2+1 {
		again := "ask again in a second; if it stays, pointsman doctor, and the logs of the nodes"
		if start == "" {
			return again
		}
		return again + "; " + start
	}
	return start
}

func (s Status) missing() []string {
	var all []string
	for _, n := range s.Cluster.GetCluster().GetNodes() {
		if !n.GetReachable() {
			all = append(all, n.GetId()+" (zone "+or(n.GetZone())+")")
		}
	}
	return all
}

// underWay names the failovers that are not done, and for how long they run.
func (s Status) underWay() string {
	var all []string
	for _, f := range s.Failovers.GetFailovers() {
		if f.GetState() == pointsmanv1.FailoverState_FAILOVER_STATE_RUNNING {
			all = append(all, fmt.Sprintf("%s for %s", f.GetId(), since(f.GetAcceptedAt(), s.Cluster.GetCluster().GetLogClock())))
		}
	}
	if left := len(all) - problemsNamed; left > 0 {
		all = append(all[:problemsNamed:problemsNamed], fmt.Sprintf("and %d more", left))
	}
	return strings.Join(all, ", ")
}
