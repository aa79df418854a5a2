package fsm

import (
	"errors"
	"testing"
	"time"
)

// A failover that waits for a human at a step which blocks holds back no evening
// out: what stands behind that step is not under way.
func TestLease_AStuckFailoverHoldsNobodyBack(t *testing.T) {
	b := newPools(t, func(s *Spec) {
		s.Masters[0].Plan = []Stage{{Name: "workers", Steps: []Step{s.Masters[0].Plan[1].Steps[len(s.Masters[0].Plan[1].Steps)-1]}}, s.Masters[0].Plan[0], s.Masters[0].Plan[1]}
		s.Masters[0].Plan[2].Steps = s.Masters[0].Plan[2].Steps[:1]
		s.Masters[0].Plan[1].Steps[0].Block = true
	})
	b.must(b.see(Seed, "a:1", 1))
	b.must(b.see(Advance, "b:1", 2))
	f := FailoverID{"cache", 1}
	settle := func(step string, c Settle) {
		c.Action = f.Action(step)
		c.Token = b.must(Claim{Action: c.Action, Term: b.term, Act: time.Second}).Token
		b.must(c)
	}
	settle("workers", Settle{To: Done, Effect: Changed})
	if err := b.state.Balanced("work"); !errors.Is(err, ErrSuspended) {
		t.Errorf("while the load balancer is to be moved: %v", err)
	}
	settle("lb", Settle{To: Stuck, Reason: "foreign"})
	if open := b.state.Actions(f); open[len(open)-1].Phase.Final() {
		t.Fatalf("nothing waits behind the stuck step: %+v", open)
	}
	if err := b.state.Balanced("work"); err != nil {
		t.Errorf("once it is stuck: %v", err)
	}
}

// A lock lasts as long as the spec said when it began.
func TestLease_ALockKeepsItsDelay(t *testing.T) {
	b := newPools(t, func(s *Spec) { s.Pools[1].LockDelay = time.Minute })
	token := b.grant("lock", b.join("lock", "w1"), 0)
	b.must(MoveLeases{Pool: "lock", Move: MoveRevoke, Items: []LeaseItem{{0, token}}})
	b.must(PutSpec{Spec: poolSpec(), IfRevision: b.state.Spec().Revision})
	if l, _ := b.state.Lease("lock", 0); l.State != Locked || l.Wait != time.Minute {
		t.Errorf("%+v, want locked for a minute", l)
	}
}
