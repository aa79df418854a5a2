package fsm

import (
	"testing"
	"time"
)

func TestLife_SettleAndReleaseNameTheToken(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.refused(ErrUnknown, Claim{Action: "cache/9/lb", Term: b.term})
	first := b.claim("cache/1/lb")
	b.term++
	second := b.claim("cache/1/lb")
	if second <= first {
		t.Fatalf("token fell from %d to %d", first, second)
	}
	b.refused(ErrNotHolder, Settle{Action: "cache/1/lb", Token: first, To: Done, Effect: Changed})
	b.refused(ErrNotHolder, Release{Object: "lb-par/frontend/cache", Token: 1})
	b.must(Settle{Action: "cache/1/lb", Token: second, To: Done, Effect: Changed})
	b.must(Release{Object: "lb-par/frontend/cache", Token: first})
	b.must(Release{Object: "lb-par/frontend/cache", Token: second, Expired: true})
	if _, busy := b.state.Object("lb-par/frontend/cache"); busy {
		t.Fatal("still busy")
	}
}

// TestLife_SupersededInEveryState: a newer failover ends what is open wherever
// it stands, and its object stays busy for as long as a request may land.
func TestLife_SupersededInEveryState(t *testing.T) {
	lb := func(b *book, c Settle) {
		c.Action, c.Token = "cache/1/lb", b.claim("cache/1/lb")
		b.must(c)
	}
	for name, c := range map[string]struct {
		bring func(*book)
		busy  bool
	}{
		"pending":               {func(*book) {}, false},
		"claimed":               {func(b *book) { b.claim("cache/1/lb") }, true},
		"waiting for a task":    {func(b *book) { lb(b, Settle{To: Waiting, Checkpoint: []byte("task")}) }, true},
		"waiting for a refresh": {func(b *book) { lb(b, Settle{To: Waiting, Refresh: &Refresh{Kind: "k", Object: "lb-par/refresh"}}) }, true},
		"pending in doubt":      {func(b *book) { lb(b, Settle{To: Pending, Doubt: true, After: time.Hour, Reason: "timeout"}) }, true},
		"stuck":                 {func(b *book) { lb(b, Settle{To: Stuck, Reason: "403"}) }, true},
		"stuck in doubt":        {func(b *book) { lb(b, Settle{To: Stuck, Doubt: true, Reason: "no answer"}) }, true},
		"retried in doubt": {func(b *book) {
			lb(b, Settle{To: Stuck, Doubt: true, Reason: "no answer"})
			b.must(Retry{Action: "cache/1/lb"})
		}, true},
		"released": {func(b *book) {
			token := b.claim("cache/1/lb")
			b.must(Release{Object: "lb-par/frontend/cache", Token: token})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			b.must(b.see(Advance, "b:1", 2))
			c.bring(b)
			b.must(b.see(Advance, "c:1", 3))
			old := b.action("cache/1/lb")
			if old.Phase != Superseded || old.Doubt || old.On != "" || old.NotBefore != 0 {
				t.Fatalf("%+v", old)
			}
			b.refused(ErrPhase, Settle{Action: old.ID, Token: old.Token, To: Done, Effect: Changed})
			if err := b.apply(Claim{Action: "cache/2/lb", Term: b.term}).Err(); is(err, ErrBusy) != c.busy {
				t.Fatalf("the newer claim: %v, busy wanted: %v", err, c.busy)
			}
			if c.busy {
				b.must(Claim{Action: "cache/2/lb", Term: b.term, Expired: []Token{old.Token}})
			}
		})
	}
}

// TestLife_BlindIsNeverRepeatedWithoutAHuman: nor by the term that claimed it,
// whose attempt may have sent it.
func TestLife_BlindIsNeverRepeatedWithoutAHuman(t *testing.T) {
	b := newBook(t)
	b.classed(Blind)
	b.must(b.see(Advance, "b:1", 2))
	token := b.claim("cache/1/lb")
	b.refused(ErrBlind, Claim{Action: "cache/1/lb", Term: b.term})
	b.refused(ErrBlind, Claim{Action: "cache/1/lb", Term: b.term, Expired: []Token{token}})
}

