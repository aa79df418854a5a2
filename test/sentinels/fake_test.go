package sentinels

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/sentinel"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// stage is three fake Sentinels and three fake nodes, the first one master.
type stage struct {
	sentinels, nodes []*redislab.Fake
	master           sentinel.Master
}

func newStage(t *testing.T) *stage {
	s := &stage{sentinels: fakes(t, 3, "sentinel"), nodes: fakes(t, 3, "slave")}
	s.nodes[0].SetRole("master")
	for _, f := range s.sentinels {
		f.Say("mymaster", redislab.Claim{Address: s.nodes[0].Address(), OtherSentinels: 2})
	}
	s.master = sentinel.Master{ID: "cache", Name: "mymaster", Sentinels: fakeAddresses(s.sentinels), Candidates: fakeAddresses(s.nodes)}
	return s
}

// TestEventToView: what follows an event is in the view within 3 ms at the median.
func TestEventToView(t *testing.T) {
	s := newStage(t)
	w := watch(t, s.master)
	until(t, w, "cache", 2*time.Second, "all seen", allSeen)
	subscribed(t, s.sentinels[1], "+promoted-slave")
	var spans []time.Duration
	for epoch := uint64(1); epoch <= 21; epoch++ {
		s.sentinels[1].Say("mymaster", redislab.Claim{Address: s.nodes[1].Address(), Epoch: epoch, OtherSentinels: 2})
		began := time.Now()
		if s.sentinels[1].Publish("+promoted-slave", "slave x 127.0.0.1 1 @ mymaster 127.0.0.1 2") != 1 {
			t.Fatal("nobody is subscribed")
		}
		_, at := until(t, w, "cache", time.Second, "epoch", func(v sentinel.View) bool { return v.Reports[1].Epoch == epoch })
		spans = append(spans, at.Sub(began))
	}
	median, most := quantiles(spans)
	t.Logf("event to view: median %v, maximum %v of %d", median, most, len(spans))
	if median > 3*time.Millisecond {
		t.Errorf("median %v, goal 3 ms", median)
	}
}

func subscribed(t *testing.T, f *redislab.Fake, channel string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); f.Publish(channel, "x") == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nobody subscribed to %s", channel)
		}
	}
}

// TestSwitching: votes and a selected replica ask for a warm-up, an abort ends
// it and stands as a note.
func TestSwitching(t *testing.T) {
	s := newStage(t)
	w := watch(t, s.master)
	until(t, w, "cache", 2*time.Second, "all seen", allSeen)
	f := s.sentinels[2]
	subscribed(t, f, "+selected-slave")
	f.Publish("+selected-slave", "slave 127.0.0.1:2 127.0.0.1 2 @ mymaster 127.0.0.1 1")
	until(t, w, "cache", time.Second, "switching", func(v sentinel.View) bool { return v.Switching })
	f.Publish("-failover-abort-slave-timeout", "master mymaster 127.0.0.1 1")
	v, _ := until(t, w, "cache", time.Second, "abort", func(v sentinel.View) bool { return !v.Switching })
	if len(v.Notes) != 1 || v.Notes[0].Sentinel != f.Address() {
		t.Fatalf("notes %+v", v.Notes)
	}
	f.Publish("+tilt", "#tilt mode entered")
	until(t, w, "cache", time.Second, "tilt", func(v sentinel.View) bool { return v.Reports[2].Tilt })
	// A vote does not name its master: it counts for those that look ill.
	f.Publish("+vote-for-leader", strings.Repeat("a", 40)+" 7")
	f.Say("mymaster", redislab.Claim{Address: s.nodes[0].Address(), OtherSentinels: 2, Flags: "master,s_down,o_down"})
	until(t, w, "cache", time.Second, "flags", func(v sentinel.View) bool { return strings.Contains(v.Reports[2].Flags, "o_down") })
	f.Publish("+vote-for-leader", strings.Repeat("a", 40)+" 8")
	until(t, w, "cache", time.Second, "vote", func(v sentinel.View) bool { return v.Switching })
}

