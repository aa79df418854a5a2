package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// outside is a provider with one object, of any class. It judges each request
// that arrives by the log: what the log says of its claim at that instant.
type outside struct {
	w        *world // its mutex guards what follows
	value    string
	version  int
	keys     map[string]bool
	sent     []request
	reads    int
	changes  map[fsm.ActionID]int
	unasked  []string      // requests without their claim in the log
	lose     int           // answers still to be lost, after the effect
	ignore   int           // requests still to be answered well, without effect
	refuse   error         // what every write gets
	blindEye error         // what every read gets
	blink    int           // after so many of them no more; 0: for ever
	slow     time.Duration // of each answer
	meddle   func(*outside)
	compares bool                      // its value can be told whoever wrote it
	unread   bool                      // nothing can be read back of it
	task     func() actuators.Progress // each write is a task to follow; nil: it is not
}

type request struct {
	id      fsm.ActionID
	token   fsm.Token
	value   string
	version string
	at      time.Time
}

var errLost = errors.New("connection lost")

func newOutside(w *world) *outside {
	return &outside{w: w, keys: map[string]bool{}, changes: map[fsm.ActionID]int{}}
}

// write is the provider's side of a request.
func (o *outside) write(r request, class fsm.Class, term fsm.Term) {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	r.at = time.Now()
	o.sent = append(o.sent, r)
	a, _ := o.w.state.Action(r.id)
	if a.Token != r.token || a.Term != term || string(a.Value) != r.value || a.Version != r.version {
		if r.at.Sub(o.w.stamps[r.token]) < time.Second { // one that lands late finds the log elsewhere
			o.unasked = append(o.unasked, fmt.Sprintf("%+v, the log has token %d, term %d, %q", r, a.Token, a.Term, a.Value))
		}
	}
	if o.meddle != nil {
		o.meddle(o)
	}
	key := string(r.id)
	switch {
	case o.ignore > 0:
		o.ignore--
		return
	case class == fsm.Fenced && r.version != o.etag():
		return
	case class == fsm.Keyed && o.keys[key]:
		return
	}
	o.keys[key] = true
	if o.value != r.value || class == fsm.Blind {
		o.changes[r.id]++
	}
	o.value = r.value
	o.version++
}

// turn changes what the provider does, while processes use it.
func (o *outside) turn(f func()) {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	f()
}

// requests lists what has arrived.
func (o *outside) requests() []request {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	return slices.Clone(o.sent)
}

// looks counts the reads so far.
func (o *outside) looks() int {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	return o.reads
}

func (o *outside) etag() string { return fmt.Sprint("v", o.version) }

// deed is the kind of that object.
type deed struct {
	lb
	o     *outside
	class fsm.Class
	term  fsm.Term
}

func (d deed) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) {
	if d.o.compares {
		return compared{d}, nil
	}
	return d, nil
}

func (d deed) Read(ctx context.Context, _ actuators.Subject) (r actuators.Reading, err error) {
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	err = d.l.call("read", func() {
		d.o.w.mu.Lock()
		defer d.o.w.mu.Unlock()
		d.o.reads++
		r = actuators.Reading{At: time.Now(), Body: [2]string{d.o.value, d.o.etag()}}
	})
	d.o.w.mu.Lock()
	defer d.o.w.mu.Unlock()
	err = errors.Join(err, d.o.blindEye)
	if d.o.blink > 0 {
		if d.o.blink--; d.o.blink == 0 {
			d.o.blindEye = nil
		}
	}
	return r, err
}

func (d deed) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	seen := r.Body.([2]string)
	switch {
	case d.class == fsm.Blind:
		return actuators.Sight{Verdict: actuators.Absent}
	case d.o.unread && actuators.Answered(w.Action):
		return actuators.Sight{Verdict: actuators.Applied}
	case d.o.unread:
		return actuators.Sight{Verdict: actuators.Absent, Detail: "nothing tells"}
	case seen[0] == string(w.Action.Value):
		return actuators.Sight{Verdict: actuators.Applied}
	case marker(seen[0]) > marker(string(w.Action.Value)):
		return actuators.Sight{Verdict: actuators.Newer, Detail: seen[0], Version: seen[1]}
	}
	return actuators.Sight{Verdict: actuators.Absent, Detail: seen[0], Version: seen[1]}
}

