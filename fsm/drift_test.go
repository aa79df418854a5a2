package fsm

import "testing"

func TestDrift_IsNotedBesideTheFinalEntry(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.refused(ErrPhase, NoteDrift{Action: "cache/1/lb", Found: "x"}) // not done
	b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Done, Effect: Changed})
	b.must(Release{Object: "lb-par/frontend/cache", Token: b.action("cache/1/lb").Token})
	b.must(Settle{Action: "cache/1/url", Token: b.claim("cache/1/url"), To: Done, Effect: Changed})
	b.refused(ErrPhase, NoteDrift{Action: "cache/1/url", Found: "x"}) // inside the log nothing drifts
	if s := b.state.Standing("cache"); len(s) != 1 || s[0].ID != "cache/1/lb" {
		t.Fatalf("standing %+v", s)
	}
	mail := b.claim("cache/1/mail")
	b.must(Settle{Action: "cache/1/mail", Token: mail, To: Done, Effect: Changed})
	b.refused(ErrPhase, NoteDrift{Action: "cache/1/mail", Found: "x", Repair: true}) // blind: nobody's to repeat
	if s := b.state.Standing("cache"); len(s) != 1 || s[0].ID != "cache/1/lb" {
		t.Fatalf("standing %+v", s)
	}

	b.must(NoteDrift{Action: "cache/1/lb", Found: "a human was here"})
	if d, _ := b.state.Drift("lb-par/frontend/cache"); d.Found == "" || d.Repair != "" {
		t.Fatalf("drift %+v", d)
	}
	b.must(NoteDrift{Action: "cache/1/lb"})
	if len(b.state.Drifts()) != 0 {
		t.Fatal("right again, and still drifted")
	}

	b.must(NoteDrift{Action: "cache/1/lb", Found: "stale", Repair: true})
	b.refused(ErrPhase, NoteDrift{Action: "cache/1/lb", Found: "stale", Repair: true}) // one is open
	if len(b.state.Standing("cache")) != 0 {
		t.Fatal("an object with an open repair stands")
	}
	b.must(Settle{Action: "cache/1/lb~1", Token: b.claim("cache/1/lb~1"), To: Done, Effect: Changed})
	if s := b.state.Standing("cache"); len(s) != 1 || s[0].ID != "cache/1/lb~1" || len(b.state.Drifts()) != 0 {
		t.Fatalf("standing %+v, drifts %+v", s, b.state.Drifts())
	}
	last := ActionID("cache/1/lb~1")
	for range MaxRepairs - 1 {
		b.must(NoteDrift{Action: last, Found: "stale", Repair: true})
		d, _ := b.state.Drift("lb-par/frontend/cache")
		last = d.Repair
		token := b.must(Claim{Action: last, Term: b.term, Expired: b.held()}).Token
		b.must(Settle{Action: last, Token: token, To: Done, Effect: Changed})
	}
	b.refused(ErrLimit, NoteDrift{Action: last, Found: "stale", Repair: true})
	b.must(NoteDrift{Action: last, Found: "stale"})

	b.must(NoteDrift{Action: last, Found: "stale"})
	b.must(b.see(Advance, "c:1", 3))
	b.refused(ErrPhase, NoteDrift{Action: last, Found: "x"}) // an older failover's value is nobody's wish
}

// held lists the tokens that keep cache's frontend busy.
func (b *book) held() (tokens []Token) {
	o, _ := b.state.Object("lb-par/frontend/cache")
	for _, h := range o.Held {
		tokens = append(tokens, h.Token)
	}
	return tokens
}
