package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
)

// Node is one member of the cluster. All its methods may be called
// concurrently. Whoever starts a node closes it.
type Node struct {
	cfg    Config
	logger *slog.Logger
	ctx    context.Context // ends at the first failure, or at Close
	cancel context.CancelCauseFunc

	machine   *machine
	logs      *guard
	cache     raft.LogStore // logs, with the newest entries in memory
	snapshots raft.SnapshotStore
	port      *port
	transport *raft.NetworkTransport
	peers     *peers
	raft      *raft.Raft
	notify    chan bool // raft waits while it is full

	started  atomic.Bool // raft runs
	hasState atomic.Bool
	degraded atomic.Bool // below the disk floor
	barriers atomic.Uint64
	passed   atomic.Pointer[time.Time] // when Confirm passed its last barrier; nil: never
	measured atomic.Pointer[measured]  // for Status

	wait     sync.WaitGroup // goroutines of the node
	inflight sync.WaitGroup // waits for raft's futures
	closing  atomic.Bool    // the first Close has begun
	gone     chan struct{}  // closed when it has ended

	mu       sync.Mutex
	closed   bool
	id       identity
	tenure   *tenure
	turned   chan struct{} // closed when tenure changes
	handover func(context.Context) error
	reads    *readBatch // the next barrier's; nil: none asked for
	reading  bool

	successors func() []fsm.NodeID

	moving chan struct{} // holds one: one transfer of leadership at a time
}

// Start opens the data directory, binds the Raft port, looks at the peers, and
// joins or founds the cluster. It returns before there is a leader. The errors
// are ErrConfig, those of a data directory (ErrOtherNode, ErrOtherCluster,
// ErrStoreGone, ErrStoreReplaced, ErrCorrupt, ErrStoreLocked, ErrUpgrade) and
// those of the port. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, logger: cfg.Logger.With("node", string(cfg.NodeID)), notify: make(chan bool, 64), turned: make(chan struct{}), moving: make(chan struct{}, 1), gone: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	n.machine = newMachine(n.fail)
	if err := n.start(ctx); err != nil {
		if cause := context.Cause(n.ctx); cause != nil { // the log of the library names it only in part
			err = errors.Join(cause, err)
		}
		n.cancel(err)
		n.release()
		return nil, fmt.Errorf("start node %s: %w", cfg.NodeID, err)
	}
	return n, nil
}

func (n *Node) start(ctx context.Context) (err error) {
	if n.logs, n.id, err = openStore(n.cfg, n.fail); err != nil {
		return err
	}
	if n.cache, err = raft.NewLogCache(logCacheEntries, n.logs); err != nil {
		return err
	}
	hlog := bridge(n.logger)
	if n.snapshots, err = raft.NewFileSnapshotStoreWithLogger(n.cfg.DataDir, snapshotsKept, hlog); err != nil {
		return fmt.Errorf("snapshots: %w", err)
	}
	newest, err := newestSnapshot(n.snapshots)
	if err == nil {
		err = n.logs.whole(newest)
	}
	if err != nil {
		return fmt.Errorf("read store: %w; restore it, or run `pointsman nodes replace %s`", err, n.cfg.NodeID)
	}
	if n.id, err = settleRecovery(n.cfg, n.logs, n.id, newest); err != nil {
		return fmt.Errorf("end a recovery that was cut short: %w", err)
	}
	has, err := raft.HasExistingState(n.logs, n.logs, n.snapshots)
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	n.hasState.Store(has)
	if err := n.openPort(hlog); err != nil {
		return err
	}
	alone, err := n.lookAround(ctx)
	if err != nil {
		return err
	}
	if !has && !alone {
		n.logger.Info("the store is new: waiting to be recorded by a leader, or to found the cluster with others that are new")
	}
	if err := n.startRaft(hlog, !has && alone && !n.joined()); err != nil {
		return err
	}
	n.logs.running.Store(true)
	n.started.Store(true)
	n.checkDisk()
	for _, loop := range []func(){n.watchLeadership, n.tend, n.watchDisk, n.watchLog, n.takeSnapshots} {
		n.wait.Go(loop)
	}
	return nil
}

func newestSnapshot(s raft.SnapshotStore) (uint64, error) {
	all, err := s.List()
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[0].Index, nil
}

func (n *Node) openPort(hlog hclog.Logger) error {
	p := &port{
		network: n.cfg.Network, address: n.cfg.address(n.cfg.NodeID), logger: n.logger,
		hello: n.hello, judge: n.judge, nodeAt: n.nodeAt, serve: n.answerPeer,
	}
	if p.network == nil {
		p.network = tcp{}
	}
	if err := p.open(n.cfg.Listen); err != nil {
		return err
	}
	n.port = p
	n.peers = &peers{port: p, address: n.cfg.address, idle: map[fsm.NodeID]net.Conn{}}
	n.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: p, Logger: hlog, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: n.cfg.Timings.RPC,
		ServerAddressProvider: addresses{n.cfg},
	})
	return nil
}

