package fsm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of the built-in states.
const (
	MaxNotes = 256 // in one NoteState
	MaxSpans = 8   // of past switches kept per master, for the estimate
)

// Word is a master's state in one word, for apps.
type Word uint8

// The words.
const (
	StateOK          Word = iota + 1 // everything that the newest failover asks for is done
	StateFailingOver                 // the Sentinels have begun a switch, or an accepted one is being carried out
	StateDegraded                    // the master is down and nothing switches, or a switch is stuck or late
)

var wordNames = [...]string{"", "ok", "failing_over", "degraded"}

func (w Word) String() string { return name(wordNames[:], uint8(w)) }

// Sight is what the leader noted of a master between two failovers.
type Sight uint8

// The sights.
const (
	SightCalm   Sight = iota + 1 // nothing of the below
	SightComing                  // the Sentinels vote or have chosen a replica; nothing is accepted of it yet
	SightDown                    // the Sentinels see the master down and no failover is under way
	SightLate                    // the accepted failover takes longer than it should
)

var sightNames = [...]string{"", "calm", "coming", "down", "late"}

func (v Sight) String() string { return name(sightNames[:], uint8(v)) }

// Condition is how a master stands for those who use it. It exists from the
// first NoteState on and is shown as the setting StateKey. Its word follows from
// the log: the last note, and the actions of the newest failover. So it is ok in
// the very entry that settles the last action, and never before.
type Condition struct {
	Master MasterID
	Sight  Sight
	Note   string // why, for people
	Word   Word
	Since  Clock           // of Word
	Wall   time.Time       // of Since, display only
	Number Number          // accepted when it was last looked at; a newer one voids Sight
	Began  Clock           // when Word last became failing_over
	Told   Number          // failovers up to this one are counted in Spans
	Spans  []time.Duration // of the last switches, from Began to ok, oldest first
}

// Note is what the leader sees of one master.
type Note struct {
	Master MasterID
	Base   Number // the last accepted failover that the proposer saw
	Sight  Sight
	Reason string // for people; must hold no secret
}

// NoteState tells what the Sentinels show of masters beyond what Observe
// accepts. It is refused unless its term is its entry's, and a note is passed
// over unless its base is the last accepted number: a vote that is told late
// never covers what came of it.
type NoteState struct {
	Term  Term
	Notes []Note
}

// Kind implements Command.
func (NoteState) Kind() Kind { return KindNoteState }

func (c NoteState) apply(s State, e Entry) (State, Answer) {
	if c.Term != e.Term {
		return refused(s, refuse(ErrTerm, "noted in term %d, logged in term %d", c.Term, e.Term))
	}
	if len(c.Notes) == 0 || len(c.Notes) > MaxNotes {
		return refused(s, refuse(ErrLimit, "%d notes (1 to %d)", len(c.Notes), MaxNotes))
	}
	taken, first := false, error(nil)
	for _, n := range c.Notes {
		next, err := s.note(n, e)
		switch {
		case err == nil:
			s, taken = next, true
		case first == nil:
			first = err
		}
	}
	if !taken {
		return refused(s, first)
	}
	return s, accepted()
}

func (s State) note(n Note, e Entry) (State, error) {
	m, _ := s.Master(n.Master)
	switch {
	case !m.Known():
		return s, refuse(ErrUnknown, "master %q has had no first view", n.Master)
	case n.Base != m.Number:
		return s, refuse(ErrBase, "base %d, master %s is at %d", n.Base, n.Master, m.Number)
	case n.Sight < SightCalm || n.Sight > SightLate:
		return s, refuse(ErrPhase, "master %s: no such sight", n.Master)
	}
	c, known := s.Condition(n.Master)
	if !known {
		c.Told = m.Number
	}
	c.Master, c.Sight, c.Note, c.Number = n.Master, n.Sight, cut(n.Reason), m.Number
	return s.restate(c, e), nil
}

// restated brings a master's condition up to date after a command was accepted.
func (s State) restated(e Entry) State {
	var id MasterID
	switch c := e.Command.(type) {
	case Observe:
		id = c.Master
	case Settle:
		id = s.masterOf(c.Action)
	case Retry:
		id = s.masterOf(c.Action)
	case Abandon:
		id = s.masterOf(c.Action)
	case NoteDrift:
		id = s.masterOf(c.Action)
	}
	if c, ok := s.Condition(id); ok {
		return s.restate(c, e)
	}
	return s
}

func (s State) masterOf(id ActionID) MasterID {
	a, _ := s.Action(id)
	return a.For.Master
}

