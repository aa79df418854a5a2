package executor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

const askWindow = 30 * time.Second

// gate is a log that a leader of one term can reach until it is deposed.
type gate struct {
	*world
	term   fsm.Term
	office context.Context
	deny   error // of every proposal; under mu, as tries
	tries  int
}

func (g *gate) Watch() (fsm.State, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state, g.changed
}

func (g *gate) ProposeAs(_ context.Context, term fsm.Term, c fsm.Command) (fsm.Answer, error) {
	return g.propose(term, c, "", "")
}

func (g *gate) propose(term fsm.Term, c fsm.Command, id fsm.CommandID, actor string) (fsm.Answer, error) {
	if err := g.tried(); err != nil {
		return fsm.Answer{}, err
	}
	switch {
	case term != g.term || g.office.Err() != nil:
		return fsm.Answer{}, errors.New("the term is over")
	}
	return g.commitFor(term, c, id, actor), nil
}

// tried counts a proposal; the error is the log's word to all of them.
func (g *gate) tried() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tries++
	return g.deny
}

// denying begins a new count.
func (g *gate) denying(err error) (tries int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	tries, g.tries, g.deny = g.tries, 0, err
	return tries
}

func (g *gate) Applied(fsm.Token) (time.Time, bool) { return time.Time{}, false }
func (g *gate) Clock() fsm.Clock                    { return fsm.Clock(time.Since(g.start)) }

// asker is one term of one process.
type asker struct {
	*Executor
	log    *gate
	t      *testing.T
	depose context.CancelFunc
	sends  int // requests that left this process
	// Hooks; nil: nothing happens.
	logged func()                                                       // the entry is committed, the answer not yet given
	answer func(ctx context.Context) (to fsm.SwitchoverPhase, s string) // the Sentinel; nil: it says yes
}

// leads begins a term over a log with one master at a:1.
func leads(t *testing.T, w *world, term fsm.Term) *asker {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &asker{log: &gate{world: w, term: term, office: ctx}, t: t, depose: cancel}
	c := DefaultConfig()
	c.Journal = l.log
	l.Executor = New(c)
	t.Cleanup(cancel)
	return l
}

func askable(t *testing.T) *world {
	t.Helper()
	w := newWorld()
	candidates := []fsm.Candidate{{Address: "a:1"}, {Address: "b:1"}, {Address: "c:1"}}
	must(t, w, fsm.PutSpec{Spec: fsm.Spec{Masters: []fsm.MasterSpec{{ID: "cache", Candidates: candidates}}}})
	must(t, w, fsm.Observe{Master: "cache", Revision: 1, Address: "a:1", Epoch: 1, As: fsm.Seed})
	return w
}

// call is one call of the API: id is the request's, a repeat has the same.
func (l *asker) call(ctx context.Context, id fsm.CommandID, sender string) (fsm.Switchover, error) {
	m, _ := l.log.now().Master("cache")
	to := fsm.Address("b:1")
	if m.Address == to {
		to = "a:1"
	}
	return l.Ask(ctx, l.log.office, Request{
		Ask: fsm.AskSwitchover{
			Master: "cache", Base: m.Number, Revision: 1, Term: l.log.term, To: to, Sentinel: "s1:26379", Reason: "kernel update", Sender: sender, Window: askWindow,
		},
		Propose: func(_ context.Context, c fsm.AskSwitchover) (fsm.Answer, error) {
			answer, err := l.log.propose(c.Term, c, id, "ann")
			if l.logged != nil {
				l.logged()
			}
			return answer, err
		},
		Send: func(ctx context.Context) (fsm.SwitchoverPhase, string) {
			l.sends++
			if l.answer != nil {
				return l.answer(ctx)
			}
			return fsm.SwitchoverStarted, "OK"
		},
	})
}

func (l *asker) stands(phase fsm.SwitchoverPhase) fsm.Switchover {
	l.t.Helper()
	w, ok := l.log.now().Switchover("cache")
	if !ok || w.Phase != phase {
		l.t.Fatalf("the request is %s (%s), want %s", w.Phase, w.Detail, phase)
	}
	return w
}

func (l *asker) sent(want int) {
	l.t.Helper()
	if l.sends != want {
		l.t.Fatalf("term %d sent %d requests, want %d", l.log.term, l.sends, want)
	}
}

func (l *asker) refuses(err error, want fsm.Refusal) {
	l.t.Helper()
	if r := (*fsm.Refused)(nil); !errors.As(err, &r) || r.Refusal != want {
		l.t.Fatalf("got %v, want %s", err, want)
	}
}

