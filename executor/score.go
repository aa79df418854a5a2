package executor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

const (
	scoreScan  = 20 * time.Millisecond  // from a change of the state until it is taken over
	scoreLater = 100 * time.Millisecond // until an object is thought of again whose look cannot begin
	scoreIdle  = time.Minute            // at most, between two thoughts
	// scoreTell is the least between two entries about an object that does not
	// change; later they lie apart by a half of the failover's age.
	scoreTell  = 10 * time.Second
	scoreAgain = 10 * time.Second // after the log took none: a voter that cannot read them yet
)

// scoreDelay is the pause between the looks at an object that is only observed,
// by the age of its failover: whoever else repoints it does so within seconds,
// and repeats it after half a minute, a minute, and so on (that is how Sentinel
// repeats a script that fails).
func scoreDelay(age time.Duration) time.Duration {
	switch {
	case age < 3*time.Second:
		return 250 * time.Millisecond
	case age < 15*time.Second:
		return 500 * time.Millisecond
	case age < time.Minute:
		return 2 * time.Second
	case age < 5*time.Minute:
		return 10 * time.Second
	case age < time.Hour:
		return time.Minute
	}
	return 5 * time.Minute
}

// scores is the watch over the objects of observed failovers, of one term; its
// loop owns it.
type scores struct {
	*Executor
	term     fsm.Term
	index    uint64
	revision fsm.Revision
	numbers  map[fsm.MasterID]fsm.Number // looked up so far
	objects  map[fsm.ActionID]*scoring   // of the newest failover of each master
}

// scoring is one object that is only observed. next is the loop's; the rest
// belongs to the one look that runs.
type scoring struct {
	action   fsm.Action
	failover fsm.Failover
	next     time.Time

	last   fsm.Clock // when the look before began; 0: none by this leader
	told   fsm.Look  // by this leader; zero: none
	untold int       // looks since
	quiet  time.Time // nothing is told before
}

// watchScores looks at the objects that observed actions would have written, for
// as long as the term lasts, and tells the log what it sees. It writes nothing
// anywhere else.
func (e *Executor) watchScores(ctx context.Context, term fsm.Term) {
	w := &scores{Executor: e, term: term, numbers: map[fsm.MasterID]fsm.Number{}, objects: map[fsm.ActionID]*scoring{}}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		state, changed := e.Journal.Watch()
		w.stand(state)
		timer.Reset(w.look(ctx))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-changed: // a busy log changes often
			timer.Reset(scoreScan)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
	}
}

// stand takes over what is observed now, with the looks that it has had.
func (w *scores) stand(state fsm.State) {
	if state.Index() == w.index {
		return
	}
	w.index = state.Index()
	if state.Spec().Revision != w.revision {
		w.revision = state.Spec().Revision
		clear(w.numbers) // masters may have come and gone
	} else if len(w.objects) == 0 && !slices.ContainsFunc(state.Spec().Masters, func(m fsm.MasterSpec) bool { return m.Observe }) {
		return
	}
	now := map[fsm.MasterID]bool{}
	for _, m := range state.Masters() {
		now[m.ID] = true
		if n, ok := w.numbers[m.ID]; ok && n == m.Number {
			continue
		}
		w.numbers[m.ID] = m.Number
		w.take(state, m.ID)
	}
	for id, s := range w.objects {
		if !now[s.action.For.Master] || s.action.For.Number != w.numbers[s.action.For.Master] {
			delete(w.objects, id)
		}
	}
}

func (w *scores) take(state fsm.State, id fsm.MasterID) {
	for _, a := range state.Scored(id) {
		if w.objects[a.ID] != nil {
			continue
		}
		f, _ := state.Failover(a.For)
		w.objects[a.ID] = &scoring{action: a, failover: f, next: time.Now()}
	}
}

// look begins the looks that are due, the longest due first, and says how long
// until the next one is. A target whose rate is wanted by others has its turn
// later.
func (w *scores) look(ctx context.Context) (left time.Duration) {
	var due []*scoring
	for _, s := range w.objects {
		if !time.Now().Before(s.next) {
			due = append(due, s)
		}
	}
	slices.SortFunc(due, func(a, b *scoring) int {
		if c := a.next.Compare(b.next); c != 0 {
			return c
		}
		return strings.Compare(string(a.action.ID), string(b.action.ID))
	})
	spent := map[fsm.TargetID]bool{}
	for _, s := range due {
		if target := s.action.Target.ID; !spent[target] {
			spent[target] = !w.begin(ctx, s)
		}
	}
	left = scoreIdle
	for _, s := range w.objects {
		left = min(left, max(time.Until(s.next), scoreLater))
	}
	return left
}

// begin begins one look, unless one is under way or the node is about to hand
// over. False: the target's rate is wanted by others.
func (w *scores) begin(ctx context.Context, s *scoring) bool {
	id := "score/" + s.action.ID
	w.mu.Lock()
	busy := w.draining || w.running[id]
	w.mu.Unlock()
	if busy {
		s.next = time.Now().Add(scoreLater)
		return true
	}
	g, left := w.tools.admit(s.action.Target, costLook, patiently)
	if left > 0 {
		return false
	}
	age := time.Duration(w.Journal.Clock() - s.failover.Clock)
	s.next = time.Now().Add(scoreDelay(age))
	t := try{Executor: w.Executor, term: w.term, id: s.action.ID}
	w.start(ctx, id, job{do: func(ctx context.Context) { t.observed(patient(ctx), s) }, target: "score/" + s.action.Target.ID, grant: g})
	return true
}

