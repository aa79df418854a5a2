package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
)

// A recovery begins a cluster again from one node's data directory, under a higher
// generation. It writes one snapshot, behind all that the log holds, whose only
// voter is this node:
//
//	copy the directory ─▶ raise the term ─▶ note what is underway ─▶ SNAPSHOT ─▶ delete what is older ─▶ note the era
//
// The snapshot is what counts, and it appears in one rename. Before it the store is
// as it was, but for a term that rose; from it on every start begins with it, and
// finishes the rest (settleRecovery).
//
// The only voter: a store that was emptied must not count for a majority before a
// leader has recorded it (admit.go), so there has to be a leader without the others.
// It records them as they come with new stores, and enlarges the cluster by them.
// What the node file lists is the most that the cluster becomes again; what the old
// configuration had is of no use, since those stores are gone or must be.
//
// The others' data is of before the recovery, and together they would be a majority
// of the old cluster: each hello tells the era, nodes of different eras do not speak,
// and the one of before ends when it hears of the later one.

// Found is what a data directory holds.
type Found struct {
	Node    fsm.NodeID
	Store   fsm.StoreID
	Cluster fsm.ClusterID // empty: the log has not told yet

	Term      fsm.Term  // highest that it knows
	LastTerm  fsm.Term  // of the newest entry
	LastIndex uint64    // of the newest entry, which may never have been committed
	Newest    time.Time // when its leader wrote it, by that one's wall clock; zero: not known
	Snapshot  uint64    // index of the snapshot that the log goes on from; 0: none
	Entries   uint64    // behind it
	Voters    []Peer    // of the newest configuration
	State     fsm.State // with every entry applied
}

// Recovered is what Recover has done.
type Recovered struct {
	Found             // what was there before
	Generation uint16 // from now on
	Copy       string // directory with what was there before
}

// Inspect reads the data directory of a node that does not run: all entries and the
// newest snapshot, checksums included. It changes nothing. The errors are
// ErrNothingHere, ErrStoreLocked and those of a data directory.
func Inspect(cfg Config) (found Found, err error) {
	g, id, err := openToRead(cfg)
	if err != nil {
		return Found{}, fmt.Errorf("inspect %s: %w", cfg.DataDir, err)
	}
	defer func() { err = errors.Join(err, g.close()) }()
	snapshots, err := openSnapshots(cfg)
	if err == nil {
		found, err = look(g, snapshots, id)
	}
	if err != nil {
		return Found{}, fmt.Errorf("inspect %s: %w", cfg.DataDir, err)
	}
	return found, nil
}

// Recover rewrites the data directory of a node that does not run, so that its next
// start leads a cluster of its own under the next generation. Every entry is taken
// for committed. When it returns nil all is durable; when it does not, or never
// returns, the directory holds either what it held or the recovered cluster, and
// Recover may be called again. The errors are those of Inspect, ErrConfig,
// ErrStoreReplaced, and fsm.ErrLimit after the last generation.
func Recover(cfg Config) (done Recovered, err error) {
	if err := cfg.Validate(); err != nil {
		return Recovered{}, err
	}
	if _, err := Inspect(cfg); err != nil { // before anything is opened to be written
		return Recovered{}, err
	}
	g, id, err := openStore(cfg, nil)
	if err != nil {
		return Recovered{}, fmt.Errorf("recover %s: %w", cfg.DataDir, err)
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if done, err = begin(cfg, g, id); err != nil {
		return Recovered{}, fmt.Errorf("recover %s: %w", cfg.DataDir, err)
	}
	return done, nil
}

func begin(cfg Config, g *guard, id identity) (Recovered, error) {
	snapshots, err := openSnapshots(cfg)
	if err != nil {
		return Recovered{}, err
	}
	newest, err := newestSnapshot(snapshots)
	if err == nil {
		id, err = settleRecovery(cfg, g, id, newest)
	}
	if err != nil {
		return Recovered{}, err
	}
	found, err := look(g, snapshots, id)
	if err != nil {
		return Recovered{}, err
	}
	state, err := found.State.Restored(found.State.Generation() + 1)
	if err != nil {
		return Recovered{}, err
	}
	done := Recovered{Found: found, Generation: state.Generation()}
	if done.Copy, err = keepCopy(cfg.DataDir, found); err != nil {
		return Recovered{}, fmt.Errorf("copy the data directory: %w", err)
	}
	if err := rewrite(cfg, g, id, snapshots, found, state.Alone(cfg.NodeID)); err != nil {
		return Recovered{}, err
	}
	return done, dropCopies(cfg.DataDir)
}

// rewrite is the part after the copy, in the order that the words above draw.
func rewrite(cfg Config, g *guard, id identity, snapshots raft.SnapshotStore, found Found, state fsm.State) error {
	index, term := found.LastIndex+1, uint64(found.Term)+1
	if err := g.SetUint64([]byte(keyCurrentTerm), term); err != nil {
		return err
	}
	id.Underway = &underway{Era: era{Generation: state.Generation(), Recovery: randomID()}, Index: index}
	if err := writeIdentity(cfg.DataDir, g, id); err != nil {
		return err
	}
	if err := writeAlone(cfg, snapshots, index, term, state); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	_, err := settleRecovery(cfg, g, id, index)
	return err
}

// writeAlone writes a state as a snapshot with one voter, and reads it back.
func writeAlone(cfg Config, snapshots raft.SnapshotStore, index, term uint64, state fsm.State) error {
	voters := raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(cfg.NodeID), Address: raft.ServerAddress(cfg.address(cfg.NodeID))}}}
	_, nobody := raft.NewInmemTransport("")
	defer func() { _ = nobody.Close() }()
	sink, err := snapshots.Create(1, index, term, voters, index, nobody)
	if err != nil {
		return err
	}
	if err := (persisted{state}).Persist(sink); err != nil {
		return err
	}
	found, newest, err := restored(snapshots)
	if err != nil {
		return err
	}
	want, err := journal.HashOf(state)
	if err != nil {
		return err
	}
	if got, err := journal.HashOf(found); err != nil || got != want || newest.Index != index {
		return fmt.Errorf("%w: the snapshot at index %d reads back with hash %s at index %d, written was %s (%w)", ErrCorrupt, index, got, newest.Index, want, err)
	}
	return nil
}

