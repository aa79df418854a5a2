package sentinel

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMergeCutOff: a leader that reaches neither Sentinels nor nodes learns of a
// switch from a peer, and judges as if it had seen it.
func TestMergeCutOff(t *testing.T) {
	now := epochStart()
	acc := Accepted{Known: true, Address: a}
	own := viewOf(at{says: "-|-|-", roles: "---"}, now)
	m, _ := Judge(Memory{}, Merge(own, nil, now), acc, candidates(), now)

	// The peer's clock is an hour ahead; only ages count.
	theirs := now.Add(time.Hour)
	peer := viewOf(at{says: "a@0|a@0|a@0", roles: "mss"}, theirs)
	m, v := Judge(m, Merge(own, map[string]View{"n2": peer.Arrived(now)}, now), acc, candidates(), now)
	if v.Kind != None {
		t.Fatalf("%+v", v)
	}
	peer = viewOf(at{says: "a@0|b@1|a@0", roles: "-ms"}, theirs)
	peer.Switching = true
	peer.Notes = []Note{{Sentinel: "s1:26379", Channel: "-failover-abort-no-good-slave", At: theirs}}
	merged := Merge(own, map[string]View{"n2": peer.Arrived(now)}, now)
	if merged.Reports[1].Via != "n2" || merged.Roles[1].Via != "n2" || !merged.Switching {
		t.Fatalf("%+v", merged)
	}
	if _, v = Judge(m, merged, acc, candidates(), now); v.Kind != Advance || v.Address != b || v.Epoch != 1 {
		t.Fatalf("%+v", v)
	}
	if len(v.Alerts) != 1 || v.Alerts[0].Reason != AlertAborted {
		t.Fatalf("alerts %+v", v.Alerts)
	}
}

// TestMergeStale: a view that arrived too long ago, or of another master, or
// reports that were old when it left, count for nothing.
func TestMergeStale(t *testing.T) {
	now := epochStart()
	own := viewOf(at{says: "-|-|-", roles: "---"}, now)
	fresh := viewOf(at{says: "b@1|b@1|b@1", roles: "-ms"}, now)
	late, other, old := fresh.Arrived(now.Add(-PeerFreshFor-time.Millisecond)), fresh, fresh.Arrived(now)
	other.Master = "another"
	for i := range old.Reports {
		old.Reports[i].At = now.Add(-PeerFreshFor - time.Millisecond)
	}
	for i := range old.Roles {
		old.Roles[i].At = now.Add(-PeerFreshFor - time.Millisecond)
	}
	for name, v := range map[string]View{"late": late, "other": other, "old": old} {
		if got := Merge(own, map[string]View{"n2": v}, now); cmp.Diff(own, got) != "" {
			t.Errorf("%s view was used: %s", name, cmp.Diff(own, got))
		}
	}
	// Of two peers the fresher one is believed, whatever their names.
	newer := viewOf(at{says: "c@2|c@2|c@2", roles: "--m"}, now)
	older := fresh.Arrived(now)
	for i := range older.Reports {
		older.Reports[i].At = now.Add(-time.Second)
	}
	for _, peers := range []map[string]View{{"n2": newer, "n3": older}, {"n2": older, "n3": newer}} {
		if got := Merge(own, peers, now); got.Reports[0].Epoch != 2 {
			t.Errorf("older peer won: %+v", got.Reports[0])
		}
	}
}
