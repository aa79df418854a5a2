package octavia

import (
	"fmt"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Provisioning statuses, as far as they decide something.
const (
	statusActive = "ACTIVE"
	statusError  = "ERROR"
)

// isPending reports a status that ends by itself. One that is not known is
// taken for such: waiting is the safe answer.
func isPending(status string) bool {
	return status != statusActive && !isOver(status)
}

// isOver reports a status that no waiting ends.
func isOver(status string) bool {
	switch status {
	case statusError, "DELETED", "PENDING_DELETE":
		return true
	}
	return false
}

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	v, ok := r.Body.(*view)
	if !ok {
		return actuators.Sight{Verdict: actuators.Busy, Detail: "not read yet", After: firstPoll, Reading: r}
	}
	s := v.judge(w, a.balancer)
	s.Reading = r
	return s
}

// judge follows the table in doc.go.
func (v *view) judge(w actuators.Work, balancer string) actuators.Sight {
	want, err := wantedOf(w.Action)
	if err == nil && want.Listener != v.id {
		err = fmt.Errorf("action %s wants listener %s, listener %s was read: %w", w.Action.ID, want.Listener, v.id, ErrValue)
	}
	if err != nil {
		return actuators.Sight{Verdict: actuators.Foreign, Detail: err.Error()}
	}
	ours := actuators.MarkerOf(w.Cluster, w.Action.For)
	_, m, marked := actuators.ParseMarked(v.listener.Description)
	s := actuators.Sight{Detail: v.detail()}
	wrong, read := v.pools[want.Pool]
	switch {
	case marked && m.Cluster != ours.Cluster:
		s.Verdict, s.Detail = actuators.Newer, "written by another cluster (take its marker off the description to adopt the listener): "+s.Detail
	case marked && m.Master == ours.Master && m.Number > ours.Number:
		s.Verdict, s.Detail = actuators.Newer, "written by a newer failover: "+s.Detail
	case !among(v.listener.Balancers, balancer):
		s.Verdict, s.Detail = actuators.Foreign, fmt.Sprintf("listener %s is not on load balancer %s", v.id, balancer)
	case isOver(v.balancer.Status):
		s.Verdict, s.Detail = actuators.Foreign, fmt.Sprintf("load balancer %s is in %s and takes no change until its operator has acted: %s", balancer, v.balancer.Status, s.Detail)
	case isPending(v.balancer.Status), isPending(v.listener.Status):
		s.Verdict, s.After = actuators.Busy, pollDelay(v.pending)
		s.Detail = fmt.Sprintf("load balancer %s, listener %s: %s", v.balancer.Status, v.listener.Status, s.Detail)
	case !read:
		s.Verdict, s.Detail, s.After = actuators.Busy, fmt.Sprintf("pool %s was not read", want.Pool), firstPoll
	case wrong != "":
		s.Verdict, s.Detail = actuators.Foreign, wrong
	case !marked || m.Master != ours.Master:
		s.Verdict = v.unmarked(want, w)
		s.Found = s.Verdict == actuators.Applied
	case m.Number < ours.Number:
		s.Verdict = actuators.Absent
	case !strings.EqualFold(v.listener.Pool, want.Pool) && w.Action.Mend:
		s.Verdict = actuators.Absent
	case !strings.EqualFold(v.listener.Pool, want.Pool):
		s.Verdict, s.Detail = actuators.Foreign, "edited since our write: "+s.Detail
	default:
		s.Verdict = v.carried()
	}
	return s
}

// carried tells a value that is in effect from one that failed on its way. A
// listener in ERROR takes changes as long as its load balancer is ACTIVE.
func (v *view) carried() actuators.Verdict {
	if v.listener.Status == statusError {
		return actuators.Absent
	}
	return actuators.Applied
}

// unmarked judges a listener that no failover of this master has written.
func (v *view) unmarked(want wanted, w actuators.Work) actuators.Verdict {
	params, err := paramsOf(w.Action.Step)
	switch {
	case w.Action.Phase == fsm.Done: // it carried our marker: a human took it off
		return actuators.Foreign
	case w.Action.Mend:
		return actuators.Absent
	case err == nil && params.GetForeign() != pb.Foreign_FOREIGN_STUCK:
		return actuators.Absent
	case strings.EqualFold(v.listener.Pool, want.Pool) && v.carried() == actuators.Applied:
		return actuators.Applied // nothing to write
	}
	return actuators.Foreign
}

func (v *view) detail() string {
	to := "pool " + v.listener.Pool
	if v.listener.Pool == "" {
		to = "no pool"
	}
	text := fmt.Sprintf("listener %s → %s, described %q", v.id, to, wire.Cut(v.listener.Description, wire.MaxMessage))
	if v.listener.Status == statusError {
		text += ", in ERROR: its last change was not carried out everywhere"
	}
	if down(v.listener.Up) {
		text += ", down by its admin_state_up"
	}
	if down(v.balancer.Up) {
		text += ", load balancer down by its admin_state_up"
	}
	if v.balancer.Operating != "" && v.balancer.Operating != "ONLINE" && v.balancer.Operating != "NO_MONITOR" {
		text += ", load balancer " + wire.Cut(v.balancer.Operating, 32)
	}
	return text
}

// Compare implements actuators.Comparer.
func (a *actuator) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	v, ok := r.Body.(*view)
	want, err := wantedOf(action)
	if !ok || err != nil || want.Listener != v.id {
		return 0
	}
	same := strings.EqualFold(v.listener.Pool, want.Pool)
	if same && (isPending(v.balancer.Status) || isPending(v.listener.Status) || v.carried() != actuators.Applied) {
		return actuators.ShownStored
	}
	return actuators.ShownIf(same)
}
