package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// pooled puts a spec with a pool of three partitions.
func pooled(t *testing.T, n *Node) {
	t.Helper()
	spec := fsm.Spec{Pools: []fsm.PoolSpec{{ID: "work", Partitions: 3, TTL: 15 * time.Second, Drain: time.Second, LockDelay: time.Second}}}
	var a fsm.Answer
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) { // until every voter has announced what it reads
		var err error
		a, err = n.Propose(within10(t), fsm.PutSpec{Spec: spec})
		if err == nil && a.Err() == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err, a.Err())
		}
	}
}

// granted opens a session and grants it a partition that is free.
func granted(t *testing.T, n *Node, partition int) fsm.Token {
	t.Helper()
	term := n.Status().Term
	opened, err := n.ProposeAs(within10(t), term, fsm.OpenSession{Pool: "work", Worker: "w", Key: "k"})
	if err != nil || opened.Err() != nil {
		t.Fatal(err, opened.Err())
	}
	a, err := n.ProposeAs(within10(t), term, fsm.GrantLeases{Term: term, Pool: "work", Grants: []fsm.Grant{{Number: partition, Session: fsm.SessionID(opened.Token)}}})
	if err != nil || a.Err() != nil {
		t.Fatal(err, a.Err())
	}
	l, _ := n.State().Lease("work", partition)
	return l.Token
}

// recovered runs Recover on a node that is stopped.
func (l *lab) recovered(id fsm.NodeID) Recovered {
	l.t.Helper()
	done, err := Recover(l.cfgs[id])
	if err != nil {
		l.t.Fatalf("recover %s: %v", id, err)
	}
	return done
}

// rejoined empties the others and starts all, the recovered one first, and waits
// until they are voters at one index.
func (l *lab) rejoined(first fsm.NodeID) *Node {
	l.t.Helper()
	l.start(first)
	leader := l.leader()
	for _, p := range l.peers {
		if p.ID != first {
			l.emptied(p.ID)
			l.start(p.ID)
		}
	}
	l.until("three voters", func() bool { return len(leader.voters()) == len(l.peers) })
	l.settled()
	l.sameHashes()
	return leader
}

// TestRecover_OfOldCopies: the cluster is put back to what it was before the last
// grants. Tokens go on above all that were given out, nothing is granted before the
// workers of then have stopped believing, and three nodes are a cluster again.
func TestRecover_OfOldCopies(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		l.settled()
		pooled(t, l.leader())
		before := granted(t, l.leader(), 0)
		if err := l.nodes["n1"].Snapshot(within10(t)); err != nil { // a snapshot, and entries behind it
			t.Fatal(err)
		}
		l.put(l.leader(), "k", "kept")
		l.until("n1 to have it", func() bool { return value(l.nodes["n1"].State(), "k") == "kept" })
		copied := filepath.Join(t.TempDir(), "copy")
		l.kill("n1")
		if err := os.CopyFS(copied, os.DirFS(l.cfgs["n1"].DataDir)); err != nil {
			t.Fatal(err)
		}
		l.start("n1")
		lost := granted(t, l.leader(), 1)
		l.put(l.leader(), "k", "lost")
		l.stop()
		l.emptied("n1")
		if err := os.CopyFS(l.cfgs["n1"].DataDir, os.DirFS(copied)); err != nil {
			t.Fatal(err)
		}

		found, err := Inspect(l.cfgs["n1"])
		if err != nil || value(found.State, "k") != "kept" || found.Entries == 0 || found.Snapshot == 0 || len(found.Voters) != 3 || found.Newest.IsZero() {
			t.Fatalf("found %+v, %v", found, err)
		}
		done := l.recovered("n1")
		if done.Generation != 1 || done.LastIndex != found.LastIndex {
			t.Errorf("%+v", done)
		}
		leader := l.rejoined("n1")
		if s := leader.State(); value(s, "k") != "kept" || s.Generation() != 1 || len(s.Sessions("")) != 0 {
			t.Errorf("k is %q, generation %d, %d sessions", value(s, "k"), s.Generation(), len(s.Sessions("")))
		}
		for n := range 3 {
			if p, ok := leader.State().Lease("work", n); !ok || p.State != fsm.Locked || p.Lapsed || p.TTL != 15*time.Second {
				t.Errorf("partition %d: %+v", n, p)
			}
		}
		term := leader.Status().Term
		if a, err := leader.ProposeAs(within10(t), term, fsm.MoveLeases{Term: term, Pool: "work", Move: fsm.MoveUnlock, Items: []fsm.LeaseItem{{Number: 1}}}); err != nil || a.Err() != nil {
			t.Fatal(err, a.Err())
		}
		if fresh := granted(t, leader, 1); fresh <= lost || fresh <= before {
			t.Errorf("token %d, given out before were %d and %d", fresh, before, lost)
		}
		l.kill("n1") // the others are a majority
		l.put(l.leader(), "k", "after")
	})
}

