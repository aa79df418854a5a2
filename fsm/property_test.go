package fsm

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPromises lets commands come in any order and holds, after each, what
// the contract says about one state and about two states in a row.
func TestPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBook(t)
		var tokens []Token
		for range rapid.IntRange(10, 80).Draw(rt, "steps") {
			before := b.state
			if rapid.IntRange(0, 9).Draw(rt, "election") == 0 {
				b.term++
			}
			b.clock += Clock(rapid.IntRange(0, 5000).Draw(rt, "ms")) * Clock(time.Millisecond)
			c := draw(rt, b, tokens)
			answer := b.apply(c)
			if answer.Token != 0 {
				tokens = append(tokens, answer.Token)
			}
			held(rt, before, b.state, fmt.Sprintf("%s %+v -> %+v", c.Kind(), c, answer))
		}
		back := Unflatten(b.state.Flatten())
		if fmt.Sprint(back.Flatten()) != fmt.Sprint(b.state.Flatten()) || back.open.Len() != b.state.open.Len() {
			rt.Fatal("a snapshot does not give the state back")
		}
	})
}

func draw(rt *rapid.T, b *book, tokens []Token) Command {
	ids := []ActionID{"cache/1/lb"}
	for _, a := range b.state.AllActions() {
		ids = append(ids, a.ID)
	}
	id := rapid.SampledFrom(ids).Draw(rt, "action")
	a, _ := b.state.Action(id)
	token := rapid.SampledFrom(append(slices.Clone(tokens), a.Token, 1)).Draw(rt, "token")
	switch rapid.IntRange(0, 10).Draw(rt, "kind") {
	case 0:
		as := rapid.SampledFrom([]ObservedAs{Seed, Advance, Resolve, Rebase}).Draw(rt, "as")
		to := rapid.SampledFrom([]Address{"a:1", "b:1", "c:1"}).Draw(rt, "to")
		return b.see(as, to, Epoch(rapid.IntRange(0, 9).Draw(rt, "epoch")), Ride{Step: "lb", Act: time.Second}, Ride{Step: "url"})
	case 1, 2:
		c := Claim{Action: id, Term: b.term - Term(rapid.IntRange(0, 1).Draw(rt, "old")), Act: time.Second}
		if rapid.Bool().Draw(rt, "expired") {
			c.Expired = []Token{token}
		}
		return c
	case 3, 4, 5:
		to := rapid.SampledFrom([]Phase{Pending, Waiting, Done, Stuck, Superseded}).Draw(rt, "to")
		c := Settle{Action: id, Token: token, To: to, Effect: Changed, Reason: "r", Doubt: rapid.Bool().Draw(rt, "doubt")}
		if rapid.Bool().Draw(rt, "refresh") {
			c.Refresh = &Refresh{Kind: "k", Object: "lb-par/refresh"}
		}
		return c
	case 6:
		return Release{Object: a.Step.Object, Token: token}
	case 7:
		return Retry{Action: id}
	case 8:
		spec := testSpec()
		spec.Masters[0].Observe = rapid.Bool().Draw(rt, "observe")
		return PutSpec{Spec: spec, IfRevision: b.state.Spec().Revision}
	case 9:
		return drawScore(rt, b, id)
	default:
		return Abandon{Action: id, Reason: "r"}
	}
}

func drawScore(rt *rapid.T, b *book, id ActionID) Command {
	look := Look{
		Clock: b.clock - Clock(rapid.IntRange(0, 2000).Draw(rt, "ago"))*Clock(time.Millisecond), Meets: MeetsAbsent,
		Shows: Showing(rapid.IntRange(1, 5).Draw(rt, "shows")), At: rapid.SampledFrom([]Address{"", "a:1", "b:1"}).Draw(rt, "at"),
	}
	return NoteScore{Term: b.term - Term(rapid.IntRange(0, 1).Draw(rt, "late")), Action: id, Looks: 1, Look: look}
}

func held(rt *rapid.T, before, after State, did string) {
	for _, a := range after.AllActions() {
		was, existed := before.Action(a.ID)
		switch {
		case existed && was.Phase.Final() && fmt.Sprint(was) != fmt.Sprint(a):
			rt.Fatalf("G5: a final entry changed: %s", did)
		case a.Token < was.Token:
			rt.Fatalf("a token fell: %s", did)
		case a.Phase == Claimed && a.Token == 0:
			rt.Fatalf("claimed without a token: %s", did)
		case a.Phase == Observed && (a.Token != 0 || existed && was.Phase != Observed):
			rt.Fatalf("an observed action was claimed, or became one: %s", did)
		}
		if m, _ := after.Master(a.For.Master); a.For.Master != "" && a.For.Number < m.Number && !a.Phase.Final() {
			rt.Fatalf("G7: %s is open beside a newer failover: %s", a.ID, did)
		}
	}
	for _, o := range after.Objects() {
		for _, h := range o.Held[1:] {
			first, _ := after.Action(o.Held[0].Action)
			if h.Action != o.Held[0].Action && !first.Step.WriteOver {
				rt.Fatalf("G3: %s is held by two actions: %s", o.ID, did)
			}
		}
	}
	under := 0
	for _, a := range after.Open() {
		if a.IsRefresh() && (a.Phase == Claimed || a.Phase == Waiting) {
			under++
		}
	}
	if under > 1 {
		rt.Fatalf("two refreshes of one target at once: %s", did)
	}
	for _, m := range after.Masters() {
		was, _ := before.Master(m.ID)
		if m.Number < was.Number || m.Number > was.Number+1 {
			rt.Fatalf("G1: number went from %d to %d: %s", was.Number, m.Number, did)
		}
	}
}
