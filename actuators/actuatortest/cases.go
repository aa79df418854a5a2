package actuatortest

import (
	"context"
	"reflect"
	"strings"
	"sync"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

func renderPure(b *bench) {
	one, two := b.action(1, b.world.A, b.world.B), b.action(1, b.world.A, b.world.B)
	if string(one.Value) != string(two.Value) || one.Wanted != two.Wanted {
		b.Errorf("rendered twice: %q and %q", one.Value, two.Value)
	}
	if other := b.action(2, b.world.B, b.world.A); (string(other.Value) == string(one.Value)) != b.world.Standing {
		b.Errorf("values %q and %q for two addresses", one.Value, other.Value)
	}
	if one.Wanted == "" {
		b.Error("nothing says to people what is wanted")
	}
	if b.step.Object == "" || b.step.Class == 0 {
		b.Errorf("planned object %q of class %s", b.step.Object, b.step.Class)
	}
	if b.world.TargetOf != nil {
		if problems := b.world.Kind.CheckTarget(b.world.TargetOf); len(problems) > 0 {
			b.Errorf("target: %v", problems)
		}
	}
}

func planRefuses(b *bench) {
	for _, msg := range []actuators.StepInput{b.input(nil), b.input(&emptypb.Empty{})} {
		if _, problems := b.world.Kind.Plan(msg); len(problems) == 0 {
			b.Errorf("message %T was planned", msg.Message)
		}
	}
	if problems := b.world.Kind.CheckTarget(&emptypb.Empty{}); len(problems) == 0 {
		b.Error("a target of another kind passed")
	}
	if _, err := b.world.Kind.Render(fsm.Step{Name: "step", Params: []byte{0xff}}, actuators.Facts{To: b.world.A}); err == nil {
		b.Error("a step that cannot be read was rendered")
	}
}

func judgePure(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	r, err := b.read(a)
	if err != nil {
		b.Fatal(err)
	}
	one := b.tool.Judge(r, work(a, false))
	if two := b.tool.Judge(r, work(a, false)); !reflect.DeepEqual(one, two) {
		b.Errorf("judged twice: %+v and %+v", one, two)
	}
	if one.Verdict == 0 {
		b.Error("no verdict")
	}
	if none := b.tool.Judge(actuators.Reading{}, work(a, false)); none.Verdict == actuators.Applied && outside(b) {
		b.Error("applied, though nothing was read")
	}
}

func endedContext(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	s := b.look(a, false)
	before := b.seen().All
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.actIn(ctx, a, s); err == nil || actuators.Explain(err).Doubt {
		b.Errorf("act under an ended context: %v, doubt %t", err, actuators.Explain(err).Doubt)
	}
	if outside(b) {
		if _, err := b.readIn(ctx, a); err == nil {
			b.Error("read under an ended context")
		}
		a.Checkpoint = []byte(`{"id":1}`)
		if p, err := b.tool.Follow(ctx, work(a, false)); err == nil && p.Done {
			b.Error("followed to the end under an ended context")
		}
	}
	if after := b.seen().All; after != before {
		b.Errorf("%d requests under an ended context", after-before)
	}
}

// sideBySide is for the race detector.
func sideBySide(b *bench) {
	const readers = 8
	a := b.action(1, b.world.A, b.world.B)
	s := b.look(a, false)
	var all sync.WaitGroup
	ctx, cancel := within()
	defer cancel()
	for range readers {
		all.Go(func() {
			r, err := b.tool.Read(ctx, actuators.Subject{Step: a.Step, Candidates: []fsm.Address{b.world.A, b.world.B}})
			if err != nil {
				b.Errorf("read: %v", err)
				return
			}
			b.tool.Judge(r, work(a, false))
		})
	}
	claimed := a
	claimed.Version = s.Version
	all.Go(func() {
		if _, err := b.tool.Act(ctx, work(claimed, false), s); err != nil {
			b.Errorf("act: %v", err)
		}
	})
	all.Wait()
}

func namesOwnSetting(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	if a.Step.Class != fsm.InLog {
		b.Fatalf("no world outside, and class %s", a.Step.Class)
	}
	out, err := b.act(a, b.look(a, false))
	if err != nil {
		b.Fatal(err)
	}
	settings := strings.HasPrefix(string(a.Step.Object), string(fsm.SettingObject(""))) // else the object says all
	if out.Waiting || len(out.Checkpoint) > 0 || settings != (len(out.Settings) > 0) {
		b.Errorf("outcome %+v, want settings (%t) and nothing to wait for", out, settings)
	}
	for _, w := range out.Settings {
		if fsm.SettingObject(w.Key) != a.Step.Object {
			b.Errorf("writes %s, its object is %s", w.Key, a.Step.Object)
		}
		if len(w.Value) > fsm.MaxValueBytes {
			b.Errorf("value of %d bytes", len(w.Value))
		}
	}
	a.Step.Object = "setting/of/somebody/else"
	if _, err := b.act(a, actuators.Sight{Verdict: actuators.Absent}); !actuators.Explain(err).Permanent {
		b.Errorf("a value for another object: %v, want a permanent error", err)
	}
	a.Step, a.Value = b.step, []byte("{")
	if _, err := b.act(a, actuators.Sight{Verdict: actuators.Absent}); !actuators.Explain(err).Permanent {
		b.Errorf("a value that cannot be read: %v, want a permanent error", err)
	}
}

func namesTheSame(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	one, err := b.act(a, b.look(a, false))
	if err != nil {
		b.Fatal(err)
	}
	two, err := b.act(a, b.look(a, false))
	if err != nil {
		b.Fatal(err)
	}
	if !reflect.DeepEqual(one, two) {
		b.Errorf("acted twice: %+v and %+v", one, two)
	}
}