// moves lets a failover of the master be accepted.
func (w *world) moves(t *testing.T, term fsm.Term, to fsm.Address) {
	t.Helper()
	m, _ := w.now().Master("cache")
	if err := w.commit(term, fsm.Observe{Master: "cache", Base: m.Number, Revision: 1, Address: to, Epoch: m.Epoch + 1, As: fsm.Advance, Term: term}).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestAsk_Once: one request leaves for one entry, and a repeat of the same call
// is told how it stands, also after the failover that came of it.
func TestAsk_Once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := askable(t)
		l := leads(t, w, 1)
		for i, sender := range []string{"call-1", "call-2", "call-3"} {
			got, err := l.call(t.Context(), "one", sender)
			if err != nil || got.Phase != fsm.SwitchoverStarted || got.Actor != "ann" || got.Reason != "kernel update" || got.Sender != "call-1" {
				t.Fatalf("call %d: %+v, %v", i, got, err)
			}
		}
		l.sent(1)
		_, err := l.call(t.Context(), "two", "call-4")
		l.refuses(err, fsm.ErrSwitchover)
		w.moves(t, 1, "b:1")
		l.stands(fsm.SwitchoverLed)
		if got, err := l.call(t.Context(), "one", "call-5"); err != nil || got.Number != 1 {
			t.Fatalf("after the failover: %+v, %v", got, err)
		}
		l.sent(1)
	})
}

// TestAsk_LeaderOnly: a process that does not lead the term logs and sends nothing.
func TestAsk_LeaderOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := askable(t)
		l := leads(t, w, 1)
		l.depose()
		if _, err := l.call(t.Context(), "one", "call-1"); err == nil {
			t.Error("asked without an office")
		}
		if _, ok := w.now().Switchover("cache"); ok {
			t.Error("logged")
		}
		l.sent(0)
		// The log itself refuses an entry that a leader of another term made.
		old := leads(t, w, 2)
		old.logged = func() {}
		_, err := old.Ask(t.Context(), old.log.office, Request{
			Ask: fsm.AskSwitchover{Master: "cache", Revision: 1, Term: 1, To: "b:1", Sender: "x", Window: askWindow},
			Propose: func(_ context.Context, c fsm.AskSwitchover) (fsm.Answer, error) {
				return w.commit(2, c), nil
			},
			Send: func(context.Context) (fsm.SwitchoverPhase, string) { old.sends++; return fsm.SwitchoverStarted, "" },
		})
		old.refuses(err, fsm.ErrTerm)
		old.sent(0)
	})
}

// TestAsk_DeposedAfterTheCommit: the one who may send knows that its term is over
// and does not; nobody else does, and the next leader says so in the end.
func TestAsk_DeposedAfterTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := askable(t)
		l := leads(t, w, 1)
		l.logged = l.depose
		if _, err := l.call(t.Context(), "one", "call-1"); err != nil {
			t.Fatal(err)
		}
		l.sent(0)
		l.stands(fsm.SwitchoverAsked)

		next := leads(t, w, 2)
		done := make(chan struct{})
		go func() { defer close(done); _ = next.Run(next.log.office, 2) }()
		if got, err := next.call(t.Context(), "one", "call-2"); err != nil || got.Phase != fsm.SwitchoverAsked || got.Sender != "call-1" {
			t.Fatalf("repeat at the next leader: %+v, %v", got, err)
		}
		_, err := next.call(t.Context(), "two", "call-3")
		next.refuses(err, fsm.ErrSwitchover)
		time.Sleep(askWindow - time.Second)
		next.stands(fsm.SwitchoverAsked)
		time.Sleep(2 * time.Second)
		next.stands(fsm.SwitchoverUnseen)
		next.sent(0)
		if _, err := next.call(t.Context(), "two", "call-4"); err == nil { // its refusal is kept like any answer
			t.Error("the refused one was taken after all")
		}
		if _, err := next.call(t.Context(), "three", "call-5"); err != nil {
			t.Error(err)
		}
		next.sent(1)
		next.depose()
		<-done
	})
}

// TestAsk_DeposedOnTheWire: the answer of a request on the wire is lost with the
// term. It is not asked again by anybody, it keeps others out for its window, and
// a failover that comes of it late names who asked.
func TestAsk_DeposedOnTheWire(t *testing.T) {
	for _, lands := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := askable(t)
			l := leads(t, w, 1)
			l.answer = func(ctx context.Context) (fsm.SwitchoverPhase, string) {
				l.depose()
				<-ctx.Done() // the connection ends with the term
				return fsm.SwitchoverDoubt, "no answer"
			}
			if _, err := l.call(t.Context(), "one", "call-1"); err != nil {
				t.Fatal(err)
			}
			l.sent(1)
			l.stands(fsm.SwitchoverAsked) // nothing could be noted
			next := leads(t, w, 2)
			done := make(chan struct{})
			go func() { defer close(done); _ = next.Run(next.log.office, 2) }()
			if _, err := next.call(t.Context(), "one", "call-2"); err != nil {
				t.Fatal(err)
			}
			_, err := next.call(t.Context(), "two", "call-3")
			next.refuses(err, fsm.ErrSwitchover)
			time.Sleep(askWindow / 2)
			want := fsm.SwitchoverUnseen
			if lands {
				w.moves(t, 2, "b:1")
				want = fsm.SwitchoverLed
				if f, _ := w.now().Failover(fsm.FailoverID{Master: "cache", Number: 1}); f.Asked.Actor != "ann" || f.Asked.Reason != "kernel update" {
					t.Errorf("the failover says %+v", f.Asked)
				}
			}
			time.Sleep(askWindow)
			next.stands(want)
			next.sent(0)
			next.depose()
			<-done
		})
	}
}
