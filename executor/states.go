package executor

import (
	"context"
	"fmt"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// Bounds of the notes about masters' states.
const (
	// LateAfter is how long a failover may be carried out before its master
	// counts as degraded, in log clock.
	LateAfter = 30 * time.Second
	noteBurst = 6                // entries about one master at once
	noteEvery = 10 * time.Second // and one more in each such span: a master that flaps costs no more
	noteScan  = time.Second
	noteAgain = 10 * time.Second // after the log took none: a voter that cannot read them yet
)

// Stand tells how a master stands now; what is news is noted in the log. It
// never blocks and may be called concurrently; what is told while nobody leads
// is forgotten.
func (e *Executor) Stand(n fsm.Note) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wanted[n.Master] == n {
		return
	}
	e.wanted[n.Master] = n
	select {
	case e.stood <- struct{}{}:
	default:
	}
}

// states is the watch over how masters stand, of one term; its loop owns it.
type states struct {
	*Executor
	term  fsm.Term
	left  map[fsm.MasterID]allowance
	quiet time.Time // nothing is proposed before
}

// allowance is what is left of a master's entries.
type allowance struct {
	n  int
	at time.Time
}

// watchStates notes what Stand was told and how long failovers take, for as
// long as the term lasts. It proposes one entry at a time, so that within a term
// notes are logged in the order in which they were seen.
func (e *Executor) watchStates(ctx context.Context, term fsm.Term) {
	w := &states{Executor: e, term: term, left: map[fsm.MasterID]allowance{}}
	tick := time.NewTicker(noteScan)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-e.stood:
		}
		state, _ := e.Journal.Watch()
		if due := w.due(state, time.Now()); len(due) > 0 {
			w.note(ctx, due)
		}
	}
}

// due lists what is news, at most one entry's worth.
func (w *states) due(state fsm.State, now time.Time) (notes []fsm.Note) {
	if now.Before(w.quiet) {
		return nil
	}
	w.mu.Lock()
	wanted := make([]fsm.Note, 0, len(w.wanted))
	for _, n := range w.wanted {
		wanted = append(wanted, n)
	}
	w.mu.Unlock()
	for _, n := range wanted {
		if len(notes) < fsm.MaxNotes && news(state, n) && w.allowed(state, n.Master, now) {
			notes = append(notes, n)
		}
	}
	clock := w.Journal.Clock()
	for _, c := range state.Conditions() {
		late := c.Word == fsm.StateFailingOver && c.Sight == fsm.SightCalm && clock-c.Began > fsm.Clock(LateAfter)
		if late && len(notes) < fsm.MaxNotes && w.allowed(state, c.Master, now) {
			notes = append(notes, fsm.Note{
				Master: c.Master, Base: c.Number, Sight: fsm.SightLate,
				Reason: fmt.Sprintf("%s takes longer than %s", fsm.FailoverID{Master: c.Master, Number: c.Number}, LateAfter),
			})
		}
	}
	return notes
}

// news reports whether the log holds something else. A note that was made
// against an older failover is not: it is judged anew, against the newer one.
func news(state fsm.State, n fsm.Note) bool {
	m, _ := state.Master(n.Master)
	if !m.Known() || m.Number != n.Base {
		return false
	}
	c, known := state.Condition(n.Master)
	if !known {
		return true
	}
	late := c.Sight == fsm.SightLate && n.Sight == fsm.SightCalm // it ends with the failover's actions
	return c.Sight != n.Sight && !late
}

// allowed takes one of a master's entries; the first note of a master is free.
func (w *states) allowed(state fsm.State, id fsm.MasterID, now time.Time) bool {
	if _, known := state.Condition(id); !known {
		return true
	}
	a, ok := w.left[id]
	if !ok {
		a = allowance{noteBurst, now}
	}
	if back := int(now.Sub(a.at) / noteEvery); back > 0 {
		a.n, a.at = min(a.n+back, noteBurst), a.at.Add(time.Duration(back)*noteEvery)
	}
	if a.n == 0 {
		return false
	}
	a.n--
	w.left[id] = a
	return true
}

func (w *states) note(ctx context.Context, notes []fsm.Note) {
	answer, err := w.Journal.ProposeAs(ctx, w.term, fsm.NoteState{Term: w.term, Notes: notes})
	if err != nil {
		w.quiet = time.Now().Add(noteAgain)
		if ctx.Err() == nil {
			w.Logger.Info("states of masters are not noted", "masters", len(notes), "term", uint64(w.term), "error", err)
		}
		return
	}
	for _, n := range notes {
		w.meters.notes.WithLabelValues(n.Sight.String()).Inc()
	}
	if refused := answer.Err(); refused != nil {
		w.Logger.Debug("log refused", "kind", fsm.KindNoteState.String(), "term", uint64(w.term), "error", refused)
	}
}
