package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// inBubble runs three voters on pipes under virtual time, with real files.
func inBubble(t *testing.T, tune func(*Config), run func(*testing.T, *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 3, newSwitchboard(), tune)
		defer l.stop()
		run(t, l)
	})
}

func (l *lab) addr(n *Node) string { return n.cfg.address(n.cfg.NodeID) }

// TestG9_CutLeaderDoesNothing cuts the leader off: it stops leading within its lease, the
// others go on, and what it could not commit is settled after the heal.
func TestG9_CutLeaderDoesNothing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		old := l.leader()
		l.put(old, "k", "before")
		cut := time.Now()
		l.net.isolate(l.addr(old), true)
		next := l.leader(old.cfg.NodeID)
		t.Logf("cut to next leader: %v", time.Since(cut))
		l.put(next, "k", "after")
		if o, _ := old.currentTenure(); o != nil {
			t.Error("the cut leader still leads")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s, err := old.Read(ctx); err == nil {
			t.Errorf("the cut node answered a linearizable read: %q", value(s, "k"))
		} else if !errors.Is(err, ErrNoLeader) {
			t.Errorf("read on the cut node: %v", err)
		}
		if _, err := old.Propose(ctx, fsm.PutSetting{Key: "k", Value: "lost"}); !errors.Is(err, ErrNoLeader) && !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("propose on the cut node: %v", err)
		}
		l.net.isolate(l.addr(old), false)
		l.until("the cut node to catch up", func() bool { return value(old.State(), "k") == "after" })
		l.settled()
		l.sameHashes()
	})
}

// watched is a leader's work that notes how it was called.
type watched struct {
	t       *testing.T
	n       *Node
	stop    error // the end of Lead's own context, while the term goes on
	mu      sync.Mutex
	running int
	terms   []fsm.Term
}

func (w *watched) work(ctx context.Context, term fsm.Term) error {
	w.mu.Lock()
	w.running++
	if w.running != 1 {
		w.t.Errorf("%d calls at once", w.running)
	}
	w.mu.Unlock()
	if _, err := w.n.ProposeAs(ctx, term, fsm.PutSetting{Key: "term", Value: "x"}); err != nil {
		w.t.Errorf("propose at the begin of term %d: %v", term, err)
	}
	w.mu.Lock()
	w.terms = append(w.terms, term)
	w.mu.Unlock()
	<-ctx.Done()
	if errors.Is(context.Cause(ctx), w.stop) {
		return ctx.Err()
	}
	if _, err := w.n.ProposeAs(context.Background(), term, fsm.PutSetting{Key: "late", Value: "x"}); !errors.Is(err, ErrTermOver) {
		w.t.Errorf("propose after the end of term %d: %v", term, err)
	}
	time.Sleep(50 * time.Millisecond) // work that must end before the next call
	w.mu.Lock()
	w.running--
	w.mu.Unlock()
	return ctx.Err()
}

func (w *watched) atWork(terms int) func() bool {
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.running == 1 && len(w.terms) == terms
	}
}

// TestLeadIsAScope moves leadership to and fro: each term is one call, calls do
// not overlap, and the context of a call is over before the next begins.
func TestLeadIsAScope(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		w := &watched{t: t, n: n, stop: errors.New("stop")}
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error, 1)
		go func() { done <- n.Lead(ctx, w.work) }()
		for i := range 3 {
			l.until("a call", w.atWork(i+1))
			l.away(n)
		}
		l.until("the last call", w.atWork(4))
		cancel(w.stop)
		if err := <-done; !errors.Is(err, w.stop) {
			t.Errorf("Lead returned %v", err)
		}
		if !slices.IsSorted(w.terms) || len(slices.Compact(slices.Clone(w.terms))) != len(w.terms) {
			t.Errorf("terms %v: not one call each", w.terms)
		}
		if _, ok := n.State().Setting("late"); ok {
			t.Error("a command of a term that was over is in the log")
		}
	})
}

// away hands leadership to another node and back.
func (l *lab) away(n *Node) {
	l.t.Helper()
	other := l.follower()
	if err := n.Transfer(within10(l.t), other.cfg.NodeID); err != nil {
		l.t.Fatal(err)
	}
	l.until("the other to lead", func() bool { return l.leader() == other })
	if err := other.Transfer(within10(l.t), n.cfg.NodeID); err != nil {
		l.t.Fatal(err)
	}
	l.until("leadership to come back", func() bool { return l.leader() == n })
}

// TestLostAndRegainedUnnoticed loses and regains leadership while the caller of
// Lead is busy with the first term: it still gets two calls.
func TestLostAndRegainedUnnoticed(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		ctx, cancel := context.WithCancel(context.Background())
		calls := make(chan fsm.Term)
		release := make(chan struct{})
		done := make(chan error, 1)
		go func() {
			done <- n.Lead(ctx, func(_ context.Context, term fsm.Term) error {
				calls <- term
				<-release
				return nil
			})
		}()
		first := <-calls
		l.away(n)
		close(release)
		if second := <-calls; second <= first {
			t.Errorf("second call in term %d, first was %d", second, first)
		}
		cancel()
		<-done
	})
}

// TestLeadError: an error while the term lasts ends Lead; the node still leads.
func TestLeadError(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		want := errors.New("executor broke")
		if err := n.Lead(context.Background(), func(context.Context, fsm.Term) error { return want }); !errors.Is(err, want) {
			t.Errorf("Lead returned %v", err)
		}
	})
}