func (d deed) Act(ctx context.Context, w actuators.Work, _ actuators.Sight) (out actuators.Outcome, err error) {
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	d.o.w.mu.Lock()
	refuse, slow := d.o.refuse, d.o.slow
	d.o.w.mu.Unlock()
	if refuse != nil {
		return out, refuse
	}
	r := request{id: w.Action.ID, token: w.Action.Token, value: string(w.Action.Value), version: w.Action.Version}
	if err := d.l.call("act", func() { d.o.write(r, d.class, d.term) }); err != nil {
		return out, actuators.InDoubt(err)
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return out, actuators.InDoubt(ctx.Err())
		}
	}
	d.o.w.mu.Lock()
	defer d.o.w.mu.Unlock()
	if d.o.lose > 0 {
		d.o.lose--
		return out, actuators.InDoubt(errLost)
	}
	out = actuators.Outcome{Requests: []string{"id"}}
	if d.o.task != nil {
		out.Waiting, out.Checkpoint = true, []byte("task")
	}
	return out, nil
}

func (d deed) Follow(ctx context.Context, _ actuators.Work) (actuators.Progress, error) {
	d.o.w.mu.Lock()
	defer d.o.w.mu.Unlock()
	return d.o.task(), ctx.Err()
}

// ofClass seeds a log whose plan is one step of the class.
func ofClass(t *testing.T, class fsm.Class, change ...func(*fsm.Step)) *outside {
	t.Helper()
	w := newWorld()
	step := fsm.Step{Name: "do", Target: "api", Kind: "deed", Object: "api/object", Class: class, Act: 5 * time.Second}
	for _, c := range change {
		c(&step)
	}
	spec := fsm.Spec{
		Targets: []fsm.TargetSpec{{ID: "api", Kind: "deed", Hold: 10 * time.Second, Rate: 6000}},
		Masters: []fsm.MasterSpec{{
			ID: "cache", Candidates: []fsm.Candidate{{Address: "a:1"}, {Address: "b:1"}, {Address: "c:1"}},
			Plan: []fsm.Stage{{Name: "cutover", Steps: []fsm.Step{step}}},
		}},
	}
	for _, c := range []fsm.Command{
		fsm.InitCluster{Cluster: "c1"}, fsm.PutSpec{Spec: spec},
		fsm.Observe{Master: "cache", Revision: 1, Address: "a:1", Epoch: 1, As: fsm.Seed},
	} {
		if err := w.commit(1, c).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return newOutside(w)
}

// leader is a process that leads until it is stopped or dies.
type leader struct {
	*Executor
	t    *testing.T
	o    *outside
	l    *life
	term fsm.Term
	ctx  context.Context
	stop func()
}

func (o *outside) lead(t *testing.T, term fsm.Term, l *life) *leader {
	t.Helper()
	if l == nil {
		l = &life{}
	}
	l.world = o.w
	ctx, cancel := context.WithCancelCause(t.Context())
	l.cancel = cancel
	class := o.w.now().Spec().Masters[0].Plan[0].Steps[0].Class
	c := DefaultConfig()
	c.Journal, c.Kinds = l, actuators.Kinds{"deed": deed{lb: lb{l}, o: o, class: class, term: term}}
	e := New(c)
	over := make(chan struct{})
	go func() { defer close(over); _ = e.Run(ctx, term) }()
	return &leader{Executor: e, t: t, o: o, l: l, term: term, ctx: ctx, stop: func() { cancel(nil); <-over }}
}

// sees reports the nth switch: to b, then to c, then to a.
func (l *leader) sees(n int) {
	l.t.Helper()
	to := []fsm.Address{"b:1", "c:1", "a:1"}[n-1]
	_, err := l.Observe(l.ctx, l.term, Sighting{Master: "cache", As: fsm.Advance, Address: to, Epoch: fsm.Epoch(n + 1)})
	if err != nil && l.ctx.Err() == nil {
		l.t.Fatal(err)
	}
}

// until waits for an action to come to a phase, and says how long it took.
func (o *outside) until(t *testing.T, id fsm.ActionID, want fsm.Phase, limit time.Duration) (fsm.Action, time.Duration) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		a, _ := o.w.now().Action(id)
		if a.Phase == want {
			return a, time.Since(began)
		}
		if time.Since(began) > limit {
			t.Fatalf("%s is %s after %s, want %s: %s", id, a.Phase, limit, want, a.Reason)
		}
	}
}

// fair holds what every story must hold: no request without its claim, and of
// each action at most one change of the value.
func (o *outside) fair(t *testing.T, value string) {
	t.Helper()
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	for _, u := range o.unasked {
		t.Errorf("G2: %s", u)
	}
	for id, n := range o.changes {
		if n > 1 {
			t.Errorf("G6: %s changed the value %d times: %+v", id, n, o.sent)
		}
	}
	if o.value != value {
		t.Errorf("the value is %q, want %q: %+v", o.value, value, o.sent)
	}
}
