package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// ErrDraining is returned while the leadership is being handed over.
var ErrDraining = errors.New("the leadership is being handed over")

// askAct bounds a request to a Sentinel: it is sent and answered within this
// span from before its entry was proposed, or not sent at all.
const askAct = 5 * time.Second

// unseenAgain is the pause before the log is told again that nothing was seen.
const unseenAgain = 10 * time.Second

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
	switch {
	case !ok || w.Token != answer.Token:
		return fsm.Switchover{}, passed(r.Ask.Master, answer)
	case w.Sender != r.Ask.Sender:
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

// passed is the refusal of a request that was logged before and is not the
// newest any more.
func passed(id fsm.MasterID, answer fsm.Answer) error {
	return &fsm.Refused{
		Refusal: fsm.ErrNotHolder, Detail: fmt.Sprintf("the request of entry %d is over, and is no longer the newest of %s", answer.Token.Index(), id),
	}
}

// sendOnce sends unless the span is over, since somebody may count the request
// out, or the master has moved by itself meanwhile: the request asked for the
// next failover, and that one is there.
func (e *Executor) sendOnce(office context.Context, began span, r Request) (fsm.SwitchoverPhase, string) {
	state, _ := e.Journal.Watch()
	left := askAct - began.elapsed()
	if left <= 0 || office.Err() != nil {
		return fsm.SwitchoverRefused, "not sent: its time was up before it could be"
	}
	if w, ok := state.Switchover(r.Ask.Master); !ok || w.Phase != fsm.SwitchoverAsked {
		return fsm.SwitchoverRefused, "not sent: the master has moved by itself, or is not declared any more"
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
		wait, busy := time.Until(e.later[id]), e.running[id] || e.draining
		e.mu.Unlock()
		switch {
		case wait > 0:
			next = min(next, wait)
		case !busy:
			e.start(ctx, id, job{do: func(ctx context.Context) { e.noteUnseen(ctx, term, id, w) }})
		}
	}
	return next
}

// noteUnseen is tried again later where the log does not take it, for instance
// while a member of an older release cannot read it.
func (e *Executor) noteUnseen(ctx context.Context, term fsm.Term, id fsm.ActionID, w fsm.Switchover) {
	_, err := e.propose(ctx, term, fsm.NoteSwitchover{
		Master: w.Master, Token: w.Token, To: fsm.SwitchoverUnseen, Detail: "no failover was seen in " + w.Window.String(),
	})
	if err != nil {
		e.postpone(id, unseenAgain)
	}
}
