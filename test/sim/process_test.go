package sim

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/actuators"
	actleases "github.com/pointsman/pointsman/actuators/leases"
	actovh "github.com/pointsman/pointsman/actuators/ovh"
	"github.com/pointsman/pointsman/actuators/setting"
	actshop "github.com/pointsman/pointsman/actuators/shopify"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
)

// provider is the host of the simulated API.
const provider = "provider"

// process is one life of a node: from its start to its crash or its stop.
type process struct {
	run   *run
	id    string
	poll  time.Duration // how late it finds what the Sentinels changed
	sees  *atomic.Bool  // it reaches the Sentinels; outlives the process
	clock clock

	end      *endpoint
	node     *cluster.Node
	executor *executor.Executor
	sights   *sights
	counter  *counter // nil: the run has no pool
	cancel   context.CancelCauseFunc
	work     sync.WaitGroup
	up       atomic.Bool // started: crash points count
	dead     atomic.Bool
	gone     chan struct{} // closed when nothing of it is left
	sampled  uint64        // index of the last sample; for who takes them
}

func (p *process) tell(format string, args ...any) { p.run.story.add(p.id, format, args...) }

// begin starts a node on its data directory.
func (r *run) begin(id string) (*process, error) {
	p := &process{run: r, id: id, poll: r.plan.Poll[id], sees: r.sees[id], gone: make(chan struct{}), clock: newClock(r.plan.Clocks[id])}
	p.end = r.hub.join(id)
	p.end.owner = p
	p.end.onUse = func(call string, write func()) bool { return p.call("wire:"+call, write) == nil }
	c := cluster.DefaultConfig()
	c.NodeID, c.Zone, c.DataDir, c.Listen = fsm.NodeID(id), id, filepath.Join(r.dir, id), id+":7800"
	for _, other := range nodeIDs() {
		c.Peers = append(c.Peers, cluster.Peer{ID: fsm.NodeID(other), Address: other + ":7800"})
	}
	if snapshots, _ := filepath.Glob(filepath.Join(c.DataDir, "snapshots", "*")); len(snapshots) > 0 {
		r.loads.Add(1)
	}
	c.Timings = p.clock.timings(r.plan.Profile)
	c.Faults.Rate, c.Faults.Wall = p.clock.rate, func() time.Time { return time.Now().Add(time.Duration(r.wall(id).Load())) }
	c.Snapshots.Entries, c.Snapshots.Trailing = r.plan.SnapshotEntries, r.plan.Trailing
	c.Faults.Free = func(string) (uint64, error) { return 1 << 40, nil }
	c.Faults.Store = func(s cluster.Store) cluster.Store { return &disk{Store: s, p: p} }
	c.Network, c.Logger = p.end, r.story.logger(id)
	var err error
	if p.node, err = cluster.Start(context.Background(), c); err != nil {
		p.end.kill(reset)
		return nil, err
	}
	e := executor.DefaultConfig()
	e.ClockRate = p.clock.rate
	e.Journal, e.Kinds, e.Logger = r.bug.journal(&desk{Node: p.node, p: p}), r.bug.kinds(p.kinds()), r.story.logger(id)
	p.executor, p.sights = executor.New(e), newSights(p)
	if err := p.serveLeases(); err != nil {
		p.end.kill(reset)
		return nil, err
	}
	p.node.SetHandover(p.handOver)
	ctx, cancel := context.WithCancelCause(context.Background())
	p.cancel = cancel
	p.up.Store(true)
	p.work.Go(func() { _ = p.node.Lead(ctx, p.lead) })
	p.work.Go(func() { p.sights.report(ctx) })
	for _, one := range p.sights.sights {
		p.work.Go(func() { p.sights.follow(ctx, one) })
	}
	r.setLive(id, p)
	r.rose(id)
	p.tell("is up")
	go p.mind(ctx)
	return p, nil
}

// mind ends the process when its node has failed, as the program does.
func (p *process) mind(ctx context.Context) {
	select {
	case <-p.node.Done():
		if !p.dead.Load() {
			p.tell("ends by itself: %v", p.node.Err())
			p.crash(flushed)
		}
	case <-ctx.Done():
	}
}

