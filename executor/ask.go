package executor

import (
	"context"
	"errors"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// ErrDraining is returned while the leadership is being handed over.
var ErrDraining = errors.New("the leadership is being handed over")

// askAct bounds a request to a Sentinel: it is sent and answered within this
// span from before its entry was proposed, or not sent at all.
const askAct = 5 * time.Second

// Request is a human's request for a switchover, and the two things that the
// executor cannot do itself. Both are called at most once.
type Request struct {
	Ask fsm.AskSwitchover
	// Propose logs the request in its term, for whoever asked.
	Propose func(context.Context, fsm.AskSwitchover) (fsm.Answer, error)
	// Send asks the one Sentinel and says what came of it: started, doubt or
	// refused, and the Sentinel's words. It must not repeat anything.
	Send func(context.Context) (fsm.SwitchoverPhase, string)
}

// Ask logs a request and then, if this very call made its entry, sends it: once,
// by the process that saw the commit, within askAct. A repeat of a logged call
// finds another sender in the entry and sends nothing. What came of it is logged;
// an answer that was lost is logged as such and never asked for again. Once the
// entry is there, the caller's going away changes nothing; the end of the term
// does. It returns the request as it stands. ctx is the caller's, office the
// term's. May be called concurrently.
func (e *Executor) Ask(ctx, office context.Context, r Request) (fsm.Switchover, error) {
	if !e.enter() {
		return fsm.Switchover{}, ErrDraining
	}
	defer e.leave()
	began := startSpan()
	answer, err := r.Propose(ctx, r.Ask)
	if err == nil {
		err = answer.Err()
	}
	if err != nil {
		return fsm.Switchover{}, err
	}
	state, _ := e.Journal.Watch()
	w, ok := state.Switchover(r.Ask.Master)
	if !ok || w.Token != answer.Token || w.Sender != r.Ask.Sender {
		return w, nil // a repeat: whoever made the entry sends it
	}
	crashAt(asked, fsm.Action{Step: fsm.Step{Name: "switchover"}})
	to, detail := e.sendOnce(office, began, r)
	e.note(office, w, to, detail)
	state, _ = e.Journal.Watch()
	if now, ok := state.Switchover(w.Master); ok && now.Token == w.Token {
		w = now
	}
	return w, nil
}

// sendOnce sends unless the span is over: somebody may count the request out.
func (e *Executor) sendOnce(office context.Context, began span, r Request) (fsm.SwitchoverPhase, string) {
	left := askAct - began.elapsed()
	if left <= 0 || office.Err() != nil {
		return fsm.SwitchoverRefused, "not sent: its time was up before it could be"
	}
	ctx, cancel := context.WithTimeout(office, left)
	defer cancel()
	return r.Send(ctx)
}

func (e *Executor) note(office context.Context, w fsm.Switchover, to fsm.SwitchoverPhase, detail string) {
	_, err := e.propose(office, w.Term, fsm.NoteSwitchover{Master: w.Master, Token: w.Token, To: to, Detail: detail})
	log := e.Logger.With("master", string(w.Master), "sentinel", w.Sentinel, "actor", w.Actor, "reason", w.Reason, "term", uint64(w.Term))
	log.Info("switchover asked", "outcome", to.String(), "detail", detail, "noted", err == nil)
}

// enter counts a call that a drain must wait for; false while one drains.
func (e *Executor) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.draining {
		e.acting++
	}
	return !e.draining
}

func (e *Executor) leave() {
	e.mu.Lock()
	e.acting--
	e.mu.Unlock()
	e.nudge()
}

// unseen ends the requests whose window has run out without a failover, so that
// the log says so, and says when the next one does.
func (e *Executor) unseen(ctx context.Context, term fsm.Term, state fsm.State) time.Duration {
	next := time.Minute
	for _, w := range state.Switchovers() {
		if w.Phase > fsm.SwitchoverDoubt {
			continue
		}
		if left := w.Left(e.Journal.Clock()); left > 0 {
			next = min(next, left)
			continue
		}
		id := fsm.ActionID("switchover/" + string(w.Master))
		e.mu.Lock()
		busy := e.running[id] || e.draining
		e.mu.Unlock()
		if !busy {
			e.start(ctx, id, job{do: func(ctx context.Context) {
				_, _ = e.propose(ctx, term, fsm.NoteSwitchover{
					Master: w.Master, Token: w.Token, To: fsm.SwitchoverUnseen, Detail: "no failover was seen in " + w.Window.String(),
				})
			}})
		}
	}
	return next
}
