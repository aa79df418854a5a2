package journal

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pointsman/pointsman/fsm"
)

// goldenLeases has a partition in each state, and who has them.
func goldenLeases() fsm.State {
	at := func(n int) (fsm.Clock, time.Time, uint64) {
		return fsm.Clock(n) * fsm.Clock(time.Second), time.Date(2026, 11, 23, 18, 0, n, 0, time.UTC), uint64(100 + n)
	}
	spec := goldenSpec()
	spec.Revision = 1
	spec.Pools = []fsm.PoolSpec{{
		ID: "webhooks", Master: "cache", Partitions: 4, TTL: 15 * time.Second, Drain: 10 * time.Second, LockDelay: 5 * time.Second, Moves: 4, Immediate: true,
	}}
	f := fsm.Flat{Cluster: "0123456789abcdef0123456789abcdef", Generation: 1, Index: 120, Term: 4, Clock: 77, Spec: spec}
	p := fsm.Pool{ID: "webhooks", Suspended: fsm.FailoverID{Master: "cache", Number: 1}, Address: "10.0.1.20:6379"}
	p.Clock, p.Wall, p.Index = at(1)
	v := fsm.Session{ID: 1<<48 + 102, Pool: "webhooks", Worker: "w1", Zone: "a", Capacity: 16, Key: "5e884898da28047151d0e56f8dc62927", TTL: 20 * time.Second, Actor: "test"}
	v.Clock, v.Wall, v.Index = at(2)
	f.Pools, f.Sessions = []fsm.Pool{p}, []fsm.Session{v}
	for n, state := range []fsm.LeaseState{fsm.Free, fsm.Held, fsm.Draining, fsm.Locked} {
		l := fsm.Lease{
			Pool: "webhooks", Number: n, State: state, Token: fsm.Token(1<<48 + 110 + n), Session: v.ID, Worker: "w1", Zone: "a",
			Address: "10.0.1.20:6379", TTL: 20 * time.Second, Lapsed: state == fsm.Locked, Reason: state.String(),
		}
		if state == fsm.Draining {
			l.Wait = 10 * time.Second
		}
		l.Clock, l.Wall, l.Index = at(10 + n)
		f.Leases = append(f.Leases, l)
	}
	return fsm.Unflatten(f)
}

// goldenCheckpoints are those leases with what two holders have saved.
func goldenCheckpoints() fsm.State {
	f := goldenLeases().Flatten()
	for n := range 2 {
		f.Checkpoints = append(f.Checkpoints, fsm.Checkpoint{
			Pool: "webhooks", Number: 1 + n, Version: uint64(6 + n), Token: fsm.Token(1<<48 + 90 + n), Data: []byte{0, 1, 255},
			Clock: fsm.Clock(20+n) * fsm.Clock(time.Second), Wall: time.Date(2026, 11, 24, 3, 0, n, 0, time.UTC), Index: uint64(118 + n),
		})
	}
	f.Checkpoints[0].Data = nil // nothing, which may be saved too
	return fsm.Unflatten(f)
}

// TestGoldenLeases: pools, sessions, leases and checkpoints of a snapshot decode for ever, to
// what was written and under the same hash.
func TestGoldenLeases(t *testing.T) {
	for name, state := range map[string]fsm.State{"leases": goldenLeases(), "checkpoints": goldenCheckpoints()} {
		var fresh bytes.Buffer
		if _, err := WriteSnapshot(&fresh, state); err != nil {
			t.Fatal(err)
		}
		got, hash, err := ReadSnapshot(bytes.NewReader(golden(t, name+".snapshot", fresh.Bytes())))
		if err != nil {
			t.Fatalf("%s of %s do not decode: %v", name, release, err)
		}
		if diff := cmp.Diff(state.Flatten(), got.Flatten()); diff != "" {
			t.Errorf("%s of %s decode to something else: %s", name, release, diff)
		}
		if again, _ := HashOf(got); again != hash {
			t.Errorf("%s: hash is %s, %s wrote %s", name, again, release, hash)
		}
	}
}