func TestLife_RetryAfterDoubtWaitsForItsOwnWindow(t *testing.T) {
	for _, doubt := range []bool{false, true} {
		b := newBook(t)
		b.must(b.see(Advance, "b:1", 2))
		token := b.claim("cache/1/lb")
		b.must(Settle{Action: "cache/1/lb", Token: token, To: Stuck, Doubt: doubt, Reason: "no"})
		b.must(Retry{Action: "cache/1/lb"})
		left := 3 * time.Second
		now := Now{Term: b.term, Window: func(Hold) time.Duration { return left }}
		gates, _ := b.state.Gates(b.action("cache/1/lb"), now)
		if (len(gates) > 0) != doubt {
			t.Errorf("doubt %v: gates %+v", doubt, gates)
		}
		if err := b.apply(Claim{Action: "cache/1/lb", Term: b.term}).Err(); is(err, ErrBusy) != doubt {
			t.Errorf("doubt %v: %v", doubt, err)
		}
	}
}

func TestGates_StagesRunOneAfterAnother(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.refused(ErrStage, Claim{Action: "cache/1/mail", Term: b.term})
	b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Waiting, Checkpoint: []byte("task")})
	b.must(Settle{Action: "cache/1/url", Token: b.claim("cache/1/url"), To: Done, Effect: Changed})
	b.refused(ErrStage, Claim{Action: "cache/1/mail", Term: b.term}) // a task is not an end
	b.must(Settle{Action: "cache/1/lb", Token: b.action("cache/1/lb").Token, To: Done, Effect: Changed})
	b.claim("cache/1/mail")
}

// TestGates_OnFailure: a stuck load balancer, or one that does not answer, must
// not keep others from being told, unless the step blocks.
func TestGates_OnFailure(t *testing.T) {
	for _, block := range []bool{false, true} {
		begun := func() *book {
			b := newBook(t)
			spec := testSpec()
			spec.Masters[0].Plan[0].Steps[0].Block = block
			b.must(PutSpec{Spec: spec, IfRevision: 1})
			b.must(b.see(Advance, "b:1", 2))
			b.must(Settle{Action: "cache/1/url", Token: b.claim("cache/1/url"), To: Done, Effect: Changed})
			return b
		}
		mail := Claim{Action: "cache/1/mail", Term: 1}

		b := begun()
		for range LetPass {
			b.refused(ErrStage, mail)
			b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Pending, Reason: "503"})
		}
		b.refused(ErrStage, mail)
		b.claim("cache/1/lb")
		if err := b.apply(mail).Err(); (err == nil) == block {
			t.Errorf("failing, block %v: %v", block, err)
		}

		b = begun()
		b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Stuck, Reason: "403"})
		if err := b.apply(mail).Err(); (err == nil) == block {
			t.Errorf("stuck, block %v: %v", block, err)
		}
		if block {
			b.must(Abandon{Action: "cache/1/lb", Reason: "go on without it"})
			b.must(mail)
		}
	}
}

func TestGates_OnlyTheNewestFailoverPassesAnOpenedGate(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Pending, After: time.Minute, Reason: "503"})
	b.must(b.see(Advance, "c:1", 3))
	b.clock += Clock(time.Hour) // the gate is open
	b.refused(ErrPhase, Claim{Action: "cache/1/lb", Term: b.term, Expired: b.held()})
	b.must(Claim{Action: "cache/2/lb", Term: b.term, Expired: b.held()})
}

