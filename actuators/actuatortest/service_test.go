package actuatortest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// record is what the service keeps of its one object.
type record struct {
	Address fsm.Address
	Cluster fsm.ClusterID
	Number  fsm.Number
}

// keptKeys is how long the service knows an idempotency key.
const keptKeys = time.Hour

// service is an outside world of any class: it compares versions where a request
// names one, knows keys for a while, or takes every command as it comes.
type service struct {
	class  fsm.Class
	unread bool   // keyed, and nothing can be read back
	lie    string // what its actuator does against its word

	mu          sync.Mutex // guards what follows
	now         record
	version     int
	keys        map[string]time.Time
	seen        Requests
	fault       Fault
	unreachable bool
	hold        bool
	held        func()
}

var (
	errServer   = errors.New("500")
	errMismatch = errors.New("412 the version is another")
	errNotDue   = errors.New("nothing is due")
)

func (s *service) Value() fsm.Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Address
}

func (s *service) Seen() Requests {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *service) Break(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.unreachable = f, f == Unreachable
}

func (s *service) Mend() { s.Break(0) }

func (s *service) HoldNext() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = true
}

func (s *service) Deliver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held()
}

// command is a request that may change the object.
type command struct {
	want    record
	version string // to compare with; empty: none
	key     string // of idempotency; empty: none
}

func (s *service) etag() string {
	if s.lie == "digest of the value" {
		return string(s.now.Address)
	}
	return fmt.Sprint("v", s.version)
}

// take is the effect of a command, under mu.
func (s *service) take(c command) error {
	at, known := s.keys[c.key]
	switch {
	case c.version != "" && c.version != s.etag():
		return errMismatch
	case c.key != "" && known && time.Since(at) < keptKeys:
		return nil // the answer of the first time
	}
	if c.key != "" {
		s.keys[c.key] = time.Now()
	}
	if s.now.Address != c.want.Address {
		s.seen.Changes++
	}
	s.now = c.want
	s.version++
	return nil
}

// arrive is one request on the service's side; an answer, or none before ctx ends.
func (s *service) arrive(ctx context.Context, c *command) (record, string, error) {
	s.mu.Lock()
	if s.unreachable {
		s.mu.Unlock()
		return record{}, "", errors.New("connection refused")
	}
	s.seen.All++
	if c == nil {
		defer s.mu.Unlock()
		if s.fault == FailRead {
			s.fault = 0
			return record{}, "", errServer
		}
		return s.now, s.etag(), nil
	}
	s.seen.Mutating++
	f := s.fault
	s.fault = 0
	var err error
	silent := f == Hang || f == HangAfter || s.hold
	switch {
	case s.hold:
		s.hold = false
		s.held = func() { _ = s.take(*c) }
	case f == Refuse:
		err = actuators.Permanent(errors.New("403"))
	case f == TooMany:
		err = &actuators.Error{Err: errors.New("429"), After: RetryAfter}
	case f == FailBefore || f == LoseBefore:
		err = actuators.InDoubt(errServer)
	case f == Hang:
	default:
		err = s.take(*c)
		if f == FailAfter || f == LoseAfter {
			err = actuators.InDoubt(errServer)
		}
	}
	s.mu.Unlock()
	if silent {
		<-ctx.Done()
		err = actuators.InDoubt(ctx.Err())
	}
	return record{}, "", err
}

// kind is the actuator kind of a service, of the class that it declares.
type kind struct{ s *service }

func (k kind) CheckTarget(msg proto.Message) []actuators.Problem {
	if _, ok := msg.(*wrapperspb.Int32Value); !ok {
		return []actuators.Problem{{Message: "not a target of this kind"}}
	}
	return nil
}

func (k kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	if _, ok := in.Message.(*wrapperspb.StringValue); !ok {
		return actuators.Planned{}, []actuators.Problem{{Message: "not a step of this kind"}}
	}
	return actuators.Planned{Object: fsm.ObjectID(in.Target + "/object"), Class: k.s.class}, nil
}