// observed makes one look and tells it where it is news, or the log has heard
// nothing for long.
func (t try) observed(ctx context.Context, s *scoring) {
	state, _ := t.Journal.Watch()
	if m, _ := state.Master(s.action.For.Master); m.Number != s.action.For.Number {
		return
	}
	c := fsm.NoteScore{Term: t.term, Action: s.action.ID, Look: fsm.Look{Clock: t.Journal.Clock()}}
	if s.last == 0 { // what the warm-up saw is what a claim would have met
		if t.reading = t.tools.take(s.action.Step.Object); t.reading != nil {
			c.Look.Clock -= fsm.Clock(time.Since(t.reading.At))
		}
		c.Held = t.wouldWait(state, s.action)
	}
	tool, err := t.showing(ctx, state, s, &c.Look)
	if ctx.Err() != nil {
		return
	}
	if err != nil && (tool == nil || actuators.Explain(err).Permanent) {
		t.tools.forget(s.action.Target.ID) // a human may mend the credential: open it anew then
	}
	c.Look.After, s.last = s.last, c.Look.Clock
	s.untold++
	if c.Looks = s.untold; s.tellable(c.Look) {
		t.tell(ctx, s, c)
	}
}

// wouldWait says what would have kept an action of the first stage from its claim.
func (t try) wouldWait(state fsm.State, a fsm.Action) string {
	a.Phase = fsm.Pending
	gates, _ := state.Gates(a, t.now(t.term, 0))
	var parts []string
	for _, g := range gates {
		parts = append(parts, g.Kind.String()+": "+g.Detail)
	}
	return strings.Join(parts, "; ")
}

// showing reads the object and says how it stands to what the action wants, and
// whose value it shows.
func (t try) showing(ctx context.Context, state fsm.State, s *scoring, l *fsm.Look) (actuators.Actuator, error) {
	a := s.action
	a.Phase = fsm.Pending // as a claim would have found it
	seen, tool, err := t.look(ctx, state, a, false)
	if err != nil {
		l.Shows, l.Meets, l.Found = fsm.ShowsNothing, fsm.MeetsSilence, err.Error()
		if actuators.Explain(err).Permanent {
			l.Meets = fsm.MeetsRefusal
		}
		return tool, err
	}
	l.Meets, l.Found = meets(seen.Verdict), seen.Detail
	l.Shows = shows(tool, seen, a)
	switch l.Shows {
	case fsm.ShowsWanted, fsm.ShowsStored:
		l.At = s.failover.To
	case fsm.ShowsOther:
		l.At = t.whose(state, tool, seen.Reading, s)
	}
	return tool, nil
}

// whose finds the candidate that another value is for; empty: none.
func (t try) whose(state fsm.State, tool actuators.Actuator, r actuators.Reading, s *scoring) fsm.Address {
	c, ok := tool.(actuators.Comparer)
	spec, _ := state.Spec().Master(s.action.For.Master)
	if !ok {
		return ""
	}
	for _, candidate := range spec.Candidates {
		f := s.failover
		a := t.supposed(s.action.Step, s.action.Target, factsOf(spec, f.ID, f.From, candidate.Address, f.Epoch))
		if len(a.Value) > 0 && candidate.Address != f.To && c.Compare(r, a) >= actuators.ShownStored {
			return candidate.Address
		}
	}
	return ""
}

// shows compares the value where the actuator can; else its verdict tells as
// much as it can.
func shows(tool actuators.Actuator, seen actuators.Sight, a fsm.Action) fsm.Showing {
	if c, ok := tool.(actuators.Comparer); ok {
		return map[actuators.Shown]fsm.Showing{
			0: fsm.ShowsUnknown, actuators.ShownOther: fsm.ShowsOther, actuators.ShownStored: fsm.ShowsStored, actuators.ShownValue: fsm.ShowsWanted,
		}[c.Compare(seen.Reading, a)]
	}
	switch seen.Verdict {
	case actuators.Applied:
		return fsm.ShowsWanted
	case actuators.Staged:
		return fsm.ShowsStored
	case actuators.Absent:
		return fsm.ShowsOther
	}
	return fsm.ShowsUnknown
}

// meets is what a claim would have come to.
func meets(v actuators.Verdict) fsm.Meets {
	switch v {
	case actuators.Absent:
		return fsm.MeetsAbsent
	case actuators.Applied:
		return fsm.MeetsApplied
	case actuators.Staged:
		return fsm.MeetsStaged
	case actuators.Foreign:
		return fsm.MeetsForeign
	case actuators.Newer:
		return fsm.MeetsNewer
	}
	return fsm.MeetsBusy
}

// tellable reports whether the log should hear of a look.
func (s *scoring) tellable(l fsm.Look) bool {
	if time.Now().Before(s.quiet) {
		return false
	}
	age := time.Duration(l.Clock - s.failover.Clock)
	return s.told.Shows == 0 || l.News(s.told) || time.Duration(l.Clock-s.told.Clock) >= max(scoreTell, age/2)
}

func (t try) tell(ctx context.Context, s *scoring, c fsm.NoteScore) {
	_, err := t.propose(ctx, t.term, c)
	switch {
	case err != nil && !errors.Is(err, fsm.ErrPhase): // a newer failover needs no more of it
		s.quiet = time.Now().Add(scoreAgain)
		return
	case err != nil:
		return
	}
	if s.told.Shows == 0 || c.Look.News(s.told) {
		t.Logger.Info("observed", "action", string(c.Action), "shows", c.Look.Shows.String(), "address", string(c.Look.At),
			"would_meet", c.Look.Meets.String(), "found", c.Look.Found)
	}
	s.told, s.untold = c.Look, 0
}
