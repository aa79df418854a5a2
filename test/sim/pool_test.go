package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/coordinator"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/leases"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// poolName is the pool, its step, and what its sink keeps.
const poolName = "jobs"

// poolPlan is a pool of leases on the run's first master, with its workers.
type poolPlan struct {
	Partitions, Moves     int
	TTL, Drain, LockDelay time.Duration
	Immediate             bool
	Saves                 bool // workers save checkpoints
	Workers               []string
	Blows                 []blow
}

// blow is what happens to a worker.
type blow struct {
	At, For time.Duration
	Worker  string
	Do      blowDeed
}

type blowDeed string

const (
	blowKill  blowDeed = "kill"  // the process ends at once, and is started again
	blowPause blowDeed = "pause" // between its look at the lease and what it sends
	blowCut   blowDeed = "cut"   // from the coordinators; it reaches the sink
	blowLeave blowDeed = "leave" // stopped as it should be, and started again
	blowStale blowDeed = "stale" // a checkpoint that it saves is held on the way
	blowLate  blowDeed = "late"  // what it sends to the sink is held on the way
)

// pool draws one for a part of the seeds, or for each of them, from a stream of
// its own.
func (d drawer) pool(end time.Duration) {
	d.r = rand.New(rand.NewPCG(d.p.Seed, 0x706f6f6c))
	if d.chance(75) && !*flags.pools {
		return
	}
	p := &poolPlan{
		Partitions: 1 + d.r.IntN(6), Moves: 1 + d.r.IntN(4), TTL: d.span(2*time.Second, 8*time.Second),
		Drain: pick(d.r, 0, time.Second, 3*time.Second, 12*time.Second), LockDelay: pick(d.r, 0, time.Second, 3*time.Second), Immediate: d.chance(40),
	}
	for i := range 2 + d.r.IntN(3) {
		p.Workers = append(p.Workers, fmt.Sprintf("w%d", i+1))
	}
	for range d.r.IntN(8) {
		p.Blows = append(p.Blows, blow{
			At: d.span(3*time.Second, end), For: pick(d.r, d.span(100*time.Millisecond, 3*time.Second), d.span(p.TTL/2, 4*p.TTL)),
			Worker: pick(d.r, p.Workers...), Do: pick(d.r, blowKill, blowKill, blowPause, blowCut, blowCut, blowLeave, blowLate),
		})
	}
	if p.Saves = d.chance(50); p.Saves {
		for range 2 + d.r.IntN(8) {
			p.Blows = append(p.Blows, blow{At: d.span(3*time.Second, end), For: d.span(p.TTL/2, 3*p.TTL), Worker: pick(d.r, p.Workers...), Do: blowStale})
		}
	}
	d.p.Pool = p
}

// poolStep and poolSpec are its part of the spec.
func (p *plan) poolStep(m masterPlan) string {
	if p.Pool == nil || m.ID != p.Masters[0].ID {
		return ""
	}
	handover := "graceful"
	if p.Pool.Immediate {
		handover = "immediate"
	}
	return fmt.Sprintf("          - {name: %s, leases: {pool: %s, handover: %s}}\n", poolName, poolName, handover)
}

func (p *plan) poolSpec() string {
	if p.Pool == nil {
		return ""
	}
	return fmt.Sprintf("pools:\n  %s: {master: %s, partitions: %d, ttl: %s, drain: %s, lock_delay: %s, moves: %d}\n",
		poolName, p.Masters[0].ID, p.Pool.Partitions, p.Pool.TTL, p.Pool.Drain, p.Pool.LockDelay, p.Pool.Moves)
}

// counter is a process's share of the leases: the leader's count of workers, and
// the API that they speak to.
type counter struct {
	engine *leases.Engine
	server *api.Server
	grpc   *grpc.Server
}

