package haproxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// actuator acts on one HAProxy process. It has no state.
type actuator struct {
	config           Config
	budget           actuators.Budget // nil: none
	network, address string
	tls              *tls.Config // nil: none
}

var _ actuators.Actuator = (*actuator)(nil)

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	s := actuators.Sight{Verdict: actuators.Busy, Detail: "not read yet", After: LookAgain}
	if v, ok := r.Body.(*view); ok {
		s = v.judge(w)
	}
	s.Reading = r
	return s
}

// judge follows the table in doc.go.
func (v *view) judge(w actuators.Work) actuators.Sight {
	want, err := wantedOf(w.Action)
	if err == nil && (v.backend != want.Backend || v.server != want.Server) {
		err = fmt.Errorf("action %s wants %s/%s, %s/%s was read: %w", w.Action.ID, want.Backend, want.Server, v.backend, v.server, ErrValue)
	}
	if err != nil {
		return actuators.Sight{Verdict: actuators.Foreign, Detail: err.Error()}
	}
	s := actuators.Sight{Detail: v.String()}
	switch {
	case v.moving:
		s.Verdict, s.After, s.Detail = actuators.Busy, LookAgain, "being written: "+s.Detail
		return s
	case v.split() != "":
		s.Verdict, s.Detail = actuators.Foreign, v.split()
		return s
	}
	s.Verdict = actuators.Standing{Match: v.stands(want), Marked: v.marked, Marker: v.marker}.Verdict(w)
	switch {
	case s.Verdict == actuators.Applied:
		s.Warning = v.care()
		s.Found = !v.marked && !v.unwritable
	case s.Verdict == actuators.Foreign:
		s.Detail = "edited since our write: " + s.Detail
	case s.Verdict == actuators.Newer && v.marker.Cluster != actuators.MarkerOf(w.Cluster, w.Action.For).Cluster:
		s.Detail = "written by another cluster (a restart of HAProxy forgets its marker): " + s.Detail
	case s.Verdict == actuators.Newer:
		s.Detail = "written by a newer failover: " + s.Detail
	}
	return s
}

func (v *view) stands(want wanted) bool {
	return v.at.IsValid() && v.at.Port() == want.Address.Port() && v.at.Addr() == want.Address.Addr().Unmap()
}

// Act implements actuators.Actuator.
func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	out, err := a.move(ctx, w, seen)
	if err != nil {
		e := actuators.Explain(fmt.Errorf("act on %s: %w", w.Action.Step.Object, err))
		e.Requests = out.Requests
		return actuators.Outcome{}, &e
	}
	return out, nil
}

func (a *actuator) move(ctx context.Context, w actuators.Work, seen actuators.Sight) (out actuators.Outcome, err error) {
	want, err := wantedOf(w.Action)
	if err != nil {
		return out, actuators.Permanent(err)
	}
	switch now := a.Judge(seen.Reading, w); now.Verdict {
	case actuators.Absent:
	case actuators.Foreign, actuators.Newer:
		return out, actuators.Permanent(fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue))
	default:
		return out, fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue)
	}
	if v, ok := seen.Reading.Body.(*view); ok && v.stands(want) {
		want.End = false // the sessions are at the right place: only the marker is written
	}
	text, err := a.ask(ctx, command(want, actuators.MarkerOf(w.Cluster, w.Action.For)), true)
	if err != nil {
		return out, err
	}
	out.Requests = idsOf(pidOf(text))
	if err := refusal(text); err != nil {
		return out, err
	}
	if len(out.Requests) == 0 || !moved(text) {
		return out, actuators.InDoubt(strange(text))
	}
	return out, nil
}

// moved reports whether HAProxy says that the server has the address now.
func moved(text string) bool {
	return strings.Contains(text, "IP changed from") || strings.Contains(text, "port changed from") ||
		strings.Contains(text, "no need to change the addr")
}

// command is the one line that moves a server. The address comes before the
// marker: a look in between finds an older marker, and writes the same again.
func command(want wanted, m actuators.Marker) string {
	name := want.Backend + "/" + want.Server
	line := []string{
		fmt.Sprintf("set server %s addr %s port %d", name, want.Address.Addr().Unmap(), want.Address.Port()),
		"experimental-mode on",
		fmt.Sprintf("set var %s fmt %s", variable(want.Backend, want.Server), strings.ReplaceAll(m.String(), " ", `\ `)),
		fmt.Sprintf("set server %s health up", name),
	}
	if want.End {
		line = append(line, "shutdown sessions server "+name)
	}
	return strings.Join(append(line, "show info"), "; ")
}

// Follow implements actuators.Actuator: HAProxy has no tasks.
func (a *actuator) Follow(ctx context.Context, _ actuators.Work) (actuators.Progress, error) {
	return actuators.Progress{Again: true, Reason: "haproxy has no tasks"}, ctx.Err()
}

// Compare implements actuators.Comparer.
func (a *actuator) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	v, ok := r.Body.(*view)
	want, err := wantedOf(action)
	if !ok || err != nil || want.Backend != v.backend || want.Server != v.server {
		return 0
	}
	return actuators.ShownIf(v.stands(want))
}
