package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/shopify"
)

const (
	service    = "ip-203.0.113.7"
	apiURL     = "http://api.example/1.0"
	quietAfter = 20 * time.Minute // of virtual time, until nothing may be open
	lateAfter  = 3 * time.Second  // all lines are open and nothing is held by then
	// driftPeriod is longer than the longest span between two looks at a done
	// object, and a repair.
	driftPeriod = 8 * time.Minute
)

func zones() []string { return []string{"gra", "sbg"} }

// run is one plan in its bubble.
type run struct {
	plan        *plan
	bug         *bug
	dir         string
	spec        fsm.Spec
	credentials string

	story      *story
	hub        *hub
	redis      *redis
	sim        *ovh.Sim
	edge       *edge
	server     *http.Server
	shop       *shopify.Sim // nil: none
	shopServer *http.Server
	sides      []*side
	crew       *crew // nil: no pool
	ledger     *ledger
	fuse       *fuse
	sees       map[string]*atomic.Bool
	walls      map[string]*atomic.Int64
	graves     sync.WaitGroup

	mu     sync.Mutex
	procs  map[string]*process
	never  map[string]bool // crashed for good
	ending bool
	back   map[string]time.Duration // delay of the next start, set by who crashes it
	hide   map[string]time.Duration // the next start finds an empty store, for so long

	outages []*outage
	downs   map[string]func() // ends the outage of a node that is down
	quorums []*outage         // spans without two nodes that run
	denied  bool              // the provider refused us for good: a human may have to help
	samples map[sample]string

	ended                                      time.Time     // the last fault's end
	took                                       time.Duration // from then to quiet
	right                                      time.Duration // from then to traffic where it belongs
	figures                                    *figures
	crashes, retries, installs, loads, emptied atomic.Int64
	fails                                      []failure
	asked                                      []asked // what came to Sentinels
}

type failure struct{ Check, Detail string }

func (r *run) fail(check, format string, args ...any) {
	r.mu.Lock()
	r.fails = append(r.fails, failure{check, fmt.Sprintf(format, args...)})
	r.mu.Unlock()
	r.story.add("check", "%s: %s", check, fmt.Sprintf(format, args...))
}

func newRun(p *plan, b *bug, dir string, spec fsm.Spec) *run {
	r := &run{
		plan: p, bug: b, figures: &figures{}, dir: dir, spec: spec, story: newStory(), hub: newHub(p.Latency), redis: newRedis(p.Masters),
		sees: map[string]*atomic.Bool{}, walls: map[string]*atomic.Int64{}, downs: map[string]func(){}, procs: map[string]*process{}, never: map[string]bool{}, hide: map[string]time.Duration{}, samples: map[sample]string{}, back: map[string]time.Duration{},
		credentials: "[default]\nendpoint=" + apiURL + "\n\n[" + apiURL + "]\napplication_key=ak\napplication_secret=as\nconsumer_key=ck\n",
	}
	if b != nil && b.rates != nil {
		p.Clocks = b.rates
	}
	if p.Fuse != nil {
		r.fuse = &fuse{Site: p.Fuse.Site, Nth: p.Fuse.Nth, After: p.Fuse.After, Death: p.Fuse.Death, Back: p.Fuse.Back, Hold: p.Fuse.Hold}
	}
	for _, id := range nodeIDs() {
		r.sees[id], r.walls[id] = &atomic.Bool{}, &atomic.Int64{}
		r.sees[id].Store(true)
	}
	return r
}

// live is the process of a node that is up; nil: none.
func (r *run) live(id string) *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.procs[id]
}

func (r *run) setLive(id string, p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p == nil {
		delete(r.procs, id)
	} else {
		r.procs[id] = p
	}
}

func (r *run) all() (list []*process) {
	for _, id := range nodeIDs() {
		if p := r.live(id); p != nil {
			list = append(list, p)
		}
	}
	return list
}

// leader is the process that leads with its barrier through; nil: none.
func (r *run) leader() *process {
	var found *process
	for _, p := range r.all() {
		if s := p.node.Status(); s.Leading && (found == nil || s.Term > found.node.Status().Term) {
			found = p
		}
	}
	return found
}

