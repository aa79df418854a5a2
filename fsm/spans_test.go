package fsm

import (
	"testing"
	"time"
)

// TestSpans: what was measured before an entry stays beside the log clock of
// that entry, and the claim's clock beside each attempt under it.
func TestSpans(t *testing.T) {
	b := newBook(t)
	o := b.see(Advance, "b:1", 2)
	o.Seen = 3 * time.Millisecond
	b.must(o)
	if f, _ := b.state.Failover(FailoverID{"cache", 1}); f.Seen != 3*time.Millisecond {
		t.Errorf("seen %s before the acceptance", f.Seen)
	}
	b.clock = 10
	token := b.claim("cache/1/lb")
	claimed := b.state.Clock()
	b.clock = 15
	b.must(Settle{Action: "cache/1/lb", Token: token, To: Waiting, Checkpoint: []byte("t"), First: 2 * time.Millisecond})
	b.must(Settle{Action: "cache/1/lb", Token: token, To: Pending, First: -1})
	b.clock = 20
	again := b.claim("cache/1/lb")
	reclaimed := b.state.Clock()
	b.must(Settle{Action: "cache/1/lb", Token: again, To: Done, Effect: Changed})
	a := b.action("cache/1/lb")
	want := []Attempt{{Claimed: claimed, First: 2 * time.Millisecond}, {Claimed: claimed}, {Claimed: reclaimed}}
	for i, h := range a.History {
		if h.Claimed != want[i].Claimed || h.First != want[i].First || h.Claimed == 0 {
			t.Errorf("attempt %d: claimed at %d, first request after %s; want %d, %s", i, h.Claimed, h.First, want[i].Claimed, want[i].First)
		}
	}
	if len(a.History) != len(want) || claimed == reclaimed {
		t.Fatalf("%d attempts, claimed at %d and %d", len(a.History), claimed, reclaimed)
	}
	o = b.see(Advance, "c:1", 3)
	o.Seen = -time.Second
	b.must(o)
	if f, _ := b.state.Failover(FailoverID{"cache", 2}); f.Seen != 0 {
		t.Errorf("a span below zero: %s", f.Seen)
	}
}
