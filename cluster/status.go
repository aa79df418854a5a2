package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
)

// Status is what a node says of itself. It is put together without a lock over
// the whole, so its fields may be a moment apart.
type Status struct {
	Node       fsm.NodeID
	Zone       string
	Cluster    fsm.ClusterID // empty until the log has told
	Store      fsm.StoreID
	Generation uint16
	Role       string // leader, follower, candidate, shutdown
	Leading    bool   // the barrier of this node's term is through
	Term       fsm.Term
	Leader     fsm.NodeID // empty: none known
	LeaderAddr string     // of its Raft port

	LastIndex     uint64 // last entry in the store
	CommitIndex   uint64
	StateIndex    uint64 // last command applied: what hashes are compared at
	SnapshotIndex uint64 // at most measuredFor old
	Clock         fsm.Clock
	LastContact   time.Duration // since the leader was heard; 0 on the leader, negative: never

	DiskDegraded bool
	DiskFree     uint64 // the same
	Barriers     uint64 // passed for linearizable reads and the watchdog
	Voters       []Peer
	Err          error // the failure that ended the node
}

// Status never blocks on the log; it is right also without a leader.
func (n *Node) Status() Status {
	s, id := n.machine.state(), n.identity()
	address, leader := n.raft.LeaderWithID()
	t, _ := n.currentTenure()
	role := n.raft.State()
	contact := time.Duration(-1)
	if last := n.raft.LastContact(); role == raft.Leader {
		contact = 0
	} else if !last.IsZero() {
		contact = time.Since(last)
	}
	costly := n.measure()
	status := Status{
		Node: id.Node, Zone: n.cfg.Zone, Cluster: id.Cluster, Store: id.Store, Generation: s.Generation(),
		Role: roleNames(role), Leading: t.open(), Term: fsm.Term(n.raft.CurrentTerm()),
		Leader: fsm.NodeID(leader), LeaderAddr: string(address),
		LastIndex: n.raft.LastIndex(), CommitIndex: n.raft.CommitIndex(), StateIndex: s.Index(),
		SnapshotIndex: costly.snapshot, Clock: n.Clock(), LastContact: contact,
		DiskDegraded: n.degraded.Load(), DiskFree: costly.free, Barriers: n.barriers.Load(), Err: n.Err(),
	}
	for _, v := range n.voters() {
		status.Voters = append(status.Voters, Peer{ID: v, Address: n.cfg.address(v)})
	}
	return status
}

// measuredFor is how old what Status says of disk and snapshots may be: both take
// longer than everything else, and every answer of the API carries a status.
const measuredFor = 100 * time.Millisecond

type measured struct {
	at             time.Time
	free, snapshot uint64
}

// measure looks at disk and snapshots, or remembers what it has seen just now.
func (n *Node) measure() measured {
	if last := n.measured.Load(); last != nil && time.Since(last.at) < measuredFor {
		return *last
	}
	free := n.cfg.Faults.Free
	if free == nil {
		free = freeBytes
	}
	now := measured{at: time.Now(), snapshot: n.snapshotIndex()}
	now.free, _ = free(n.cfg.DataDir)
	n.measured.Store(&now)
	return now
}

func roleNames(r raft.RaftState) string {
	switch r {
	case raft.Leader:
		return "leader"
	case raft.Candidate:
		return "candidate"
	case raft.Follower:
		return "follower"
	default:
		return "shutdown"
	}
}

// Verified is what Verify read back.
type Verified struct {
	Entries     uint64 // in the store, barriers and configurations included
	First, Last uint64
	StateIndex  uint64 // last command applied; compare hashes at equal index
	StateHash   journal.Hash
}

// Verify reads every entry of the store and the newest snapshot back from disk,
// checks seals and checksums, decodes the commands, and hashes the state. It changes nothing and may run at
// any time; an entry that a snapshot cuts away meanwhile is left out.
func (n *Node) Verify(ctx context.Context) (Verified, error) {
	found, err := n.logs.verify(func(l *raft.Log) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if l.Type != raft.LogCommand {
			return nil
		}
		if _, err := journal.Decode(l.Data); err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrCorrupt, l.Index, err)
		}
		return nil
	})
	if err == nil {
		err = n.verifySnapshot()
	}
	if err != nil {
		return Verified{}, fmt.Errorf("verify: %w", err)
	}
	s := n.machine.state()
	hash, err := journal.HashOf(s)
	if err != nil {
		return Verified{}, fmt.Errorf("verify: %w", err)
	}
	return Verified{Entries: found.Entries, First: found.First, Last: found.Last, StateIndex: s.Index(), StateHash: hash}, nil
}

func (n *Node) verifySnapshot() error {
	all, err := n.snapshots.List()
	if err != nil || len(all) == 0 {
		return err
	}
	_, r, err := n.snapshots.Open(all[0].ID)
	if err != nil {
		return fmt.Errorf("%w: snapshot %s: %w", ErrCorrupt, all[0].ID, err)
	}
	defer func() { _ = r.Close() }()
	if _, _, err := journal.ReadSnapshot(r); err != nil {
		return fmt.Errorf("%w: snapshot %s: %w", ErrCorrupt, all[0].ID, err)
	}
	return nil
}
