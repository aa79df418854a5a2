package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	actcommand "github.com/pointsman/pointsman/actuators/command"
	acthaproxy "github.com/pointsman/pointsman/actuators/haproxy"
	acthook "github.com/pointsman/pointsman/actuators/httpcall"
	actlinode "github.com/pointsman/pointsman/actuators/linode"
	actoctavia "github.com/pointsman/pointsman/actuators/octavia"
	actip "github.com/pointsman/pointsman/actuators/ovhip"
	actfence "github.com/pointsman/pointsman/actuators/redisfence"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/linode"
	"github.com/pointsman/pointsman/test/clouds/octavia"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

const (
	sideToken  = "side-token"
	hookSecret = "0123456789abcdef-hook"
)

var errNoSide = errors.New("no such side")

// newSide opens one of a plan's sides.
func newSide(s sidePlan, p *plan) (*side, error) {
	r := rand.New(rand.NewPCG(s.Draw, 0x6b6e6f6273))
	switch s.Name {
	case "linode":
		return linodeSide(r, p)
	case "octavia":
		return octaviaSide(r, p)
	case "ip":
		return ipSide(r, p)
	case "hook":
		return hookSide(r, p), nil
	case balancerHost:
		return balancerSide(r, p), nil
	case scriptHost:
		return scriptSide(r, p), nil
	case fenceName:
		return fenceSide(p), nil
	}
	return nil, fmt.Errorf("%q: %w", s.Name, errNoSide)
}

// sideKinds are the kinds that a spec with sides may name; dial gives the way to
// a side's host, nil where nothing is sent.
func sideKinds(p *process) actuators.Kinds {
	var ip actip.Config
	var linodes actlinode.Config
	var pools actoctavia.Config
	var hooks acthook.Config
	var balancers acthaproxy.Config
	var fences actfence.Config
	scripts := actcommand.Config{May: func(string) error { return nil }}
	if p != nil {
		env := func(name string) string {
			return map[string]string{
				"LINODE": sideToken, "HOOK": hookSecret, "OVH": p.run.credentials,
				"CLOUDS": "clouds: {one: {auth_type: v3applicationcredential, region_name: EU-WEST-PAR, auth: {auth_url: \"http://octavia:80/v3\", application_credential_id: id, application_credential_secret: secret}}}",
			}[name]
		}
		ip = actip.Config{Dial: dialer(p.end, "ip"), Getenv: env}
		linodes = actlinode.Config{Dial: dialer(p.end, "linode"), Getenv: env}
		pools = actoctavia.Config{Dial: dialer(p.end, "octavia"), Getenv: env}
		balancers = acthaproxy.Config{Dial: dialer(p.end, balancerHost)}
		scripts.Run = p.program
		fences.Dial = func(ctx context.Context, _, address string) (net.Conn, error) { return p.end.Dial(ctx, address) }
		hooks = acthook.Config{Dial: dialer(p.end, "hook"), Getenv: env}
	}
	return actuators.Kinds{
		actip.Name: actip.New(ip), actlinode.Name: actlinode.New(linodes), actoctavia.Name: actoctavia.New(pools), acthook.Name: acthook.New(hooks),
		acthaproxy.Name: acthaproxy.New(balancers), actcommand.Name: actcommand.New(scripts),
		actfence.Name: actfence.New(fences),
	}
}

// each spells a map of the master's candidates.
func each(m masterPlan, of func(c int, address string) string) string {
	pairs := make([]string, 0, len(m.Candidates))
	for c, address := range m.Candidates {
		pairs = append(pairs, fmt.Sprintf("%q: %q", address, of(c, address)))
	}
	return strings.Join(pairs, ", ")
}

