package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

const (
	pathScan     = 100 * time.Millisecond // how often it is looked which master is due
	pathRest     = 5 * time.Second        // between two looks at a master's paths
	pathFast     = 500 * time.Millisecond // the same in a failover, or while one is not ok
	pathHot      = time.Minute            // one that is not ok is looked at fast for so long
	pathTimeout  = time.Second            // of one connection with its questions
	pathRate     = 200                    // connections a second of one node, saved up for one second: with more paths pathRest stretches
	pathParallel = 16                     // masters at once, and connections at once for one of them
	pathJitter   = 0.1
	maxPaths     = 1024 // in a spec
)

// paths looks, from this node, through every data path of the spec at what
// clients meet there. It only reads.
type paths struct {
	node   *cluster.Node
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	logger *slog.Logger
	self   *pointsmanv1.NodeConfig
	peers  *peers
	limit  *rate.Limiter
	looks  *pathMeters
	stirs  func() // something changed: the leader is to be told

	mu       sync.Mutex
	revision fsm.Revision
	tried    time.Time // when some access could not be read; zero: all could
	masters  map[fsm.MasterID]*pathMaster
	asked    map[fsm.ActionID]time.Time // required, and to be looked at since; only actions that are open
	told     []*pointsmanv1.ProbeReport // the others', by the leader
	toldAt   time.Time
}

// pathMaster is one master with data paths. The fields are under paths.mu.
type pathMaster struct {
	spec    sentinel.Master
	paths   []*path
	runs    map[string]string // run id by candidate, as it answered last
	running bool
	next    time.Time
	began   time.Time // of the newest look that ended
	trouble time.Time // since when one is not ok; zero: all are
	busy    time.Time // when a failover was last seen open
}

// path is one data path, and what was met there.
type path struct {
	step, address string
	required      bool
	met           met
	since         time.Time // that the state has stood; zero: never looked
}

func newPaths(c *Coordinator) *paths {
	p := &paths{
		node: c.node, dial: c.Dial, logger: c.Logger, self: c.Node, peers: c.peers,
		limit: rate.NewLimiter(pathRate, pathRate), stirs: func() { c.sights.stirUp() },
		masters: map[fsm.MasterID]*pathMaster{}, asked: map[fsm.ActionID]time.Time{},
	}
	p.looks = newPathMeters(c.registry, p)
	return p
}