// TestRecover_LastSurvivor: two nodes are lost for good. The third alone leads.
func TestRecover_LastSurvivor(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		l.settled()
		token := claimed(t, l.leader())
		l.put(l.leader(), "k", "v")
		l.until("n2 to have it", func() bool { return value(l.nodes["n2"].State(), "k") == "v" })
		actions := l.nodes["n2"].State().AllActions()
		l.stop()
		l.recovered("n2")
		l.start("n2")
		n := l.leader()
		l.put(n, "k", "w")
		if got := n.State().AllActions(); fmt.Sprint(got) != fmt.Sprint(actions) {
			t.Errorf("actions\n%+v\nwere\n%+v", got, actions)
		}
		if at, ok := n.Applied(token); !ok || time.Since(at) > time.Minute || at.Before(n.machine.base) {
			t.Errorf("the window of a claim counts from %s (%t)", at, ok)
		}
		if n.Status().Term <= fsm.Term(1) || len(n.voters()) != 1 {
			t.Errorf("%+v", n.Status())
		}
		l.kill("n2")
		again := l.recovered("n2") // what it did since is kept, and tokens rise again
		l.start("n2")
		if s := l.leader().State(); again.Generation != 2 || s.Generation() != 2 || value(s, "k") != "w" {
			t.Errorf("generation %d and %d, k is %q", again.Generation, s.Generation(), value(s, "k"))
		}
	})
}

// TestRecover_OthersOfBefore: nobody emptied the other two, and they are a majority
// of the cluster of before. They end when they hear of the recovered one, do not
// start beside it, and are let in once they are emptied.
func TestRecover_OthersOfBefore(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		l.settled()
		l.put(l.leader(), "k", "v")
		l.sameHashes()
		l.stop()
		l.recovered("n1")
		l.start("n2", "n3")
		l.put(l.leader(), "k", "of before")
		l.start("n1")
		for _, id := range []fsm.NodeID{"n2", "n3"} {
			l.until("a node of before to end", func() bool { return errors.Is(l.nodes[id].Err(), ErrOutdated) })
			l.kill(id)
		}
		if leader := l.leader(); leader.cfg.NodeID != "n1" || value(leader.State(), "k") != "v" {
			t.Errorf("%s leads with k = %q", leader.cfg.NodeID, value(leader.State(), "k"))
		}
		if _, err := Start(within10(t), l.cfgs["n2"]); !errors.Is(err, ErrOutdated) || !strings.Contains(err.Error(), "empty the directory") {
			t.Errorf("a node of before starts beside it: %v", err)
		}
		l.kill("n1")
		l.rejoined("n1")
	})
}

// TestRecover_CutShort: power is lost at each write of the store, once with it on
// disk and once without. The directory then holds what it held, or the recovered
// cluster, and both another recovery and a start come to a good end.
func TestRecover_CutShort(t *testing.T) {
	for _, lands := range []bool{false, true} {
		for at := 1; at <= 6; at++ {
			for _, again := range []bool{false, true} {
				t.Run(fmt.Sprintf("write %d lands %v again %v", at, lands, again), func(t *testing.T) { cutShort(t, at, lands, again) })
			}
		}
	}
}

func cutShort(t *testing.T, at int, lands, again bool) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		l.settled()
		l.put(l.leader(), "k", "v")
		l.sameHashes()
		l.stop()
		dying := l.cfgs["n1"]
		victim := &faulty{dieAt: at, lands: lands}
		dying.Faults.Store = func(s Store) Store { victim.Store = s; return victim }
		_, err := Recover(dying)
		if err == nil && victim.count() >= at {
			t.Fatal("it said that it was done")
		}
		took := err == nil
		least := uint16(0)
		if took {
			least = 1
		}
		if again {
			l.recovered("n1")
			least++
		}
		found, err := Inspect(l.cfgs["n1"])
		if err != nil {
			t.Fatal(err)
		}
		generation := found.State.Generation()
		if generation < least || value(found.State, "k") != "v" {
			t.Errorf("generation %d, k is %q", generation, value(found.State, "k"))
		}
		l.start("n1")
		if generation == 0 { // as if nothing had been
			l.start("n2", "n3")
			l.put(l.leader(), "k", "w")
			l.sameHashes()
			return
		}
		if first, err := l.nodes["n1"].logs.FirstIndex(); err != nil || first != 0 && first <= found.LastIndex-1 {
			t.Errorf("entries of before stand from %d on, the snapshot is at %d (%v)", first, found.LastIndex, err)
		}
		l.kill("n1")
		if s := l.rejoined("n1").State(); s.Generation() != generation || value(s, "k") != "v" {
			t.Errorf("generation %d, k is %q", s.Generation(), value(s, "k"))
		}
	})
}

