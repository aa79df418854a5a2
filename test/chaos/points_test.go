package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// crashPoint is an instruction between the sight of a switch and the last entry
// about it, at which the leader dies or is stopped. It is named by a file that
// the program looks for, or brought about by holding a call at the provider.
type crashPoint struct {
	name string
	file string     // "<step>.<point>"; empty: the call that is held
	hold *ovh.Fault // nil: the moment of the order itself
}

// crashPoints follow an action: X1 before anything was read, X2 read and
// nothing proposed, X3 the claim proposed and not acknowledged, X4 committed, X5
// the last check done, X6 the request's bytes written, X7 its answer read, X8 the
// outcome proposed and not acknowledged, X9 committed.
func crashPoints() []crashPoint {
	const frontend, refresh = "*/frontend/*", "*/refresh"
	list := []crashPoint{
		{name: "X1"},
		{name: "X6 write, before its effect", hold: &ovh.Fault{Method: http.MethodPut, Path: frontend, Do: ovh.DoHold}},
		{name: "X6 write, after its effect", hold: &ovh.Fault{Method: http.MethodPut, Path: frontend, When: ovh.After, Do: ovh.DoHold}},
		{name: "X6 refresh, before its effect", hold: &ovh.Fault{Method: http.MethodPost, Path: refresh, Do: ovh.DoHold}},
		{name: "X6 refresh, after its effect", hold: &ovh.Fault{Method: http.MethodPost, Path: refresh, When: ovh.After, Do: ovh.DoHold}},
	}
	for _, p := range []struct{ x, files string }{
		{"X2", "lb.before-observe refresh.before-claim"},
		{"X3", "lb.proposing refresh.proposing"},
		{"X4", "lb.observed refresh.claimed"},
		{"X5", "lb.looked url.looked refresh.looked"},
		{"X7", "lb.acted lb.released lb.read-back lb.before-settle url.acted url.before-settle refresh.acted refresh.before-settle refresh.followed"},
		{"X8", "lb.settling url.settling refresh.settling"},
		{"X9", "lb.settled url.settled refresh.settled"},
	} {
		for _, file := range strings.Fields(p.files) {
			list = append(list, crashPoint{name: p.x + " " + file, file: file})
		}
	}
	slices.SortStableFunc(list, func(a, b crashPoint) int { return strings.Compare(a.name[:2], b.name[:2]) })
	return list
}

// pointFaults are two faults for each of X1 to X9: the leader dies there, or it
// is stopped. Which of the points of that name is drawn.
func pointFaults() (list []fault) {
	for _, kind := range []struct {
		word string
		play func(*run, context.Context, crashPoint) error
	}{{"killed", (*run).killAt}, {"stopped", (*run).stopAt}} {
		for n := 1; n <= 9; n++ {
			x := fmt.Sprintf("X%d", n)
			list = append(list, fault{name: "leader " + kind.word + " at " + x, on: points, play: func(ctx context.Context, r *run) error {
				return kind.play(r, ctx, pick(r, named(x)...))
			}})
		}
	}
	return list
}

func named(x string) []crashPoint {
	return slices.DeleteFunc(crashPoints(), func(p crashPoint) bool { return !strings.HasPrefix(p.name, x) })
}

// killAt: the leader dies at the point. What it had on the wire is carried out
// at once, late, or never.
func (r *run) killAt(ctx context.Context, p crashPoint) error {
	s, _, err := r.strikeAt(ctx, p, false)
	if err != nil {
		return err
	}
	late := r.between(500*time.Millisecond, 5*time.Second)
	switch at := pick(r, "now", "late", "never"); at {
	case "now":
		r.l.Cloud.Sim.ReleaseHeld()
	case "late":
		r.wg.Go(func() {
			if rest(ctx, late) == nil {
				r.l.Cloud.Sim.ReleaseHeld()
			}
		})
	default:
		r.l.Cloud.Sim.DropHeld()
	}
	return r.carried(ctx, s)
}

