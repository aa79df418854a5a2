package cluster

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
)

// look reads a store that raft does not run on: the newest snapshot, and every
// entry behind it applied.
func look(g *guard, snapshots raft.SnapshotStore, id identity) (Found, error) {
	f := Found{Node: id.Node, Store: id.Store}
	state, meta, err := restored(snapshots)
	if err != nil {
		return Found{}, err
	}
	if err := g.whole(meta.Index); err != nil {
		return Found{}, err
	}
	b, err := g.ballot()
	if err != nil {
		return Found{}, err
	}
	f.State, f.Snapshot, f.LastIndex, f.LastTerm = state, meta.Index, meta.Index, fsm.Term(meta.Term)
	f.Newest, f.Voters = snapshotTime(meta.ID), votersOf(meta.Configuration)
	if err := f.replay(g); err != nil {
		return Found{}, err
	}
	f.Cluster, f.Term = f.State.Cluster(), max(f.LastTerm, fsm.Term(b.term))
	if f.LastIndex <= founding {
		return Found{}, fmt.Errorf("%w: its log has not begun", ErrNothingHere)
	}
	if known, ok := f.State.Member(id.Node); ok && known.Store != id.Store {
		return Found{}, fmt.Errorf("%w: node %s is known with store %s, this is store %s, which may lack what that one has acknowledged", ErrStoreReplaced, id.Node, known.Store, id.Store)
	}
	return f, nil
}

// replay applies the entries behind the snapshot.
func (f *Found) replay(g *guard) error {
	var stopped error
	m := newMachine(func(err error) { stopped = err })
	m.publish(f.State, func() {})
	last, err := g.LastIndex()
	if err != nil {
		return err
	}
	for index := f.Snapshot + 1; index <= last; index++ {
		var l raft.Log
		if err := g.check(index, &l); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		switch l.Type {
		case raft.LogCommand:
			m.Apply(&l)
		case raft.LogConfiguration:
			f.Voters = votersOf(raft.DecodeConfiguration(l.Data))
		}
		if stopped != nil {
			return stopped
		}
		f.LastIndex, f.LastTerm, f.Entries = l.Index, fsm.Term(l.Term), f.Entries+1
		if !l.AppendedAt.IsZero() {
			f.Newest = l.AppendedAt
		}
	}
	f.State = m.state()
	return nil
}

func votersOf(c raft.Configuration) []Peer {
	var all []Peer
	for _, s := range c.Servers {
		if s.Suffrage == raft.Voter {
			all = append(all, Peer{ID: fsm.NodeID(s.ID), Address: string(s.Address)})
		}
	}
	return all
}

// snapshotTime reads when a snapshot was made out of raft's name for it:
// term-index-milliseconds. Zero when the name says something else.
func snapshotTime(id string) time.Time {
	parts := strings.Split(id, "-")
	ms, err := strconv.ParseInt(parts[len(parts)-1], 10, 64)
	if err != nil || len(parts) != 3 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
