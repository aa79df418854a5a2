package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// TestSnapshotOverConflictingEntries: a leader that was cut off has entries that
// nobody else saw, beyond the snapshot that it gets when it is back. Its raft
// would ask for that snapshot for ever; the node ends instead, and a start mends it.
func TestSnapshotOverConflictingEntries(t *testing.T) {
	tune := func(c *Config) { c.Snapshots.Entries, c.Snapshots.Trailing = 1000, 1 }
	inBubble(t, tune, func(t *testing.T, l *lab) {
		l.start()
		old := l.leader()
		l.settled()
		id := old.cfg.NodeID
		l.net.isolate(l.addr(old), true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for i := range 50 { // stored there alone
			go func() { _, _ = old.Propose(ctx, fsm.PutSetting{Key: fmt.Sprintf("lost/%d", i), Value: "v"}) }()
		}
		next := l.leader(id)
		l.put(next, "k", "v")
		alone := old.raft.LastIndex()
		for _, n := range l.nodes {
			if n.cfg.NodeID == id {
				continue
			}
			l.until("the entry everywhere", func() bool { return n.State().Index() >= next.State().Index() })
			if err := n.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if s := next.snapshotIndex(); alone <= s {
			t.Fatalf("the old leader ends at %d, the snapshot at %d: nothing conflicts", alone, s)
		}
		l.net.isolate(l.addr(old), false)
		l.until("the old leader to end", func() bool {
			select {
			case <-old.Done():
				return true
			default:
				return false
			}
		})
		if !errors.Is(old.Err(), ErrParted) {
			t.Fatalf("it ended by %v", old.Err())
		}
		l.kill(id)
		l.start(id)
		l.until("it to catch up", func() bool { return l.nodes[id].State().Index() >= next.State().Index() })
		l.put(l.leader(), "k", "w")
		l.sameHashes()
	})
}