func linodeSide(r *rand.Rand, p *plan) (*side, error) {
	k := linode.DefaultKnobs()
	k.PutAnswer = pick(r, linode.PutObject, linode.PutEmpty, linode.PutNull, linode.PutOld)
	k.ReadLag, k.Order = pick(r, 0, 0, time.Second), pick(r, linode.OrderID, linode.OrderReverse, linode.OrderShuffled)
	k.LabelLower, k.BusyFor = pick(r, false, true), pick(r, 0, 0, 500*time.Millisecond, 3*time.Second)
	k.BusyForm = pick(r, linode.BusyLinode, linode.BusyOwn, linode.BusyPage)
	k.Latency, k.StatusWords = pick(r, 0, 50*time.Millisecond), pick(r, linode.WordsUpper, linode.WordsLower, linode.WordsUnknown, linode.WordsNone)
	sim, err := linode.New(linode.Config{Knobs: &k})
	if err != nil {
		return nil, err
	}
	backend := func(i, c int) string { return fmt.Sprintf("192.168.%d.%d:6379", 133+i, 20+c) }
	var configs []linode.ConfigOf
	var nodes []linode.Node
	for i := range p.Masters {
		configs = append(configs, linode.ConfigOf{ID: int64(401 + i), Port: int64(6379 + i)})
		nodes = append(nodes, linode.Node{ID: int64(501 + i), Config: int64(401 + i), Label: "redis-master", Address: backend(i, 0)})
	}
	sim.Seed(linode.NodeBalancer{ID: 301, Label: "lb"}, configs, nodes)
	sim.AddToken(linode.Token{Value: sideToken, Scopes: "linodes:read_only nodebalancers:read_write"})
	at := func(i int, m masterPlan, where string) fsm.Address {
		for c, address := range m.Candidates {
			if backend(i, c) == where {
				return fsm.Address(address)
			}
		}
		return ""
	}
	return &side{
		name: "linode", handler: sim.Handler(), close: func() { _ = sim.Close() },
		target: fmt.Sprintf("  linode: {hold: %s, rate: %d, linode_nodebalancer: {nodebalancer: 301, token: \"env:LINODE\", endpoint: \"http://linode:80/v4\"}}\n", p.Hold, p.Rate),
		step: func(i int, m masterPlan) string {
			return fmt.Sprintf("linode_nodebalancer: {config: %d, node: %d, backends: {%s}}", 401+i, 501+i, each(m, func(c int, _ string) string { return backend(i, c) }))
		},
		value: func(i int, m masterPlan) fsm.Address {
			n, _ := sim.Stored(int64(501 + i)) // it is seeded
			return at(i, m, n.Address)
		},
		writes: func() (list []sideWrite) {
			label := regexp.MustCompile(`^pm\.[^.]+\.([^.]+)\.([0-9]+)$`)
			for _, c := range inOrder(sim.Journal(), func(c linode.Call) int64 { return c.Order }) {
				if c.Node == nil {
					continue
				}
				w := sideWrite{came: c.Received, effect: c.Effect, before: c.Node.Before.Address, after: c.Node.After.Address}
				if m := label.FindStringSubmatch(c.Node.After.Label); m != nil {
					n, _ := strconv.ParseUint(m[2], 10, 64)
					w.of = fsm.FailoverID{Master: fsm.MasterID(m[1]), Number: fsm.Number(n)}
				}
				list = append(list, w)
			}
			return list
		},
	}, nil
}

