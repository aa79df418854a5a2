package fsm

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func (b *book) ask(to Address) AskSwitchover {
	m, _ := b.state.Master("cache")
	return AskSwitchover{
		Master: "cache", Base: m.Number, Revision: b.state.Spec().Revision, Term: b.term, To: to,
		Sentinel: "s1:26379", Reason: "kernel update", Sender: "call-1", Window: 20 * time.Second,
	}
}

// abandonAll ends every action of the newest failover.
func (b *book) abandonAll() {
	for _, a := range b.state.Open() {
		b.must(Abandon{Action: a.ID, Reason: "test"})
	}
}

func (b *book) request() Switchover {
	b.t.Helper()
	w, ok := b.state.Switchover("cache")
	if !ok {
		b.t.Fatal("no request")
	}
	return w
}

func TestSwitchover_AFailoverNamesItsRequest(t *testing.T) {
	b := newBook(t)
	token := b.must(b.ask("b:1")).Token
	b.must(NoteSwitchover{Master: "cache", Token: token, To: SwitchoverStarted, Detail: "OK"})
	b.must(b.see(Advance, "b:1", 2))
	f, _ := b.state.Failover(FailoverID{"cache", 1})
	if f.Asked.Index != token.Index() || f.Asked.Reason != "kernel update" || f.Asked.To != "b:1" {
		t.Fatalf("failover says %+v", f.Asked)
	}
	if w := b.request(); w.Phase != SwitchoverLed || w.Number != 1 {
		t.Fatalf("request is %s, failover %d", w.Phase, w.Number)
	}
	b.must(b.see(Advance, "c:1", 3)) // a second switch was asked by nobody
	if f, _ := b.state.Failover(FailoverID{"cache", 2}); f.Asked.Index != 0 {
		t.Fatalf("the next failover has it too: %+v", f.Asked)
	}
}

func TestSwitchover_TheAnswerMayComeAfterTheFailover(t *testing.T) {
	b := newBook(t)
	token := b.must(b.ask("b:1")).Token
	b.must(b.see(Advance, "b:1", 2))
	b.must(NoteSwitchover{Master: "cache", Token: token, To: SwitchoverStarted})
	if w := b.request(); w.Phase != SwitchoverLed {
		t.Fatalf("request is %s", w.Phase)
	}
	// The Sentinel said no: the failover came of itself.
	b.must(NoteSwitchover{Master: "cache", Token: token, To: SwitchoverRefused, Detail: "INPROG"})
	f, _ := b.state.Failover(FailoverID{"cache", 1})
	if w := b.request(); f.Asked.Index != 0 || w.Phase != SwitchoverRefused || w.Number != 0 {
		t.Fatalf("failover says %+v, request %+v", f.Asked, w)
	}
}

func TestSwitchover_Refusals(t *testing.T) {
	b := newBook(t)
	change := func(f func(*AskSwitchover)) AskSwitchover {
		c := b.ask("b:1")
		f(&c)
		return c
	}
	b.refused(ErrUnknown, change(func(c *AskSwitchover) { c.Master = "other" }))
	b.refused(ErrRevision, change(func(c *AskSwitchover) { c.Revision++ }))
	b.refused(ErrTerm, change(func(c *AskSwitchover) { c.Term-- }))
	b.refused(ErrBase, change(func(c *AskSwitchover) { c.Base++ }))
	b.refused(ErrCandidate, b.ask("x:1"))
	b.refused(ErrCandidate, b.ask("a:1")) // it is the master
	b.refused(ErrLimit, change(func(c *AskSwitchover) { c.Window = MaxSwitchoverWindow + 1 }))
	b.refused(ErrLimit, change(func(c *AskSwitchover) { c.Window = 0 }))
	b.refused(ErrCandidate, AskSwitchover{Master: "queue", Revision: b.state.Spec().Revision, Term: b.term, To: "b:1", Window: time.Second}) // never seen

	b.must(b.see(Advance, "b:1", 2))
	b.refused(ErrOpenActions, b.ask("c:1"))
	b.abandonAll()
	token := b.must(b.ask("c:1")).Token
	b.refused(ErrSwitchover, b.ask("a:1"))
	b.refused(ErrNotHolder, NoteSwitchover{Master: "cache", Token: token + 1, To: SwitchoverRefused})
	b.refused(ErrBackoff, NoteSwitchover{Master: "cache", Token: token, To: SwitchoverUnseen})
	b.refused(ErrPhase, NoteSwitchover{Master: "cache", Token: token, To: SwitchoverLed})
	b.must(NoteSwitchover{Master: "cache", Token: token, To: SwitchoverDoubt})
	b.refused(ErrSwitchover, b.ask("a:1")) // a lost answer may still be a yes
	b.refused(ErrPhase, NoteSwitchover{Master: "cache", Token: token, To: SwitchoverRefused})
}