func (r *run) startProvider() error {
	knobs := r.plan.Knobs
	sim, err := ovh.New(ovh.Config{Knobs: &knobs, Seed: r.plan.Seed})
	if err != nil {
		return err
	}
	r.sim, r.ledger = sim, newLedger(r)
	r.edge = newEdge(r)
	if err := sim.AddService(service, zones()...); err != nil {
		return err
	}
	for _, m := range r.plan.Masters {
		for _, address := range m.Candidates {
			host, _, _ := strings.Cut(address, ":")
			if _, err := sim.AddFarm(service, ovh.Farm{FarmID: m.Farms[address], Port: new(int64(6379))}); err != nil {
				return err
			}
			if _, err := sim.AddServer(m.Farms[address], ovh.Server{Address: host, Port: new(int64(6379))}); err != nil {
				return err
			}
		}
		first := m.Farms[m.Candidates[0]]
		if _, err := sim.AddFrontend(service, ovh.Frontend{FrontendID: m.Frontend, Port: "6379", DefaultFarmID: &first, DisplayName: new("redis " + m.ID)}); err != nil {
			return err
		}
	}
	sim.AddCredential(ovh.Credential{ApplicationKey: "ak", ApplicationSecret: "as", ConsumerKey: "ck"})
	if r.server, err = r.serve(provider, r.edge); err != nil {
		return err
	}
	if err := r.startShop(); err != nil {
		return err
	}
	return errors.Join(r.startSides(), r.startCrew())
}

func dialer(e *endpoint, host string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return e.Dial(ctx, host+":80") }
}

// play runs the plan from the first start to the checks. It is called in the bubble.
func (r *run) play() {
	defer r.close()
	if err := r.startProvider(); err != nil {
		r.fail("harness", "provider: %v", err)
		return
	}
	began := time.Now()
	var starts sync.WaitGroup
	for _, id := range nodeIDs() {
		starts.Go(func() { r.rise(id) })
	}
	starts.Wait()
	if err := r.declare(); err != nil {
		r.fail("harness", "spec: %v", err)
		return
	}
	if r.crew != nil {
		r.crew.begin(began)
	}
	var events sync.WaitGroup
	over := make(chan struct{})
	r.graves.Go(func() { r.watch(over) })
	defer close(over)
	for _, e := range r.plan.Events {
		time.Sleep(time.Until(began.Add(e.At)))
		events.Go(func() { r.do(e) })
	}
	events.Wait()
	r.heal()
	if !r.settle(r.ended) {
		return
	}
	r.took = time.Since(r.ended)
	time.Sleep(lateAfter)
	r.drift()
	if r.settle(time.Now()) {
		r.check()
	}
}

// heal ends what the events left behind.
func (r *run) heal() {
	r.fuse.disarm()
	for r.hub.pauses() > 0 {
		time.Sleep(100 * time.Millisecond)
	}
	r.sim.ClearFaults()
	r.healShop()
	r.healSides()
	k := r.plan.Knobs
	k.RatePerMinute = 0
	r.note(event{Do: "heal"}, func() error { return r.sim.SetKnobs(k) })
	r.unblock(ovh.TaskDone)
	r.story.add("plan", "all faults have ended")
	r.ended = time.Now()
}

// drift waits for the looks that mend, or tell, what others or late requests
// left. What differs after driftPeriod is left standing.
func (r *run) drift() {
	for began := time.Now(); time.Since(began) < driftPeriod; time.Sleep(time.Second) {
		lead := r.leader()
		if lead != nil && len(r.wrong(lead.node.State())) == 0 && len(r.sidesWrong(lead.node.State())) == 0 {
			return
		}
	}
}

// declare brings the spec into the log, through whichever node is up.
func (r *run) declare() (err error) {
	for range 60 {
		for _, p := range r.all() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			var answer fsm.Answer
			answer, err = p.node.Propose(ctx, fsm.PutSpec{Spec: r.spec}, cluster.WithID("spec"))
			cancel()
			if err == nil {
				return answer.Err()
			}
		}
		time.Sleep(time.Second)
	}
	return err
}

