package haproxy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Kind moves servers of HAProxy. All methods may be called concurrently.
type Kind struct{ config Config }

var _ actuators.Kind = (*Kind)(nil)

// New makes the kind.
func New(c Config) *Kind { return &Kind{config: c.withDefaults()} }

// CheckTarget implements actuators.Kind.
func (k *Kind) CheckTarget(msg proto.Message) []actuators.Problem {
	t, ok := msg.(*pb.HaproxyTarget)
	if !ok || t == nil {
		return []actuators.Problem{{Message: "not a haproxy target"}}
	}
	network, _, ok := place(t.GetAddress())
	switch {
	case !ok:
		return []actuators.Problem{{Path: "address", Message: fmt.Sprintf("%q is neither host:port nor unix:/PATH", t.GetAddress())}}
	case network == "unix" && t.GetTls() != nil:
		return []actuators.Problem{{Path: "tls", Message: "a socket of this machine takes none"}}
	}
	return nil
}

// place splits a target's address into what net.Dial takes.
func place(address string) (network, at string, ok bool) {
	if path, unix := strings.CutPrefix(address, "unix:"); unix {
		return "unix", path, strings.HasPrefix(path, "/")
	}
	host, port, err := net.SplitHostPort(address)
	return "tcp", address, err == nil && host != "" && port != ""
}

// Plan implements actuators.Kind.
func (k *Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.HaproxyStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not a haproxy step"}}
	}
	var problems []actuators.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if target, ok := in.TargetMsg.(*pb.HaproxyTarget); !ok || target == nil {
		add("", "target %q is not of kind haproxy", in.Target)
	}
	for _, p := range []struct{ field, name string }{{"backend", msg.GetBackend()}, {"server", msg.GetServer()}} {
		if !regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`).MatchString(p.name) {
			add(p.field, "%q is not a name in HAProxy", p.name)
		}
	}
	problems = append(problems, backendsOf(msg, in)...)
	return actuators.Planned{Object: fsm.ObjectID(fmt.Sprintf("%s/%s/%s", in.Target, msg.GetBackend(), msg.GetServer())), Class: fsm.Readable}, problems
}

// backendsOf finds what is wrong with the candidates' addresses: each needs one
// of its own that HAProxy takes.
func backendsOf(msg *pb.HaproxyStep, in actuators.StepInput) (problems []actuators.Problem) {
	taken := map[netip.AddrPort]fsm.Address{}
	known := map[string]bool{}
	for _, c := range in.Candidates {
		known[string(c.Address)] = true
		at, err := backendOf(msg, c.Address)
		path := ""
		if msg.GetBackends()[string(c.Address)] != "" {
			path = fmt.Sprintf("backends[%q]", c.Address)
		}
		switch other, twice := taken[at]; {
		case err != nil:
			problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf("candidate %s of %s: %v", c.Address, in.Master, err)})
		case twice:
			problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf("candidates %s and %s stand both at %s", other, c.Address, at)})
		default:
			taken[at] = c.Address
		}
	}
	for _, address := range slices.Sorted(maps.Keys(msg.GetBackends())) {
		if !known[address] {
			problems = append(problems, actuators.Problem{Path: fmt.Sprintf("backends[%q]", address), Message: fmt.Sprintf("no candidate of %s", in.Master)})
		}
	}
	return problems
}

// backendOf is where HAProxy reaches a candidate.
func backendOf(msg *pb.HaproxyStep, candidate fsm.Address) (netip.AddrPort, error) {
	text := cmp.Or(msg.GetBackends()[string(candidate)], string(candidate))
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 || at.Addr().Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%s is no IP address with a port, and HAProxy's runtime API takes nothing else; name one under backends: %w", text, ErrValue)
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// wanted is an action's value.
type wanted struct {
	Backend string         `json:"backend"`
	Server  string         `json:"server"`
	Address netip.AddrPort `json:"address"`
	End     bool           `json:"end,omitempty"` // the server's sessions
}

// Render implements actuators.Kind.
func (k *Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	msg, err := paramsOf(step)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(err)
	}
	at, err := backendOf(msg, facts.To)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	v := wanted{Backend: msg.GetBackend(), Server: msg.GetServer(), Address: at, End: msg.GetShutdownSessions()}
	raw, err := json.Marshal(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: fmt.Sprintf("server %s/%s → %s", v.Backend, v.Server, v.Address)}, nil
}

func wantedOf(a fsm.Action) (wanted, error) {
	var v wanted
	if err := json.Unmarshal(a.Value, &v); err != nil || v.Server == "" || !v.Address.IsValid() {
		return v, fmt.Errorf("action %s: %w", a.ID, ErrValue)
	}
	return v, nil
}

func paramsOf(step fsm.Step) (*pb.HaproxyStep, error) {
	var msg pb.HaproxyStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return nil, fmt.Errorf("read step %s: %w", step.Name, err)
	}
	return &msg, nil
}

// Open implements actuators.Kind.
func (k *Kind) Open(target fsm.TargetSpec, budget actuators.Budget) (actuators.Actuator, error) {
	var msg pb.HaproxyTarget
	if err := proto.Unmarshal(target.Params, &msg); err != nil {
		return nil, fmt.Errorf("read target %s: %w", target.ID, err)
	}
	network, at, ok := place(msg.GetAddress())
	if !ok {
		return nil, fmt.Errorf("target %s: address %q is neither host:port nor unix:/PATH", target.ID, msg.GetAddress())
	}
	a := &actuator{config: k.config, budget: budget, network: network, address: at}
	if msg.GetTls() != nil {
		var err error
		if a.tls, err = k.config.TLS(msg.GetTls()); err != nil {
			return nil, fmt.Errorf("target %s: %w", target.ID, err)
		}
	}
	return a, nil
}
