package executor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

var errDead = errors.New("this process is dead")

// world is a log of one voter and a staged provider, both of which outlive the
// executors that use them. Time is the bubble's.
type world struct {
	mu      sync.Mutex
	state   fsm.State
	changed chan struct{}
	stamps  map[fsm.Token]time.Time
	start   time.Time

	staged, applied string // "farm [marker]"
	pending         bool
	tasks           []time.Time // when each refresh is done
	writes          []string    // accepted values, in order
	refreshes       int
}

func newWorld() *world {
	return &world{state: fsm.New(), changed: make(chan struct{}), stamps: map[fsm.Token]time.Time{}, start: time.Now()}
}

func (w *world) commit(term fsm.Term, c fsm.Command) fsm.Answer { return w.commitFor(term, c, "", "") }

// commitFor is commit for somebody, under an id.
func (w *world) commitFor(term fsm.Term, c fsm.Command, id fsm.CommandID, actor string) fsm.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, answer := w.state.Apply(fsm.Entry{
		Index: w.state.Index() + 1, Term: term, Clock: fsm.Clock(time.Since(w.start)), Wall: time.Now(), Node: fsm.NodeID(fmt.Sprint("n", term)),
		ID: id, Actor: actor, Command: c,
	})
	w.state = next
	for _, o := range next.Objects() {
		for _, h := range o.Held {
			if _, ok := w.stamps[h.Token]; !ok {
				w.stamps[h.Token] = time.Now()
			}
		}
	}
	close(w.changed)
	w.changed = make(chan struct{})
	return answer
}

func (w *world) now() fsm.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

func (w *world) write(value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, value)
	if w.staged != value {
		w.pending = true
	}
	w.staged = value
}

func (w *world) refresh() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refreshes++
	w.applied, w.pending = w.staged, false
	w.tasks = append(w.tasks, time.Now().Add(700*time.Millisecond))
	return len(w.tasks) - 1
}

func (w *world) read() (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.staged, w.pending
}

// changes counts for each action how often its write changed the value, and
// finds a write of an older failover that landed on a newer one.
func (w *world) changes() (changes map[string]int, stale int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes = map[string]int{}
	now := ""
	for _, value := range w.writes {
		if value != now {
			changes[marker(value)]++
		}
		if marker(value) < marker(now) {
			stale++
		}
		now = value
	}
	return changes, stale
}

func marker(value string) string { _, m, _ := strings.Cut(value, " "); return m }

// life is one process: it dies at its nth call, before or after that call's
// effect, or with the request on the wire to land late.
type life struct {
	*world
	cancel context.CancelCauseFunc
	mu     sync.Mutex
	calls  int
	dieAt  int    // 0: never
	dieOn  string // or at the first call of this name
	how    string
	late   time.Duration
	dead   bool
	at     string // the call that it died at
}

// call runs one effect of the process under its fate.
func (l *life) call(name string, effect func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return errDead
	}
	l.calls++
	if l.calls != l.dieAt && name != l.dieOn {
		effect()
		return nil
	}
	l.dead, l.at = true, name
	switch {
	case l.how == "after":
		effect()
	case l.how == "late" && name == "act":
		time.AfterFunc(l.late, effect)
	}
	l.cancel(errDead)
	return errDead
}

func (l *life) Watch() (fsm.State, <-chan struct{}) {
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	return l.state, l.changed
}

func (l *life) ProposeAs(ctx context.Context, term fsm.Term, c fsm.Command) (answer fsm.Answer, err error) {
	if ctx.Err() != nil {
		return answer, ctx.Err()
	}
	err = l.call(c.Kind().String(), func() { answer = l.commit(term, c) })
	return answer, err
}

func (l *life) Applied(t fsm.Token) (time.Time, bool) {
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	at, ok := l.stamps[t]
	return at, ok
}

func (l *life) Clock() fsm.Clock { return fsm.Clock(time.Since(l.start)) }

// lb is a staged, readable kind over the world; every call is under the fate
// of the process that makes it.
type lb struct{ l *life }

func (k lb) CheckTarget(proto.Message) []actuators.Problem { return nil }

func (k lb) Plan(actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	return actuators.Planned{}, nil
}

func (k lb) Render(_ fsm.Step, f actuators.Facts) (fsm.Value, error) {
	v := fmt.Sprintf("%s %08d", f.To, f.Failover.Number)
	return fsm.Value{Value: []byte(v), Wanted: v}, nil
}

func (k lb) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) { return k, nil }

type body struct {
	value   string
	pending bool
}

func (k lb) Read(ctx context.Context, _ actuators.Subject) (r actuators.Reading, err error) {
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	err = k.l.call("read", func() {
		value, pending := k.l.read()
		r = actuators.Reading{At: time.Now(), Body: body{value, pending}}
	})
	return r, err
}

func (k lb) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	b, want := r.Body.(body), string(w.Action.Value)
	switch {
	case w.Action.IsRefresh():
		return actuators.Sight{Verdict: actuators.Absent}
	case b.value == want && w.Covered && !b.pending:
		return actuators.Sight{Verdict: actuators.Applied}
	case b.value == want:
		return actuators.Sight{Verdict: actuators.Staged, Counted: b.pending, Refresh: &fsm.Refresh{Kind: "lb", Object: "lb-par/refresh", Act: time.Second}}
	case marker(b.value) == marker(want) && !w.Action.Mend:
		return actuators.Sight{Verdict: actuators.Foreign, Detail: b.value}
	case marker(b.value) > marker(want):
		return actuators.Sight{Verdict: actuators.Newer, Detail: b.value}
	}
	return actuators.Sight{Verdict: actuators.Absent}
}

func (k lb) Act(ctx context.Context, w actuators.Work, _ actuators.Sight) (out actuators.Outcome, err error) {
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	if w.Action.IsRefresh() {
		err = k.l.call("refresh", func() { out = actuators.Outcome{Waiting: true, Checkpoint: fmt.Append(nil, k.l.refresh())} })
	} else {
		err = k.l.call("act", func() { k.l.write(string(w.Action.Value)) })
	}
	if err != nil {
		return out, actuators.InDoubt(err)
	}
	return out, nil
}

func (k lb) Follow(_ context.Context, w actuators.Work) (p actuators.Progress, err error) {
	var i int
	if _, err := fmt.Sscan(string(w.Action.Checkpoint), &i); err != nil {
		return p, actuators.Permanent(err)
	}
	err = k.l.call("follow", func() {
		k.l.world.mu.Lock()
		defer k.l.world.mu.Unlock()
		p.Done, p.After = time.Now().After(k.l.tasks[i]), 300*time.Millisecond
	})
	return p, err
}

// note is an effect inside the log.
type note struct{ lb }

func (n note) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) { return n, nil }

func (n note) Read(context.Context, actuators.Subject) (actuators.Reading, error) {
	return actuators.Reading{At: time.Now()}, nil
}

func (n note) Judge(actuators.Reading, actuators.Work) actuators.Sight {
	return actuators.Sight{Verdict: actuators.Absent}
}

func (n note) Act(_ context.Context, w actuators.Work, _ actuators.Sight) (actuators.Outcome, error) {
	return actuators.Outcome{Settings: []fsm.SettingWrite{{Key: "url", Value: string(w.Action.Value)}}}, nil
}
