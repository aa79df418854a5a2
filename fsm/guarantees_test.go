package fsm

import "testing"

// The contract's lines as far as the log alone decides them. What needs a
// provider or a clock stands beside them in executor, cluster and test/sim.

func TestG1_OneFailoverPerSwitch(t *testing.T) {
	b := newBook(t)
	first := b.see(Advance, "b:1", 2)
	if n := b.must(first).Number; n != 1 {
		t.Fatalf("first failover has number %d", n)
	}
	b.term++
	again := first
	again.Term = b.term
	b.refused(ErrBase, first) // the same switch, reported by another coordinator
	b.refused(ErrBase, again) // and by the next leader
	b.refused(ErrEpoch, b.see(Advance, "b:1", 2))
	// Three switches that nobody of ours could see are one failover, to where the newest led.
	if n := b.must(b.see(Advance, "a:1", 5)).Number; n != 2 {
		t.Fatalf("number %d, want 2: no gaps", n)
	}
	if f := b.state.Failovers("cache"); len(f) != 2 || f[1].From != "b:1" || f[1].To != "a:1" {
		t.Fatalf("failovers %+v", f)
	}
}

func TestG2_ClaimOfAnotherTermIsRefused(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.refused(ErrTerm, Claim{Action: "cache/1/lb", Term: b.term - 1}) // held back over an election
	b.refused(ErrTerm, Claim{Action: "cache/1/lb", Term: b.term + 1})
	b.phase("cache/1/lb", Pending)
	late := b.see(Advance, "c:1", 3, Ride{Step: "lb"})
	late.Term-- // the sight counts, its claims do not
	if got := b.must(late); got.Number != 2 || len(got.Claims) != 0 {
		t.Fatalf("%+v", got)
	}
	b.phase("cache/2/lb", Pending)
}

func TestG3_SettlingDoesNotFreeTheObject(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	first := b.claim("cache/1/lb")
	b.term++
	second := b.claim("cache/1/lb") // the same value: the next leader takes over at once
	b.must(Settle{Action: "cache/1/lb", Token: second, To: Done, Effect: Changed})
	if o, _ := b.state.Object("lb-par/frontend/cache"); len(o.Held) != 2 {
		t.Fatalf("settling freed the object: %+v", o)
	}
	b.must(b.see(Advance, "c:1", 3))
	b.refused(ErrBusy, Claim{Action: "cache/2/lb", Term: b.term})
	b.must(Release{Object: "lb-par/frontend/cache", Token: second})
	b.refused(ErrBusy, Claim{Action: "cache/2/lb", Term: b.term}) // the dead one may still send
	b.must(Release{Object: "lb-par/frontend/cache", Token: first, Expired: true})
	b.claim("cache/2/lb")
}

func TestG3_BlindIsNotTakenOverAndFencedNeverWaits(t *testing.T) {
	for class, want := range map[Class]error{Readable: nil, Keyed: nil, Fenced: nil, Trigger: nil, InLog: nil, Blind: ErrBlind} {
		b := newBook(t)
		b.classed(class)
		b.must(b.see(Advance, "b:1", 2))
		b.claim("cache/1/lb")
		b.term++
		if err := b.apply(Claim{Action: "cache/1/lb", Term: b.term}).Err(); !is(err, want) {
			t.Errorf("%s taken over: %v, want %v", class, err, want)
		}
		b.must(b.see(Advance, "c:1", 3))
		busy := class == Readable || class == Keyed || class == Blind
		if err := b.apply(Claim{Action: "cache/2/lb", Term: b.term}).Err(); is(err, ErrBusy) != busy {
			t.Errorf("%s, another value: %v, busy wanted: %v", class, err, busy)
		}
	}
}

// TestG3_WriteOverTradesTheWaitForARepair is on_newer: write.
func TestG3_WriteOverTradesTheWaitForARepair(t *testing.T) {
	b := newBook(t)
	spec := testSpec()
	spec.Masters[0].Plan[0].Steps[0].WriteOver = true
	b.must(PutSpec{Spec: spec, IfRevision: 1})
	b.must(b.see(Advance, "b:1", 2))
	b.claim("cache/1/lb")
	b.must(b.see(Advance, "c:1", 3))
	b.claim("cache/2/lb")
}

