package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
)

// withFaults gives every node a store that can fail.
func withFaults() (map[string]*faulty, func(*Config)) {
	stores := map[string]*faulty{}
	return stores, func(c *Config) {
		f := &faulty{}
		stores[string(c.NodeID)] = f
		c.Faults.Store = func(s Store) Store { f.Store = s; return f }
	}
}

// TestLeaderDiskHangs: heartbeats go on while a write hangs, so raft alone would
// never elect another (raft #503). Here the leader ends and the others go on.
func TestLeaderDiskHangs(t *testing.T) {
	stores, tune := withFaults()
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		old := l.leader()
		l.settled()
		hang := make(chan struct{})
		begun := time.Now()
		stores[string(old.cfg.NodeID)].set(func(f *faulty) { f.hang = hang })
		_, _ = old.Propose(shortly(t), fsm.PutSetting{Key: "k", Value: "lost"})
		<-old.Done()
		t.Logf("node ended after %v: %v", time.Since(begun), old.Err())
		if err := old.Err(); !errors.Is(err, ErrStalled) && !errors.Is(err, ErrWriteDeadline) {
			t.Errorf("the node ended with %v", err)
		}
		next := l.leader(old.cfg.NodeID)
		t.Logf("next leader after %v", time.Since(begun))
		if limit := old.cfg.Timings.Write + 5*time.Second; time.Since(begun) > limit {
			t.Errorf("no other leader within %v", limit)
		}
		l.put(next, "k", "v")
		close(hang)
	})
}

// TestFollowerDiskHangs ends the follower, and nobody else.
func TestFollowerDiskHangs(t *testing.T) {
	stores, tune := withFaults()
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		leader, victim := l.leader(), l.follower()
		l.settled()
		hang := make(chan struct{})
		stores[string(victim.cfg.NodeID)].set(func(f *faulty) { f.hang = hang })
		l.put(leader, "k", "v")
		<-victim.Done()
		if !errors.Is(victim.Err(), ErrWriteDeadline) {
			t.Errorf("the node ended with %v", victim.Err())
		}
		l.put(leader, "k", "w")
		if l.leader() != leader || leader.Err() != nil {
			t.Error("the leader did not stay")
		}
		close(hang)
	})
}

// TestDiskFull: the first refused write ends the node with the system's reason.
func TestDiskFull(t *testing.T) {
	stores, tune := withFaults()
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		old := l.leader()
		l.settled()
		stores[string(old.cfg.NodeID)].set(func(f *faulty) { f.err = syscall.ENOSPC })
		a, err := old.Propose(shortly(t), fsm.PutSetting{Key: "k", Value: "lost"})
		if err == nil {
			t.Errorf("acknowledged without a disk: %+v", a)
		}
		<-old.Done()
		if err := old.Err(); !errors.Is(err, ErrStoreWrite) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("the node ended with %v", err)
		}
		l.put(l.leader(old.cfg.NodeID), "k", "v")
	})
}

// TestDiskFloor: a leader below its floor hands over to one above; when all are
// below, it stays, and says so.
func TestDiskFloor(t *testing.T) {
	var low [4]atomic.Bool
	tune := func(c *Config) {
		i := c.NodeID[1] - '0'
		c.Faults.Free = func(string) (uint64, error) {
			if low[i].Load() {
				return 1, nil
			}
			return 1 << 40, nil
		}
	}
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		old := l.leader()
		l.settled()
		low[old.cfg.NodeID[1]-'0'].Store(true)
		next := l.leader(old.cfg.NodeID)
		if !old.Status().DiskDegraded || old.Err() != nil {
			t.Errorf("status of the full node: %+v", old.Status())
		}
		time.Sleep(time.Minute)
		if l.leader() == old {
			t.Error("the full node leads again")
		}
		l.put(next, "k", "v")
		l.until("the full node to follow on", func() bool { return value(old.State(), "k") == "v" })
		for i := range low {
			low[i].Store(true)
		}
		time.Sleep(time.Minute)
		stays := l.leader()
		l.put(stays, "k", "w")
		if !stays.Status().DiskDegraded {
			t.Error("status hides the floor")
		}
	})
}