func octaviaSide(r *rand.Rand, p *plan) (*side, error) {
	var k octavia.Knobs
	k.Provision = pick(r, 300*time.Millisecond, 2*time.Second, 8*time.Second)
	k.Shows, k.PutAnswer = pick(r, octavia.ShowsAtOnce, octavia.ShowsActive), pick(r, octavia.PutWhole, octavia.PutEmpty, octavia.PutOld)
	k.ReadLag, k.ErrorForm = pick(r, 0, 0, time.Second), pick(r, octavia.FormFault, octavia.FormError, octavia.FormText)
	k.NullText, k.NoRequestID, k.TokenTTL = pick(r, false, true), pick(r, false, true), pick(r, 0, 0, 30*time.Second)
	sim, err := octavia.New(octavia.Config{Knobs: k, Endpoint: "http://octavia:80"})
	if err != nil {
		return nil, err
	}
	const balancer = "11111111-0000-4000-8000-000000000001"
	listener := func(i int) string { return fmt.Sprintf("22222222-0000-4000-8000-%012d", i) }
	pool := func(i, c int) string { return fmt.Sprintf("33333333-0000-4000-8000-%06d%06d", i, c) }
	sim.AddLoadBalancer(octavia.LoadBalancer{ID: balancer, Name: "redis"})
	sim.AddUser(octavia.User{CredentialID: "id", Secret: "secret"})
	for i, m := range p.Masters {
		for c, address := range m.Candidates {
			host, _, _ := strings.Cut(address, ":")
			if err := sim.AddPool(octavia.Pool{ID: pool(i, c), Balancer: balancer, Members: []octavia.Member{{ID: fmt.Sprintf("m%d%d", i, c), Address: host, Port: 6379}}}); err != nil {
				return nil, err
			}
		}
		if err := sim.AddListener(octavia.Listener{ID: listener(i), Balancer: balancer, Name: m.ID, Description: "redis " + m.ID, Port: 6379 + i, Pool: pool(i, 0)}); err != nil {
			return nil, err
		}
	}
	return &side{
		name: "octavia", handler: sim.Handler(), close: func() { _ = sim.Close() },
		target: fmt.Sprintf("  octavia: {hold: %s, rate: %d, octavia: {credentials: \"env:CLOUDS\", loadbalancer: %s}}\n", p.Hold, p.Rate, balancer),
		step: func(i int, m masterPlan) string {
			return fmt.Sprintf("octavia: {listener: %s, pools: {%s}}", listener(i), each(m, func(c int, _ string) string { return pool(i, c) }))
		},
		value: func(i int, _ masterPlan) fsm.Address {
			_, members := sim.Effect(listener(i))
			if len(members) != 1 || members[0].Disabled {
				return ""
			}
			return fsm.Address(fmt.Sprintf("%s:%d", members[0].Address, members[0].Port))
		},
		writes: func() (list []sideWrite) {
			for _, c := range inOrder(sim.Journal(), func(c octavia.Call) int64 { return c.Order }) {
				if c.Listener == nil {
					continue
				}
				_, m, _ := actuators.ParseMarked(c.Listener.TextAfter)
				list = append(list, sideWrite{
					of: fsm.FailoverID{Master: m.Master, Number: m.Number}, came: c.Received, effect: c.Effect, before: c.Listener.PoolBefore, after: c.Listener.PoolAfter,
				})
			}
			return list
		},
	}, nil
}

func ipSide(r *rand.Rand, p *plan) (*side, error) {
	common := ovh.DefaultKnobs()
	common.TimeWindow = 0 // what is held over a slow move would be refused for its age
	sim, err := ovh.New(ovh.Config{Knobs: &common})
	if err != nil {
		return nil, err
	}
	k := ovh.DefaultIPKnobs()
	k.Todo, k.Doing = pick(r, 10*time.Millisecond, time.Second, 5*time.Second), pick(r, 200*time.Millisecond, 3*time.Second, 25*time.Second)
	k.Early, k.Second, k.Same = pick(r, false, true), pick(r, ovh.IPSecondQueue, ovh.IPSecondConflict, ovh.IPSecondRefuse), pick(r, ovh.IPSameTask, ovh.IPSameRefuse)
	k.Destinations = pick(r, ovh.IPListed, ovh.IPNulls, ovh.IPOff)
	k.TaskLag, k.ListLag, k.ReadLag = pick(r, 0, 0, time.Second), pick(r, 0, 0, time.Second), pick(r, 0, 0, time.Second)
	k.TTL = pick(r, 0, 0, 5*time.Second)
	if err := sim.SetIPKnobs(k); err != nil {
		return nil, err
	}
	block := func(i int) string { return fmt.Sprintf("203.0.113.%d/32", 9+i) }
	service := func(i, c int) string { return fmt.Sprintf("ns%d%d.ip-198-51-100.eu", i, c) }
	for i, m := range p.Masters {
		b := ovh.IP{Block: block(i), Service: service(i, 0), Description: "redis " + m.ID}
		for c := range m.Candidates {
			b.Destinations = append(b.Destinations, service(i, c))
		}
		if err := sim.AddIP(b); err != nil {
			return nil, err
		}
	}
	sim.AddCredential(ovh.Credential{ApplicationKey: "ak", ApplicationSecret: "as", ConsumerKey: "ck"})
	masterOf := func(where string) (fsm.MasterID, fsm.Address) {
		for i, m := range p.Masters {
			for c, address := range m.Candidates {
				if service(i, c) == where {
					return fsm.MasterID(m.ID), fsm.Address(address)
				}
			}
		}
		return "", ""
	}
	return &side{
		name: "ip", handler: sim.Handler(), close: func() { _ = sim.Close() },
		target: fmt.Sprintf("  ip: {hold: %s, rate: %d, ovh_ip: {endpoint: %q, credentials: \"env:OVH\"}}\n", p.Hold, p.Rate, apiURL),
		step: func(i int, m masterPlan) string {
			return fmt.Sprintf("ovh_ip: {ip: 203.0.113.%d, services: {%s}}", 9+i, each(m, func(c int, _ string) string { return service(i, c) }))
		},
		value: func(i int, _ masterPlan) fsm.Address {
			b, _ := sim.IP(block(i)) // it is seeded
			_, at := masterOf(b.Service)
			return at
		},
		writes: func() (list []sideWrite) {
			calls := sim.Journal(0).Calls
			for _, v := range sim.IPMoves() {
				master, to := masterOf(v.To)
				w := sideWrite{of: fsm.FailoverID{Master: master}, to: to, moved: v.At, before: v.From, after: v.To}
				for _, c := range calls {
					if c.Seq == v.Seq {
						w.came, w.effect = c.Received, c.Effect // what was taken is carried out in order, however late
					}
				}
				list = append(list, w)
			}
			return list
		},
	}, nil
}

