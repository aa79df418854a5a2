package fsm

import "testing"

// TestLaterStagesPassAFailingStep: a load balancer that does not answer is tried
// on, and does not keep others from being told.
func TestLaterStagesPassAFailingStep(t *testing.T) {
	for _, block := range []bool{false, true} {
		b := newBook(t)
		spec := testSpec()
		spec.Masters[0].Plan[0].Steps[0].Block = block
		b.must(PutSpec{Spec: spec, IfRevision: 1})
		b.must(b.see(Advance, "b:1", 2))
		b.must(Settle{Action: "cache/1/url", Token: b.claim("cache/1/url"), To: Done, Effect: Changed})
		for range LetPass {
			b.refused(ErrStage, Claim{Action: "cache/1/mail", Term: b.term})
			b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Pending, Reason: "503"})
		}
		b.refused(ErrStage, Claim{Action: "cache/1/mail", Term: b.term})
		b.claim("cache/1/lb")
		if answer := b.apply(Claim{Action: "cache/1/mail", Term: b.term}); (answer.Err() == nil) == block {
			t.Errorf("block %v: %v", block, answer.Err())
		}
	}
}

// TestObjectThatMovedToAnotherMaster is written by its new owner alone.
func TestObjectThatMovedToAnotherMaster(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	swapped := testSpec()
	one, two := &swapped.Masters[0].Plan[0].Steps[0].Object, &swapped.Masters[1].Plan[0].Steps[0].Object
	*one, *two = *two, *one
	b.refused(ErrOpenActions, PutSpec{Spec: swapped, IfRevision: 1})
	for _, a := range b.state.Open() {
		if a.Step.Name != "lb" {
			b.must(Abandon{Action: a.ID, Reason: "test"})
		}
	}
	b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Done, Effect: Changed})
	b.must(PutSpec{Spec: swapped, IfRevision: 1})
	b.refused(ErrPhase, NoteDrift{Action: "cache/1/lb", Found: "queue's value", Repair: true})
	if s := b.state.Standing("cache"); len(s) != 0 {
		t.Fatalf("standing %+v", s)
	}
}

func TestAWaitingActionCanBeAbandoned(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Waiting, Checkpoint: []byte("task")})
	b.must(Abandon{Action: "cache/1/lb", Reason: "the task hangs"})
	b.phase("cache/1/lb", Abandoned)
}
