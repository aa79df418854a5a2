package ovhip

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Kind moves Additional IPs of OVH. All methods may be called concurrently.
type Kind struct{ config Config }

var _ actuators.Kind = (*Kind)(nil)

// New makes the kind.
func New(c Config) *Kind { return &Kind{config: c} }

// CheckTarget implements actuators.Kind.
func (k *Kind) CheckTarget(msg proto.Message) []actuators.Problem {
	t, ok := msg.(*pb.OvhIpTarget)
	if !ok || t == nil {
		return []actuators.Problem{{Message: "not an ovh_ip target"}}
	}
	return ovhapi.CheckAccess(t.GetEndpoint(), t.GetCredentials())
}

// Plan implements actuators.Kind.
func (k *Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.OvhIpStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not an ovh_ip step"}}
	}
	var problems []actuators.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch in.TargetMsg.(type) {
	case *pb.OvhIpTarget:
	case nil:
		add("", "needs a target of kind ovh_ip")
	default:
		add("", "target %q is not of kind ovh_ip", in.Target)
	}
	block, err := blockOf(msg.GetIp())
	if err != nil {
		add("ip", "%q is neither an IP nor a block, such as 203.0.113.8/30", msg.GetIp())
	}
	problems = append(problems, checkServices(msg.GetServices(), in)...)
	if _, known := pb.Foreign_name[int32(msg.GetForeign())]; !known {
		add("foreign", "unknown policy %d", msg.GetForeign())
	}
	return actuators.Planned{Object: fsm.ObjectID(fmt.Sprintf("%s/ip/%s", in.Target, block)), Class: fsm.Readable}, problems
}

// blockOf writes an IP as OVH does: a block, whose bits beyond its length are zero.
func blockOf(text string) (string, error) {
	if at, err := netip.ParseAddr(text); err == nil && at.Zone() == "" {
		return netip.PrefixFrom(at, at.BitLen()).String(), nil
	}
	p, err := netip.ParsePrefix(text)
	if err == nil && p.Masked() != p {
		err = fmt.Errorf("%s has bits beyond its length", text)
	}
	return p.String(), err
}

// checkServices wants a service for each candidate, and no other address.
// Candidates may share one: two of them on one machine.
func checkServices(services map[string]string, in actuators.StepInput) (problems []actuators.Problem) {
	add := func(address, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: fmt.Sprintf("services[%q]", address), Message: fmt.Sprintf(format, args...)})
	}
	declared := map[string]bool{}
	for _, c := range in.Candidates {
		declared[string(c.Address)] = true
		if _, ok := services[string(c.Address)]; !ok {
			add(string(c.Address), "no service for this candidate of %s", in.Master)
		}
	}
	name := regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	for _, address := range slices.Sorted(maps.Keys(services)) {
		if !declared[address] {
			add(address, "not a candidate of %s", in.Master)
		}
		if !name.MatchString(services[address]) {
			add(address, "%q is not a service name, such as ns3112233.ip-203-0-113.eu", services[address])
		}
	}
	return problems
}

// wanted is an action's value.
type wanted struct {
	Block   string      `json:"block"`
	Service string      `json:"service"`
	Address fsm.Address `json:"address"`
}

func (v wanted) String() string { return fmt.Sprintf("%s → %s (%s)", v.Block, v.Service, v.Address) }

// Render implements actuators.Kind.
func (k *Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	msg, err := paramsOf(step)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(err)
	}
	service, ok := msg.GetServices()[string(facts.To)]
	if !ok {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("step %s has no service for %s", step.Name, facts.To))
	}
	block, err := blockOf(msg.GetIp())
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("step %s: %w", step.Name, err))
	}
	v := wanted{Block: block, Service: service, Address: facts.To}
	raw, err := json.Marshal(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: v.String()}, nil
}

func wantedOf(a fsm.Action) (wanted, error) {
	var v wanted
	if err := json.Unmarshal(a.Value, &v); err != nil || v.Block == "" || v.Service == "" {
		return v, fmt.Errorf("action %s: %w", a.ID, ErrValue)
	}
	return v, nil
}

func paramsOf(step fsm.Step) (*pb.OvhIpStep, error) {
	var msg pb.OvhIpStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return nil, fmt.Errorf("read step %s: %w", step.Name, err)
	}
	return &msg, nil
}

// Open implements actuators.Kind. The actuator has a Close, for idle connections.
func (k *Kind) Open(target fsm.TargetSpec, budget actuators.Budget) (actuators.Actuator, error) {
	var msg pb.OvhIpTarget
	if err := proto.Unmarshal(target.Params, &msg); err != nil {
		return nil, fmt.Errorf("read target %s: %w", target.ID, err)
	}
	c, err := k.config.Open(msg.GetEndpoint(), msg.GetCredentials(), budget)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", target.ID, err)
	}
	return &actuator{client: c, memory: newMemory()}, nil
}

// actuator acts on the IPs of one account.
type actuator struct {
	client *ovhapi.Client
	memory *memory
}

var _ actuators.Actuator = (*actuator)(nil)

// Close drops idle connections. The actuator stays usable.
func (a *actuator) Close() error { return a.client.Close() }

// sameService compares names as DNS does.
func sameService(a, b string) bool { return a != "" && strings.EqualFold(a, b) }
