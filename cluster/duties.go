package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

const (
	watchdogPeriod = time.Second
	diskPeriod     = 2 * time.Second
	snapshotPeriod = 5 * time.Second
	logPeriod      = time.Second
	logAgree       = 3               // looks in a row
	announceWait   = 3 * time.Second // for one try to be recorded as a member
)

// lookAround asks all peers at once what they are. A node without state founds
// the cluster only if no reachable peer has state; one that the cluster knows
// with another store is not let in; a late first start passes and waits to be
// contacted.
func (n *Node) lookAround(ctx context.Context) (alone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, peekDeadline)
	defer cancel()
	var wait sync.WaitGroup
	var mu sync.Mutex
	alone = true
	for _, p := range n.cfg.Peers {
		if p.ID == n.cfg.NodeID {
			continue
		}
		wait.Go(func() {
			hasState, refused := n.lookAt(ctx, p.ID)
			mu.Lock()
			defer mu.Unlock()
			alone = alone && !hasState
			err = errors.Join(err, refused)
		})
	}
	wait.Wait()
	return alone, err
}

func (n *Node) lookAt(ctx context.Context, peer fsm.NodeID) (hasState bool, err error) {
	peek, them, err := n.peek(ctx, peer)
	if err != nil {
		n.logger.Info("peer does not answer yet", "peer", peer, "error", err)
		return false, nil
	}
	us := n.identity()
	if theirs := fsm.ClusterID(them.GetCluster()); theirs != "" && us.Cluster != "" && theirs != us.Cluster {
		return true, fmt.Errorf("%w: %s is of cluster %s, peer %s is of cluster %s", ErrOtherCluster, n.cfg.DataDir, us.Cluster, peer, theirs)
	}
	if known := fsm.StoreID(peek.GetYourStore()); known != "" && known != us.Store && !planted.Bug(planted.StoreUnidentified) {
		return true, n.replaced(known)
	}
	if e := eraOf(peek.GetEra()); !n.fresh() && e != us.Era && e.Generation >= us.Era.Generation {
		return true, n.outdatedBy(e)
	}
	return peek.GetHasState(), nil
}

func (n *Node) peek(ctx context.Context, peer fsm.NodeID) (*journalv1.PeekAnswer, *journalv1.Hello, error) {
	answer, them, _, err := n.peers.ask(ctx, peer, &journalv1.PeerRequest{Question: &journalv1.PeerRequest_Peek{Peek: &journalv1.Peek{}}})
	if err != nil {
		return nil, nil, err
	}
	return answer.GetPeek(), them, nil
}

func (n *Node) replaced(known fsm.StoreID) error {
	return fmt.Errorf("%w: node %s is known with store %s, %s holds store %s; restore it, or run `pointsman nodes replace %s`",
		ErrStoreReplaced, n.cfg.NodeID, known, n.cfg.DataDir, n.identity().Store, n.cfg.NodeID)
}

// tend keeps identity file and member record true: the cluster's id once the
// log tells it, and this node's store, addresses and readable kinds.
func (n *Node) tend() {
	for n.ctx.Err() == nil {
		s, changed := n.machine.watch()
		n.learnCluster(s.Cluster())
		me := n.member()
		known, ok := s.Member(n.cfg.NodeID)
		if ok && known.Store != me.Store && !planted.Bug(planted.StoreUnidentified) {
			n.fail(n.replaced(known.Store))
			return
		}
		if n.fresh() {
			n.knock(me)
			continue
		}
		if !ok || !sameMember(known, me) {
			n.announce(me)
			continue
		}
		select {
		case <-changed:
		case <-n.ctx.Done():
		}
	}
}

func (n *Node) learnCluster(told fsm.ClusterID) {
	id := n.identity()
	if told == "" || told == id.Cluster {
		return
	}
	if id.Cluster != "" {
		n.fail(fmt.Errorf("%w: %s is of cluster %s, the log is of cluster %s", ErrOtherCluster, n.cfg.DataDir, id.Cluster, told))
		return
	}
	id.Cluster = told
	n.keep(id)
}

func (n *Node) member() fsm.Member {
	return fsm.Member{
		Node: n.cfg.NodeID, Zone: n.cfg.Zone, Store: n.identity().Store, Raft: n.cfg.address(n.cfg.NodeID),
		GRPC: n.cfg.GRPC, HTTP: n.cfg.HTTP, Version: n.cfg.Version, Reads: fsm.Kinds(),
	}
}

func sameMember(a, b fsm.Member) bool {
	return a.Node == b.Node && a.Zone == b.Zone && a.Store == b.Store && a.Raft == b.Raft && a.GRPC == b.GRPC &&
		a.HTTP == b.HTTP && a.Version == b.Version && slices.Equal(a.Reads, b.Reads)
}

func (n *Node) announce(me fsm.Member) {
	ctx, cancel := context.WithTimeout(n.ctx, announceWait)
	defer cancel()
	answer, err := n.Propose(ctx, fsm.PutMember{Member: me}, WithActor("cluster"))
	if err == nil && errors.Is(answer.Err(), fsm.ErrStore) {
		n.fail(fmt.Errorf("%w: %w", ErrStoreReplaced, answer.Err()))
		return
	}
	if err == nil {
		err = answer.Err()
	}
	if err != nil && n.ctx.Err() == nil {
		n.logger.Info("not recorded as a member yet", "error", err)
		pause(n.ctx, 100*time.Millisecond)
	}
}

