package actuatortest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// Cluster is the cluster that the suite acts for.
const Cluster fsm.ClusterID = "1f2e3d4c5b6a79880123456789abcdef"

// master is the master that the suite fails over.
const master fsm.MasterID = "cache"

// span bounds one call, as a claim's act does.
const span = 5 * time.Second

// bench is a world under test, with what the executor would keep.
type bench struct {
	testing.TB
	world World
	tool  actuators.Actuator
	step  fsm.Step

	mu     sync.Mutex // guards what follows
	said   []string   // all that a person or a log could get to see
	waits  int        // for the budget
	broken error      // what the budget answers
}

func newBench(t testing.TB, w World) *bench {
	t.Helper()
	b := &bench{TB: t, world: w}
	planned, problems := w.Kind.Plan(b.input(w.Message))
	if len(problems) > 0 {
		t.Fatalf("plan: %v", problems)
	}
	params, err := proto.Marshal(w.Message)
	if err != nil {
		t.Fatal(err)
	}
	b.step = fsm.Step{
		Name: "step", Target: w.Target.ID, Kind: w.Name, Object: planned.Object, Class: planned.Class, Params: params, Act: span,
	}
	if b.tool, err = w.Kind.Open(w.Target, budget{b}); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(b.close)
	return b
}

func (b *bench) close() {
	if c, ok := b.tool.(interface{ Close() error }); ok {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	}
}

func (b *bench) input(msg proto.Message) actuators.StepInput {
	return actuators.StepInput{
		Master: master, Step: "step", Target: b.world.Target.ID, Message: msg, TargetMsg: b.world.TargetOf,
		Candidates: []fsm.Candidate{{Address: b.world.A, Zone: "zone-a"}, {Address: b.world.B, Zone: "zone-b"}},
	}
}

// budget counts, and ends when told to.
type budget struct{ b *bench }

func (g budget) Wait(ctx context.Context) error {
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	g.b.waits++
	if g.b.broken != nil {
		return g.b.broken
	}
	return ctx.Err()
}

// note keeps what could be shown.
func (b *bench) note(what ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, fmt.Sprintf("%+v", what))
}

func (b *bench) noSecrets() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.said {
		if leaks(text, b.world.Secrets) {
			b.Errorf("a secret shows in %q", text)
		}
	}
}

func (b *bench) seen() Requests {
	if b.world.Outside == nil {
		return Requests{}
	}
	return b.world.Outside.Seen()
}

// action is the step of one failover, claimed.
func (b *bench) action(number fsm.Number, from, to fsm.Address) fsm.Action {
	b.Helper()
	id := fsm.FailoverID{Master: master, Number: number}
	v, err := b.world.Kind.Render(b.step, actuators.Facts{Failover: id, From: from, To: to, Epoch: fsm.Epoch(number), Zone: "zone"})
	if err != nil {
		b.Fatalf("render: %v", err)
	}
	b.note(v, string(v.Value))
	return fsm.Action{
		ID: id.Action("step"), For: id, Phase: fsm.Claimed, Step: b.step, Target: b.world.Target, Value: v.Value, Wanted: v.Wanted,
		Token: fsm.TokenOf(0, uint64(number)), Term: 1, Attempts: 1,
	}
}

func work(a fsm.Action, covered bool) actuators.Work {
	return actuators.Work{Cluster: Cluster, Action: a, Covered: covered}
}

// within is a context as a claim gives it.
func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), span)
}

// read looks at an action's object, and fails the case if that changes anything.
func (b *bench) read(a fsm.Action) (actuators.Reading, error) {
	b.Helper()
	ctx, cancel := within()
	defer cancel()
	return b.readIn(ctx, a)
}

func (b *bench) readIn(ctx context.Context, a fsm.Action) (actuators.Reading, error) {
	b.Helper()
	before := b.seen().Mutating
	s := actuators.Subject{Step: a.Step}
	if a.Step.Class != fsm.Trigger {
		s.Candidates = []fsm.Address{b.world.A, b.world.B}
	}
	r, err := b.tool.Read(ctx, s)
	if after := b.seen().Mutating; after != before {
		b.Errorf("a read sent %d requests that could change something", after-before)
	}
	b.note(r.Requests, err)
	return r, err
}

// look reads and judges.
func (b *bench) look(a fsm.Action, covered bool) actuators.Sight {
	b.Helper()
	r, err := b.read(a)
	if err != nil {
		b.Fatalf("read for %s: %v", a.ID, err)
	}
	s := b.tool.Judge(r, work(a, covered))
	b.note(s.Detail, s.Version)
	return s
}

