package setting

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Name is the kind's name in the spec.
const Name = "setting"

// maxWanted bounds how much of a value is shown to people, in bytes.
const maxWanted = 256

// Kind writes settings. It has no state; all methods may be called concurrently.
type Kind struct{}

var _ actuators.Kind = Kind{}

// CheckTarget refuses any target: a setting stands inside the log.
func (Kind) CheckTarget(proto.Message) []actuators.Problem {
	return []actuators.Problem{{Message: "a setting has no target"}}
}

// Plan checks key and template; the template is run for each pair of candidates.
func (Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.SettingStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not a setting step"}}
	}
	var problems []actuators.Problem
	if in.Target != "" {
		problems = append(problems, actuators.Problem{Message: fmt.Sprintf("a setting has no target, the step names %q", in.Target)})
	}
	if err := fsm.CheckKey(msg.GetKey()); err != nil {
		problems = append(problems, actuators.Problem{Path: "key", Message: err.Error()})
	}
	if m, ok := fsm.Reserved(msg.GetKey()); ok {
		problems = append(problems, actuators.Problem{Path: "key", Message: fmt.Sprintf("%s is the built-in state of master %s, which only the log writes", msg.GetKey(), m)})
	}
	if t, ok := fsm.Sealed(msg.GetKey()); ok {
		problems = append(problems, actuators.Problem{Path: "key", Message: fmt.Sprintf("%s is kept by the program for target %s", msg.GetKey(), t)})
	}
	if err := dryRun(msg.GetValue(), in); err != nil {
		problems = append(problems, actuators.Problem{Path: "value", Message: err.Error()})
	}
	return actuators.Planned{Object: fsm.SettingObject(msg.GetKey()), Class: fsm.InLog}, problems
}

func dryRun(source string, in actuators.StepInput) error {
	t, err := actuators.ParseTemplate(source)
	if err != nil {
		return err
	}
	return t.DryRun(in)
}

// wanted is an action's value.
type wanted struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Render executes the template.
func (Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	var msg pb.SettingStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("read step %s: %w", step.Name, err))
	}
	t, err := actuators.ParseTemplate(msg.GetValue())
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("parse value of step %s: %w", step.Name, err))
	}
	value, err := t.Execute(facts)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render value of step %s: %w", step.Name, err))
	}
	raw, err := json.Marshal(wanted{Key: msg.GetKey(), Value: value})
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render value of step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: fmt.Sprintf("%s = %s", msg.GetKey(), shown(value))}, nil
}

func shown(value string) string {
	if len(value) > maxWanted {
		return strings.ToValidUTF8(value[:maxWanted], "") + "…"
	}
	return value
}

// Open makes the actuator; a setting needs no target and no secret.
func (Kind) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) {
	return actuator{}, nil
}

type actuator struct{}

// Read finds nothing: what a setting holds is in the state, not outside.
func (actuator) Read(context.Context, actuators.Subject) (actuators.Reading, error) {
	return actuators.Reading{At: time.Now()}, nil
}

// Judge says that the write is due: the Settle entry makes it.
func (actuator) Judge(r actuators.Reading, _ actuators.Work) actuators.Sight {
	return actuators.Sight{Verdict: actuators.Absent, Reading: r}
}

// Act names the write. It sends nothing, so repeats and late calls do no harm.
func (actuator) Act(ctx context.Context, w actuators.Work, _ actuators.Sight) (actuators.Outcome, error) {
	if ctx.Err() != nil {
		return actuators.Outcome{}, context.Cause(ctx)
	}
	var v wanted
	if err := json.Unmarshal(w.Action.Value, &v); err != nil {
		return actuators.Outcome{}, actuators.Permanent(fmt.Errorf("read value of %s: %w", w.Action.ID, err))
	}
	if fsm.SettingObject(v.Key) != w.Action.Step.Object {
		return actuators.Outcome{}, actuators.Permanent(fmt.Errorf("value of %s is for setting %s, its object is %s", w.Action.ID, v.Key, w.Action.Step.Object))
	}
	return actuators.Outcome{Settings: []fsm.SettingWrite{{Key: v.Key, Value: v.Value}}}, nil
}

// Follow has nothing to follow.
func (actuator) Follow(context.Context, actuators.Work) (actuators.Progress, error) {
	return actuators.Progress{Done: true}, nil
}
