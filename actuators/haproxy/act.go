package haproxy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
)

// actuator acts on one HAProxy process. It has no state.
type actuator struct {
	config           Config
	budget           actuators.Budget
	network, address string
}

var (
	_ actuators.Actuator = (*actuator)(nil)
	_ actuators.Prober   = (*actuator)(nil)
)

// Probe implements actuators.Prober.
func (a *actuator) Probe(ctx context.Context) error {
	text, err := a.ask(ctx, "show info", false)
	if err == nil && pidOf(text) == "" {
		err = fmt.Errorf("show info: %w: %s", ErrAnswer, quote(text))
	}
	return err
}

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	s := actuators.Sight{Verdict: actuators.Busy, Detail: "not read yet", After: time.Second, Reading: r}
	want, err := wantedOf(w.Action)
	v, ok := r.Body.(*view)
	switch {
	case err != nil:
		s.Verdict, s.Detail, s.After = actuators.Foreign, err.Error(), 0
	case !ok:
	case v.backend != want.Backend || v.server != want.Server:
		s.Verdict, s.Detail, s.After = actuators.Foreign, fmt.Sprintf("wants %s/%s, read was %s", want.Backend, want.Server, v), 0
	default:
		match := v.at.IsValid() && v.at.Port() == want.Address.Port() && v.at.Addr() == want.Address.Addr().Unmap()
		s.Verdict, s.Detail, s.After = actuators.Standing{Match: match, Marked: v.marked, Marker: v.marker}.Verdict(w), v.String(), 0
	}
	return s
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
	text, err := a.ask(ctx, command(want, actuators.MarkerOf(w.Cluster, w.Action.For)), true)
	if err != nil {
		return out, err
	}
	out.Requests = idsOf(pidOf(text))
	switch {
	case refused(text):
		return out, actuators.Permanent(fmt.Errorf("%s: %w", quote(firstLine(text)), ErrRefused))
	case len(out.Requests) == 0 || !moved(text):
		return out, actuators.InDoubt(fmt.Errorf("%w: %s", ErrAnswer, quote(text)))
	}
	return out, nil
}

// moved reports whether HAProxy says that the server has the address now.
func moved(text string) bool {
	return strings.Contains(text, "IP changed from") || strings.Contains(text, "port changed from") ||
		strings.Contains(text, "no need to change the addr")
}

// command is the one line that moves a server. The address comes first: should
// HAProxy die within the line, no marker stands beside another value.
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