// TestRecover_Refusals: what it will not begin from, and that it changes nothing then.
func TestRecover_Refusals(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		empty := l.cfgs["n1"]
		refused := func(what string, c Config, want error) {
			t.Helper()
			if _, err := Recover(c); !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := Inspect(c); len(c.Peers) > 0 && !errors.Is(err, want) {
				t.Errorf("inspect %s: %v", what, err)
			}
		}
		refused("a directory that is not there", empty, ErrNothingHere)
		if _, err := os.Stat(empty.DataDir); err == nil {
			t.Error("it made the directory")
		}
		l.start()
		l.settled()
		refused("a node that runs", l.cfgs["n1"], ErrStoreLocked)
		l.sameHashes()
		l.stop()
		other := l.cfgs["n2"]
		other.DataDir = l.cfgs["n1"].DataDir
		refused("another node's directory", other, ErrOtherNode)
		peerless := l.cfgs["n1"]
		peerless.Peers = nil
		refused("a node without peers", peerless, ErrConfig)
		if entries, err := filepath.Glob(filepath.Join(l.cfgs["n1"].DataDir, copyPrefix+"*")); err != nil || len(entries) > 0 {
			t.Errorf("%v, %v", entries, err)
		}
	})
}

// TestRecover_Copies: what was there is kept, three times at most, and is a data
// directory that a node starts from.
func TestRecover_Copies(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		l.settled()
		l.put(l.leader(), "k", "v")
		l.sameHashes()
		l.stop()
		first := l.recovered("n1")
		old := l.cfgs["n1"]
		old.DataDir = first.Copy
		if found, err := Inspect(old); err != nil || found.State.Generation() != 0 || found.LastIndex != first.LastIndex || value(found.State, "k") != "v" {
			t.Errorf("the copy holds %+v, %v", found, err)
		}
		for range copiesKept {
			time.Sleep(time.Second)
			l.recovered("n1")
		}
		copies, err := filepath.Glob(filepath.Join(l.cfgs["n1"].DataDir, copyPrefix+"*"))
		if err != nil || len(copies) != copiesKept {
			t.Errorf("%d copies: %v, %v", len(copies), copies, err)
		}
		if _, err := os.Stat(first.Copy); err == nil {
			t.Error("the oldest copy is kept")
		}
	})
}

// TestRecover_Leftovers: what a recovery that was killed has left lying about is in
// nobody's way.
func TestRecover_Leftovers(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		l.settled()
		l.sameHashes()
		l.stop()
		dir := l.cfgs["n1"].DataDir
		found, err := Inspect(l.cfgs["n1"])
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s%d-%d-%d", copyPrefix, 0, found.LastTerm, found.LastIndex)
		junk := []string{name + copyPartial, copyPrefix + "0-0-0" + copyPartial, filepath.Join(snapshotDir, "99-99-99.tmp")}
		for _, j := range junk {
			if err := os.MkdirAll(filepath.Join(dir, j, snapshotDir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if done := l.recovered("n1"); filepath.Base(done.Copy) != name {
			t.Errorf("the copy is %s", done.Copy)
		}
		for _, j := range junk[:2] {
			if _, err := os.Stat(filepath.Join(dir, j)); err == nil {
				t.Errorf("%s is left", j)
			}
		}
		l.rejoined("n1")
	})
}

// TestRecover_DamagedAfter: with its one snapshot damaged a recovered node does not
// start, least of all with the state of before.
func TestRecover_DamagedAfter(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		l.settled()
		for _, v := range []string{"1", "2"} {
			l.put(l.nodes["n1"], "k", v)
			if err := l.nodes["n1"].Snapshot(within10(t)); err != nil {
				t.Fatal(err)
			}
		}
		l.stop()
		l.recovered("n1")
		states, err := filepath.Glob(filepath.Join(l.cfgs["n1"].DataDir, snapshotDir, "*", "state.bin"))
		if err != nil || len(states) != 1 {
			t.Fatalf("snapshots %v, %v", states, err)
		}
		data, err := os.ReadFile(states[0])
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(states[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := Start(within10(t), l.cfgs["n1"]); err == nil {
			t.Errorf("it started, k is %q", value(n.State(), "k"))
			n.end(func() {})
		}
		if _, err := Recover(l.cfgs["n1"]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("recovered from a damaged snapshot: %v", err)
		}
	})
}
