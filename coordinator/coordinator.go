package coordinator

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/leases"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

// Options is what one node is made of.
type Options struct {
	Node    *pointsmanv1.NodeConfig // validated, defaults filled in (see config.LoadNode)
	Kinds   actuators.Kinds
	Logger  *slog.Logger
	Version string // of the program
	// Dial opens the connections to Sentinels and Redis nodes; nil: plain TCP,
	// names resolved anew each time.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Pace Pace // of probes and of moving the leadership
	// DiskFree stands in for the file system in tests; nil: the real one.
	DiskFree func(dir string) (free uint64, err error)
}

// Coordinator is one running node. Whoever starts it closes it.
type Coordinator struct {
	Options
	node      *cluster.Node
	watcher   *sentinel.Watcher
	executor  *executor.Executor
	leases    *leases.Engine
	sights    *sights
	peers     *peers
	prober    *prober
	paths     *paths
	placer    *placer
	preflight *preflight
	vault     *vault
	boot      string // this run of the process
	api       *api.Server
	registry  *prometheus.Registry
	servers   servers
	started   time.Time

	cancel context.CancelCauseFunc
	over   chan struct{} // closed when everything has stopped
	err    error         // why; read after over
}

var errClosed = errors.New("closed")

// Start opens the ports and the data directory and begins to work. It returns
// before there is a leader. The error names the port, file or peer that is in
// the way; nothing then keeps running. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Coordinator, error) {
	c := &Coordinator{Options: o, started: time.Now(), over: make(chan struct{}), registry: prometheus.NewRegistry(), boot: rand.Text()}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger, c.Pace = c.Logger.With("node", o.Node.GetId()), o.Pace.withDefaults()
	if err := c.servers.listen(o.Node.GetListen()); err != nil {
		return nil, err
	}
	conf, err := clusterConfig(o)
	if err == nil {
		c.node, err = cluster.Start(ctx, conf)
	}
	if err != nil {
		c.servers.close()
		return nil, err
	}
	if err := c.assemble(); err != nil {
		c.servers.close()
		return nil, errors.Join(err, c.node.Close(ctx))
	}
	run, cancel := context.WithCancelCause(context.Background())
	c.cancel = cancel
	go c.run(run)
	c.Logger.Info("serving", "version", o.Version, "raft", o.Node.GetListen().GetRaft(), "grpc", c.servers.grpc.Addr().String(),
		"http", c.servers.http.Addr().String(), "data_dir", o.Node.GetDataDir())
	return c, nil
}

func clusterConfig(o Options) (cluster.Config, error) {
	n, c := o.Node, cluster.DefaultConfig()
	var err error
	if c.Timings, err = cluster.TimingsOf(profileOf(n.GetTiming())); err != nil {
		return c, err
	}
	c.NodeID, c.Zone, c.Version, c.DataDir = fsm.NodeID(n.GetId()), n.GetZone(), o.Version, n.GetDataDir()
	c.Listen, c.GRPC, c.HTTP = n.GetListen().GetRaft(), n.GetAdvertise().GetGrpc(), n.GetAdvertise().GetHttp()
	for _, p := range n.GetPeers() {
		c.Peers = append(c.Peers, cluster.Peer{ID: fsm.NodeID(p.GetId()), Address: p.GetRaft()})
	}
	if s := n.GetSnapshot(); s != nil {
		c.Snapshots.Entries = positive(s.GetEntries(), c.Snapshots.Entries)
		c.Snapshots.Bytes = positive(s.GetBytes(), c.Snapshots.Bytes)
		c.Snapshots.Interval = positive(s.GetInterval().AsDuration(), c.Snapshots.Interval)
	}
	c.DiskFloor = positive(n.GetDiskFloor(), c.DiskFloor)
	c.Faults.Free = o.DiskFree
	if o.Logger != nil {
		c.Logger = o.Logger // it adds the node's id itself
	}
	return c, nil
}