func (k kind) Render(step fsm.Step, f actuators.Facts) (fsm.Value, error) {
	if err := proto.Unmarshal(step.Params, &wrapperspb.StringValue{}); err != nil {
		return fsm.Value{}, err
	}
	return fsm.Value{Step: step.Name, Value: []byte(f.To), Wanted: "points at " + string(f.To)}, nil
}

func (k kind) Open(_ fsm.TargetSpec, b actuators.Budget) (actuators.Actuator, error) {
	return &actuator{s: k.s, budget: b}, nil
}

type actuator struct {
	s      *service
	budget actuators.Budget
	mu     sync.Mutex
	wrote  *record
}

type told struct {
	record
	version string
}

func (a *actuator) send(ctx context.Context, c *command) (told, error) {
	if ctx.Err() != nil {
		return told{}, ctx.Err()
	}
	if err := a.budget.Wait(ctx); err != nil {
		return told{}, err
	}
	r, v, err := a.s.arrive(ctx, c)
	return told{r, v}, err
}

func (a *actuator) Read(ctx context.Context, _ actuators.Subject) (actuators.Reading, error) {
	at := time.Now()
	t, err := a.send(ctx, nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.s.lie == "reads what it wrote" && a.wrote != nil {
		t.record = *a.wrote
	}
	return actuators.Reading{At: at, Body: t}, err
}

func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	t, _ := r.Body.(told)
	s := actuators.Sight{Verdict: actuators.Absent, Detail: fmt.Sprintf("points at %q", t.Address), Version: t.version, Reading: r}
	ours := t.Cluster == "" || t.Cluster == w.Cluster
	switch {
	case a.s.unread && (actuators.Answered(w.Action) || w.Action.Doubt && a.s.lie == "guesses"):
		s.Verdict = actuators.Applied
	case a.s.class == fsm.Blind || a.s.lie == "cannot be read" || a.s.unread:
	case !ours || t.Number > w.Action.For.Number:
		s.Verdict = actuators.Newer
	case t.Number == w.Action.For.Number && t.Address == fsm.Address(w.Action.Value):
		s.Verdict = actuators.Applied
	}
	return s
}

func (a *actuator) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	t, read := r.Body.(told)
	want := string(action.Value)
	if !read || !strings.Contains(want, ":") || (a.s.unread || a.s.class == fsm.Blind) && a.s.lie != "compares what it cannot read" {
		return 0
	}
	return actuators.ShownIf(string(t.Address) == want && (a.s.lie != "compares markers" || t.Number == action.For.Number))
}

func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	if a.Judge(seen.Reading, w).Verdict != actuators.Absent {
		return actuators.Outcome{}, errNotDue
	}
	c := command{want: record{fsm.Address(w.Action.Value), w.Cluster, w.Action.For.Number}}
	switch a.s.class {
	case fsm.Fenced:
		c.version = w.Action.Version
		if a.s.lie == "reads its version again" {
			t, err := a.send(ctx, nil)
			if err != nil {
				return actuators.Outcome{}, err
			}
			c.version = t.version
		}
	case fsm.Keyed:
		c.key = string(w.Cluster) + string(w.Action.ID)
		if a.s.lie == "a key per attempt" {
			c.key += fmt.Sprint(w.Action.Token)
		}
	}
	_, err := a.send(ctx, &c)
	if a.s.lie == "sends again" && err != nil && ctx.Err() == nil {
		_, err = a.send(ctx, &c)
	}
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.wrote = &c.want
	}
	out := actuators.Outcome{Requests: []string{"request-1"}}
	if a.s.unread && err == nil && a.s.lie != "forgets its answer" {
		out.Waiting, out.Checkpoint = true, []byte("200")
	}
	return out, err
}

func (a *actuator) Follow(ctx context.Context, w actuators.Work) (actuators.Progress, error) {
	done := a.s.unread && len(w.Action.Checkpoint) > 0 && ctx.Err() == nil
	return actuators.Progress{Done: done, Again: !done}, ctx.Err()
}