func (p *process) kinds() actuators.Kinds {
	dial := actovh.Config{
		Dial:   nil,
		Getenv: func(string) string { return p.run.credentials },
	}
	dial.Dial = dialer(p.end, provider)
	shop := actshop.New(actshop.Config{Dial: dialer(p.end, shopHost), Getenv: func(string) string { return shopToken }})
	kinds := sideKinds(p)
	maps.Copy(kinds, actuators.Kinds{actovh.Name: actovh.New(dial), setting.Name: setting.Kind{}, actleases.Name: actleases.Kind{}, actshop.Name: shop, actshop.TargetName: shop})
	return kinds
}

// crash ends network and store in one instant; the rest of the process is taken
// down behind them and can reach nothing.
func (p *process) crash(how death) {
	if p.dead.Swap(true) {
		return
	}
	p.end.kill(how)
	p.cancel(errDead)
	p.run.fell(p.id)
	p.run.setLive(p.id, nil)
	if !p.run.over() {
		p.run.crashes.Add(1)
		p.tell("crashes (%s)", how)
	}
	p.run.bury(p)
}

// stop ends the process as an operator does: hand over, then close.
func (p *process) stop() {
	p.tell("stops")
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	_ = p.node.Close(ctx)
	p.crash(flushed)
}

// awake returns when the process is not paused.
func (p *process) awake(ctx context.Context) {
	for {
		p.run.hub.mu.Lock()
		paused, changed := p.run.hub.paused[p.id] > 0, p.run.hub.changed
		p.run.hub.mu.Unlock()
		if !paused {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// call runs one effect of the process, unless it is dead or dies of it.
func (p *process) call(site string, effect func()) error {
	if p.dead.Load() {
		return errDead
	}
	f := p.run.fuse
	hit := p.up.Load() && f.hits(site)
	if hit && f.Hold > 0 {
		p.tell("is paused for %s at %s", f.Hold, f)
		p.run.pause(p, f.Hold)
		hit = false
	}
	if hit && !f.After {
		p.struck(f)
		return errDead
	}
	effect()
	if hit {
		p.struck(f)
		return errDead
	}
	return nil
}

func (p *process) struck(f *fuse) {
	p.tell("reaches %s", f)
	p.run.setBack(p.id, f.Back)
	p.crash(f.Death)
}

// fuse is a crash, or a pause, at the nth call of one site, counted over all nodes.
type fuse struct {
	Site  string
	Nth   int
	After bool // its effect has happened
	Death death
	Back  time.Duration // until it is started again
	Hold  time.Duration // instead of a crash: everything it sends and is sent waits so long

	mu   sync.Mutex
	seen int
}

func (f *fuse) String() string {
	when := "before"
	if f.After {
		when = "after"
	}
	return fmt.Sprintf("%s call %d of %s", when, f.Nth, f.Site)
}

// disarm: what has not been hit is not hit any more.
func (f *fuse) disarm() {
	if f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.Nth = 0
	}
}

func (f *fuse) hits(site string) bool {
	if f == nil || f.Site != site {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen++
	return f.seen == f.Nth
}

// desk is the log as the executor of one process has it.
type desk struct {
	*cluster.Node
	p *process
}

var _ executor.Journal = (*desk)(nil)

func (d *desk) ProposeAs(ctx context.Context, term fsm.Term, c fsm.Command) (answer fsm.Answer, err error) {
	dead := d.p.call("propose:"+c.Kind().String(), func() { answer, err = d.Node.ProposeAs(ctx, term, c) })
	if dead != nil {
		return fsm.Answer{}, dead
	}
	return answer, err
}

// disk is the store of one process: it keeps nothing once the process is dead.
type disk struct {
	cluster.Store
	p *process
}

func (d *disk) StoreLogs(logs []*raft.Log) (err error) {
	dead := d.p.call("store", func() {
		if err = d.Store.StoreLogs(logs); err == nil {
			d.p.run.ledger.stored(d.p, logs)
		}
	})
	if dead != nil {
		return dead
	}
	return err
}

func (d *disk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d *disk) DeleteRange(first, last uint64) error {
	if d.p.dead.Load() {
		return errDead
	}
	d.p.run.ledger.cut(d.p.id, first, last)
	return d.Store.DeleteRange(first, last)
}

func (d *disk) Set(key, value []byte) error {
	if d.p.dead.Load() {
		return errDead
	}
	return d.Store.Set(key, value)
}

func (d *disk) SetUint64(key []byte, value uint64) error {
	if d.p.dead.Load() {
		return errDead
	}
	return d.Store.SetUint64(key, value)
}
