package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// actuator runs the programs of one target. It has no state.
type actuator struct {
	config         Config
	budget         actuators.Budget
	target         fsm.TargetID
	program, check string
	secrets        []string // NAME=value
	hide           hider
}

var (
	_ actuators.Actuator = (*actuator)(nil)
	_ actuators.Prober   = (*actuator)(nil)
	_ actuators.Checker  = (*actuator)(nil)
)

// Probe implements actuators.Prober: both files are there and may be run. So a
// node that lacks them is told, and does not stay leader.
func (a *actuator) Probe(context.Context) error {
	if err := a.config.May(a.program); err != nil || a.check == "" {
		return err
	}
	return a.config.May(a.check)
}

// Check implements actuators.Checker: why files of this node may not be run.
func (a *actuator) Check(context.Context, actuators.Subject) (missing []string, _ error) {
	for _, path := range []string{a.program, a.check} {
		if path == "" {
			continue
		}
		if err := a.config.May(path); err != nil {
			missing = append(missing, err.Error())
		}
	}
	return missing, nil
}

// view is what the check said.
type view struct {
	match  map[fsm.Address]bool
	said   string // by the last run
	marker actuators.Marker
	marked bool
}

// Read implements actuators.Actuator: it runs the check once for each
// candidate. Without a check there is nothing to see.
func (a *actuator) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	r := actuators.Reading{At: time.Now()}
	if ctx.Err() != nil {
		return r, fmt.Errorf("read %s: not run: %w", s.Step.Object, context.Cause(ctx))
	}
	if a.check == "" || s.Step.Class == fsm.Blind {
		return r, nil
	}
	v := &view{match: map[fsm.Address]bool{}}
	for _, to := range s.Candidates {
		ended, err := a.look(ctx, s.Step, to)
		if err != nil {
			return r, fmt.Errorf("read %s: %w", s.Step.Object, err)
		}
		v.match[to] = ended.Code == 0
		v.said = a.hide.tail(ended)
		if _, m, ok := actuators.ParseMarked(ended.Output); ok {
			v.marker, v.marked = m, true
		}
	}
	r.Body = v
	return r, nil
}

// look runs the check for one address.
func (a *actuator) look(ctx context.Context, step fsm.Step, to fsm.Address) (Ended, error) {
	if err := a.budget.Wait(ctx); err != nil {
		return Ended{}, fmt.Errorf("not run: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	object := strings.TrimPrefix(string(step.Object), string(a.target)+"/")
	host, port := split(to)
	ended, err := a.config.Run(ctx, Run{
		Program: a.check, Args: []string{object, host, port},
		Env: a.env("POINTSMAN_PURPOSE=check", "POINTSMAN_OBJECT="+object, "POINTSMAN_STEP="+step.Name,
			"POINTSMAN_NEW="+string(to), "POINTSMAN_NEW_HOST="+host, "POINTSMAN_NEW_PORT="+port),
	})
	if err != nil {
		return ended, notRun(a.check, err)
	}
	if ended.Signal != "" || ended.Code != 0 && ended.Code != 1 {
		return ended, a.failed(a.check, ended)
	}
	return ended, nil
}

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	s := actuators.Sight{Verdict: actuators.Absent, Detail: "nothing tells what the program did before", Reading: r}
	want, err := wantedOf(w.Action)
	v, read := r.Body.(*view)
	unread := a.check == "" || w.Action.Step.Class == fsm.Blind
	switch {
	case err != nil:
		s.Verdict, s.Detail = actuators.Foreign, err.Error()
	case unread && actuators.Answered(w.Action): // its word stands in the log
		s.Verdict = actuators.Applied
	case unread:
	case !read:
		s.Verdict, s.Detail, s.After = actuators.Busy, "not read yet", time.Second
	default:
		match, asked := v.match[want.To]
		if !asked {
			s.Verdict, s.Detail, s.After = actuators.Busy, fmt.Sprintf("the check was not asked for %s", want.To), time.Second
			break
		}
		s.Verdict = actuators.Standing{Match: match, Marked: v.marked, Marker: v.marker}.Verdict(w)
		s.Detail = fmt.Sprintf("the check says that it is %s", map[bool]string{true: "as wanted", false: "not as wanted"}[match])
		if v.said != "" {
			s.Detail += ": " + v.said
		}
	}
	return s
}

// Compare implements actuators.Comparer.
func (a *actuator) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	v, ok := r.Body.(*view)
	want, err := wantedOf(action)
	if !ok || err != nil || a.check == "" || action.Step.Class == fsm.Blind {
		return 0
	}
	match, asked := v.match[want.To]
	if !asked {
		return 0
	}
	return actuators.ShownIf(match)
}

// Act implements actuators.Actuator.
func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	out, err := a.act(ctx, w, seen)
	if err != nil {
		e := actuators.Explain(fmt.Errorf("act on %s: %w", w.Action.Step.Object, err))
		return actuators.Outcome{}, &e
	}
	return out, nil
}