// stopAt: the leader is stopped at the point for longer than a takeover, and
// goes on from there when a newer failover has been finished.
func (r *run) stopAt(ctx context.Context, p crashPoint) error {
	s, stopped, err := r.strikeAt(ctx, p, true)
	if err != nil {
		return err
	}
	if err := r.second(ctx, s); err != nil {
		return err
	}
	if err := stopped.wake(r); err != nil {
		return err
	}
	return r.calm(ctx)
}

// strikeAt begins a failover in which the leader comes to the point and no
// further, and returns when the Sentinels have made it.
func (r *run) strikeAt(ctx context.Context, p crashPoint, stop bool) (s *shot, f frozen, err error) {
	r.say("stop (%t) or die at %s", stop, p.name)
	switch {
	case p.file != "":
		s, f.node, err = r.armed(ctx, p.file, stop)
	case p.hold != nil:
		s, f.node, err = r.holding(ctx, *p.hold, stop)
	default:
		if s, err = r.fire(ctx, byOrder); err == nil {
			f.node, err = r.halt(ctx, stop)
		}
	}
	f.at = time.Now()
	if err != nil {
		return s, f, err
	}
	r.say("coordinator %s is there", f.node.ID())
	return s, f, r.promoted(ctx, s)
}

// halt stops or kills whoever leads.
func (r *run) halt(ctx context.Context, stop bool) (*lab.Node, error) {
	n, _, err := r.leader(ctx)
	if err != nil {
		return nil, err
	}
	if stop {
		return n, n.Pause()
	}
	return n, n.Kill()
}

// armed lets the program strike by itself.
func (r *run) armed(ctx context.Context, file string, stop bool) (s *shot, n *lab.Node, err error) {
	path, text := filepath.Join(r.points, file), ""
	if stop {
		text = "stop"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, nil, err
	}
	defer os.Remove(path)      // where nobody came to it
	if file == "lb.observed" { // a claim rides along only where nothing is busy from the run before
		if err := lab.Until(ctx, carriedWithin, "every object to be free", free(r.l)); err != nil {
			return nil, nil, err
		}
	}
	if s, err = r.fire(ctx, byOrder); err != nil {
		return s, nil, err
	}
	err = lab.Until(ctx, promotedWithin, "the leader to come to "+file, func(context.Context) error {
		for _, n = range r.l.Nodes.List() {
			if halted(n.PID(), stop) {
				return nil
			}
		}
		return errors.New("nobody yet")
	})
	if err == nil && stop {
		err = n.Pause() // it is: the lab has to know
	}
	return s, n, err
}

// free says that no claim keeps an object busy, by the leader's own count.
func free(l *lab.Lab) func(context.Context) error {
	return func(ctx context.Context) error {
		n, err := l.Nodes.Leader(ctx)
		if err != nil {
			return err
		}
		return idle(ctx, n)
	}
}

func idle(ctx context.Context, n *lab.Node) error {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP()+"/metrics", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<20))
	if err == nil && !strings.Contains(string(text), "\npointsman_objects_busy 0\n") {
		err = errors.New("an object is busy")
	}
	return err
}

// halted says that a process is stopped, or dead.
func halted(pid int, stop bool) bool {
	if !stop || pid == 0 {
		return !stop && pid == 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(text), ") ")
	return err == nil && strings.HasPrefix(after, "T")
}

// holding strikes when the provider holds the call.
func (r *run) holding(ctx context.Context, hold ovh.Fault, stop bool) (s *shot, n *lab.Node, err error) {
	mark := r.l.Cloud.Mark()
	rule, err := r.l.Cloud.Sim.AddFault(hold)
	if err != nil {
		return nil, nil, err
	}
	if s, err = r.fire(ctx, byOrder); err != nil {
		return s, nil, err
	}
	held, cancel := context.WithTimeout(ctx, promotedWithin)
	defer cancel()
	if _, err := r.l.Cloud.Sim.WaitFor(held, func(c ovh.Call) bool { return c.Seq > mark && c.Phase == ovh.PhaseHeld }); err != nil {
		return s, nil, fmt.Errorf("wait for a call to be held: %w", err)
	}
	n, err = r.halt(ctx, stop)
	return s, n, errors.Join(err, r.l.Cloud.Sim.RemoveFault(rule))
}
