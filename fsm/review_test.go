package fsm

import "testing"

// TestSpec_ObjectThatMovedToAnotherMaster is written by its new owner alone.
func TestSpec_ObjectThatMovedToAnotherMaster(t *testing.T) {
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

func TestLife_WaitingActionCanBeAbandoned(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Waiting, Checkpoint: []byte("task")})
	b.must(Abandon{Action: "cache/1/lb", Reason: "the task hangs"})
	b.phase("cache/1/lb", Abandoned)
}