func positive[T ~uint64 | ~int64](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

func profileOf(p pointsmanv1.TimingProfile) string {
	switch p {
	case pointsmanv1.TimingProfile_TIMING_PROFILE_FAST:
		return cluster.ProfileFast
	case pointsmanv1.TimingProfile_TIMING_PROFILE_CALM:
		return cluster.ProfileCalm
	default:
		return cluster.ProfileDefault
	}
}

// assemble makes the parts that stand on the log.
func (c *Coordinator) assemble() (err error) {
	c.vault = &vault{node: c.node, key: c.Node.GetClusterKey()}
	c.Kinds = keeping(c.Kinds, c.vault)
	c.watcher = sentinel.New(sentinel.Config{Logger: c.Logger, Dial: c.Dial})
	conf := executor.DefaultConfig()
	conf.Journal, conf.Kinds, conf.Logger, conf.Metrics = c.node, c.Kinds, c.Logger, c.registry
	conf.Confirm = func(a fsm.Action) string { return c.paths.confirm(a) }
	c.executor = executor.New(conf)
	c.leases = leases.New(leases.Config{Journal: c.node, Logger: c.Logger, Metrics: c.registry})
	c.peers, c.prober = newPeers(c.node), newProber(c)
	c.paths = newPaths(c)
	c.sights, c.placer, c.preflight = newSights(c), newPlacer(c), newPreflight(c)
	c.node.SetHandover(c.handOver)
	c.node.SetSuccessors(c.placer.successors)
	adapted := adapter{c}
	c.api, err = api.New(api.Config{
		Log: adapted, Sights: c.sights, Gates: c.executor, Operator: adapted, Fitness: c.placer, Switcher: newSwitcher(c), Leases: Leaser(c.leases), Compile: adapted.compile, Preflight: c.preflight,
		Registry: c.registry, Logger: c.Logger,
	})
	return errors.Join(err, c.registerKinds())
}

// registerKinds takes up the metrics of those kinds that have some. A kind may
// stand there under two names.
func (c *Coordinator) registerKinds() error {
	var errs []error
	for _, k := range c.Kinds {
		if m, ok := k.(prometheus.Collector); ok {
			if err := c.registry.Register(m); !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// run works until the node fails or Close is called, then stops what it began
// in reverse order.
func (c *Coordinator) run(ctx context.Context) {
	defer close(c.over)
	var work sync.WaitGroup
	within := func(what string, f func(context.Context) error) {
		work.Go(func() {
			// The node's own end is told by its Done and Err.
			if err := f(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, cluster.ErrClosed) {
				c.cancel(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	within("sentinel view", c.watcher.Run)
	within("sights", c.sights.run)
	within("probes", c.prober.run)
	within("data paths", c.paths.run)
	within("report", c.report)
	within("lead", func(ctx context.Context) error { return c.node.Lead(ctx, c.lead) })
	within("serve", func(ctx context.Context) error { return c.servers.serve(ctx, c.api) })
	select {
	case <-ctx.Done():
	case <-c.node.Done():
		c.cancel(cmp.Or(c.node.Err(), errClosed))
	}
	work.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errClosed) {
		c.err = err
	}
}

// Wait returns when the node has stopped: nil after Close, else what ended it.
func (c *Coordinator) Wait() error {
	<-c.over
	return c.err
}

// Done is closed when the node has stopped.
func (c *Coordinator) Done() <-chan struct{} { return c.over }

// Close stops the node: it hands leadership over first, so that the others
// need no election, then ends everything. ctx bounds the hand-over.
func (c *Coordinator) Close(ctx context.Context) error {
	leads := c.node.Status().Leading
	err := c.node.Close(ctx)
	if leads {
		c.placer.began.WithLabelValues(byStop.String()).Inc()
	}
	c.cancel(errClosed)
	c.api.Close()
	<-c.over
	return err
}

// Addresses are the ports that the node has bound, in case it was told port 0.
func (c *Coordinator) Addresses() (grpc, http net.Addr) {
	return c.servers.grpc.Addr(), c.servers.http.Addr()
}