func TestSwitchover_EndsByTheLogClock(t *testing.T) {
	b := newBook(t)
	token := b.must(b.ask("b:1")).Token
	b.clock += Clock(20*time.Second - 1)
	b.refused(ErrSwitchover, b.ask("b:1"))
	b.clock++
	b.must(b.see(Advance, "b:1", 2))
	if f, _ := b.state.Failover(FailoverID{"cache", 1}); f.Asked.Index != 0 {
		t.Fatal("a failover after the window was put down to the request")
	}
	b.must(NoteSwitchover{Master: "cache", Token: token, To: SwitchoverUnseen, Detail: "no failover was seen"})
	if w := b.request(); w.Phase != SwitchoverUnseen || w.Open(b.clock) {
		t.Fatalf("request is %s", w.Phase)
	}
	b.abandonAll()
	b.must(b.ask("c:1")) // another may be asked now
}

func TestSwitchover_GoesWithItsMaster(t *testing.T) {
	b := newBook(t)
	b.must(b.ask("b:1"))
	spec := testSpec()
	spec.Masters = spec.Masters[1:]
	b.must(PutSpec{Spec: spec, IfRevision: b.state.Spec().Revision})
	if _, ok := b.state.Switchover("cache"); ok {
		t.Fatal("the request outlived its master")
	}
}

// TestSwitchoverPromises: whatever comes in whatever order, one open request per
// master, a failover names at most one request and a request leads to at most
// one failover.
func TestSwitchoverPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBook(t)
		var tokens []Token
		for range rapid.IntRange(5, 60).Draw(rt, "steps") {
			before := b.state
			was, had := before.Switchover("cache")
			if rapid.IntRange(0, 9).Draw(rt, "election") == 0 {
				b.term++
			}
			b.clock += Clock(rapid.IntRange(0, 8000).Draw(rt, "ms")) * Clock(time.Millisecond)
			c := drawSwitchover(rt, b, tokens)
			answer := b.apply(c)
			did := fmt.Sprintf("%s %+v -> %+v", c.Kind(), c, answer)
			if answer.Token != 0 {
				if had && was.Open(b.state.Clock()) {
					rt.Fatalf("a second request while one was open: %s", did)
				}
				if answer.Token <= was.Token {
					rt.Fatalf("a token fell: %s", did)
				}
				tokens = append(tokens, answer.Token)
			}
			joined(rt, b.state, did)
		}
		back := Unflatten(b.state.Flatten())
		if fmt.Sprint(back.Flatten()) != fmt.Sprint(b.state.Flatten()) {
			rt.Fatal("a snapshot does not give the state back")
		}
	})
}

func drawSwitchover(rt *rapid.T, b *book, tokens []Token) Command {
	to := rapid.SampledFrom([]Address{"a:1", "b:1", "c:1"}).Draw(rt, "to")
	switch rapid.IntRange(0, 4).Draw(rt, "kind") {
	case 0:
		m, _ := b.state.Master("cache")
		return b.see(Advance, to, m.Epoch+Epoch(rapid.IntRange(0, 1).Draw(rt, "epoch")))
	case 1, 2:
		for _, a := range b.state.Open() {
			if rapid.Bool().Draw(rt, "finish") {
				b.apply(Abandon{Action: a.ID, Reason: "r"})
			}
		}
		c := b.ask(to)
		c.Window = time.Duration(rapid.IntRange(1, 20).Draw(rt, "window")) * time.Second
		return c
	default:
		token := rapid.SampledFrom(append(tokens[:len(tokens):len(tokens)], 1)).Draw(rt, "token")
		as := SwitchoverPhase(rapid.IntRange(1, 7).Draw(rt, "as"))
		return NoteSwitchover{Master: "cache", Token: token, To: as, Detail: "d"}
	}
}

func joined(rt *rapid.T, s State, did string) {
	w, ok := s.Switchover("cache")
	of := map[uint64]FailoverID{}
	for _, f := range s.Failovers("cache") {
		if f.Asked.Index == 0 {
			continue
		}
		if other, twice := of[f.Asked.Index]; twice {
			rt.Fatalf("%s and %s come of one request: %s", other, f.ID, did)
		}
		of[f.Asked.Index] = f.ID
	}
	led, found := of[w.Token.Index()]
	if ok && (w.Phase == SwitchoverLed) != found || found && led.Number != w.Number {
		rt.Fatalf("request is %s with failover %d, the failovers say %v: %s", w.Phase, w.Number, of, did)
	}
}