// TestGates_ShownAreThoseObeyed: what Gates lists is what the log refuses.
func TestGates_ShownAreThoseObeyed(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	token := b.claim("cache/1/lb")
	b.must(b.see(Advance, "c:1", 3))
	now := func(left time.Duration, term Term) Now {
		return Now{Clock: b.clock, Term: term, Window: func(Hold) time.Duration { return left }}
	}
	kinds := func(id ActionID, n Now) (kinds []GateKind) {
		gates, _ := b.state.Gates(b.action(id), n)
		for _, g := range gates {
			kinds = append(kinds, g.Kind)
		}
		return kinds
	}
	if k := kinds("cache/2/lb", now(time.Second, b.term)); len(k) != 1 || k[0] != GateBusy {
		t.Fatalf("a living holder: %v", k)
	}
	if k := kinds("cache/2/lb", now(time.Second, b.term+1)); len(k) != 1 || k[0] != GateWindow {
		t.Fatalf("a dead holder: %v", k)
	}
	if k := kinds("cache/2/mail", now(0, b.term)); len(k) != 1 || k[0] != GateStage {
		t.Fatalf("a later stage: %v", k)
	}
	gates, expired := b.state.Gates(b.action("cache/2/lb"), now(0, b.term))
	if len(gates) != 0 || len(expired) != 1 || expired[0] != token {
		t.Fatalf("window over: %v, expired %v", gates, expired)
	}
	paced := now(0, b.term)
	paced.Budget = func(TargetID) time.Duration { return time.Second }
	if k := kinds("cache/2/lb", paced); len(k) != 1 || k[0] != GateBudget {
		t.Fatalf("an empty budget: %v", k)
	}
}

func TestSpec_TwoStepsNamingOneObjectAreRefused(t *testing.T) {
	b := newBook(t)
	for _, name := range []func(*Spec){
		func(s *Spec) { s.Masters[1].Plan[0].Steps[0].Object = "lb-par/frontend/cache" }, // another master's
		func(s *Spec) { s.Masters[0].Plan[1].Steps[0].Object = "lb-par/frontend/cache" }, // its own
	} {
		s := testSpec()
		name(&s)
		b.refused(ErrSpec, PutSpec{Spec: s, IfRevision: 1})
	}
}

func TestSpec_OpenActionsKeepTheirRevisionsTarget(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	s := testSpec()
	s.Targets[0].Hold, s.Targets[0].Params = time.Minute, []byte("new")
	b.must(PutSpec{Spec: s, IfRevision: 1})
	if a := b.action("cache/1/lb"); a.Target.Hold != 10*time.Second || a.Target.Params != nil {
		t.Fatalf("target %+v", a.Target)
	}
	b.claim("cache/1/lb")
	if o, _ := b.state.Object("lb-par/frontend/cache"); o.Held[0].Keep != 10*time.Second {
		t.Fatalf("held %+v", o.Held)
	}
	b.must(b.see(Advance, "c:1", 3))
	if a := b.action("cache/2/lb"); a.Target.Hold != time.Minute {
		t.Fatalf("target %+v", a.Target)
	}
}

func TestSpec_RemovalWithOpenActionsIsRefused(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	put := func(change func(*Spec)) PutSpec {
		s := testSpec()
		change(&s)
		return PutSpec{Spec: s, IfRevision: b.state.Spec().Revision}
	}
	withoutCache := func(s *Spec) { s.Masters = s.Masters[1:] }
	withoutTarget := func(s *Spec) { s.Masters, s.Targets = nil, nil }
	b.refused(ErrRevision, PutSpec{Spec: testSpec(), IfRevision: 7})
	b.refused(ErrOpenActions, put(withoutCache))
	b.refused(ErrOpenActions, put(withoutTarget))
	b.refused(ErrSpec, put(func(s *Spec) { s.Targets = nil }))
	b.refused(ErrSpec, put(func(s *Spec) { s.Masters[1].ID = "cache" }))
	for _, a := range b.state.Open() {
		b.must(Abandon{Action: a.ID, Reason: "test"})
	}
	b.must(put(withoutCache))
	b.must(put(func(*Spec) {}))
	b.must(b.see(Seed, "c:1", 5))
	if n := b.must(b.see(Advance, "a:1", 6)).Number; n != 2 {
		t.Fatalf("a number was used twice: %d", n)
	}
}

func TestSpec_CurrentMasterMustStayACandidate(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	s := testSpec()
	s.Masters[0].Candidates = []Candidate{{"a:1", "a"}}
	b.refused(ErrCandidate, PutSpec{Spec: s, IfRevision: 1})
	s.Masters[0].Candidates = []Candidate{{"b:1", "b"}}
	b.must(PutSpec{Spec: s, IfRevision: 1})
}
