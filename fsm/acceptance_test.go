package fsm

import (
	"errors"
	"testing"
)

func is(err, want error) bool {
	if want == nil {
		return err == nil
	}
	return errors.Is(err, want)
}

// classed makes cache's load balancer step one of another class.
func (b *book) classed(c Class) {
	b.t.Helper()
	spec := testSpec()
	spec.Masters[0].Plan[0].Steps[0].Class = c
	b.must(PutSpec{Spec: spec, IfRevision: b.state.Spec().Revision})
}

func TestAcceptance_FirstViewSeedsAtAnyEpochAndRunsNothing(t *testing.T) {
	b := newBook(t)
	queue := Observe{Master: "queue", Revision: 1, Address: "b:1", Epoch: 40, As: Seed, Claims: []Ride{{Step: "lb"}}}
	advance := queue
	advance.As = Advance
	b.refused(ErrEpoch, advance) // nothing is known that it could be an advance of
	if got := b.must(queue); got.Number != 0 || len(got.Claims) != 0 {
		t.Fatalf("a first view made %+v", got)
	}
	if m, _ := b.state.Master("queue"); m.Address != "b:1" || m.Epoch != 40 || m.Number != 0 || len(b.state.Open()) != 0 {
		t.Fatalf("master %+v, open %v", m, b.state.Open())
	}
	b.refused(ErrEpoch, queue)
	b.refused(ErrEpoch, b.see(Seed, "b:1", 2))
}

func TestAcceptance_AdvanceNeedsAHigherEpochAndACandidate(t *testing.T) {
	b := newBook(t)
	b.refused(ErrEpoch, b.see(Advance, "b:1", 1))
	b.refused(ErrCandidate, b.see(Advance, "evil:1", 2))
	stale := b.see(Advance, "b:1", 2)
	stale.Revision--
	b.refused(ErrRevision, stale) // then it is rebuilt
	short := b.see(Advance, "b:1", 2)
	short.Values = short.Values[1:]
	b.refused(ErrPlan, short)
	b.must(b.see(Advance, "b:1", 2))
	b.must(b.see(Advance, "b:1", 3)) // same address, higher epoch: a failover too
	if f, _ := b.state.Failover(FailoverID{"cache", 2}); f.From != "b:1" || f.To != "b:1" || len(f.Actions) != 3 {
		t.Fatalf("failover %+v", f)
	}
}

func TestAcceptance_ConflictIsResolvedAtTheSameEpochOnly(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.refused(ErrEpoch, b.see(Advance, "c:1", 2))
	b.refused(ErrEpoch, b.see(Resolve, "b:1", 2)) // a resolve is another address
	b.refused(ErrEpoch, b.see(Resolve, "c:1", 3))
	if n := b.must(b.see(Resolve, "c:1", 2)).Number; n != 2 {
		t.Fatalf("number %d", n)
	}
}

func TestAcceptance_RegressionLowersTheEpochAndKeepsTheAddress(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "c:1", 3))
	b.refused(ErrEpoch, b.see(Rebase, "", 3))
	b.must(b.see(Rebase, "a:1", 1))
	if m, _ := b.state.Master("cache"); m.Number != 1 || m.Address != "c:1" || m.Epoch != 1 {
		t.Fatalf("after rebase: %+v", m)
	}
	b.refused(ErrEpoch, b.see(Resolve, "a:1", 1)) // a difference is an alert, only a later epoch is a failover
	b.must(b.see(Advance, "a:1", 2))              // an epoch that was used before the wipe
	if f, _ := b.state.Failover(FailoverID{"cache", 2}); f.From != "c:1" || f.To != "a:1" {
		t.Fatalf("failover %+v", f)
	}
}