// TestHalfOpen: a Sentinel or node that keeps its connections and stays silent
// is found within 2 s, and found again when it speaks.
func TestHalfOpen(t *testing.T) {
	s := newStage(t)
	w := watch(t, s.master)
	until(t, w, "cache", 2*time.Second, "all seen", allSeen)
	s.sentinels[0].Hang(true)
	s.nodes[0].Hang(true)
	began := time.Now()
	until(t, w, "cache", 3*time.Second, "both silent", func(v sentinel.View) bool {
		return !v.Reports[0].Seen && v.Roles[0].Role == sentinel.RoleUnreachable
	})
	t.Logf("half-open connections found after %v", time.Since(began))
	if d := time.Since(began); d > 2500*time.Millisecond {
		t.Errorf("found after %v", d)
	}
	v, _ := w.View("cache")
	if v.Reports[0].Address != s.nodes[0].Address() || v.Reports[0].Err == "" {
		t.Errorf("its last word is gone: %+v", v.Reports[0])
	}
	s.sentinels[0].Hang(false)
	s.nodes[0].Hang(false)
	until(t, w, "cache", 4*time.Second, "both again", func(v sentinel.View) bool {
		return v.Reports[0].Seen && v.Roles[0].Role == sentinel.RoleMaster
	})
}

// TestCut: connections cut in the middle are redialed before anybody notices.
func TestCut(t *testing.T) {
	s := newStage(t)
	w := watch(t, s.master)
	until(t, w, "cache", 2*time.Second, "all seen", func(v sentinel.View) bool { return allSeen(v) && v.Roles[1].Role != "" })
	for range 20 {
		s.nodes[1].SetRole("master")
		s.nodes[1].Cut()
		w.Nudge("cache")
		v, _ := until(t, w, "cache", 200*time.Millisecond, "role", func(v sentinel.View) bool { return v.Roles[1].Role != sentinel.RoleSlave })
		if v.Roles[1].Role != sentinel.RoleMaster {
			t.Fatalf("a cut connection was taken for a dead node: %+v", v.Roles[1])
		}
		s.nodes[1].SetRole("slave")
		w.Nudge("cache")
		until(t, w, "cache", 200*time.Millisecond, "role", func(v sentinel.View) bool { return v.Roles[1].Role == sentinel.RoleSlave })
	}
}

// TestUnreachable: every error reply counts as no answer.
func TestUnreachable(t *testing.T) {
	s := newStage(t)
	w := watch(t, s.master)
	for _, reply := range []string{"NOAUTH Authentication required.", "LOADING Redis is loading", "NOPERM no", "BUSY script"} {
		s.nodes[0].SetRole(reply)
		w.Nudge("cache")
		until(t, w, "cache", 2*time.Second, reply, func(v sentinel.View) bool {
			return v.Roles[0].Role == sentinel.RoleUnreachable && strings.HasPrefix(v.Roles[0].Err, strings.Fields(reply)[0])
		})
	}
}

// TestUndeclared: an address that a Sentinel names is shown but never dialed.
func TestUndeclared(t *testing.T) {
	s := newStage(t)
	trap := fakes(t, 1, "master")[0]
	w := watch(t, s.master)
	for _, f := range s.sentinels {
		f.Say("mymaster", redislab.Claim{Address: trap.Address(), Epoch: 7, OtherSentinels: 2})
	}
	until(t, w, "cache", 2*time.Second, "named", func(v sentinel.View) bool { return v.Reports[2].Address == trap.Address() })
	l := newLog(w, s.master)
	if got := l.watchFor(t, time.Second); len(got) != 0 {
		t.Fatalf("accepted %+v", got)
	}
	if l.alerts[sentinel.AlertNotCandidate] == 0 || trap.Count("ROLE") != 0 {
		t.Fatalf("alerts %v, trap was asked %d times", l.alerts, trap.Count("ROLE"))
	}
}

