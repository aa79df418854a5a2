package cluster

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// emptied kills a node and removes what it kept.
func (l *lab) emptied(id fsm.NodeID) {
	l.t.Helper()
	if l.nodes[id] != nil {
		l.kill(id)
	}
	if err := os.RemoveAll(l.cfgs[id].DataDir); err != nil {
		l.t.Fatal(err)
	}
}

// leads is the node that leads with its barrier through; empty: none does.
func (l *lab) leads() fsm.NodeID {
	for id, n := range l.nodes {
		if t, _ := n.currentTenure(); t.open() && n.ctx.Err() == nil {
			return id
		}
	}
	return ""
}

// TestG5_EmptiedStoreElectsNobody: n2 and n3 hold what n1 never got. n3 loses its
// store, n2 is away, and n1 starts anew: it has applied nothing yet, so it knows no
// member record that n3 could be refused by. The two must not make a majority.
func TestG5_EmptiedStoreElectsNobody(t *testing.T) {
	for name, starts := range map[string][]fsm.NodeID{
		"the old one first": {"n1", "n3"}, "the emptied one first": {"n3", "n1"}, // the latter founds, on paper
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, l *lab) {
				l.start()
				l.leader()
				l.settled()
				l.kill("n1")
				l.put(l.leader(), "k", "acknowledged")
				l.kill("n2")
				l.emptied("n3")
				l.start(starts...)
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					if id := l.leads(); id != "" {
						t.Fatalf("%s leads by the vote of an emptied store", id)
					}
				}
				l.start("n2")
				if leader := l.leader(); value(leader.State(), "k") != "acknowledged" {
					t.Error("what was acknowledged is lost")
				}
				l.until("the emptied store to be found out", func() bool { return errors.Is(l.nodes["n3"].Err(), ErrStoreReplaced) })
			})
		})
	}
}

// TestG5_RecordedStoreWithoutEntriesElectsNobodyEmptied: n1 is on record and crashed
// before its first entry came. It knows that there is a cluster, and founds none,
// nor elects an emptied n3, while n2 is away.
func TestG5_RecordedStoreWithoutEntriesElectsNobodyEmptied(t *testing.T) {
	for name, starts := range map[string][]fsm.NodeID{"it first": {"n1", "n3"}, "the emptied one first": {"n3", "n1"}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, l *lab) {
				l.start("n2", "n3")
				store, id, err := openStore(l.cfgs["n1"], func(error) {})
				if err != nil {
					t.Fatal(err)
				}
				l.put(l.leader(), "k", "acknowledged")
				ctx := shortly(t)
				if a, err := l.leader().Propose(ctx, fsm.PutMember{Member: fsm.Member{Node: "n1", Store: id.Store, Reads: fsm.Kinds()}}); err != nil || a.Err() != nil {
					t.Fatal(err, a.Err())
				}
				id.Admitted = true
				if err := errors.Join(writeIdentity(l.cfgs["n1"].DataDir, store, id), store.close()); err != nil {
					t.Fatal(err)
				}
				l.kill("n2")
				l.emptied("n3")
				l.start(starts...)
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					if id := l.leads(); id != "" {
						t.Fatalf("%s leads by the vote of an emptied store", id)
					}
				}
				l.start("n2")
				if leader := l.leader(); value(leader.State(), "k") != "acknowledged" {
					t.Error("what was acknowledged is lost")
				}
			})
		})
	}
}

// TestG5_ATermAloneEndsNoFreshness: a vote does, also over a restart.
func TestG5_ATermAloneEndsNoFreshness(t *testing.T) {
	dir := t.TempDir()
	fresh := func(g *guard) bool {
		if err := g.whole(0); err != nil {
			t.Fatal(err)
		}
		return !g.voted.Load() && !g.begun.Load()
	}
	g := openTest(t, dir)
	if err := g.SetUint64([]byte(keyCurrentTerm), 7); err != nil {
		t.Fatal(err)
	}
	if !fresh(g) {
		t.Error("a term that somebody told ended it")
	}
	if err := errors.Join(g.SetUint64([]byte(keyVoteTerm), 7), g.Set([]byte(keyVoteFor), []byte("n2"))); err != nil {
		t.Fatal(err)
	}
	if g.voted.Load() == false {
		t.Error("a vote did not end it")
	}
	g.close()
	g = openTest(t, dir)
	defer g.close()
	if fresh(g) {
		t.Error("a vote is forgotten by a restart")
	}
}

// TestFreshStoreWaitsForALeader: the third node comes for the first time while one
// of the two that have state is away. It must wait: nobody can tell whether it had
// a store before. It is let in when there is a leader without it.
func TestFreshStoreWaitsForALeader(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start("n1", "n2")
		l.put(l.leader(), "k", "v")
		l.kill("n2")
		l.start("n3")
		time.Sleep(10 * time.Second)
		if id := l.leads(); id != "" {
			t.Errorf("%s leads with a node that nobody has recorded", id)
		}
		l.start("n2")
		l.until("the new node to follow", func() bool { return value(l.nodes["n3"].State(), "k") == "v" })
		l.settled()
		l.kill("n2") // from now on it counts
		l.put(l.leader(), "k", "w")
		l.kill("n3")
		l.start("n3") // and is known again without anybody's word
		l.put(l.leader(), "k", "x")
	})
}

// TestFoundingSurvivesCrashes stops the nodes of a cluster that is being founded at
// many moments: however far it came, the three found one cluster, and the fresh
// ones are not kept out for ever.
func TestFoundingSurvivesCrashes(t *testing.T) {
	for at := time.Duration(0); at < 900*time.Millisecond; at += 100 * time.Millisecond {
		for _, victims := range [][]fsm.NodeID{{"n1"}, {"n2"}, {"n1", "n2"}, {"n1", "n2", "n3"}} {
			inBubble(t, nil, func(t *testing.T, l *lab) {
				l.start()
				time.Sleep(at)
				for _, id := range victims {
					l.kill(id)
				}
				l.start(victims...)
				l.put(l.leader(), "k", "v")
				l.until("every node to follow", func() bool {
					for _, n := range l.nodes {
						if value(n.State(), "k") != "v" {
							return false
						}
					}
					return true
				})
				l.settled()
				l.sameHashes()
			})
			if t.Failed() {
				t.Fatalf("%v killed %s after their start", victims, at)
			}
		}
	}
}

// TestFoundingByTwo: the third node of a new cluster never answers.
func TestFoundingByTwo(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start("n1", "n2")
		began := time.Now()
		l.put(l.leader(), "k", "v")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("a leader after %s", took)
		}
		for _, id := range []fsm.NodeID{"n1", "n2"} {
			l.until("both to be recorded", func() bool { return len(l.nodes[id].State().Members()) == 2 })
		}
		if err := l.nodes["n1"].Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
