package linode

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Kind repoints nodes of Linode NodeBalancers. All methods may be called
// concurrently.
type Kind struct{ config Config }

var _ actuators.Kind = (*Kind)(nil)

// New makes the kind.
func New(c Config) *Kind { return &Kind{config: c.withDefaults()} }

// CheckTarget implements actuators.Kind.
func (k *Kind) CheckTarget(msg proto.Message) []actuators.Problem {
	t, ok := msg.(*pb.LinodeNodebalancerTarget)
	if !ok || t == nil {
		return []actuators.Problem{{Message: "not a linode_nodebalancer target"}}
	}
	var problems []actuators.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if !wire.IsReference(t.GetToken()) {
		add("token", "want file:/PATH, env:NAME or credential:NAME") // what stands there may be a token: not quoted
	}
	if t.GetNodebalancer() <= 0 {
		add("nodebalancer", "%d is not a NodeBalancer's id", t.GetNodebalancer())
	}
	if u, err := url.Parse(baseURL(t)); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		add("endpoint", "not an http(s) URL")
	} else if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		add("endpoint", "a URL without user, query and fragment is wanted")
	}
	return problems
}

func baseURL(t *pb.LinodeNodebalancerTarget) string {
	if t.GetEndpoint() == "" {
		return DefaultEndpoint
	}
	return strings.TrimSuffix(t.GetEndpoint(), "/")
}

// Plan implements actuators.Kind.
func (k *Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.LinodeNodebalancerStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not a linode_nodebalancer step"}}
	}
	var problems []actuators.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch in.TargetMsg.(type) {
	case *pb.LinodeNodebalancerTarget:
	case nil:
		add("", "needs a target of kind linode_nodebalancer")
	default:
		add("", "target %q is not of kind linode_nodebalancer", in.Target)
	}
	if msg.GetConfig() <= 0 {
		add("config", "%d is not a configuration's id", msg.GetConfig())
	}
	if msg.GetNode() <= 0 {
		add("node", "%d is not a node's id", msg.GetNode())
	}
	if msg.GetSubnet() < 0 {
		add("subnet", "%d is not a subnet's id", msg.GetSubnet())
	}
	problems = append(problems, checkBackends(msg, in)...)
	if _, known := pb.Foreign_name[int32(msg.GetForeign())]; !known {
		add("foreign", "unknown policy %d", msg.GetForeign())
	}
	return actuators.Planned{Object: nodeObject(in.Target, msg.GetNode()), Class: fsm.Readable}, problems
}

// nodeObject goes by the node alone: its id is unique at Linode.
func nodeObject(t fsm.TargetID, id int64) fsm.ObjectID {
	return fsm.ObjectID(fmt.Sprintf("%s/node/%d", t, id))
}

// checkBackends wants a private address of its own for each candidate.
func checkBackends(msg *pb.LinodeNodebalancerStep, in actuators.StepInput) (problems []actuators.Problem) {
	add := func(address, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: fmt.Sprintf("backends[%q]", address), Message: fmt.Sprintf(format, args...)})
	}
	declared := map[string]bool{}
	users := map[string]string{}
	for _, c := range in.Candidates {
		address := string(c.Address)
		declared[address] = true
		backend := backendOf(msg, c.Address)
		if why := unreachable(backend, msg.GetSubnet()); why != "" {
			add(address, "%s", why)
		} else if other, used := users[backend]; used {
			add(address, "%s is the backend of %s already", backend, other)
		}
		users[backend] = address
	}
	for _, address := range slices.Sorted(maps.Keys(msg.GetBackends())) {
		if !declared[address] {
			add(address, "not a candidate of %s", in.Master)
		}
	}
	return problems
}

// backendOf is where a candidate stands for the NodeBalancer.
func backendOf(msg *pb.LinodeNodebalancerStep, candidate fsm.Address) string {
	if backend, ok := msg.GetBackends()[string(candidate)]; ok {
		return backend
	}
	return string(candidate)
}

// privateNetwork is that of all Linodes in a region; anything else that is
// private is a VPC's.
func privateNetwork() netip.Prefix { return netip.MustParsePrefix("192.168.128.0/17") }