// TestGracefulClose hands over before it stops: the gap is far below an election.
func TestGracefulClose(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		l.settled()
		var handed bool
		n.SetHandover(func(ctx context.Context) error {
			handed = ctx.Err() == nil
			return nil
		})
		delete(l.nodes, n.cfg.NodeID)
		begun := time.Now()
		if err := n.Close(within10(t)); err != nil {
			t.Error(err)
		}
		l.leader()
		if gap := time.Since(begun); gap >= l.cfgs["n1"].Timings.Heartbeat {
			t.Errorf("no leader for %v", gap)
		}
		if !handed {
			t.Error("the hand-over hook was not asked")
		}
		if _, err := n.Propose(context.Background(), fsm.Retry{}); !errors.Is(err, ErrClosed) {
			t.Errorf("propose after close: %v", err)
		}
	})
}

// TestTransferRefused: the hook's error and an unfit target keep leadership here.
func TestTransferRefused(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		if err := n.Transfer(within10(t), "nobody"); !errors.Is(err, ErrNoTarget) {
			t.Errorf("to a stranger: %v", err)
		}
		if err := l.follower().Transfer(within10(t), ""); !errors.Is(err, ErrTermOver) {
			t.Errorf("from a follower: %v", err)
		}
		want := errors.New("still working")
		n.SetHandover(func(context.Context) error { return want })
		if err := n.Transfer(within10(t), ""); !errors.Is(err, want) {
			t.Errorf("hook's error: %v", err)
		}
		if tenure, _ := n.currentTenure(); !tenure.open() {
			t.Error("leadership is gone")
		}
	})
}

// TestTransferToANodeThatGoesAway: it was fit when it was asked, and is cut off
// when its turn comes. This node leads on, and says why.
func TestTransferToANodeThatGoesAway(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n, to := l.leader(), l.follower()
		n.SetHandover(func(context.Context) error {
			l.net.isolate(l.addr(to), true)
			return nil
		})
		if err := n.Transfer(within10(t), to.cfg.NodeID); !errors.Is(err, ErrNoTarget) {
			t.Errorf("to a node that went away: %v", err)
		}
		if tenure, _ := n.currentTenure(); !tenure.open() {
			t.Error("leadership is gone")
		}
		l.net.isolate(l.addr(to), false)
		l.put(n, "k", "still here")
		l.settled()
		l.sameHashes()
	})
}

// TestCloseTwice: whoever closes a node that is being closed waits until it is
// gone, in virtual time too.
func TestCloseTwice(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		l.settled()
		asked := make(chan struct{})
		n.SetHandover(func(context.Context) error {
			close(asked)
			time.Sleep(2 * time.Second)
			return nil
		})
		var both sync.WaitGroup
		both.Go(func() {
			if err := n.Close(within10(t)); err != nil {
				t.Errorf("the first: %v", err)
			}
		})
		<-asked
		both.Go(func() {
			if err := n.Close(within10(t)); err != nil || n.ctx.Err() == nil {
				t.Errorf("the second: %v, node %v", err, n.ctx.Err())
			}
		})
		both.Wait()
		l.put(l.leader(n.cfg.NodeID), "k", "v")
	})
}

// TestSecondTransferWaitsNoLongerThanItsCaller: nor does Close, whose own
// hand-over comes behind one that is under way.
func TestSecondTransferWaitsNoLongerThanItsCaller(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		l.settled()
		asked := make(chan struct{})
		n.SetHandover(func(ctx context.Context) error {
			close(asked)
			<-ctx.Done()
			return ctx.Err()
		})
		var first sync.WaitGroup
		first.Go(func() {
			if err := n.Transfer(within10(t), ""); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first: %v", err)
			}
		})
		<-asked
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		if err := n.Transfer(ctx, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > time.Second {
			t.Errorf("the second returned %v after %v", err, time.Since(begun))
		}
		first.Wait()
	})
}

// TestNoQuorumIsToldSoon: a change that no majority can take is answered about
// as soon as an election could have mended it, long before its caller's
// deadline, on a leader that was cut off and on a follower.
func TestNoQuorumIsToldSoon(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		leader := l.leader()
		l.put(leader, "k", "before")
		l.settled()
		for _, n := range l.nodes {
			l.net.isolate(l.addr(n), true)
		}
		limit := 3 * leader.patience()
		for _, n := range l.nodes {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			begun := time.Now()
			_, err := n.Propose(ctx, fsm.PutSetting{Key: "k", Value: string(n.cfg.NodeID)})
			took := time.Since(begun)
			cancel()
			if !errors.Is(err, ErrNoLeader) && !errors.Is(err, ErrOutcomeUnknown) || took > limit {
				t.Errorf("%s, leader %t, after %v: %v", n.cfg.NodeID, n == leader, took, err)
			}
		}
		for _, n := range l.nodes {
			l.net.isolate(l.addr(n), false)
		}
		l.put(l.leader(), "k", "after")
	})
}

// TestProposalOutlivesAnElection: the patience above is enough for a leader's
// death, whoever is asked at whatever moment of it.
func TestProposalOutlivesAnElection(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		old := l.leader()
		l.settled()
		l.net.isolate(l.addr(old), true)
		var asked sync.WaitGroup
		for _, n := range l.nodes {
			if n == old {
				continue
			}
			for at := range 8 {
				asked.Go(func() {
					time.Sleep(time.Duration(at) * 100 * time.Millisecond)
					if _, err := n.Propose(within10(t), fsm.PutSetting{Key: "k", Value: "v"}); err != nil {
						t.Errorf("%s at %d00 ms: %v", n.cfg.NodeID, at, err)
					}
				})
			}
		}
		asked.Wait()
	})
}