// settleRecovery ends a recovery, whether it did so before or was cut short: with
// its snapshot it took place, without it did not. Entries in front of a snapshot
// that is beyond them all are of no use, and must not be sent to anybody.
func settleRecovery(cfg Config, g *guard, id identity, newest uint64) (identity, error) {
	if id.Underway != nil {
		took := id.Underway.Index <= newest
		if took {
			id.Era = id.Underway.Era
			if err := onlySnapshot(cfg, id.Underway.Index); err != nil {
				return id, err
			}
		} else {
			cfg.Logger.Warn("a recovery was cut short before it took place", "node", cfg.NodeID, "generation", id.Underway.Era.Generation)
		}
		id.Underway = nil
		if err := writeIdentity(cfg.DataDir, g, id); err != nil {
			return id, err
		}
	}
	first, err := g.FirstIndex()
	if err != nil {
		return id, err
	}
	last, err := g.LastIndex()
	if err == nil && last > 0 && last < newest {
		err = g.DeleteRange(first, last)
	}
	return id, err
}

// onlySnapshot removes those in front of an index: were the one that stands there
// damaged one day, raft would begin with the one before, of the generation before.
func onlySnapshot(cfg Config, index uint64) error {
	snapshots, err := openSnapshots(cfg)
	if err != nil {
		return err
	}
	all, err := snapshots.List()
	if err != nil {
		return err
	}
	for _, one := range all {
		if one.Index < index {
			if err := os.RemoveAll(filepath.Join(cfg.DataDir, snapshotDir, one.ID)); err != nil {
				return err
			}
		}
	}
	return syncDir(filepath.Join(cfg.DataDir, snapshotDir))
}

func openSnapshots(cfg Config) (raft.SnapshotStore, error) {
	s, err := raft.NewFileSnapshotStoreWithLogger(cfg.DataDir, snapshotsKept, bridge(cfg.Logger))
	if err != nil {
		return nil, fmt.Errorf("snapshots: %w", err)
	}
	return s, nil
}

// restored reads the newest snapshot that is whole; the state before the first
// entry when there is none at all.
func restored(snapshots raft.SnapshotStore) (fsm.State, raft.SnapshotMeta, error) {
	all, err := snapshots.List()
	if err != nil {
		return fsm.State{}, raft.SnapshotMeta{}, err
	}
	var bad []error
	for _, one := range all {
		state, err := readBack(snapshots, one.ID)
		if err == nil {
			return state, *one, nil
		}
		bad = append(bad, fmt.Errorf("snapshot %s: %w", one.ID, err))
	}
	if len(bad) > 0 {
		return fsm.State{}, raft.SnapshotMeta{}, fmt.Errorf("%w: %w", ErrCorrupt, errors.Join(bad...))
	}
	return fsm.New(), raft.SnapshotMeta{}, nil
}

func readBack(snapshots raft.SnapshotStore, id string) (fsm.State, error) {
	_, r, err := snapshots.Open(id)
	if err != nil {
		return fsm.State{}, err
	}
	defer func() { _ = r.Close() }()
	state, _, err := journal.ReadSnapshot(r)
	return state, err
}