// unreachable says why a NodeBalancer cannot have a backend.
func unreachable(backend string, subnet int64) string {
	at, err := netip.ParseAddrPort(backend)
	switch {
	case err != nil || !at.Addr().Is4() || at.Port() == 0:
		return fmt.Sprintf("%s: a NodeBalancer takes private IPv4 addresses with a port only; name the backend under backends", backend)
	case !at.Addr().IsPrivate():
		return fmt.Sprintf("%s is not a private address; name the Linode's private one under backends", backend)
	case subnet == 0 && !privateNetwork().Contains(at.Addr()):
		return fmt.Sprintf("%s is not in %s; a backend in a VPC needs subnet", backend, privateNetwork())
	}
	return ""
}

// wanted is an action's value.
type wanted struct {
	Config  int64       `json:"config"`
	Node    int64       `json:"node"`
	Backend string      `json:"backend"`
	Subnet  int64       `json:"subnet,omitempty"`
	Address fsm.Address `json:"address"` // of the candidate
}

// Render implements actuators.Kind.
func (k *Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	msg, err := paramsOf(step)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(err)
	}
	v := wanted{
		Config: msg.GetConfig(), Node: msg.GetNode(), Backend: backendOf(msg, facts.To), Subnet: msg.GetSubnet(), Address: facts.To,
	}
	if why := unreachable(v.Backend, v.Subnet); why != "" {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("step %s: %s", step.Name, why))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: v.String()}, nil
}

func (v wanted) String() string {
	if v.Backend == string(v.Address) {
		return fmt.Sprintf("node %d → %s", v.Node, v.Backend)
	}
	return fmt.Sprintf("node %d → %s (%s)", v.Node, v.Backend, v.Address)
}

func wantedOf(a fsm.Action) (wanted, error) {
	var v wanted
	if err := json.Unmarshal(a.Value, &v); err != nil || v.Config <= 0 || v.Node <= 0 || v.Backend == "" {
		return v, fmt.Errorf("action %s: %w", a.ID, ErrValue)
	}
	return v, nil
}

func paramsOf(step fsm.Step) (*pb.LinodeNodebalancerStep, error) {
	var msg pb.LinodeNodebalancerStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return nil, fmt.Errorf("read step %s: %w", step.Name, err)
	}
	return &msg, nil
}

// Open implements actuators.Kind. The actuator has a Close, for idle connections.
func (k *Kind) Open(target fsm.TargetSpec, budget actuators.Budget) (actuators.Actuator, error) {
	var msg pb.LinodeNodebalancerTarget
	if err := proto.Unmarshal(target.Params, &msg); err != nil {
		return nil, fmt.Errorf("read target %s: %w", target.ID, err)
	}
	token, err := wire.Secret(msg.GetToken(), k.config.Getenv)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", target.ID, err)
	}
	client := wire.New(wire.Config{
		Base: baseURL(&msg), Dial: k.config.Dial, Budget: budget, Secrets: []string{token}, ID: answerID, Sign: bearer(token),
	})
	return &actuator{client: client, path: fmt.Sprintf("/nodebalancers/%d", msg.GetNodebalancer()), before: map[int64]node{}}, nil
}

// actuator acts on one NodeBalancer.
type actuator struct {
	client *wire.Client
	path   string // of the NodeBalancer

	mu     sync.Mutex     // guards what follows, which only makes details better
	before map[int64]node // nodes before our last write
}

var _ actuators.Actuator = (*actuator)(nil)

// Close drops idle connections. The actuator stays usable.
func (a *actuator) Close() error { return a.client.Close() }

// remember keeps what a write must leave alone, for the read after it.
func (a *actuator) remember(n node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.before) >= MaxRemembered {
		clear(a.before)
	}
	a.before[n.ID] = n
}

// answerID is what Linode calls its answer. Whether it gives one is not
// documented; its own time, to the second, is what its support can go by.
func answerID(h http.Header) string {
	if id := h.Get("X-Request-Id"); id != "" {
		return wire.Cut(id, 128)
	}
	if date := h.Get("Date"); date != "" {
		return "at " + wire.Cut(date, 64)
	}
	return ""
}
