package cluster

import (
	"testing"
	"time"
)

// TestThreeVoters runs a cluster on real TCP: found, elect, propose from every
// node, lose the leader, come back.
func TestThreeVoters(t *testing.T) {
	l := newLab(t, 3, nil, nil)
	defer l.stop()
	begun := time.Now()
	l.start()
	first := l.leader()
	t.Logf("three nodes to leader: %v", time.Since(begun).Round(time.Millisecond))
	for _, p := range l.peers {
		a := l.put(l.nodes[p.ID], "from/"+string(p.ID), "v")
		if got := value(l.nodes[p.ID].State(), "from/"+string(p.ID)); got != "v" {
			t.Errorf("%s does not see its own write at index %d: %q", p.ID, a.Index, got)
		}
	}
	l.settled()
	lost := time.Now()
	id := first.cfg.NodeID
	l.kill(id)
	second := l.leader()
	t.Logf("leader killed to next leader: %v", time.Since(lost).Round(time.Millisecond))
	l.put(second, "after", "kill")
	l.start(id)
	l.until("the old leader to catch up", func() bool { return value(l.nodes[id].State(), "after") == "kill" })
	v := l.sameHashes()
	if v.Entries == 0 || v.First != 1 {
		t.Errorf("verified %+v", v)
	}
	for _, n := range l.nodes {
		if n.identity().Cluster != second.identity().Cluster || n.identity().Cluster == "" {
			t.Errorf("%s is of cluster %q", n.cfg.NodeID, n.identity().Cluster)
		}
	}
}

// TestRestartAll brings all three back from their disks.
func TestRestartAll(t *testing.T) {
	l := newLab(t, 3, nil, nil)
	defer l.stop()
	l.start()
	l.put(l.leader(), "a", "1")
	l.settled()
	before := l.sameHashes()
	l.stop()
	l.start()
	l.leader()
	l.until("the state to come back", func() bool { return value(l.follower().State(), "a") == "1" })
	after := l.sameHashes()
	if before.StateIndex == after.StateIndex && before.StateHash != after.StateHash {
		t.Errorf("hash at index %d was %s, is %s", before.StateIndex, before.StateHash, after.StateHash)
	}
}
