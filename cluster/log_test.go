package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// TestSharedBarrier: many readers who ask at once cost few barriers, on the
// leader and through it from followers, and each sees the write before it.
func TestSharedBarrier(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		leader := l.leader()
		l.settled()
		l.put(l.follower(), "k", "v")
		const readers = 200
		for _, n := range []*Node{leader, l.follower()} {
			before := leader.barriers.Load()
			var wait sync.WaitGroup
			for range readers {
				wait.Go(func() {
					s, err := n.Read(within10(t))
					if err != nil || value(s, "k") != "v" {
						t.Errorf("read on %s: %q, %v", n.cfg.NodeID, value(s, "k"), err)
					}
				})
			}
			wait.Wait()
			spent := leader.barriers.Load() - before
			t.Logf("%d readers on %s: %d barriers", readers, n.cfg.NodeID, spent)
			if spent > 5 {
				t.Errorf("%d barriers for %d readers", spent, readers)
			}
			if spent == 0 {
				t.Error("no barrier at all")
			}
		}
	})
}

// TestDedupe repeats a command id on another node and over a leader change: the
// first answer comes back and the value does not change.
func TestDedupe(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		old := l.leader()
		first := l.put(old, "k", "first", WithID("once"))
		if again := l.put(l.follower(), "k", "second", WithID("once")); again.Index != first.Index {
			t.Errorf("repeat got index %d, first was %d", again.Index, first.Index)
		}
		l.kill(old.cfg.NodeID)
		next := l.leader()
		if again := l.put(next, "k", "third", WithID("once")); again.Index != first.Index {
			t.Errorf("repeat after a leader change got index %d, first was %d", again.Index, first.Index)
		}
		s, err := next.Read(within10(t))
		if err != nil || value(s, "k") != "first" {
			t.Errorf("value is %q: %v", value(s, "k"), err)
		}
	})
}

// TestProposeOverLeaderChange: proposers on all nodes survive the loss of the
// leader; every acknowledged write is there, each id applied once.
func TestProposeOverLeaderChange(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		leader := l.leader()
		l.settled()
		var wait sync.WaitGroup
		for _, p := range l.peers {
			n := l.nodes[p.ID]
			if n == leader {
				continue
			}
			wait.Go(func() {
				for i := range 30 {
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					key := fmt.Sprintf("%s/%d", n.cfg.NodeID, i)
					zero := uint64(0) // a second application of the same command would be refused
					a, err := n.Propose(ctx, fsm.PutSetting{Key: key, Value: "v", IfRevision: &zero})
					cancel()
					if err != nil || a.Err() != nil {
						t.Errorf("%s: %v %v", key, err, a.Err())
					}
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		l.kill(leader.cfg.NodeID)
		wait.Wait()
		s, err := l.leader().Read(within10(t))
		if err != nil || len(s.Settings("")) != 60 {
			t.Errorf("%d settings, want 60: %v", len(s.Settings("")), err)
		}
	})
}

// TestProposeAll keeps the order and answers each.
func TestProposeAll(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		tenure, _ := n.currentTenure()
		one := uint64(1)
		answers, err := n.ProposeAll(within10(t), tenure.term,
			fsm.PutSetting{Key: "k", Value: "1"}, fsm.PutSetting{Key: "k", Value: "2", IfRevision: &one}, fsm.PutSetting{Key: "k", Value: "3"})
		if err != nil {
			t.Fatal(err)
		}
		if len(answers) != 3 || answers[0].Index >= answers[1].Index || answers[1].Index >= answers[2].Index {
			t.Fatalf("answers %+v", answers)
		}
		if answers[0].Err() != nil || !errors.Is(answers[1].Err(), fsm.ErrRevision) || answers[2].Err() != nil {
			t.Errorf("refusals %v, %v, %v", answers[0].Err(), answers[1].Err(), answers[2].Err())
		}
		if _, err := n.ProposeAll(within10(t), tenure.term+1, fsm.Retry{}); !errors.Is(err, ErrTermOver) {
			t.Errorf("in another term: %v", err)
		}
	})
}

// TestClaimsStayHome: what claims is refused by Propose, and by a leader that a
// peer sends it to; a claim in the wrong term is refused by the log.
func TestClaimsStayHome(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		leader, follower := l.leader(), l.follower()
		for _, c := range []fsm.Command{fsm.Claim{Action: "cache/1/lb"}, fsm.Observe{Master: "cache", Claims: []fsm.Ride{{Step: "lb"}}}} {
			for _, n := range []*Node{leader, follower} {
				if _, err := n.Propose(within10(t), c); !errors.Is(err, ErrNotForwarded) {
					t.Errorf("%s on %s: %v", c.Kind(), n.cfg.NodeID, err)
				}
			}
			p := proposal{id: "sneaked"}
			payload, _ := encodePayload(c)
			if _, err := follower.forward(within10(t), leader.cfg.NodeID, c, payload, p); !errors.Is(err, errInvalid) {
				t.Errorf("%s sent to the leader: %v", c.Kind(), err)
			}
		}
		tenure, _ := leader.currentTenure()
		a, err := leader.ProposeAs(within10(t), tenure.term, fsm.Claim{Action: "cache/1/lb", Term: tenure.term + 1})
		if err != nil || !errors.Is(a.Err(), fsm.ErrTerm) {
			t.Errorf("claim of another term: %v %v", err, a.Err())
		}
	})
}

// TestLogClock never falls, over leaders and in the log, though every process
// has its own monotonic clock.
func TestLogClock(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		var last fsm.Clock
		for i := range 4 {
			n := l.leader()
			l.put(n, "k", fmt.Sprint(i))
			logged := n.State().Clock()
			if logged < last {
				t.Errorf("leader %d fell back to %v from %v", i, time.Duration(logged), time.Duration(last))
			}
			time.Sleep(3 * time.Second)
			if now := n.Clock(); now-logged < fsm.Clock(3*time.Second) || now-logged > fsm.Clock(4*time.Second) {
				t.Errorf("clock went %v in 3s", time.Duration(now-logged))
			}
			for id, other := range l.nodes {
				if c := other.Clock(); c < logged && other.State().Index() >= n.State().Index() {
					t.Errorf("%s is at %v, logged was %v", id, time.Duration(c), time.Duration(logged))
				}
			}
			last = n.State().Clock()
			if err := n.Transfer(within10(t), ""); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestApplied: a claim's moment is live where it was applied, and that of the
// replay after a restart: never earlier.
func TestApplied(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		token := claimed(t, n)
		now := time.Now()
		for id, n := range l.nodes {
			l.until("the claim to be applied", func() bool { _, ok := n.Applied(token); return ok })
			if at, _ := n.Applied(token); now.Sub(at) > 100*time.Millisecond {
				t.Errorf("%s applied it %v ago", id, now.Sub(at))
			}
			if _, ok := n.Applied(token + 1000); ok {
				t.Errorf("%s has applied a token that does not exist", id)
			}
		}
		time.Sleep(time.Minute)
		id := n.cfg.NodeID
		l.kill(id)
		restarted := time.Now()
		l.start(id)
		n = l.nodes[id]
		l.until("the replay", func() bool { _, ok := n.Applied(token); return ok })
		if at, _ := n.Applied(token); at.Before(restarted) {
			t.Errorf("after a restart it counts from %v before it", restarted.Sub(at))
		}
	})
}
