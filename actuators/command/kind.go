package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Kind runs programs. All methods may be called concurrently.
type Kind struct{ config Config }

var _ actuators.Kind = (*Kind)(nil)

// New makes the kind.
func New(c Config) *Kind { return &Kind{config: c.withDefaults()} }

// CheckTarget implements actuators.Kind. The files are looked at on each node,
// by Probe and before each run.
func (k *Kind) CheckTarget(msg proto.Message) []actuators.Problem {
	t, ok := msg.(*pb.CommandTarget)
	if !ok || t == nil {
		return []actuators.Problem{{Message: "not a command target"}}
	}
	var problems []actuators.Problem
	for _, p := range []struct{ field, path string }{{"program", t.GetProgram()}, {"check", t.GetCheck()}} {
		if p.path == "" && p.field == "check" {
			continue
		}
		if !filepath.IsAbs(p.path) || filepath.Clean(p.path) != p.path {
			problems = append(problems, actuators.Problem{Path: p.field, Message: fmt.Sprintf("%q is not a clean absolute path", p.path)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.GetSecrets())) {
		path := fmt.Sprintf("secrets[%q]", name)
		if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`).MatchString(name) || strings.HasPrefix(name, "POINTSMAN_") {
			problems = append(problems, actuators.Problem{Path: path, Message: "not a name for a variable of yours"})
		}
		if !wire.IsReference(t.GetSecrets()[name]) {
			problems = append(problems, actuators.Problem{Path: path, Message: "want file:/PATH, env:NAME or credential:NAME"}) // may be a secret: not quoted
		}
	}
	return problems
}

// Plan implements actuators.Kind.
func (k *Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.CommandStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not a command step"}}
	}
	var problems []actuators.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	target, ok := in.TargetMsg.(*pb.CommandTarget)
	if !ok || target == nil {
		add("", "needs a target of kind command")
	}
	for field, word := range map[string]string{"object": msg.GetObject(), "master_name": msg.GetMasterName()} {
		if word != "" && !regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`).MatchString(word) {
			add(field, "%q is not a word of letters, digits, '.', '_' and '-'", word)
		}
	}
	object := msg.GetObject()
	if object == "" {
		object = string(in.Master)
	}
	class, wrong := classOf(msg.GetRepeat(), target.GetCheck() != "")
	if wrong != "" {
		add("repeat", "%s", wrong)
	}
	return actuators.Planned{Object: fsm.ObjectID(string(in.Target) + "/" + object), Class: class}, problems
}

// classOf is the class that the user's word makes, or what is wrong with it.
func classOf(r pb.Repeat, check bool) (fsm.Class, string) {
	switch {
	case r == pb.Repeat_REPEAT_KEYED:
		return fsm.Keyed, ""
	case r == pb.Repeat_REPEAT_READABLE && !check:
		return fsm.Readable, "readable needs a check in the target"
	case r == pb.Repeat_REPEAT_BLIND && check:
		return fsm.Blind, "the target has a check, which would tell: leave repeat out, or give the step a target without"
	case r == pb.Repeat_REPEAT_READABLE, r == pb.Repeat_REPEAT_UNSPECIFIED && check:
		return fsm.Readable, ""
	case r == pb.Repeat_REPEAT_BLIND, r == pb.Repeat_REPEAT_UNSPECIFIED:
		return fsm.Blind, ""
	}
	return fsm.Blind, fmt.Sprintf("unknown word %d", r)
}

// wanted is an action's value.
type wanted struct {
	Name  string      `json:"name"` // first argument
	From  fsm.Address `json:"from"`
	To    fsm.Address `json:"to"`
	Zone  string      `json:"zone"`
	Epoch fsm.Epoch   `json:"epoch"`
}

// Render implements actuators.Kind.
func (k *Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	var msg pb.CommandStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("read step %s: %w", step.Name, err))
	}
	v := wanted{Name: msg.GetMasterName(), From: facts.From, To: facts.To, Zone: facts.Zone, Epoch: facts.Epoch}
	if v.Name == "" {
		v.Name = string(facts.Failover.Master)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: fmt.Sprintf("%s run for %s", step.Target, facts.To)}, nil
}

func wantedOf(a fsm.Action) (wanted, error) {
	var v wanted
	if err := json.Unmarshal(a.Value, &v); err != nil || v.To == "" {
		return v, fmt.Errorf("action %s: %w", a.ID, ErrValue)
	}
	return v, nil
}

// Open implements actuators.Kind.
func (k *Kind) Open(target fsm.TargetSpec, budget actuators.Budget) (actuators.Actuator, error) {
	var msg pb.CommandTarget
	if err := proto.Unmarshal(target.Params, &msg); err != nil {
		return nil, fmt.Errorf("read target %s: %w", target.ID, err)
	}
	a := &actuator{config: k.config, budget: budget, target: target.ID, program: msg.GetProgram(), check: msg.GetCheck()}
	var hidden []string
	for _, name := range slices.Sorted(maps.Keys(msg.GetSecrets())) {
		value, err := wire.Secret(msg.GetSecrets()[name], k.config.Getenv)
		if err != nil {
			return nil, fmt.Errorf("target %s: secrets[%q]: %w", target.ID, name, err)
		}
		a.secrets = append(a.secrets, name+"="+value)
		hidden = append(hidden, value)
	}
	a.hide = newHider(hidden)
	return a, nil
}