// rise starts a node, again and again until it stands.
func (r *run) rise(id string) {
	for range 60 {
		if r.over() {
			return
		}
		if _, err := r.begin(id); err != nil {
			r.story.add(id, "does not start: %v", err)
			time.Sleep(time.Second)
			continue
		}
		return
	}
	r.story.add(id, "never starts")
}

// over: the run is being taken down.
func (r *run) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ending
}

// close ends everything that runs in the bubble.
func (r *run) close() {
	r.mu.Lock()
	r.ending = true
	r.mu.Unlock()
	if r.crew != nil {
		r.crew.dismiss()
	}
	for _, p := range r.all() {
		p.crash(reset)
	}
	if r.sim != nil {
		_ = r.sim.Close()
	}
	if r.server != nil {
		_ = r.server.Close()
	}
	r.closeShop()
	r.closeSides()
	r.graves.Wait()
}

// settle waits until nothing is open and says whether it came to that.
func (r *run) settle(since time.Time) bool {
	var why []string
	for time.Since(since) < quietAfter {
		if r.blocks() {
			r.unblock(ovh.TaskDone) // it may come to be blocked only now
		}
		if r.right == 0 && r.converged() {
			r.right = max(time.Since(r.ended), time.Nanosecond)
		}
		if why = r.unquiet(); len(why) == 0 {
			return true
		}
		time.Sleep(500 * time.Millisecond)
	}
	r.fail("left open", "after %s: %s", quietAfter, strings.Join(why, "; "))
	return false
}

// unquiet lists what is not settled yet.
func (r *run) unquiet() (why []string) {
	lead := r.leader()
	if lead == nil {
		return []string{"no leader"}
	}
	state := lead.node.State()
	for _, a := range state.Open() {
		if a.Phase != fsm.Stuck || r.refused() && mendable(a) {
			why = append(why, fmt.Sprintf("%s is %s (attempt %d, on %q, doubt %v): %s", a.ID, a.Phase, a.Attempts, a.On, a.Doubt, a.Reason))
		}
	}
	why = append(why, asksOpen(state)...)
	for _, o := range state.Objects() {
		why = append(why, fmt.Sprintf("%s is held by %v", o.ID, o.Held))
	}
	for _, m := range r.plan.Masters {
		if text := r.misstated(state, m); text != "" {
			why = append(why, text)
		}
		truth, _ := r.redis.told(m.ID)
		got, _ := state.Master(fsm.MasterID(m.ID))
		if got.As == fsm.Rebase {
			continue // a leader that began after the wipe rebases late, and by its rule only a later epoch moves the address: an alert stands
		}
		if string(got.Address) != truth {
			why = append(why, fmt.Sprintf("%s is %s in the log, %s in truth", m.ID, got.Address, truth))
		}
	}
	for _, id := range nodeIDs() {
		p := r.live(id)
		if p == nil && !r.gone(id) {
			why = append(why, id+" is down")
		}
		if p != nil && p.node.State().Index() != state.Index() {
			why = append(why, id+" lags")
		}
	}
	if len(why) > 0 {
		return why // the journal is long
	}
	for _, c := range r.sim.Journal(0).Calls {
		hangs := strings.Contains(c.Fault, string(ovh.DoHang)) // for as long as its sender lives, or for good behind a dead machine; without effect
		if !hangs && c.Write() && c.Method != ovh.MethodSeed && c.Phase != ovh.PhaseAnswered && c.Phase != ovh.PhaseDropped {
			why = append(why, fmt.Sprintf("call %d is %s", c.Seq, c.Phase))
		}
	}
	if r.edge.coming() > 0 {
		why = append(why, "a second delivery is under way")
	}
	return append(append(append(why, r.shopComing()...), r.sidesComing()...), r.crewComing(state)...)
}

func (r *run) gone(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.never[id]
}

func (r *run) nodeOf(e event) *process {
	if e.Node == "leader" {
		if p := r.leader(); p != nil {
			return p
		}
		return r.live("n1")
	}
	return r.live(e.Node)
}