// restate derives the word and shows it. The setting is written only when what
// it shows changes.
func (s State) restate(c Condition, e Entry) State {
	m, _ := s.Master(c.Master)
	open := s.unfinished(FailoverID{m.ID, m.Number})
	if c.Number != m.Number || c.Sight == SightLate && open == "" {
		c.Number, c.Sight, c.Note = m.Number, SightCalm, ""
	}
	word, why := s.word(c, open)
	if word != c.Word {
		c.Word, c.Since, c.Wall = word, s.clock, e.Wall
		switch word {
		case StateFailingOver:
			c.Began = s.clock
		case StateOK:
			c = c.measured(m.Number, s.clock)
		}
	}
	s.conditions, _, _ = s.conditions.Insert([]byte(c.Master), c)
	shown := s.shown(c, why)
	if old, ok := s.Setting(StateKey(c.Master)); ok && old.Value == shown && old.Owner == BuiltIn {
		return s
	}
	return s.set(Setting{Key: StateKey(c.Master), Value: shown, Owner: BuiltIn, Actor: e.Actor}, e)
}

// measured counts the span of a switch that has come to its end.
func (c Condition) measured(n Number, now Clock) Condition {
	if n > c.Told && c.Began > 0 {
		keep := max(0, len(c.Spans)-(MaxSpans-1))
		c.Spans = append(slices.Clone(c.Spans[keep:]), time.Duration(now-c.Began))
	}
	c.Told, c.Began = n, 0
	return c
}

// Estimate is how long a switch of the master typically takes from failing_over
// to ok: the median of the last MaxSpans. False: none was measured.
func (c Condition) Estimate() (time.Duration, bool) {
	if len(c.Spans) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(c.Spans))
	return sorted[len(sorted)/2], true
}

// unfinished finds what of a failover is not done: a stuck action before any
// other, an action of the plan before a repair. Empty: nothing.
func (s State) unfinished(id FailoverID) (worst ActionID) {
	rank := 0
	for _, a := range s.Actions(id) {
		now := 0
		switch {
		case a.Phase.Final():
		case a.Phase == Stuck:
			now = 3
		case !a.repairs():
			now = 2
		default:
			now = 1
		}
		if now > rank {
			rank, worst = now, a.ID
		}
	}
	return worst
}

// repairs reports whether the action mends what an earlier one had done.
func (a Action) repairs() bool { return strings.Contains(a.Step.Name, "~") }

func (s State) word(c Condition, open ActionID) (word Word, why string) {
	a, _ := s.Action(open)
	switch {
	case c.Sight == SightComing:
		return StateFailingOver, c.Note
	case a.Phase == Stuck:
		return StateDegraded, fmt.Sprintf("action %s is stuck", a.ID)
	case open != "" && a.repairs():
		return StateDegraded, fmt.Sprintf("action %s repairs what was found other than it should be", a.ID)
	case c.Sight == SightDown || c.Sight == SightLate:
		return StateDegraded, c.Note
	case open != "":
		return StateFailingOver, fmt.Sprintf("%s is being carried out", a.For)
	}
	return StateOK, ""
}

// Shown is the value of a built-in state: documented in docs/apps.md, fields
// are only added.
type Shown struct {
	State      string `json:"state"`
	Master     string `json:"master"`
	Since      string `json:"since"`       // wall clock of the leader that noted it, RFC 3339 in UTC
	EstimateMS *int64 `json:"estimate_ms"` // null: not known
	Failover   string `json:"failover"`    // that it is about; empty while none is accepted
	Old        string `json:"old"`
	New        string `json:"new"` // empty while not known
	Reason     string `json:"reason"`
}

func (s State) shown(c Condition, why string) string {
	m, _ := s.Master(c.Master)
	v := Shown{State: c.Word.String(), Master: string(c.Master), Reason: why, New: string(m.Address)}
	if !c.Wall.IsZero() {
		v.Since = c.Wall.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	if span, ok := c.Estimate(); ok && c.Word != StateDegraded {
		ms := span.Milliseconds()
		v.EstimateMS = &ms
	}
	f, accepted := s.Failover(FailoverID{m.ID, m.Number})
	switch {
	case c.Sight == SightComing:
		v.Old, v.New = string(m.Address), ""
	case accepted:
		v.Failover, v.Old = f.ID.String(), string(f.From)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return v.State // cannot be: strings and a number
	}
	return string(raw)
}

// BuiltIn is the owner of settings that the log itself writes.
const BuiltIn ActionID = "built-in"

// StateKey is the key of a master's built-in state.
func StateKey(id MasterID) string { return "redis/" + string(id) + "/state" }

// Reserved finds the master whose built-in state a key is, or stands under.
// Nobody but the log writes there, whether such a master is declared or not.
func Reserved(key string) (MasterID, bool) {
	p := strings.SplitN(key, "/", 4)
	if len(p) < 3 || p[0] != "redis" || p[2] != "state" {
		return "", false
	}
	return MasterID(p[1]), true
}

// Plain is a setting in one line for shells: the value, or a built-in state's
// word.
func (v Setting) Plain() string {
	if v.Owner != BuiltIn {
		return v.Value
	}
	var shown Shown
	if json.Unmarshal([]byte(v.Value), &shown) != nil {
		return v.Value
	}
	return shown.State
}

// Condition finds how a master stands; false before the first note of it.
func (s State) Condition(id MasterID) (Condition, bool) { return s.conditions.Get([]byte(id)) }

// Conditions lists how the masters stand, by id.
func (s State) Conditions() []Condition { return values(s.conditions, nil) }