// hook is an endpoint of somebody's own, as docs/targets/http.md asks for one:
// it knows the keys that it has seen, and refuses an event of an older failover.
type hook struct {
	keyed bool

	mu     sync.Mutex
	seen   map[string]bool
	values map[string]hooked // by master
	list   []sideWrite
}

// hooked is what an endpoint keeps of a master.
type hooked struct {
	value, marker string
	number        uint64
}

func hookSide(r *rand.Rand, p *plan) *side {
	h := &hook{keyed: pick(r, false, true), seen: map[string]bool{}, values: map[string]hooked{}}
	for _, m := range p.Masters {
		h.values[m.ID] = hooked{value: m.Candidates[0]}
	}
	form := "repeat: readable, check: /%s"
	if h.keyed {
		form = pick(r, "repeat: keyed, check: /%s", "repeat: keyed, object: %s")
	}
	return &side{
		name: "hook", handler: h, close: func() {},
		target: fmt.Sprintf("  hook: {hold: %s, rate: %d, http: {url: \"http://hook:80\", secret: \"env:HOOK\", allow: [\"10.0.0.0/8\"]}}\n", p.Hold, p.Rate),
		step:   func(_ int, m masterPlan) string { return "http: {" + fmt.Sprintf(form, m.ID) + "}" },
		value: func(_ int, m masterPlan) fsm.Address {
			h.mu.Lock()
			defer h.mu.Unlock()
			return fsm.Address(h.values[m.ID].value)
		},
		writes: func() []sideWrite {
			h.mu.Lock()
			defer h.mu.Unlock()
			return append([]sideWrite(nil), h.list...)
		},
	}
}

// ServeHTTP implements http.Handler.
func (h *hook) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if q.Method != http.MethodPost {
		v := h.values[strings.TrimPrefix(q.URL.Path, "/")]
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"value": v.value, "marker": v.marker})
		return
	}
	var e struct {
		Master, Marker, Value string
		Number                uint64
	}
	if err := json.NewDecoder(q.Body).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	key, was := q.Header.Get(acthook.HeaderKey), h.values[e.Master]
	switch {
	case h.keyed && h.seen[key]:
		return
	case e.Number < was.number:
		http.Error(w, "older than "+was.marker, http.StatusGone)
		return
	}
	h.seen[key] = true
	h.values[e.Master] = hooked{e.Value, e.Marker, e.Number}
	h.list = append(h.list, sideWrite{
		of: fsm.FailoverID{Master: fsm.MasterID(e.Master), Number: fsm.Number(e.Number)}, came: time.Now(), effect: time.Now(), before: was.value, after: e.Value,
	})
}