// TestWatchdog: both followers' disks hang for a while. They answer heartbeats,
// so raft keeps a leader that can neither commit nor hand over; it ends itself,
// and when the disks come back the others go on.
func TestWatchdog(t *testing.T) {
	stores, tune := withFaults()
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		old := l.leader()
		l.settled()
		hang := make(chan struct{})
		begun := time.Now()
		for id, f := range stores {
			if id != string(old.cfg.NodeID) {
				f.set(func(f *faulty) { f.hang = hang })
			}
		}
		_, err := old.Propose(shortly(t), fsm.PutSetting{Key: "k", Value: "?"})
		if !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("propose without a majority of disks: %v", err)
		}
		<-old.Done()
		limit := watchdogPeriod + old.cfg.Timings.Stall + 2*old.cfg.Timings.Election
		if took := time.Since(begun); took > limit || !errors.Is(old.Err(), ErrStalled) {
			t.Errorf("after %v (limit %v) the leader ended with %v", took, limit, old.Err())
		}
		for _, f := range stores {
			f.set(func(f *faulty) { f.hang = nil })
		}
		close(hang)
		l.put(l.leader(old.cfg.NodeID), "k", "v")
	})
}

// TestUnknownCommand: an entry of a newer release stops each node that comes to
// apply it, in front of it, with a word about upgrading.
func TestUnknownCommand(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		l.settled()
		l.sameHashes()
		before := n.State().Index()
		n.raft.Apply(newerEntry(t), time.Second)
		ended := func() (count int) {
			for _, n := range l.nodes {
				if errors.Is(n.Err(), ErrUpgrade) {
					count++
				}
			}
			return count
		}
		// The last one may never learn that the entry is committed.
		l.until("a majority to end", func() bool { return ended() >= 2 })
		for id, n := range l.nodes {
			if n.Err() != nil && !errors.Is(n.Err(), ErrUpgrade) {
				t.Errorf("%s ended with %v", id, n.Err())
			}
			if n.State().Index() != before {
				t.Errorf("%s went on to index %d", id, n.State().Index())
			}
			if err := n.Snapshot(shortly(t)); err == nil && n.Err() != nil {
				t.Errorf("%s wrote a snapshot without the entry", id)
			}
		}
	})
}

// newerEntry is a whole entry with a kind that this release does not know.
func newerEntry(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "newer.entry"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Decode(data); !errors.Is(err, journal.ErrNewer) {
		t.Fatalf("testdata/newer.entry: %v", err)
	}
	return data
}

// TestVersionGate: a later kind waits until every voter has announced it.
func TestVersionGate(t *testing.T) {
	later := fsm.Kind(len(fsm.Kinds()) + 1)
	voters := []fsm.NodeID{"n1", "n2"}
	s := fsm.New()
	announce := func(node fsm.NodeID, kinds ...fsm.Kind) {
		s, _ = s.Apply(fsm.Entry{Index: s.Index() + 1, Command: fsm.PutMember{Member: fsm.Member{Node: node, Store: fsm.StoreID(node), Reads: kinds}}})
	}
	if err := readable(fsm.KindClaim, s, voters); err != nil {
		t.Errorf("a kind of the first release: %v", err)
	}
	announce("n1", append(fsm.Kinds(), later)...)
	if err := readable(later, s, voters); !errors.Is(err, ErrNotReadable) {
		t.Errorf("one of two announced: %v", err)
	}
	announce("n2", fsm.Kinds()...)
	if err := readable(later, s, voters); !errors.Is(err, ErrNotReadable) {
		t.Errorf("the second cannot read it: %v", err)
	}
	announce("n2", append(fsm.Kinds(), later)...)
	if err := readable(later, s, voters); err != nil {
		t.Errorf("both announced: %v", err)
	}
	observed := fsm.PutSpec{Spec: fsm.Spec{Masters: []fsm.MasterSpec{{ID: "cache"}, {ID: "queue", Observe: true}}}}
	if err := observable(observed, s, append(voters, "n3")); err != nil {
		t.Errorf("a spec that observes, with a node that was never met: %v", err)
	}
	announce("n2", fsm.KindClaim)
	if err := observable(observed, s, voters); !errors.Is(err, ErrNotReadable) {
		t.Errorf("a spec that observes, with an older node: %v", err)
	}
	if err := observable(fsm.PutSpec{}, s, voters); err != nil {
		t.Errorf("a spec that observes nothing, with an older node: %v", err)
	}
	pooled := fsm.PutSpec{Spec: fsm.Spec{Pools: []fsm.PoolSpec{{ID: "work"}}}}
	if err := poolable(pooled, s, voters); !errors.Is(err, ErrNotReadable) {
		t.Errorf("a spec with pools, with an older node: %v", err)
	}
	if err := poolable(fsm.PutSpec{}, s, voters); err != nil {
		t.Errorf("a spec without pools, with an older node: %v", err)
	}
	announce("n2", fsm.Kinds()...)
	if err := poolable(pooled, s, append(voters, "n3")); err != nil {
		t.Errorf("a spec with pools, with a node that was never met: %v", err)
	}
}