func (a *actuator) act(ctx context.Context, w actuators.Work, seen actuators.Sight) (out actuators.Outcome, err error) {
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
	if ctx.Err() != nil {
		return out, fmt.Errorf("not run: %w", context.Cause(ctx))
	}
	if err := a.budget.Wait(ctx); err != nil {
		return out, fmt.Errorf("not run: %w", err)
	}
	fromHost, fromPort := split(want.From)
	toHost, toPort := split(want.To)
	ended, err := a.config.Run(ctx, Run{
		Program: a.program, Args: []string{want.Name, "leader", "start", fromHost, fromPort, toHost, toPort},
		Env: a.env(variables(w, want)...), Started: func() { actuators.Sending(ctx) },
	})
	if err != nil {
		return out, notRun(a.program, err)
	}
	out.Requests = []string{fmt.Sprintf("pid %d", ended.PID)}
	if err := a.meaning(ended); err != nil {
		err.Requests = out.Requests
		return out, err
	}
	if a.check == "" && w.Action.Step.Class == fsm.Keyed { // its word is all there is to see: keep it in the log
		out.Waiting, out.Checkpoint = true, []byte(out.Requests[0])
	}
	return out, nil
}

// variables are what a run is told besides its arguments.
func variables(w actuators.Work, want wanted) []string {
	act := w.Action
	fromHost, fromPort := split(want.From)
	toHost, toPort := split(want.To)
	return []string{
		"POINTSMAN_PURPOSE=act", "POINTSMAN_CLUSTER=" + string(w.Cluster), "POINTSMAN_MASTER=" + string(act.For.Master),
		"POINTSMAN_FAILOVER=" + act.For.String(), fmt.Sprintf("POINTSMAN_NUMBER=%d", act.For.Number),
		"POINTSMAN_ACTION=" + string(act.ID), "POINTSMAN_STEP=" + act.Step.Name,
		"POINTSMAN_KEY=" + string(w.Cluster) + "/" + string(act.ID), fmt.Sprintf("POINTSMAN_ATTEMPT=%d", act.Attempts),
		fmt.Sprintf("POINTSMAN_EPOCH=%d", want.Epoch), fmt.Sprintf("POINTSMAN_TOKEN=%d", act.Token), "POINTSMAN_ZONE=" + want.Zone,
		"POINTSMAN_MARKER=" + actuators.MarkerOf(w.Cluster, act.For).String(),
		"POINTSMAN_OLD=" + string(want.From), "POINTSMAN_OLD_HOST=" + fromHost, "POINTSMAN_OLD_PORT=" + fromPort,
		"POINTSMAN_NEW=" + string(want.To), "POINTSMAN_NEW_HOST=" + toHost, "POINTSMAN_NEW_PORT=" + toPort,
	}
}

// env is a run's whole environment: nothing of this process's own.
func (a *actuator) env(more ...string) []string {
	env := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, a.secrets...)
	return append(env, more...)
}

// notRun explains a run that did not start.
func notRun(program string, err error) error {
	err = fmt.Errorf("%s: not run: %w", program, err)
	if errors.Is(err, ErrProgram) {
		return actuators.Permanent(err)
	}
	return err
}

// Exit codes with a meaning.
const (
	exitRetry = 1
	exitStuck = 2
)

// meaning is the table in doc.go.
func (a *actuator) meaning(e Ended) *actuators.Error {
	if e.Signal == "" && e.Code == 0 {
		return nil
	}
	x := &actuators.Error{Err: a.failed(a.program, e)}
	switch {
	case e.Signal != "":
		x.Doubt = true
	case e.Code == exitRetry:
		x.After = retryAfter(e.Output)
	case e.Code == exitStuck:
		x.Permanent = true
	default:
		x.Doubt = true
	}
	return x
}

func (a *actuator) failed(program string, e Ended) error {
	how := fmt.Sprintf("exit %d", e.Code)
	if e.Signal != "" {
		how = e.Signal
	}
	if said := a.hide.tail(e); said != "" {
		how += ": " + said
	}
	return fmt.Errorf("%s (pid %d): %s: %w", program, e.PID, how, ErrExit)
}

// retryAfter finds the delay that a program asks for; the last one counts.
func retryAfter(output string) (after time.Duration) {
	for _, p := range regexp.MustCompile(`(?m)^POINTSMAN_RETRY_AFTER=([0-9]{1,6})\s*$`).FindAllStringSubmatch(output, -1) {
		seconds, _ := strconv.Atoi(p[1]) // digits, and few of them
		after = min(time.Duration(seconds)*time.Second, MaxRetryAfter)
	}
	return after
}

// Follow implements actuators.Actuator: a keyed run without a check waits for
// nothing, its answer stands in the checkpoint.
func (a *actuator) Follow(ctx context.Context, w actuators.Work) (actuators.Progress, error) {
	if ctx.Err() != nil {
		return actuators.Progress{}, context.Cause(ctx)
	}
	if len(w.Action.Checkpoint) == 0 {
		return actuators.Progress{Again: true, Reason: "no run is known"}, nil
	}
	return actuators.Progress{Done: true, Reason: "the program ended with success"}, nil
}

func split(a fsm.Address) (host, port string) {
	host, port, err := net.SplitHostPort(string(a))
	if err != nil {
		return string(a), ""
	}
	return host, port
}
