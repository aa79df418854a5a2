package octavia

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Kind repoints listeners of Octavia load balancers. All methods may be called
// concurrently.
type Kind struct{ config Config }

var _ actuators.Kind = (*Kind)(nil)

// New makes the kind.
func New(c Config) *Kind { return &Kind{config: c.withDefaults()} }

func isID(text string) bool {
	return regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`).MatchString(text)
}

// CheckTarget implements actuators.Kind.
func (k *Kind) CheckTarget(msg proto.Message) []actuators.Problem {
	t, ok := msg.(*pb.OctaviaTarget)
	if !ok || t == nil {
		return []actuators.Problem{{Message: "not an octavia target"}}
	}
	var problems []actuators.Problem
	add := func(path, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if !wire.IsReference(t.GetCredentials()) {
		add("credentials", "want file:/PATH, env:NAME or credential:NAME") // what stands there may be a secret: not quoted
	}
	word := regexp.MustCompile(`^[A-Za-z0-9._-]{0,128}$`)
	if !word.MatchString(t.GetCloud()) {
		add("cloud", "%q is not the name of a cloud", t.GetCloud())
	}
	if !word.MatchString(t.GetRegion()) {
		add("region", "%q is not the name of a region, such as EU-WEST-PAR", t.GetRegion())
	}
	if !isID(t.GetLoadbalancer()) {
		add("loadbalancer", "%q is not a load balancer's id", t.GetLoadbalancer())
	}
	if t.GetEndpoint() != "" {
		if why := checkURL(t.GetEndpoint()); why != "" {
			add("endpoint", "%s", why)
		}
	}
	return problems
}

// checkURL says what is wrong with the URL of an API; empty: nothing. What
// stands there may hold a password: not quoted.
func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "not an http(s) URL"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "a URL without user, query and fragment is wanted"
	}
	return ""
}

// Plan implements actuators.Kind.
func (k *Kind) Plan(in actuators.StepInput) (actuators.Planned, []actuators.Problem) {
	msg, ok := in.Message.(*pb.OctaviaStep)
	if !ok || msg == nil {
		return actuators.Planned{}, []actuators.Problem{{Message: "not an octavia step"}}
	}
	var problems []actuators.Problem
	switch in.TargetMsg.(type) {
	case *pb.OctaviaTarget:
	case nil:
		problems = append(problems, actuators.Problem{Message: "needs a target of kind octavia"})
	default:
		problems = append(problems, actuators.Problem{Message: fmt.Sprintf("target %q is not of kind octavia", in.Target)})
	}
	if !isID(msg.GetListener()) {
		problems = append(problems, actuators.Problem{Path: "listener", Message: fmt.Sprintf("%q is not a listener's id", msg.GetListener())})
	}
	problems = append(problems, checkPools(msg.GetPools(), in)...)
	if _, known := pb.Foreign_name[int32(msg.GetForeign())]; !known {
		problems = append(problems, actuators.Problem{Path: "foreign", Message: fmt.Sprintf("unknown policy %d", msg.GetForeign())})
	}
	object := fsm.ObjectID(fmt.Sprintf("%s/listener/%s", in.Target, strings.ToLower(msg.GetListener())))
	return actuators.Planned{Object: object, Class: fsm.Readable}, problems
}

// checkPools wants one pool of its own for each candidate, and no other.
func checkPools(pools map[string]string, in actuators.StepInput) (problems []actuators.Problem) {
	add := func(address, format string, args ...any) {
		problems = append(problems, actuators.Problem{Path: fmt.Sprintf("pools[%q]", address), Message: fmt.Sprintf(format, args...)})
	}
	declared := map[string]bool{}
	for _, c := range in.Candidates {
		declared[string(c.Address)] = true
		if _, ok := pools[string(c.Address)]; !ok {
			add(string(c.Address), "no pool for this candidate of %s", in.Master)
		}
	}
	users := map[string]string{}
	for _, address := range slices.Sorted(maps.Keys(pools)) {
		id := strings.ToLower(pools[address])
		if !declared[address] {
			add(address, "not a candidate of %s", in.Master)
		}
		if at, err := netip.ParseAddrPort(address); err != nil || at.Port() == 0 {
			add(address, "a pool's member has an IP address and a port")
		}
		if !isID(id) {
			add(address, "%q is not a pool's id", id)
		} else if other, used := users[id]; used {
			add(address, "pool %s is the pool of %s already", id, other)
		}
		users[id] = address
	}
	return problems
}

// wanted is an action's value.
type wanted struct {
	Listener string      `json:"listener"`
	Pool     string      `json:"pool"`
	Address  fsm.Address `json:"address"`
}

// Render implements actuators.Kind.
func (k *Kind) Render(step fsm.Step, facts actuators.Facts) (fsm.Value, error) {
	msg, err := paramsOf(step)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(err)
	}
	pool, ok := msg.GetPools()[string(facts.To)]
	if !ok {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("step %s has no pool for %s", step.Name, facts.To))
	}
	v := wanted{Listener: strings.ToLower(msg.GetListener()), Pool: strings.ToLower(pool), Address: facts.To}
	raw, err := json.Marshal(v)
	if err != nil {
		return fsm.Value{}, actuators.Permanent(fmt.Errorf("render step %s: %w", step.Name, err))
	}
	return fsm.Value{Step: step.Name, Value: raw, Wanted: fmt.Sprintf("listener %s → pool %s (%s)", v.Listener, v.Pool, v.Address)}, nil
}

func wantedOf(a fsm.Action) (wanted, error) {
	var v wanted
	if err := json.Unmarshal(a.Value, &v); err != nil || v.Listener == "" || v.Pool == "" {
		return v, fmt.Errorf("action %s: %w", a.ID, ErrValue)
	}
	return v, nil
}

func paramsOf(step fsm.Step) (*pb.OctaviaStep, error) {
	var msg pb.OctaviaStep
	if err := proto.Unmarshal(step.Params, &msg); err != nil {
		return nil, fmt.Errorf("read step %s: %w", step.Name, err)
	}
	return &msg, nil
}

// Open implements actuators.Kind. The actuator has a Close, for idle connections.
func (k *Kind) Open(target fsm.TargetSpec, budget actuators.Budget) (actuators.Actuator, error) {
	var msg pb.OctaviaTarget
	if err := proto.Unmarshal(target.Params, &msg); err != nil {
		return nil, fmt.Errorf("read target %s: %w", target.ID, err)
	}
	cloud, err := k.config.resolve(msg.GetCredentials(), msg.GetCloud())
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", target.ID, err)
	}
	if msg.GetRegion() != "" {
		cloud.region = msg.GetRegion()
	}
	cloud.endpoint = msg.GetEndpoint()
	return &actuator{
		client: newClient(k.config, cloud, budget), balancer: strings.ToLower(msg.GetLoadbalancer()), followed: map[string]time.Time{},
	}, nil
}

// actuator acts on one load balancer.
type actuator struct {
	client   *client
	balancer string

	// failing: the last read got no good answer. The next one asks one question
	// after another, so that an outage costs one request for each look.
	failing atomic.Bool

	mu       sync.Mutex           // guards what follows, which only makes answers better
	pending  time.Time            // since when the load balancer was seen to be pending; zero: it is not
	followed map[string]time.Time // since when a write was followed, by its checkpoint
}

var _ actuators.Actuator = (*actuator)(nil)

// Close drops idle connections. The actuator stays usable.
func (a *actuator) Close() error { return a.client.http.Close() }

// pendingFor notes whether the load balancer is pending, and says for how long
// this process has seen it so.
func (a *actuator) pendingFor(pending bool) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !pending {
		a.pending = time.Time{}
		return 0
	}
	if a.pending.IsZero() {
		a.pending = time.Now()
	}
	return time.Since(a.pending)
}

// followedFor says how long this process has followed a write.
func (a *actuator) followedFor(checkpoint []byte) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, ok := a.followed[string(checkpoint)]
	if !ok {
		if len(a.followed) >= MaxFollowed {
			clear(a.followed) // costs an early poll each
		}
		since = time.Now()
		a.followed[string(checkpoint)] = since
	}
	return time.Since(since)
}

// pollDelay rises with the time that has been waited, so that a quick change is
// seen early and a slow one costs little of the rate.
func pollDelay(waited time.Duration) time.Duration {
	return min(max(firstPoll, waited/2), lastPoll)
}
