package fsm

import (
	"strings"
	"testing"
	"time"
)

// An action that the bound on claims keeps waiting stands at a gate that says
// so, and the gate opens when the claim would be granted.
func TestGates_TheBoundOnClaimsIsShown(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	const id = ActionID("cache/1/lb")
	var tokens []Token
	for range MaxHolds { // leaders that die one after another: none of their claims is released
		b.term++
		tokens = append(tokens, b.claim(id))
	}
	b.term++
	claim := Claim{Action: id, Term: b.term, Act: 5 * time.Second}
	b.refused(ErrLimit, claim)
	window := func(h Hold) time.Duration { return time.Duration(h.Term) * time.Second }
	gates, expired := b.state.Gates(b.action(id), Now{Term: b.term, Window: window})
	if len(expired) != 0 || len(gates) != 1 || gates[0].Kind != GateBusy || !strings.Contains(gates[0].Detail, "at most 32") {
		t.Fatalf("gates %+v", gates)
	}
	first, _ := b.state.Object("lb-par/frontend/cache")
	if want := window(first.Held[0]); gates[0].Remaining != want {
		t.Errorf("opens in %s, the first window runs out in %s", gates[0].Remaining, want)
	}
	b.must(Release{Object: "lb-par/frontend/cache", Token: tokens[0], Expired: true})
	if gates, _ := b.state.Gates(b.action(id), Now{Term: b.term, Window: window}); len(gates) != 0 {
		t.Errorf("gates %+v after a release", gates)
	}
	b.must(claim)
}