// calm looks until the provider is not at something that must end first.
func (b *bench) calm(a fsm.Action, covered bool) actuators.Sight {
	b.Helper()
	for began := time.Now(); time.Since(began) < patience; {
		s := b.look(a, covered)
		if s.Verdict != actuators.Busy {
			return s
		}
		time.Sleep(max(s.After, time.Millisecond))
	}
	b.Fatalf("%s is busy for %s", a.ID, patience)
	return actuators.Sight{}
}

// act acts on a sight, and fails the case if more than one request could have changed something.
func (b *bench) act(a fsm.Action, seen actuators.Sight) (actuators.Outcome, error) {
	b.Helper()
	ctx, cancel := within()
	defer cancel()
	return b.actIn(ctx, a, seen)
}

func (b *bench) actIn(ctx context.Context, a fsm.Action, seen actuators.Sight) (actuators.Outcome, error) {
	b.Helper()
	before := b.seen()
	if a.Step.Class == fsm.Fenced && a.Version == "" {
		a.Version = seen.Version // as the claim names it
	}
	began := time.Now()
	out, err := b.tool.Act(ctx, work(a, false), seen)
	after := b.seen()
	if marks := after.Marks - before.Marks; marks > 1 || after.Mutating-before.Mutating-marks > 1 {
		b.Errorf("an act sent %d requests that could change something, %d of them the marker alone", after.Mutating-before.Mutating, marks)
	}
	if took := time.Since(began); took > span+time.Second {
		b.Errorf("an act took %s of a span of %s", took, span)
	}
	b.note(out.Requests, string(out.Checkpoint), err)
	return out, err
}

// drive brings an action to its end, as the executor would without faults.
func (b *bench) drive(a fsm.Action) {
	b.Helper()
	const rounds = 20
	covered := false
	for range rounds {
		switch s := b.calm(a, covered); s.Verdict {
		case actuators.Applied:
			return
		case actuators.Absent:
			covered, a.Phase = false, fsm.Claimed
			out, err := b.act(a, s)
			if err != nil {
				b.Fatalf("act on %s: %v", a.ID, err)
			}
			if a.Checkpoint = out.Checkpoint; out.Waiting {
				a.Phase = fsm.Waiting
				b.followed(&a, time.Now()) // the look after it tells what came of it
			}
		case actuators.Staged:
			if s.Refresh == nil {
				b.Fatalf("%s is staged and nothing is named that would apply it", a.ID)
			}
			b.driveRefresh(refreshOf(b.world.Target, *s.Refresh))
			covered = true
		default:
			b.Fatalf("%s is %s: %s", a.ID, s.Verdict, s.Detail)
		}
	}
	b.Fatalf("%s is not applied after %d rounds", a.ID, rounds)
}

// patience bounds a drive, in the bubble's time.
const patience = time.Hour

// driveRefresh posts a refresh and follows it until it is done.
func (b *bench) driveRefresh(a fsm.Action) {
	b.Helper()
	for began := time.Now(); time.Since(began) < patience; {
		s := b.look(a, false)
		if s.Verdict == actuators.Busy {
			time.Sleep(max(s.After, time.Millisecond))
			continue
		}
		out, err := b.act(a, s)
		if x := actuators.Explain(err); err != nil {
			if x.Permanent {
				b.Fatalf("refresh: %v", err)
			}
			time.Sleep(max(x.After, time.Second))
			a.Attempts++
			continue
		}
		a.Checkpoint = out.Checkpoint
		if !out.Waiting || b.followed(&a, began) {
			return
		}
		a.Attempts++
	}
	b.Fatalf("refresh is not done after %s", patience)
}

// followed asks until the task is done (true), or is to be asked for again from
// the checkpoint that it leaves in the action.
func (b *bench) followed(a *fsm.Action, began time.Time) bool {
	b.Helper()
	for time.Since(began) < patience {
		p := b.follow(*a)
		if p.Done || p.Again {
			if len(p.Next) > 0 {
				a.Checkpoint = p.Next
			}
			return p.Done
		}
		time.Sleep(max(p.After, time.Millisecond))
	}
	return false
}

func (b *bench) follow(a fsm.Action) actuators.Progress {
	b.Helper()
	ctx, cancel := within()
	defer cancel()
	before := b.seen().Mutating
	p, err := b.tool.Follow(ctx, work(a, false))
	if err != nil {
		b.Fatalf("follow: %v", err)
	}
	if after := b.seen().Mutating; after != before {
		b.Errorf("a follow sent %d requests that could change something", after-before)
	}
	b.note(p)
	return p
}

// points fails the case unless the object points at an address, in effect.
func (b *bench) points(at fsm.Address) {
	b.Helper()
	if got := b.world.Outside.Value(); got != at {
		b.Errorf("the object points at %q, want %q", got, at)
	}
}