// addresses lets raft dial what the peer list says now, not what the log said
// when the cluster was founded.
type addresses struct{ cfg Config }

// ServerAddr implements raft.ServerAddressProvider.
func (a addresses) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if address := a.cfg.address(fsm.NodeID(id)); address != "" {
		return raft.ServerAddress(address), nil
	}
	return "", fmt.Errorf("node %s is not in the peer list", id)
}

func (n *Node) nodeAt(address string) fsm.NodeID {
	for _, p := range n.cfg.Peers {
		if p.Address == address {
			return p.ID
		}
	}
	return ""
}

func (n *Node) startRaft(hlog hclog.Logger, found bool) error {
	c := raft.DefaultConfig()
	t := n.cfg.Timings
	c.LocalID, c.Logger, c.NotifyCh = raft.ServerID(n.cfg.NodeID), hlog, n.notify
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = t.Heartbeat, t.Election, t.Lease, t.Commit
	c.NoLegacyTelemetry = true
	c.TrailingLogs = n.cfg.Snapshots.Trailing
	c.SnapshotThreshold, c.SnapshotInterval = 1<<62, 24*time.Hour // takeSnapshots decides
	if found {
		var servers []raft.Server
		for _, p := range n.cfg.Peers {
			servers = append(servers, raft.Server{ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Address)})
		}
		if err := raft.BootstrapCluster(c, n.cache, n.logs, n.snapshots, n.transport, raft.Configuration{Servers: servers}); err != nil {
			return fmt.Errorf("found cluster: %w", err)
		}
		n.hasState.Store(true)
		n.logger.Info("founding the cluster", "peers", len(servers))
	}
	err := catch(func() (err error) {
		n.raft, err = raft.NewRaft(c, n.machine, n.cache, n.logs, n.snapshots, n.transport)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, filepath.Join(n.cfg.DataDir, storeFile), err)
	}
	return nil
}

// fail ends the node: the first reason is kept, and every connection is cut at
// once, so that the others elect another leader even while this node's disk or
// main loop hangs. What is left is for Close, and for the process to exit.
func (n *Node) fail(err error) {
	n.cancel(err)
	n.logger.Error("node ends", "error", err)
	n.cutOff()
}

// cutOff closes the port and every connection; nothing reaches or leaves raft.
func (n *Node) cutOff() {
	if n.transport != nil {
		_ = n.transport.Close() // it closes the port too
	} else if n.port != nil {
		n.port.cutOff()
	}
}

// Done is closed when the node has failed or is being closed.
func (n *Node) Done() <-chan struct{} { return n.ctx.Done() }

// Err says why the node failed; nil while it works and after a plain Close. The
// process that gets one should exit non-zero: nothing heals inside it.
func (n *Node) Err() error {
	if err := context.Cause(n.ctx); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

// ended is what calls on a node get after its end.
func (n *Node) ended() error {
	if err := n.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return ErrClosed
}

// Close hands leadership over if it can, stops, and waits for every goroutine.
// ctx bounds the hand-over; what follows is bounded by the write deadline. It
// returns the node's failure, if there was one. A second call while the first
// is under way ends with it; the first one's ctx holds.
func (n *Node) Close(ctx context.Context) error {
	n.end(func() {
		if t, _ := n.currentTenure(); t.open() && n.ctx.Err() == nil {
			if err := n.Transfer(ctx, ""); err != nil {
				n.logger.Warn("closing without a hand-over", "error", err)
			}
		}
	})
	return n.Err()
}

// end stops the node after first, whoever calls it, and waits until it is gone.
// It is a channel and no sync.Once: a wait for a lock would stop the clock of
// tests in virtual time.
func (n *Node) end(first func()) {
	if !n.closing.CompareAndSwap(false, true) {
		<-n.gone
		return
	}
	defer close(n.gone)
	first()
	n.cancel(ErrClosed)
	n.release()
}

// release stops what start has started, in the order in which nothing that is
// under way gets lost: no new work, no connections, raft's answers, raft, disk.
func (n *Node) release() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.cutOff()
	within(closeGrace, n.inflight.Wait)
	if n.raft != nil {
		within(n.cfg.Timings.Write+closeGrace, func() { _ = n.raft.Shutdown().Error() })
	}
	n.wait.Wait()
	if n.port != nil {
		n.port.wait.Wait()
	}
	if n.logs != nil {
		within(closeGrace, func() { _ = n.logs.close() }) // a hung write holds bolt's lock
	}
}

// within waits for f, but not longer than d. Then f's goroutine is left to the
// end of the process: a disk that hangs cannot be waited for.
func within(d time.Duration, f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// spawn starts a goroutine that group waits for, unless the node is closed.
func (n *Node) spawn(group *sync.WaitGroup, f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	group.Go(f)
	return true
}

func (n *Node) identity() identity {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id
}

// voters are the ids that count for a majority.
func (n *Node) voters() []fsm.NodeID {
	var ids []fsm.NodeID
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			ids = append(ids, fsm.NodeID(s.ID))
		}
	}
	return ids
}
