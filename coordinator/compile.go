package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// DefaultHold is how long a provider may still finish an abandoned request,
// where the target does not say.
const DefaultHold = 10 * time.Second

// Compile makes the log's form of a spec, or says everything that is wrong
// with it beyond its schema. Paths are those of the spec's message. It reads
// no secret and sends nothing.
func Compile(spec *pointsmanv1.Spec, kinds actuators.Kinds) (fsm.Spec, []config.Problem) {
	c := compiler{kinds: kinds, spec: spec, objects: map[fsm.ObjectID]string{}}
	for _, id := range sortedKeys(spec.GetTargets()) {
		c.target(id, spec.GetTargets()[id])
	}
	for i, m := range spec.GetMasters() {
		c.master(fmt.Sprintf("masters[%d]", i), m)
	}
	c.pools()
	source, err := proto.MarshalOptions{Deterministic: true}.Marshal(spec)
	if err != nil {
		c.wrong("", "cannot be encoded: %v", err)
	}
	c.out.Source = source
	if len(c.problems) == 0 {
		if err := c.out.Check(); err != nil {
			c.wrong("", "%v", err)
		}
	}
	return c.out, c.problems
}

type compiler struct {
	kinds    actuators.Kinds
	spec     *pointsmanv1.Spec
	out      fsm.Spec
	objects  map[fsm.ObjectID]string // the path of the step that names it
	paths    int                     // data paths so far
	problems []config.Problem
}

func (c *compiler) wrong(path, format string, args ...any) {
	c.problems = append(c.problems, config.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) all(path string, problems []actuators.Problem) {
	for _, p := range problems {
		at := path
		if p.Path != "" {
			at += "." + p.Path
		}
		c.wrong(at, "%s", p.Message)
	}
}

// chosen gives the set field of a message's oneof "kind": its name is the
// actuator's.
func chosen(m proto.Message) (string, proto.Message) {
	r := m.ProtoReflect()
	field := r.WhichOneof(r.Descriptor().Oneofs().ByName("kind"))
	if field == nil || field.Kind() != protoreflect.MessageKind {
		return "", nil
	}
	return string(field.Name()), r.Get(field).Message().Interface()
}

func (c *compiler) target(id string, t *pointsmanv1.Target) {
	path := fmt.Sprintf("targets[%q]", id)
	name, msg := chosen(t)
	kind, ok := c.kinds[name]
	if !ok {
		c.wrong(path, "kind %q is not one that this program has: %s", name, strings.Join(sortedKeys(c.kinds), ", "))
		return
	}
	c.all(path+"."+name, kind.CheckTarget(msg))
	hold := DefaultHold
	if t.GetHold() != nil {
		hold = t.GetHold().AsDuration()
	}
	c.out.Targets = append(c.out.Targets, fsm.TargetSpec{
		ID: fsm.TargetID(id), Kind: name, Params: c.encode(path, msg), Hold: hold, Rate: int(t.GetRate()),
	})
}

func (c *compiler) encode(path string, m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		c.wrong(path, "cannot be encoded: %v", err)
	}
	return b
}

func (c *compiler) master(path string, m *pointsmanv1.MasterSpec) {
	out := fsm.MasterSpec{ID: fsm.MasterID(m.GetId()), Mend: m.GetDrift() == pointsmanv1.Drift_DRIFT_REPAIR, Observe: m.GetObserveOnly()}
	if _, clash := c.spec.GetTargets()[m.GetId()]; clash {
		c.wrong(path+".id", "%q is a target too; ids of actions begin with either, so they must differ", m.GetId())
	}
	for _, a := range m.GetCandidates() {
		out.Candidates = append(out.Candidates, fsm.Candidate{Address: fsm.Address(a.GetAddress()), Zone: a.GetZone()})
	}
	for i, stage := range m.GetPlan() {
		made := fsm.Stage{Name: stage.GetStage()}
		for j, step := range stage.GetSteps() {
			at := fmt.Sprintf("%s.plan[%d].steps[%d]", path, i, j)
			made.Steps = append(made.Steps, c.step(at, out, step))
		}
		out.Plan = append(out.Plan, made)
	}
	c.out.Masters = append(c.out.Masters, out)
}

func (c *compiler) step(path string, m fsm.MasterSpec, s *pointsmanv1.Step) fsm.Step {
	name, msg := chosen(s)
	out := fsm.Step{
		Name: s.GetName(), Target: fsm.TargetID(s.GetTarget()), Kind: name, Params: c.encode(path, msg),
		Block:     s.GetOnFailure() == pointsmanv1.OnFailure_ON_FAILURE_BLOCK,
		WriteOver: s.GetOnNewer() == pointsmanv1.OnNewer_ON_NEWER_WRITE, MaxAttempts: int(s.GetAttempts()),
	}
	if s.GetTimeout() != nil {
		out.Act = s.GetTimeout().AsDuration()
	}
	c.probe(path, s)
	kind, ok := c.kinds[name]
	if !ok {
		c.wrong(path, "kind %q is not one that this program has: %s", name, strings.Join(sortedKeys(c.kinds), ", "))
		return out
	}
	in := actuators.StepInput{Master: m.ID, Candidates: m.Candidates, Step: out.Name, Target: out.Target, Message: msg}
	if out.Target != "" {
		target, ok := c.spec.GetTargets()[s.GetTarget()]
		if !ok {
			c.wrong(path+".target", "target %q is not declared; declared are: %s", s.GetTarget(), strings.Join(sortedKeys(c.spec.GetTargets()), ", "))
			return out
		}
		wanted := name
		if t, ok := kind.(actuators.Targeted); ok {
			wanted = t.Target()
		}
		targetKind, targetMsg := chosen(target)
		if in.TargetMsg = targetMsg; targetKind != wanted {
			c.wrong(path+".target", "target %q is of kind %s, the step of kind %s", s.GetTarget(), targetKind, name)
			return out
		}
	}
	planned, problems := kind.Plan(in)
	c.all(path+"."+name, problems)
	out.Object, out.Class = planned.Object, planned.Class
	if len(problems) == 0 {
		if other, taken := c.objects[out.Object]; taken {
			c.wrong(path, "%s is also written by %s; one object belongs to one step", out.Object, other)
		}
		c.objects[out.Object] = path
	}
	return out
}

// probe counts the data paths, and refuses one that leads through no target.
func (c *compiler) probe(path string, s *pointsmanv1.Step) {
	if s.GetProbe() == nil {
		return
	}
	if s.GetTarget() == "" {
		c.wrong(path+".probe", "the step has no target that a data path could lead through")
	}
	if c.paths++; c.paths == maxPaths+1 {
		c.wrong(path+".probe", "the spec has more than %d probes", maxPaths)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
