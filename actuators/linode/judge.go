package linode

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// lookAgain follows a reading that could not tell.
const lookAgain = time.Second

// Modes of a node, as the API spells them.
const (
	accept = "accept" // takes traffic
	reject = "reject" // takes none
	drain  = "drain"  // keeps what it has, takes nothing new
)

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	s := actuators.Sight{Verdict: actuators.Busy, Detail: "not read yet", After: lookAgain}
	if v, ok := r.Body.(*view); ok {
		s = v.judge(w)
	}
	s.Reading = r
	return s
}

// judge follows the table in doc.go.
func (v *view) judge(w actuators.Work) actuators.Sight {
	want, err := wantedOf(w.Action)
	if err == nil && (want.Node != v.id || want.Config != v.config) {
		err = fmt.Errorf("action %s wants node %d, node %d was read: %w", w.Action.ID, want.Node, v.id, ErrValue)
	}
	if err != nil {
		return actuators.Sight{Verdict: actuators.Foreign, Detail: err.Error()}
	}
	n, found := v.own()
	switch {
	case !found && v.unlisted:
		return actuators.Sight{Verdict: actuators.Busy, Detail: fmt.Sprintf("node %d is not in the list yet", v.id), After: lookAgain}
	case !found:
		return actuators.Sight{Verdict: actuators.Foreign, Detail: v.gone()}
	}
	ours := markerOf(w.Cluster, w.Action.For)
	m, marked := parseLabel(n.Label)
	s := actuators.Sight{Detail: v.detail(n)}
	wrong := v.wrong(n)
	switch {
	case marked && m.cluster != ours.cluster:
		s.Verdict, s.Detail = actuators.Newer, "written by another cluster (give it a label of your own to adopt the node): "+s.Detail
	case marked && m.master == ours.master && m.number > ours.number:
		s.Verdict, s.Detail = actuators.Newer, "written by a newer failover: "+s.Detail
	case wrong != "":
		s.Verdict, s.Detail = actuators.Foreign, wrong
	case !marked || m.master != ours.master:
		s.Verdict = unmarked(w, sameAddress(n.Address, want.Backend))
		s.Found = s.Verdict == actuators.Applied
	case m.number < ours.number:
		s.Verdict = actuators.Absent
	case sameAddress(n.Address, want.Backend):
		s.Verdict = actuators.Applied
	case w.Action.Mend:
		s.Verdict = actuators.Absent
	default:
		s.Verdict, s.Detail = actuators.Foreign, "edited since our write: "+s.Detail
	}
	return s
}

// unmarked judges a node that no failover of this master has written.
func unmarked(w actuators.Work, asWanted bool) actuators.Verdict {
	params, err := paramsOf(w.Action.Step)
	switch {
	case w.Action.Phase == fsm.Done: // it carried our marker: a human took it off
		return actuators.Foreign
	case w.Action.Mend:
		return actuators.Absent
	case err == nil && params.GetForeign() != pb.Foreign_FOREIGN_STUCK:
		return actuators.Absent
	case asWanted:
		return actuators.Applied
	}
	return actuators.Foreign
}

// wrong says why pointing the node would not bring all traffic to one place.
func (v *view) wrong(own node) string {
	if own.Mode != "" && !strings.EqualFold(own.Mode, accept) {
		return fmt.Sprintf("node %d is in mode %s, not %s: it takes no traffic", own.ID, wire.Cut(own.Mode, 32), accept)
	}
	var beside []string
	for _, n := range v.nodes {
		if n.ID != own.ID && !strings.EqualFold(n.Mode, reject) && !strings.EqualFold(n.Mode, drain) {
			beside = append(beside, n.String())
		}
	}
	if len(beside) > 0 {
		return fmt.Sprintf("configuration %d has more than node %d that may take traffic, which would split writes: %s; set them to reject or delete them",
			v.config, own.ID, listed(beside))
	}
	return ""
}

// gone says what stands where the node was.
func (v *view) gone() string {
	text := fmt.Sprintf("node %d is not in configuration %d (a rebuild without ids makes nodes anew, under other ids)", v.id, v.config)
	var there []string
	for _, n := range v.nodes {
		there = append(there, n.String())
	}
	if len(there) == 0 {
		return text + "; it has no nodes"
	}
	return text + "; it has " + listed(there)
}

func (n node) String() string {
	return fmt.Sprintf("node %d (%s) → %s", n.ID, wire.Cut(n.Mode, 32), wire.Cut(n.Address, 64))
}

// listed is a list for people, cut where it grows long.
func listed(parts []string) string {
	const most = 5
	if n := len(parts); n > most {
		parts = append(parts[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(parts, ", ")
}

func (v *view) detail(n node) string {
	text := fmt.Sprintf("node %d → %s, labelled %q", n.ID, wire.Cut(n.Address, 64), wire.Cut(n.Label, 64))
	if n.Status != "" {
		text += ", " + strings.ToUpper(wire.Cut(n.Status, 32))
	}
	if b := v.before; b.ID != 0 && b.Weight != n.Weight {
		text += fmt.Sprintf("; changed beside our write: weight %d → %d", b.Weight, n.Weight)
	}
	return text
}

// sameAddress compares parsed, since the two are written by different hands.
func sameAddress(a, b string) bool {
	one, err1 := netip.ParseAddrPort(a)
	two, err2 := netip.ParseAddrPort(b)
	return err1 == nil && err2 == nil && one == two
}

// Compare implements actuators.Comparer.
func (a *actuator) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	v, ok := r.Body.(*view)
	want, err := wantedOf(action)
	if !ok || err != nil || want.Node != v.id || want.Config != v.config {
		return 0
	}
	n, found := v.own()
	if !found {
		return 0
	}
	return actuators.ShownIf(sameAddress(n.Address, want.Backend))
}
