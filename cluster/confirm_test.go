package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// TestConfirm: the state after it holds what was acknowledged before it, and
// neither a follower nor a later term of the same node confirms.
func TestConfirm(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		l.put(l.follower(), "k", "v")
		term := n.Status().Term
		s, err := n.Confirm(t.Context(), term)
		if err != nil || value(s, "k") != "v" {
			t.Errorf("confirmed %q, %v", value(s, "k"), err)
		}
		if _, err := n.Confirm(t.Context(), term-1); !errors.Is(err, ErrTermOver) {
			t.Errorf("a term that is over: %v", err)
		}
		if _, err := l.follower().Confirm(t.Context(), term); !errors.Is(err, ErrTermOver) {
			t.Errorf("a follower: %v", err)
		}
	})
}

// TestConfirm_Cut: a leader that is cut off confirms nothing more, not even
// when it is asked before it notices, and not after it has come back.
func TestConfirm_Cut(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		old := l.leader()
		term := old.Status().Term
		l.net.isolate(l.addr(old), true)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if s, err := old.Confirm(ctx, term); !errors.Is(err, ErrTermOver) {
			t.Errorf("a cut leader confirmed index %d: %v", s.Index(), err)
		}
		next := l.leader(old.cfg.NodeID)
		l.put(next, "k", "after")
		l.net.isolate(l.addr(old), false)
		l.until("the cut node to catch up", func() bool { return value(old.State(), "k") == "after" })
		if _, err := old.Confirm(ctx, term); !errors.Is(err, ErrTermOver) {
			t.Errorf("a deposed leader: %v", err)
		}
		if s, err := next.Confirm(ctx, next.Status().Term); err != nil || value(s, "k") != "after" {
			t.Errorf("the next leader: %q, %v", value(s, "k"), err)
		}
	})
}

// TestConfirm_QuorumLost: it ends with its caller's patience or with the term,
// and never with a state.
func TestConfirm_QuorumLost(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		l.start()
		n := l.leader()
		term := n.Status().Term
		for _, p := range l.peers {
			if p.ID != n.cfg.NodeID {
				l.kill(p.ID)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := n.Confirm(ctx, term)
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrTermOver) {
			t.Errorf("without a quorum: %v", err)
		}
		if _, err := n.Confirm(t.Context(), term); !errors.Is(err, ErrTermOver) {
			t.Errorf("when the term is over: %v", err)
		}
		if a, err := n.ProposeAs(t.Context(), term, fsm.PutSetting{Key: "k", Value: "lost"}); err == nil {
			t.Errorf("a deed without a quorum: %+v", a)
		}
	})
}