func TestG4_VersionStandsInTheClaim(t *testing.T) {
	b := newBook(t)
	b.classed(Fenced)
	b.must(b.see(Advance, "b:1", 2))
	token := b.must(Claim{Action: "cache/1/lb", Term: b.term, Version: "v7"}).Token
	if got := b.action("cache/1/lb").Version; got != "v7" {
		t.Fatalf("version %q", got)
	}
	b.must(Settle{Action: "cache/1/lb", Token: token, To: Pending, Reason: "412"})
	b.must(Claim{Action: "cache/1/lb", Term: b.term, Version: "v8"}) // each attempt is a claim of its own
	if a := b.action("cache/1/lb"); a.Version != "v8" || a.Attempts != 2 {
		t.Fatalf("version %q, %d attempts", a.Version, a.Attempts)
	}
}

func TestG5_AFinalEntryNeverChanges(t *testing.T) {
	for phase, end := range map[Phase]func(*book, Token){
		Done:       func(b *book, k Token) { b.must(Settle{Action: "cache/1/lb", Token: k, To: Done, Effect: Changed}) },
		Superseded: func(b *book, _ Token) { b.must(b.see(Advance, "c:1", 3)) },
		Abandoned: func(b *book, k Token) {
			b.must(Settle{Action: "cache/1/lb", Token: k, To: Stuck, Reason: "403"})
			b.must(Abandon{Action: "cache/1/lb", Reason: "by hand"})
		},
	} {
		b := newBook(t)
		b.must(b.see(Advance, "b:1", 2))
		token := b.claim("cache/1/lb")
		end(b, token)
		b.phase("cache/1/lb", phase)
		at := b.action("cache/1/lb").Index
		for _, to := range []Phase{Pending, Waiting, Done, Stuck} {
			b.refused(ErrPhase, Settle{Action: "cache/1/lb", Token: token, To: to, Effect: Already, Reason: "late"})
		}
		b.refused(ErrPhase, Claim{Action: "cache/1/lb", Term: b.term})
		b.refused(ErrPhase, Retry{Action: "cache/1/lb"})
		b.refused(ErrPhase, Abandon{Action: "cache/1/lb", Reason: "again"})
		if a := b.action("cache/1/lb"); a.Phase != phase || a.Index != at || a.Doubt {
			t.Errorf("%s became %s", phase, a.Phase)
		}
	}
}

// TestG5_DoubtIsShownUntilARead: a time-out is neither success nor failure.
func TestG5_DoubtIsShownUntilARead(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Pending, Doubt: true, Reason: "timeout"})
	b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Pending, Reason: "503 before anything was sent"})
	if a := b.action("cache/1/lb"); !a.Doubt || a.Effect != 0 {
		t.Fatalf("an attempt that sent nothing cleared the doubt: %+v", a)
	}
	token := b.claim("cache/1/lb")
	b.must(Settle{Action: "cache/1/lb", Token: token, To: Waiting, Checkpoint: []byte("read back")})
	if b.action("cache/1/lb").Doubt {
		t.Fatal("still in doubt after a read")
	}
}

func TestG7_OlderFailoverCannotActOnceANewerIsAccepted(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	token := b.claim("cache/1/lb")
	b.must(Release{Object: "lb-par/frontend/cache", Token: token})
	b.must(b.see(Advance, "c:1", 3))
	b.term++
	for _, step := range []ActionID{"cache/1/lb", "cache/1/url", "cache/1/mail"} {
		b.refused(ErrPhase, Claim{Action: step, Term: b.term})
		b.refused(ErrPhase, Retry{Action: step})
	}
	b.refused(ErrPhase, Settle{Action: "cache/1/lb", Token: token, To: Pending})
}

// TestG8_OpenUntilAFinalWord: nothing but a final phase takes an action off the open list.
func TestG8_OpenUntilAFinalWord(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	open := func(want bool) {
		t.Helper()
		found := false
		for _, a := range b.state.Open() {
			found = found || a.ID == "cache/1/lb"
		}
		if found != want {
			t.Fatalf("%s: open %v", b.action("cache/1/lb").Phase, found)
		}
	}
	open(true)
	token := b.claim("cache/1/lb")
	open(true)
	b.must(Settle{Action: "cache/1/lb", Token: token, To: Waiting, Checkpoint: []byte("task")})
	open(true)
	b.must(Settle{Action: "cache/1/lb", Token: token, To: Stuck, Reason: "the task failed"})
	open(true)
	b.state = Unflatten(b.state.Flatten()) // a snapshot and a restore between
	open(true)
	b.refused(ErrReason, Abandon{Action: "cache/1/lb"})
	b.must(Retry{Action: "cache/1/lb", Reason: "mended"})
	open(true)
	b.must(Abandon{Action: "cache/1/lb", Reason: "done by hand"})
	open(false)
}
