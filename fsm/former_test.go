package fsm

import (
	"bytes"
	"reflect"
	"testing"
)

// putKept replaces the spec by one with other params of step lb, and keeps the
// old one.
func (b *book) putKept(keep int, source []byte, change func(*Spec)) Answer {
	b.t.Helper()
	next := testSpec()
	next.Source = source
	if change != nil {
		change(&next)
	}
	return b.must(PutSpec{Spec: next, IfRevision: b.state.Spec().Revision, Keep: keep, Reason: "because"})
}

func (b *book) formers() (revisions []Revision) {
	for _, f := range b.state.FormerSpecs() {
		revisions = append(revisions, f.Revision)
	}
	return revisions
}

func TestFormerSpecs_AreKeptUpToTheirNumber(t *testing.T) {
	b := newBook(t) // revision 1, of a command that keeps nothing
	for i := range 5 {
		b.putKept(3, []byte{byte(i)}, nil)
	}
	if got := b.formers(); !reflect.DeepEqual(got, []Revision{3, 4, 5}) {
		t.Fatalf("kept %v, want the newest three before 6", got)
	}
	f, ok := b.state.FormerSpec(4)
	if !ok || !bytes.Equal(f.Source, []byte{2}) || f.Applied.Reason != "because" || f.Applied.Index == 0 {
		t.Errorf("revision 4: %+v", f)
	}
	if now := b.state.Spec(); now.Revision != 6 || now.Applied.Index != b.state.Index() {
		t.Errorf("current %+v", now.Applied)
	}
	b.putKept(1, nil, nil)
	if got := b.formers(); !reflect.DeepEqual(got, []Revision{6}) {
		t.Errorf("kept %v after a command that keeps one", got)
	}
}

func TestFormerSpecs_AreBoundedInBytesAndWhateverTheCommandSays(t *testing.T) {
	b := newBook(t)
	big := make([]byte, MaxSpecBytes)
	for range 6 {
		b.putKept(MaxFormerSpecs*10, big, nil)
	}
	if got := b.formers(); !reflect.DeepEqual(got, []Revision{3, 4, 5, 6}) {
		t.Errorf("kept %v: %d bytes hold four of the largest", got, MaxFormerBytes)
	}
	for range MaxFormerSpecs + 10 {
		b.putKept(MaxFormerSpecs*10, nil, nil)
	}
	if got := len(b.formers()); got > MaxFormerSpecs {
		t.Errorf("%d kept, at most %d", got, MaxFormerSpecs)
	}
}

// An entry of an older build decides as it did then, on every node: otherwise
// one that replays it and one that starts from a snapshot would differ.
func TestFormerSpecs_AnOldEntryKeepsNothing(t *testing.T) {
	b := newBook(t)
	b.must(PutSpec{Spec: testSpec(), IfRevision: 1, Reason: "unknown then"})
	if len(b.formers()) != 0 || b.state.Spec().Applied != (Applied{}) {
		t.Errorf("kept %v, applied %+v", b.formers(), b.state.Spec().Applied)
	}
}

func TestFormerSpecs_ARefusedSpecIsNoRevision(t *testing.T) {
	b := newBook(t)
	b.refused(ErrRevision, PutSpec{Spec: testSpec(), IfRevision: 9, Keep: FormerSpecs})
	if len(b.formers()) != 0 || b.state.Spec().Revision != 1 {
		t.Errorf("kept %v", b.formers())
	}
}

// A running failover keeps the plan that it was accepted with, through a new
// spec and through the way back.
func TestFormerSpecs_NoneRewritesARunningPlan(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	before := b.state.Actions(FailoverID{Master: "cache", Number: 1})
	failover, _ := b.state.Failover(FailoverID{Master: "cache", Number: 1})
	b.putKept(FormerSpecs, nil, func(s *Spec) {
		step := &s.Masters[0].Plan[0].Steps[0]
		step.Params, step.Block, step.Act = []byte("other"), true, 1
		s.Masters[0].Plan = s.Masters[0].Plan[:1] // without its second stage
		s.Targets[0].Hold = 1
	})
	b.putKept(FormerSpecs, nil, nil)
	after := b.state.Actions(FailoverID{Master: "cache", Number: 1})
	if !reflect.DeepEqual(before, after) {
		t.Errorf("actions became\n%+v\nthey were\n%+v", after, before)
	}
	if now, _ := b.state.Failover(failover.ID); !reflect.DeepEqual(now, failover) || now.Revision != 1 {
		t.Errorf("failover became %+v", now)
	}
	b.must(b.see(Advance, "c:1", 3))
	if now, _ := b.state.Failover(FailoverID{Master: "cache", Number: 2}); now.Revision != 3 {
		t.Errorf("the next failover is of revision %d", now.Revision)
	}
}