// run looks until ctx ends, and waits for the looks under way.
func (p *paths) run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, pathParallel)
	tick := time.NewTicker(pathScan)
	defer tick.Stop()
	for {
		for _, id := range p.due(p.node.State()) {
			select {
			case slots <- struct{}{}:
			default:
				continue // it stays due
			}
			if !p.begin(id) {
				<-slots
				break
			}
			work.Go(func() {
				defer func() { <-slots }()
				p.look(ctx, id)
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// due follows the spec and lists the masters to be looked at now, those in
// trouble first.
func (p *paths) due(state fsm.State) (ids []fsm.MasterID) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	spec := state.Spec()
	if spec.Revision != p.revision || !p.tried.IsZero() && now.Sub(p.tried) > pathRest {
		p.declare(spec, now)
		p.revision = spec.Revision
	}
	if len(p.masters) == 0 {
		return nil
	}
	for _, a := range state.Open() {
		if m, ok := p.masters[a.For.Master]; ok && a.Phase != fsm.Stuck {
			m.busy = now
		}
	}
	maps.DeleteFunc(p.asked, func(id fsm.ActionID, _ time.Time) bool {
		a, ok := state.Action(id)
		return !ok || a.Phase.Final()
	})
	for id, m := range p.masters {
		if !m.running && m.due(now) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b fsm.MasterID) int { return p.masters[a].next.Compare(p.masters[b].next) })
	return ids
}

// due also holds for one look after the end of a failover, so that its last
// word is not of its middle.
func (m *pathMaster) due(now time.Time) bool {
	return !now.Before(m.next) || m.hot(now) && now.Sub(m.began) >= pathFast
}

func (m *pathMaster) hot(now time.Time) bool {
	return !m.busy.Before(m.began) && !m.busy.IsZero() || !m.trouble.IsZero() && now.Sub(m.trouble) < pathHot
}

// declare keeps what stayed the same, under mu. A master whose certificates
// cannot be read here is tried again later.
func (p *paths) declare(spec fsm.Spec, now time.Time) {
	p.tried = time.Time{}
	rev, err := api.DecodeSpec(spec)
	if err != nil {
		p.logger.Error("data paths", "revision", uint64(spec.Revision), "error", err)
		return
	}
	old := p.masters
	p.masters = map[fsm.MasterID]*pathMaster{}
	for _, m := range rev.GetSpec().GetMasters() {
		id := fsm.MasterID(m.GetId())
		made := &pathMaster{paths: pathsOf(m), runs: map[string]string{}, next: now}
		if len(made.paths) == 0 {
			continue
		}
		if made.spec, err = masterOf(m); err != nil {
			p.tried = now
			p.logger.Warn("data paths", "master", string(id), "error", err)
			continue
		}
		if have, ok := old[id]; ok {
			made.keep(have)
		}
		p.masters[id] = made
	}
}

// keep takes over what is still true of the same paths.
func (m *pathMaster) keep(old *pathMaster) {
	m.busy = old.busy
	for _, c := range m.spec.Candidates {
		if run, ok := old.runs[c]; ok {
			m.runs[c] = run
		}
	}
	for _, one := range m.paths {
		for _, was := range old.paths {
			if one.step == was.step && one.address == was.address {
				one.met, one.since = was.met, was.since
			}
		}
	}
}

func pathsOf(m *pointsmanv1.MasterSpec) (out []*path) {
	for _, stage := range m.GetPlan() {
		for _, s := range stage.GetSteps() {
			if probe := s.GetProbe(); probe != nil {
				out = append(out, &path{step: s.GetName(), address: probe.GetAddress(), required: probe.GetRequired()})
			}
		}
	}
	return out
}

// begin takes the look's connections out of what this node may open.
func (p *paths) begin(id fsm.MasterID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.masters[id]
	if !p.limit.AllowN(time.Now(), min(1+len(m.paths), pathRate)) {
		return false
	}
	m.running = true
	return true
}

// look asks the master itself and through each of its paths.
func (p *paths) look(ctx context.Context, id fsm.MasterID) {
	began := time.Now()
	now, _ := p.node.State().Master(id)
	p.mu.Lock()
	m := p.masters[id]
	if m == nil {
		p.mu.Unlock()
		return
	}
	spec, runs := m.spec, maps.Clone(m.runs)
	addresses := make([]string, len(m.paths))
	for i, one := range m.paths {
		addresses[i] = one.address
	}
	p.mu.Unlock()
	answers := p.ask(ctx, spec, append(addresses, string(now.Address))...)
	found := p.identify(ctx, spec, string(now.Address), runs, answers)
	if ctx.Err() != nil {
		return // the node stops: nothing was learned
	}
	p.learn(id, m, began, runs, found)
}

// ask asks each address at once; an empty one is not asked.
func (p *paths) ask(ctx context.Context, spec sentinel.Master, addresses ...string) []answer {
	out := make([]answer, len(addresses))
	slots := make(chan struct{}, pathParallel)
	var work sync.WaitGroup
	for i, address := range addresses {
		if address == "" {
			out[i].err = errNoMaster
			continue
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			out[i].Answer, out[i].err = sentinel.Ask(ctx, p.dial, address, spec.Redis, pathTimeout)
		})
	}
	work.Wait()
	return out
}

// identify judges the answers; the last is the master's own. A run id that
// nobody is known by is looked for among the candidates.
func (p *paths) identify(ctx context.Context, spec sentinel.Master, master string, runs map[string]string, answers []answer) []met {
	own, answers := answers[len(answers)-1], answers[:len(answers)-1]
	if own.err == nil && own.RunID != "" {
		runs[master] = own.RunID
	}
	strange := slices.ContainsFunc(answers, func(a answer) bool {
		return a.err == nil && a.RunID != "" && holder(runs, a.RunID) == ""
	})
	if strange {
		others := slices.DeleteFunc(slices.Clone(spec.Candidates), func(c string) bool { return c == master })
		p.limit.ReserveN(time.Now(), min(len(others), pathRate)) // paid for by the looks after this one
		for i, a := range p.ask(ctx, spec, others...) {
			if a.err == nil && a.RunID != "" {
				runs[others[i]] = a.RunID
			}
		}
	}
	out := make([]met, len(answers))
	for i, a := range answers {
		out[i] = judgePath(master, runs, own.err, a)
	}
	return out
}

// learn keeps what a look found, unless the master was declared anew meanwhile.
func (p *paths) learn(id fsm.MasterID, m *pathMaster, began time.Time, runs map[string]string, found []met) {
	now := time.Now()
	p.mu.Lock()
	m.running = false
	m.runs, m.began = runs, began
	ok, changed := true, false
	for i, one := range m.paths {
		p.looks.count(found[i].state)
		ok = ok && found[i].state == pathOK
		if was := one.met; was.state != found[i].state || one.since.IsZero() {
			changed = true
			one.since = now
			p.logger.Info("data path", "master", string(id), "step", one.step, "address", one.address,
				"state", pathWord(found[i].state), "was", pathWord(was.state), "reached", found[i].reached, "detail", found[i].detail)
		}
		one.met = found[i]
	}
	switch {
	case ok:
		m.trouble = time.Time{}
	case m.trouble.IsZero():
		m.trouble = now
	}
	wait := pathRest
	if m.hot(now) {
		wait = pathFast
	}
	m.next = began.Add(wait + rand.N(time.Duration(pathJitter*float64(wait))+1)) //nolint:gosec // jitter
	p.mu.Unlock()
	if changed {
		p.stirs()
	}
}

// wanted says what a path should reach, for people.
func (p *paths) wanted(id fsm.MasterID) string {
	m, _ := p.node.State().Master(id)
	return fmt.Sprintf("the master at %s", m.Address)
}