// TestManyMasters: one pipeline per Sentinel for all masters, bounded writes,
// bounded rate, and an event of one does not wait for the others.
func TestManyMasters(t *testing.T) {
	const n = 500
	s := newStage(t)
	var masters []sentinel.Master
	for i := range n {
		m := s.master
		m.ID, m.Name = fmt.Sprintf("m%d", i), fmt.Sprintf("name-%d", i)
		masters = append(masters, m)
		for _, f := range s.sentinels {
			f.Say(m.Name, redislab.Claim{Address: s.nodes[0].Address(), OtherSentinels: 2})
		}
	}
	w := sentinel.New(sentinel.Config{Hot: 300 * time.Millisecond})
	run(t, w, masters...)
	for _, m := range masters {
		until(t, w, m.ID, 5*time.Second, "all seen", allSeen)
	}
	f := s.sentinels[0]
	subscribed(t, f, "+switch-master")
	rested := time.Now().Add(time.Second) // past Hot
	waitFor(t, rested)
	before, began := f.Count("SENTINEL MASTER"), time.Now()
	waitFor(t, began.Add(2*time.Second))
	rate := float64(f.Count("SENTINEL MASTER")-before) / time.Since(began).Seconds()
	t.Logf("%d masters at rest: %.0f pairs/s, largest write %d commands", n, rate, f.LargestWrite())
	if rate > 1250 || rate < 700 {
		t.Errorf("%.0f pairs/s at rest, want about 1000", rate)
	}
	if most := f.LargestWrite(); most > 64*3+1 {
		t.Errorf("%d commands in one write, want at most 64 masters", most)
	}
	var spans []time.Duration
	for epoch := uint64(1); epoch <= 5; epoch++ {
		f.Say("name-321", redislab.Claim{Address: s.nodes[1].Address(), Epoch: epoch, OtherSentinels: 2})
		began := time.Now()
		f.Publish("+switch-master", "name-321 127.0.0.1 1 127.0.0.1 2")
		_, at := until(t, w, "m321", time.Second, "epoch", func(v sentinel.View) bool { return v.Reports[0].Epoch == epoch })
		spans = append(spans, at.Sub(began))
	}
	median, most := quantiles(spans)
	t.Logf("event of one among %d: median %v, maximum %v", n, median, most)
	if median > 200*time.Millisecond { // its turn at rest comes each 500 ms
		t.Errorf("event of one among %d took %v", n, median)
	}
}

// TestSetMasters: what stays keeps its sight, what goes loses its connections.
func TestSetMasters(t *testing.T) {
	s := newStage(t)
	second := s.master
	second.ID = "second"
	second.Sentinels = second.Sentinels[:2]
	w := watch(t, s.master, second)
	until(t, w, "second", 2*time.Second, "seen", allSeen)
	_, gone := w.View("second")
	if err := w.SetMasters([]sentinel.Master{s.master}); err != nil {
		t.Fatal(err)
	}
	<-gone // closed, so that its watcher looks again
	if v, _ := w.View("second"); len(v.Reports) != 0 {
		t.Fatalf("removed master is still seen: %+v", v)
	}
	if v, _ := w.View("cache"); v.Reports[0].Epoch != 0 || !v.Reports[0].Seen {
		t.Fatalf("kept master lost its sight: %+v", v)
	}
	bad := s.master
	bad.Sentinels = append([]string{"LOCALHOST:1", "localhost:01"}, bad.Sentinels...)
	if err := w.SetMasters([]sentinel.Master{bad}); err == nil || !strings.Contains(err.Error(), "same") {
		t.Fatalf("one Sentinel declared twice: %v", err)
	}
	if err := w.SetMasters([]sentinel.Master{s.master, s.master}); err == nil {
		t.Fatal("two masters with one id")
	}
	if err := w.SetMasters(nil); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if s.sentinels[2].Publish("+switch-master", "x") == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a Sentinel without masters is still listened to")
		}
	}
}