// TestSnapshotAndLaggingFollower: snapshots are taken by entries, restore after
// a restart, and reach a follower that the log no longer covers. Hashes and the
// remembered answers survive both.
func TestSnapshotAndLaggingFollower(t *testing.T) {
	tune := func(c *Config) { c.Snapshots.Entries, c.Snapshots.Trailing = 50, 10 }
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		leader := l.leader()
		l.settled()
		lagging := l.follower().cfg.NodeID
		l.kill(lagging)
		first := l.put(leader, "k", "first", WithID("once"))
		for i := range 200 {
			l.put(leader, fmt.Sprintf("k/%d", i), "v")
		}
		l.until("snapshots", func() bool {
			for _, n := range l.nodes {
				if first, _ := n.logs.FirstIndex(); first <= 10 || n.Status().SnapshotIndex == 0 {
					return false
				}
			}
			return true
		})
		before := l.sameHashes()
		l.start(lagging)
		l.until("the snapshot to arrive", func() bool { return len(l.nodes[lagging].State().Settings("")) == 201 })
		if s := l.nodes[lagging].Status(); s.SnapshotIndex == 0 {
			t.Errorf("the lagging node came without a snapshot: %+v", s)
		}
		if v := l.sameHashes(); v.StateIndex == before.StateIndex && v.StateHash != before.StateHash {
			t.Error("the hash changed")
		}
		l.stop()
		l.start()
		l.until("the restart", func() bool { return len(l.leader().State().Settings("")) == 201 })
		if again := l.put(l.leader(), "k", "second", WithID("once")); again.Index != first.Index {
			t.Errorf("the snapshot forgot an answer: index %d, first was %d", again.Index, first.Index)
		}
		l.sameHashes()
	})
}

// TestWatchWakesOnRestore: who waits for a change hears of a snapshot too.
func TestWatchWakesOnRestore(t *testing.T) {
	m := newMachine(func(error) {})
	_, changed := m.watch()
	snapshots := raft.NewInmemSnapshotStore()
	sink, err := snapshots.Create(1, 5, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := fsm.New().Apply(fsm.Entry{Index: 5, Term: 1, Command: fsm.PutSetting{Key: "k", Value: "v"}})
	if err := (persisted{s}).Persist(sink); err != nil {
		t.Fatal(err)
	}
	_, r, err := snapshots.Open(sink.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Restore(r); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was woken")
	}
	if value(m.state(), "k") != "v" {
		t.Error("the state was not restored")
	}
}

// TestDamagedSnapshot: a snapshot that is not what was written is never used.
func TestDamagedSnapshot(t *testing.T) {
	tune := func(c *Config) { c.Snapshots.Entries, c.Snapshots.Trailing = 20, 1 }
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		for i := range 60 {
			l.put(l.leader(), fmt.Sprintf("k/%d", i), "v")
		}
		victim := l.follower()
		l.until("a snapshot", func() bool { first, _ := victim.logs.FirstIndex(); return first > 10 })
		l.kill(victim.cfg.NodeID)
		files, _ := filepath.Glob(filepath.Join(victim.cfg.DataDir, "snapshots", "*", "state.bin"))
		if len(files) == 0 {
			t.Fatal("no snapshot on disk")
		}
		for _, f := range files {
			data, _ := os.ReadFile(f)
			data[len(data)/2] ^= 1
			if err := os.WriteFile(f, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := Start(context.Background(), victim.cfg); err == nil {
			l.nodes[victim.cfg.NodeID] = n
			t.Error("started on a damaged snapshot")
		} else if !errors.Is(err, ErrCorrupt) {
			t.Errorf("start on a damaged snapshot: %v", err)
		}
	})
}
