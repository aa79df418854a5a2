package ovhip

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	s := actuators.Sight{Verdict: actuators.Busy, Detail: "not read yet", After: firstPoll}
	if v, ok := r.Body.(*view); ok {
		s = v.judge(w)
	}
	s.Reading = r
	return s
}

// judge follows the table in doc.go.
func (v *view) judge(w actuators.Work) actuators.Sight {
	want, err := wantedOf(w.Action)
	if err == nil && want.Block != v.block {
		err = fmt.Errorf("action %s wants %s, %s was read: %w", w.Action.ID, want.Block, v.block, ErrValue)
	}
	if err != nil {
		return actuators.Sight{Verdict: actuators.Foreign, Detail: err.Error()}
	}
	ours := actuators.MarkerOf(w.Cluster, w.Action.For)
	_, m, marked := actuators.ParseMarked(v.text)
	s := actuators.Sight{Detail: v.detail()}
	there := sameService(v.service, want.Service)
	switch {
	case marked && m.Cluster != ours.Cluster:
		s.Verdict, s.Detail = actuators.Newer, "written by another cluster (take its marker off the description to adopt the IP): "+s.Detail
	case marked && m.Master == ours.Master && m.Number > ours.Number:
		s.Verdict, s.Detail = actuators.Newer, "written by a newer failover: "+s.Detail
	case !v.additional:
		s.Verdict, s.Detail = actuators.Foreign, "is a service's own address, which cannot be moved: "+s.Detail
	case len(v.moves) > 0 && v.known >= MaxWait:
		s.Verdict, s.Detail = actuators.Foreign, fmt.Sprintf("a move of the IP has not ended for %s: %s", MaxWait, s.Detail)
	case len(v.moves) > 0:
		s.Verdict, s.After = actuators.Busy, pollDelay(v.known)
	case v.asked > 0 && !there:
		s.Verdict, s.After = actuators.Busy, pollDelay(v.asked)
		s.Detail = "a move was asked for, and its task may not be shown yet: " + s.Detail
	case v.done > 0 && !there:
		s.Verdict, s.After = actuators.Busy, pollDelay(v.done)
		s.Detail = "a move is done, and not shown yet: " + s.Detail
	case !there && v.told && !slices.ContainsFunc(v.destinations, func(d string) bool { return sameService(d, want.Service) }):
		s.Verdict, s.Detail = actuators.Foreign, fmt.Sprintf("cannot be moved to %s, only to %s: %s", want.Service, listed(v.destinations), s.Detail)
	case !marked || m.Master != ours.Master:
		s.Verdict = unmarked(w, there)
		s.Found = s.Verdict == actuators.Applied
	case m.Number < ours.Number:
		s.Verdict = actuators.Absent
	case there:
		s.Verdict = actuators.Applied
	case w.Action.Phase != fsm.Done || w.Action.Mend || v.atCandidate(w):
		s.Verdict = actuators.Absent
	default:
		s.Verdict, s.Detail = actuators.Foreign, "moved since our write: "+s.Detail
	}
	return s
}

// unmarked judges an IP that no failover of this master has written.
func unmarked(w actuators.Work, there bool) actuators.Verdict {
	params, err := paramsOf(w.Action.Step)
	switch {
	case w.Action.Phase == fsm.Done: // it carried our marker: a human took it off
		return actuators.Foreign
	case w.Action.Mend:
		return actuators.Absent
	case err == nil && params.GetForeign() != pb.Foreign_FOREIGN_STUCK:
		return actuators.Absent
	case there:
		return actuators.Applied
	}
	return actuators.Foreign
}

// atCandidate reports whether the IP is at the service of some candidate. That of
// the master is not asked for here, so it is that of a replica: what a move of an
// older failover leaves when it lands late, and of no use to anybody.
func (v *view) atCandidate(w actuators.Work) bool {
	params, err := paramsOf(w.Action.Step)
	if err != nil {
		return false
	}
	for _, service := range params.GetServices() {
		if sameService(service, v.service) {
			return true
		}
	}
	return false
}

func (v *view) detail() string {
	to := wire.Cut(v.service, 128)
	if to == "" {
		to = "no service"
	}
	text := fmt.Sprintf("%s → %s, described %q", v.block, to, wire.Cut(v.text, wire.MaxMessage))
	if len(v.moves) > 0 {
		text += fmt.Sprintf(", unfinished tasks %v", v.moves)
	}
	return text
}

// listed is a list for people, cut where it grows long.
func listed(parts []string) string {
	var out []string
	for _, p := range parts[:min(len(parts), MaxListed)] {
		out = append(out, wire.Cut(p, 128))
	}
	if n := len(parts) - len(out); n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, ", ")
}

// pollDelay rises with the time that something has been waited for.
func pollDelay(waited time.Duration) time.Duration {
	return min(max(firstPoll, waited/2), lastPoll)
}

// Compare implements actuators.Comparer.
func (a *actuator) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	v, ok := r.Body.(*view)
	want, err := wantedOf(action)
	if !ok || err != nil || want.Block != v.block {
		return 0
	}
	return actuators.ShownIf(sameService(v.service, want.Service))
}