// lead is what a leader does for the cluster itself: name it once, and not lead
// below the disk floor.
func (n *Node) lead(t *tenure) {
	for n.machine.state().Cluster() == "" && t.ctx.Err() == nil {
		if _, err := n.ProposeAs(t.ctx, t.term, fsm.InitCluster{Cluster: fsm.ClusterID(randomID())}); err != nil {
			pause(t.ctx, 50*time.Millisecond)
		}
	}
	for t.ctx.Err() == nil {
		if n.degraded.Load() {
			ctx, cancel := context.WithTimeout(t.ctx, n.cfg.Timings.RPC)
			if err := n.Transfer(ctx, ""); err != nil && t.ctx.Err() == nil {
				n.logger.Error("leading below the disk floor", "error", err)
			}
			cancel()
		}
		pause(t.ctx, diskPeriod)
	}
}

// watchdog sees to it that a leader commits. A hung disk, a transfer that never
// ends (raft #696) or a stuck state machine leave heartbeats going, so nobody
// else would take over. A barrier that others have just passed says as much as one
// of its own.
func (n *Node) watchdog(t *tenure) {
	last := time.Now()
	for {
		pause(t.ctx, watchdogPeriod)
		if t.ctx.Err() != nil || planted.Bug(planted.NoWriteDeadline) {
			return
		}
		if at := n.passed.Load(); at != nil && time.Since(*at) < watchdogPeriod {
			last = *at
			continue
		}
		ctx, cancel := context.WithDeadline(t.ctx, last.Add(n.cfg.Timings.Stall))
		_, err := n.readIndex(ctx)
		cancel()
		if err == nil {
			last = time.Now()
			continue
		}
		if t.ctx.Err() != nil || time.Since(last) < n.cfg.Timings.Stall {
			continue
		}
		n.logger.Error("no commit", "for", time.Since(last), "error", err)
		ctx, cancel = context.WithTimeout(t.ctx, 2*n.cfg.Timings.Election)
		_ = n.await(ctx, n.raft.LeadershipTransfer())
		<-ctx.Done() // with the term, if the hand-over worked
		cancel()
		if t.ctx.Err() == nil {
			n.fail(fmt.Errorf("%w: no commit for %s in term %d", ErrStalled, time.Since(last).Round(time.Millisecond), t.term))
			return
		}
	}
}

func (n *Node) watchDisk() {
	for n.ctx.Err() == nil {
		pause(n.ctx, diskPeriod)
		n.checkDisk()
	}
}

// watchLog ends a node that would download one snapshot after another for ever.
// hashicorp/raft 1.8.0 empties the log when it installs a snapshot, and goes on
// believing in the last entry that it had. Was that one the snapshot's equal or
// beyond it, and of another term (it came from a leader that died before anybody
// else had it), every entry that follows the snapshot is refused, and the leader
// answers with the snapshot (hashicorp/raft issue 697). A start reads the log anew.
func (n *Node) watchLog() {
	for seen := 0; n.ctx.Err() == nil; {
		pause(n.ctx, logPeriod)
		if !n.parted() {
			seen = 0
		} else if seen++; seen == logAgree { // an entry that is just being stored parts them for a moment
			n.fail(ErrParted)
			return
		}
	}
}

// parted compares what raft believes with what is stored.
func (n *Node) parted() bool {
	stats := n.raft.Stats()
	number := func(name string) uint64 { v, _ := strconv.ParseUint(stats[name], 10, 64); return v }
	last, snapshot := number("last_log_index"), number("last_snapshot_index")
	if last == 0 || last < snapshot || last == snapshot && number("last_log_term") == number("last_snapshot_term") {
		return false
	}
	stored, err := n.logs.LastIndex()
	return err == nil && stored == 0
}

func (n *Node) checkDisk() {
	free := n.cfg.Faults.Free
	if free == nil {
		free = freeBytes
	}
	bytes, err := free(n.cfg.DataDir)
	low := err != nil || bytes < n.cfg.DiskFloor
	if n.degraded.Swap(low) != low {
		n.logger.Warn("disk floor", "below", low, "free", bytes, "floor", n.cfg.DiskFloor, "error", err)
	}
}

// takeSnapshots writes the state out when entries, bytes or time say so.
func (n *Node) takeSnapshots() {
	last := time.Now()
	for n.ctx.Err() == nil {
		pause(n.ctx, snapshotPeriod)
		s, pending := n.cfg.Snapshots, n.machine.pendingBytes()
		due := n.raft.LastIndex()-n.snapshotIndex() >= s.Entries || pending >= s.Bytes || pending > 0 && time.Since(last) >= s.Interval
		if n.ctx.Err() != nil || !due || n.degraded.Load() {
			continue
		}
		if err := n.Snapshot(n.ctx); err != nil && n.ctx.Err() == nil {
			n.logger.Error("snapshot", "error", err)
			continue
		}
		last = time.Now()
	}
}

// Snapshot writes the state out now and cuts the log behind it.
func (n *Node) Snapshot(ctx context.Context) error {
	err := n.await(ctx, n.raft.Snapshot())
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

func (n *Node) snapshotIndex() uint64 {
	index, _ := strconv.ParseUint(n.raft.Stats()["last_snapshot_index"], 10, 64)
	return index
}