// serveLeases opens the API of a process.
func (p *process) serveLeases() error {
	if p.run.plan.Pool == nil {
		return nil
	}
	c := &counter{engine: leases.New(leases.Config{Journal: &desk{Node: p.node, p: p}, Logger: p.run.story.logger(p.id)})}
	var err error
	c.server, err = api.New(api.Config{
		Log: logOf{p}, Leases: coordinator.Leaser(c.engine), Sights: blinds{}, Gates: noGates{}, Operator: nobody{}, Fitness: nobody{}, Preflight: nobody{}, Switcher: nobody{},
		Compile: func(*pointsmanv1.Spec) (fsm.Spec, []api.Problem) { return fsm.Spec{}, nil },
		Dial:    dialing(p.end), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	l, err := p.end.Listen(p.id + ":7801")
	if err != nil {
		return err
	}
	c.grpc = c.server.NewGRPCServer()
	p.work.Go(func() { _ = c.grpc.Serve(l) })
	p.counter = c
	return nil
}

// count keeps count of workers for a term, as the coordinator does.
func (p *process) count(ctx context.Context, term fsm.Term) {
	if p.counter == nil {
		return
	}
	p.counter.server.SetLeading(true)
	defer p.counter.server.SetLeading(false)
	for ctx.Err() == nil {
		if err := p.counter.engine.Run(ctx, term); err != nil && ctx.Err() == nil {
			p.tell("leases are counted anew: %v", err)
		}
		pause(ctx, time.Second)
	}
}

func (p *process) stopCounter() {
	if p.counter != nil {
		p.counter.server.Close()
		p.counter.grpc.Stop()
	}
}

func dialing(e *endpoint) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return e.Dial(ctx, address) }),
	}
}

// logOf is the log of a process as its API has it.
type logOf struct{ p *process }

var _ api.Log = logOf{}

func (l logOf) Read(ctx context.Context) (fsm.State, error) {
	s, err := l.p.node.Read(ctx)
	return s, named(err)
}

func (l logOf) Watch() (fsm.State, <-chan struct{}) { return l.p.node.Watch() }

func (l logOf) Propose(ctx context.Context, c fsm.Command, id fsm.CommandID, actor string) (answer fsm.Answer, err error) {
	opts := []cluster.Option{cluster.WithActor(actor)}
	if id != "" {
		opts = append(opts, cluster.WithID(id))
	}
	dead := l.p.call("propose:"+c.Kind().String(), func() { answer, err = l.p.node.Propose(ctx, c, opts...) })
	return answer, named(cmp.Or(dead, err))
}

func named(err error) error {
	switch {
	case errors.Is(err, cluster.ErrNoLeader), errors.Is(err, cluster.ErrClosed), errors.Is(err, errDead):
		return fmt.Errorf("%w: %w", api.ErrNoQuorum, err)
	case errors.Is(err, cluster.ErrOutcomeUnknown):
		return fmt.Errorf("%w: %w", api.ErrOutcomeUnknown, err)
	case errors.Is(err, cluster.ErrTermOver):
		return &api.NotLeaderError{}
	default:
		return err
	}
}

func (l logOf) Status() api.Status {
	s := l.p.node.Status()
	out := api.Status{Node: s.Node, Zone: s.Zone, Store: s.Store, Term: s.Term, Leader: s.Leader, Role: pointsmanv1.NodeRole_NODE_ROLE_FOLLOWER, Clock: s.Clock}
	if s.Leading {
		out.Role = pointsmanv1.NodeRole_NODE_ROLE_LEADER
	}
	if s.Leader != "" {
		out.LeaderAddress = string(s.Leader) + ":7801"
	}
	return out
}

// What the API needs besides, and nobody asks for here.
type (
	blinds  struct{ api.Sights }
	noGates struct{}
	nobody  struct {
		api.Operator
		api.Fitness
		api.Preflight
		api.Switcher
	}
)

func (blinds) See(fsm.MasterID) api.Sight              { return api.Sight{} }
func (noGates) Gates(fsm.State, fsm.Action) []fsm.Gate { return nil }
