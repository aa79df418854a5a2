package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
)

// TestRepeatIsNotYounger: a repeated command gives the first answer, and its
// claims keep the moment at which they were first applied.
func TestRepeatIsNotYounger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(func(err error) { t.Error(err) })
		spec := fsm.Spec{Masters: []fsm.MasterSpec{{
			ID: "cache", Candidates: []fsm.Candidate{{Address: "a:1"}, {Address: "b:1"}},
			Plan: []fsm.Stage{{Steps: []fsm.Step{{Name: "url", Kind: "setting", Object: "setting/url", Class: fsm.InLog}}}},
		}}}
		pooled := spec
		pooled.Pools = []fsm.PoolSpec{{ID: "work", Partitions: 1, TTL: time.Second}}
		index := uint64(0)
		apply := func(id fsm.CommandID, c fsm.Command) fsm.Answer {
			index++
			data, err := journal.Encode(fsm.Entry{ID: id, Term: 1, Command: c})
			if err != nil {
				t.Fatal(err)
			}
			a, ok := m.Apply(&raft.Log{Index: index, Term: 1, Data: data}).(fsm.Answer)
			if !ok || a.Err() != nil {
				t.Fatalf("%s: %+v", c.Kind(), a)
			}
			return a
		}
		apply("", fsm.PutSpec{Spec: spec})
		apply("", fsm.Observe{Master: "cache", Revision: 1, Address: "a:1", Epoch: 1, As: fsm.Seed})
		o := fsm.Observe{
			Master: "cache", Revision: 1, Address: "b:1", Epoch: 2, As: fsm.Advance, Term: 1,
			Values: []fsm.Value{{Step: "url"}}, Claims: []fsm.Ride{{Step: "url", Act: time.Second}},
		}
		first := apply("switch", o)
		began := time.Now()
		time.Sleep(10 * time.Second)
		if again := apply("switch", o); len(again.Claims) != 1 || again.Claims[0] != first.Claims[0] {
			t.Fatalf("the repeat got %+v, first was %+v", again, first)
		}
		if at, ok := m.applied(first.Claims[0].Token); !ok || !at.Equal(began) {
			t.Errorf("the claim became %v younger", at.Sub(began))
		}
		stamps := len(m.stamps)
		apply("", fsm.PutSpec{Spec: pooled, IfRevision: 1})
		apply("", fsm.OpenSession{Pool: "work", Worker: "w", Key: "k"})
		if len(m.stamps) != stamps {
			t.Error("a token that has no window is stamped")
		}
	})
}

// TestLostTail: bolt answers for a store that has lost its newest entry as if
// nothing had been there.
func TestLostTail(t *testing.T) {
	dir := t.TempDir()
	g := openTest(t, dir)
	_ = g.SetUint64([]byte(keyCurrentTerm), 1)
	for i := uint64(1); i <= 5; i++ {
		if err := g.StoreLog(&raft.Log{Index: i, Term: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.DeleteRange(5, 5); err != nil { // raft replaces a conflicting entry
		t.Fatal(err)
	}
	reopen := func() error {
		if err := g.close(); err != nil {
			t.Fatal(err)
		}
		g = openTest(t, dir)
		return g.whole(0)
	}
	if err := reopen(); err != nil {
		t.Errorf("after a deletion by raft: %v", err)
	}
	if err := g.DeleteRange(1, 2); err != nil { // behind a snapshot
		t.Fatal(err)
	}
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	g = openTest(t, dir)
	if err := g.whole(2); err != nil {
		t.Errorf("after a snapshot: %v", err)
	}
	if err := g.whole(1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("entry 2 is in no snapshot and not there: %v", err)
	}
	if err := g.inner.DeleteRange(4, 4); err != nil { // as a damaged page would
		t.Fatal(err)
	}
	if err := g.whole(2); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a lost newest entry: %v", err)
	}
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
}
