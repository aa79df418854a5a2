package ovh

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Kind repoints frontends of OVH IP Load Balancers. All methods may be called
// concurrently.
type Kind struct{ config Config }

var _ actuators.Kind = (*Kind)(nil)

// New makes the kind.
func New(c Config) *Kind { return &Kind{config: c} }

// CheckTarget implements actuators.Kind.
func (k *Kind) CheckTarget(msg proto.Message) []actuators.Problem {
	t, ok := msg.(*pb.OvhIplbTarget)
	if !ok || t == nil {
		return []actuators.Problem{{Message: "not an ovh_iplb target"}}
	}
	problems := ovhapi.CheckAccess(t.GetEndpoint(), t.GetCredentials())
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`).MatchString(t.GetService()) {
		problems = append(problems, actuators.Problem{Path: "service", Message: fmt.Sprintf("%q is not a service name, such as ip-203.0.113.7", t.GetService())})
	}
	return problems
}

// Plan implements actuators.Kind.
func (k *Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.OvhIplbStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not an ovh_iplb step"}}
	}
	var problems []actuators.Problem
	switch in.TargetMsg.(type) {
	case *pb.OvhIplbTarget:
	case nil:
		problems = append(problems, actuators.Problem{Message: "needs a target of kind ovh_iplb"})
	default:
		problems = append(problems, actuators.Problem{Message: fmt.Sprintf("target %q is not of kind ovh_iplb", in.Target)})
	}
	if msg.GetFrontend() <= 0 {
		problems = append(problems, actuators.Problem{Path: "frontend", Message: fmt.Sprintf("%d is not a frontend's id", msg.GetFrontend())})
	}
	problems = append(problems, checkFarms(msg.GetFarms(), in)...)
	if _, known := pb.Foreign_name[int32(msg.GetForeign())]; !known {
		problems = append(problems, actuators.Problem{Path: "foreign", Message: fmt.Sprintf("unknown policy %d", msg.GetForeign())})
	}
	return actuators.Planned{Object: frontendObject(in.Target, msg.GetFrontend()), Class: fsm.Readable}, problems
}

func frontendObject(t fsm.TargetID, id int64) fsm.ObjectID {
	return fsm.ObjectID(fmt.Sprintf("%s/frontend/%d", t, id))
}

func refreshObject(t fsm.TargetID) fsm.ObjectID { return fsm.ObjectID(t + "/refresh") }

// checkFarms wants one farm of its own for each candidate, and no other.
func checkFarms(farms map[string]int64, in actuators.StepInput) (problems []actuators.Problem) {
	add := func(address, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: fmt.Sprintf("farms[%q]", address), Message: fmt.Sprintf(format, args...)})
	}
	declared := map[string]bool{}
	for _, c := range in.Candidates {
		declared[string(c.Address)] = true
		if _, ok := farms[string(c.Address)]; !ok {
			add(string(c.Address), "no farm for this candidate of %s", in.Master)
		}
	}
	users := map[int64]string{}
	for _, address := range slices.Sorted(maps.Keys(farms)) {
		id := farms[address]
		if !declared[address] {
			add(address, "not a candidate of %s", in.Master)
		}
		if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().Is4() || at.Port() == 0 {
			add(address, "OVH takes IPv4 addresses with a port only")
		}
		if id <= 0 {
			add(address, "%d is not a farm's id", id)
		} else if other, used := users[id]; used {
			add(address, "farm %d is the farm of %s already", id, other)
		}
		users[id] = address
	}
	return problems
}

// wanted is an action's value.
type wanted struct {
	Frontend int64       `json:"frontend"`
	Farm     int64       `json:"farm"`
	Address  fsm.Address `json:"address"`
}

// Render implements actuators.Kind.
func (k *Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	msg, err := paramsOf(step)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(err)
	}
	farm, ok := msg.GetFarms()[string(facts.To)]
	if !ok {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("step %s has no farm for %s", step.Name, facts.To))
	}
	v := wanted{Frontend: msg.GetFrontend(), Farm: farm, Address: facts.To}
	raw, err := json.Marshal(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: v.String()}, nil
}

func (v wanted) String() string {
	return fmt.Sprintf("frontend %d → farm %d (%s)", v.Frontend, v.Farm, v.Address)
}

func wantedOf(a fsm.Action) (wanted, error) {
	var v wanted
	if err := json.Unmarshal(a.Value, &v); err != nil || v.Frontend <= 0 || v.Farm <= 0 {
		return v, fmt.Errorf("action %s: %w", a.ID, ErrValue)
	}
	return v, nil
}

func paramsOf(step fsm.Step) (*pb.OvhIplbStep, error) {
	var msg pb.OvhIplbStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return nil, fmt.Errorf("read step %s: %w", step.Name, err)
	}
	return &msg, nil
}

// Open implements actuators.Kind. The actuator has a Close, for idle connections.
func (k *Kind) Open(target fsm.TargetSpec, budget actuators.Budget) (actuators.Actuator, error) {
	var msg pb.OvhIplbTarget
	if err := proto.Unmarshal(target.Params, &msg); err != nil {
		return nil, fmt.Errorf("read target %s: %w", target.ID, err)
	}
	c, err := k.config.Open(msg.GetEndpoint(), msg.GetCredentials(), budget)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", target.ID, err)
	}
	return &actuator{
		client: c, target: target.ID, path: "/ipLoadbalancing/" + url.PathEscape(msg.GetService()),
		seen: map[int64]sighting{}, before: map[int64]earlier{},
	}, nil
}

// actuator acts on one service.
type actuator struct {
	client *ovhapi.Client
	target fsm.TargetID
	path   string // of the service

	// failing: the last read got no good answer. The next one asks one question
	// after another, so that an outage costs one request for each look.
	failing atomic.Bool

	mu     sync.Mutex         // guards what follows, which only makes answers better
	seen   map[int64]sighting // tasks
	before map[int64]earlier  // a frontend before our last write
	staged []string           // zones that the last look at pendingChanges named
	zones  []string           // of the service
	asked  bool               // zones is the answer, or the key may not ask
}

var _ actuators.Actuator = (*actuator)(nil)

// Close drops idle connections. The actuator stays usable.
func (a *actuator) Close() error { return a.client.Close() }

// sighting is what this process knows of a task.
type sighting struct {
	at    time.Time // when it first knew of it
	shown bool      // OVH has answered for it
	gone  time.Time // since when it is not found; zero: it was, or was not asked for
}

// since says how long this process has known of a task.
func (a *actuator) since(task int64) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Since(a.know(task).at)
}

// shown notes that OVH has answered for a task.
func (a *actuator) shown(task int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.know(task)
	s.shown, s.gone = true, time.Time{}
	a.seen[task] = s
}

// gone is asked when a task is not found, and reports whether that is its end:
// one that was shown before has to be missing for MaxMissing, since one answer
// may be an error, and one that was not may only show late.
func (a *actuator) gone(task int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.know(task)
	if s.gone.IsZero() {
		s.gone = time.Now()
		a.seen[task] = s
	}
	if !s.shown {
		return time.Since(s.at) >= MaxHidden
	}
	return time.Since(s.gone) >= MaxMissing
}

// know wants mu held.
func (a *actuator) know(task int64) sighting {
	s, ok := a.seen[task]
	if !ok {
		if len(a.seen) >= MaxRemembered {
			clear(a.seen) // costs an early poll each
		}
		s = sighting{at: time.Now()}
		a.seen[task] = s
	}
	return s
}
