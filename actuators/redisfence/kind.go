package redisfence

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Kind fences old masters. All methods may be called concurrently.
type Kind struct{ config Config }

var _ actuators.Kind = (*Kind)(nil)

// New makes the kind.
func New(c Config) *Kind { return &Kind{config: c.withDefaults()} }

// CheckTarget implements actuators.Kind.
func (k *Kind) CheckTarget(msg proto.Message) []actuators.Problem {
	t, ok := msg.(*pb.RedisFenceTarget)
	if !ok || t == nil {
		return []actuators.Problem{{Message: "not a redis_fence target"}}
	}
	var problems []actuators.Problem
	if t.GetPassword() != "" && !wire.IsReference(t.GetPassword()) {
		// What stands there may be a password: not quoted.
		problems = append(problems, actuators.Problem{Path: "password", Message: "want file:/PATH, env:NAME or credential:NAME"})
	}
	if t.GetUser() != "" && t.GetPassword() == "" {
		problems = append(problems, actuators.Problem{Path: "password", Message: fmt.Sprintf("user %q needs one", t.GetUser())})
	}
	return problems
}

// Plan implements actuators.Kind. Two steps may fence one master, an early one
// that waits a second and a late one that waits longer: each is an object.
func (k *Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.RedisFenceStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not a redis_fence step"}}
	}
	var problems []actuators.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch in.TargetMsg.(type) {
	case *pb.RedisFenceTarget:
	case nil:
		add("", "needs a target of kind redis_fence")
	default:
		add("", "target %q is not of kind redis_fence", in.Target)
	}
	if w := waitOf(msg); w < MinWait || w > MaxWait {
		add("wait", "%s: want %s to %s", w, MinWait, MaxWait)
	}
	if len(in.Candidates) < 2 {
		add("", "%s has one candidate: there is never an old master", in.Master)
	}
	object := fsm.ObjectID(fmt.Sprintf("%s/%s/%s", in.Target, in.Master, in.Step))
	return actuators.Planned{Object: object, Class: fsm.Fenced}, problems
}

func waitOf(msg *pb.RedisFenceStep) time.Duration {
	if msg.GetWait() == nil {
		return DefaultWait
	}
	return msg.GetWait().AsDuration()
}

// wanted is an action's value.
type wanted struct {
	Old fsm.Address `json:"old"` // empty: there is none
	New fsm.Address `json:"new"`
}

// Render implements actuators.Kind.
func (k *Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	v := wanted{Old: facts.From, New: facts.To}
	if v.Old == v.New { // a failover back to the same address
		v.Old = ""
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: v.String()}, nil
}

func (v wanted) String() string {
	if v.Old == "" {
		return "no old master to fence"
	}
	return fmt.Sprintf("%s is no master beside %s", v.Old, v.New)
}

func wantedOf(a fsm.Action) (wanted, error) {
	v, err := parseWanted(a.Value)
	if err != nil {
		return v, fmt.Errorf("action %s: %w", a.ID, err)
	}
	return v, nil
}

func parseWanted(value []byte) (v wanted, err error) {
	if json.Unmarshal(value, &v) != nil || v.New == "" || v.Old == v.New {
		return v, ErrValue
	}
	return v, nil
}

// Open implements actuators.Kind.
func (k *Kind) Open(target fsm.TargetSpec, budget actuators.Budget) (actuators.Actuator, error) {
	var msg pb.RedisFenceTarget
	if err := proto.Unmarshal(target.Params, &msg); err != nil {
		return nil, fmt.Errorf("read target %s: %w", target.ID, err)
	}
	a := &actuator{config: k.config, budget: budget, user: msg.GetUser()}
	var err error
	if msg.GetPassword() != "" {
		if a.password, err = wire.Secret(msg.GetPassword(), k.config.Getenv); err != nil {
			return nil, fmt.Errorf("target %s: %w", target.ID, err)
		}
	}
	if msg.GetTls() != nil {
		if a.tls, err = k.config.TLS(msg.GetTls()); err != nil {
			return nil, fmt.Errorf("target %s: %w", target.ID, err)
		}
	}
	return a, nil
}
