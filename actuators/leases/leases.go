package leases

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Name is the kind's name in the spec.
const Name = "leases"

// Kind opens pools. It has no state; all methods may be called concurrently.
type Kind struct{}

var _ actuators.Kind = Kind{}

// CheckTarget refuses any target: a pool stands inside the log.
func (Kind) CheckTarget(proto.Message) []actuators.Problem {
	return []actuators.Problem{{Message: "a pool has no target"}}
}

// Plan names the pool. Whether it is declared, and has this master, the spec
// itself is held against.
func (Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.LeasesStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not a leases step"}}
	}
	var problems []actuators.Problem
	if in.Target != "" {
		problems = append(problems, actuators.Problem{Message: fmt.Sprintf("a pool has no target, the step names %q", in.Target)})
	}
	if msg.GetPool() == "" {
		problems = append(problems, actuators.Problem{Path: "pool", Message: "names no pool"})
	}
	return actuators.Planned{Object: fsm.PoolObject(fsm.PoolID(msg.GetPool())), Class: fsm.InLog}, problems
}

// wanted is an action's value.
type wanted struct {
	Pool    fsm.PoolID  `json:"pool"`
	Address fsm.Address `json:"address"`
}

// Render names the address that workers will get.
func (Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	var msg pb.LeasesStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("read step %s: %w", step.Name, err))
	}
	raw, err := json.Marshal(wanted{Pool: fsm.PoolID(msg.GetPool()), Address: facts.To})
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render value of step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: fmt.Sprintf("pool %s is granted anew for %s", msg.GetPool(), facts.To)}, nil
}

// Open makes the actuator; a pool needs no target and no secret.
func (Kind) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) {
	return actuator{}, nil
}

type actuator struct{}

// Read finds nothing: where a pool stands is in the state, not outside.
func (actuator) Read(context.Context, actuators.Subject) (actuators.Reading, error) {
	return actuators.Reading{At: time.Now()}, nil
}

// Judge says that the pool is to be opened: the Settle entry does it.
func (actuator) Judge(r actuators.Reading, _ actuators.Work) actuators.Sight {
	return actuators.Sight{Verdict: actuators.Absent, Reading: r}
}

// Act sends nothing, so repeats and late calls do no harm.
func (actuator) Act(ctx context.Context, w actuators.Work, _ actuators.Sight) (actuators.Outcome, error) {
	if ctx.Err() != nil {
		return actuators.Outcome{}, context.Cause(ctx)
	}
	var v wanted
	if err := json.Unmarshal(w.Action.Value, &v); err != nil {
		return actuators.Outcome{}, actuators.Permanent(fmt.Errorf("read value of %s: %w", w.Action.ID, err))
	}
	if fsm.PoolObject(v.Pool) != w.Action.Step.Object {
		return actuators.Outcome{}, actuators.Permanent(fmt.Errorf("value of %s is for pool %s, its object is %s", w.Action.ID, v.Pool, w.Action.Step.Object))
	}
	return actuators.Outcome{}, nil
}

// Follow has nothing to follow.
func (actuator) Follow(context.Context, actuators.Work) (actuators.Progress, error) {
	return actuators.Progress{Done: true}, nil
}
