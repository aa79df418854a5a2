package fsm

import (
	"slices"
	"time"
)

// Bounds of scores.
const (
	MaxScored     = 100         // failovers of one master that keep their scores; the oldest go first
	MaxLooks      = 12          // looks kept of one score: the first one, and the newest that saw a change
	MaxFoundBytes = 256         // of what a look tells for people; longer ones are cut
	ScoreOpen     = time.Minute // of log clock from the acceptance: until then, what has not come may still come
)

// Showing is what a look saw of an object, held against what the observed
// action wants.
type Showing uint8

// The showings.
const (
	ShowsWanted  Showing = iota + 1 // the wanted value
	ShowsStored                     // the wanted value, which the provider counts as not applied yet
	ShowsOther                      // another value
	ShowsUnknown                    // it was read, and nothing tells whether that is the wanted value
	ShowsNothing                    // it could not be read
)

var showingNames = [...]string{"", "wanted", "stored", "other", "unknown", "nothing"}

func (v Showing) String() string { return name(showingNames[:], uint8(v)) }

// has reports whether the wanted value stands there, whoever wrote it.
func (v Showing) has() bool { return v == ShowsWanted || v == ShowsStored }

// told reports whether the look tells which value stands there.
func (v Showing) told() bool { return v.has() || v == ShowsOther }

// Meets is what a claim of the action would have come to, had it been claimed
// at the time of the look.
type Meets uint8

// What an action would have met.
const (
	MeetsAbsent  Meets = iota + 1 // another value: it would have written
	MeetsApplied                  // the wanted value: nothing to write
	MeetsStaged                   // the wanted value, to be applied: no write but that
	MeetsForeign                  // what its policy does not let it write over: stuck
	MeetsNewer                    // a newer failover's or another cluster's: stuck
	MeetsBusy                     // the provider at something that ends by itself: it would have waited
	MeetsSilence                  // no clear answer: it would have been tried again
	MeetsRefusal                  // a refusal that no repetition mends: stuck
)

var meetsNames = [...]string{"", "absent", "applied", "staged", "foreign", "newer", "busy", "unreadable", "refused"}

func (m Meets) String() string { return name(meetsNames[:], uint8(m)) }

// Look is one look at the object of an observed action.
type Look struct {
	Clock Clock   // when the read began
	After Clock   // when the look before it began: what it shows came about since then; 0: none is known
	Term  Term    // of the leader that looked
	Shows Showing // against the wanted value
	At    Address // the candidate that the value is for; empty: of none, or not told
	Meets Meets
	Found string    // for people
	Wall  time.Time // display only
}

// same reports whether two looks that tell a value tell the same one.
func (l Look) same(m Look) bool {
	return l.At == m.At && (l.At != "" || l.Found == m.Found)
}

// News reports whether a look saw other than the one before it.
func (l Look) News(before Look) bool {
	return l.Shows != before.Shows || l.Shows.told() && !l.same(before)
}

// Score is what successive looks saw of the object of an observed action. What
// happens between two looks and is taken back is not seen, nor is a repeat of
// the same value.
type Score struct {
	Action ActionID
	Looks  int    // made and told so far
	First  Look   // the first one: what the action would have met
	Held   string // what would have kept it from its claim when it was planned, for people; empty: nothing
	Kept   []Look // those after it that saw a change, oldest first, the newest MaxLooks
	Now    Look   // the newest that tells which value stands there; zero: none does

	Came, CameAfter Clock // the look that first saw the wanted value, and the one before that; 0: not yet, or none
	Applied         Clock // the look that first saw it applied; 0: not yet
	Changes         int   // looks that saw another value than the one before
	Wrong           int   // of them, those that led from one unwanted value to another
	SetBack         int   // of them, those that led away from the wanted value

	Last   Clock         // of the newest look told
	Term   Term          // of it
	Gaps   int           // changes of leader between two looks
	Unseen time.Duration // in sum, from the last look told to the next leader's first
	Index  uint64        // of the entry that changed it last
}

// NoteScore tells what the leader's looks at the object of an observed action
// saw. It is refused unless its term is its entry's and the action is of its
// master's newest failover.
type NoteScore struct {
	Term   Term
	Action ActionID
	Looks  int // since the note before it, this one included
	Look   Look
	Held   string // with the first
}

// Kind implements Command.
func (NoteScore) Kind() Kind { return KindNoteScore }

func (c NoteScore) apply(s State, e Entry) (State, Answer) {
	a, ok := s.Action(c.Action)
	m, _ := s.Master(a.For.Master)
	switch {
	case c.Term != e.Term:
		return refused(s, refuse(ErrTerm, "noted in term %d, logged in term %d", c.Term, e.Term))
	case !ok:
		return refused(s, refuse(ErrUnknown, "action %s", c.Action))
	case a.Phase != Observed || a.For.Number != m.Number:
		return refused(s, refuse(ErrPhase, "action %s is %s, of failover %s; newest is %d", a.ID, a.Phase, a.For, m.Number))
	case c.Look.Shows == 0 || c.Look.Shows > ShowsNothing || c.Look.Meets == 0 || c.Look.Meets > MeetsRefusal || c.Looks < 1:
		return refused(s, refuse(ErrLimit, "the look says nothing"))
	}
	v, known := s.Score(a.ID)
	if known && c.Look.Clock < v.Last {
		return refused(s, refuse(ErrLimit, "a look at %s, the last one told was at %s", time.Duration(c.Look.Clock), time.Duration(v.Last)))
	}
	v.Action, v.Index = a.ID, e.Index
	v = v.take(c, known, e)
	s.scores, _, _ = s.scores.Insert(a.ID.key(), v)
	return s, accepted()
}

// take adds a look.
func (v Score) take(c NoteScore, known bool, e Entry) Score {
	l := c.Look
	l.Term, l.Wall, l.Found, l.After = e.Term, e.Wall, short(l.Found), min(l.After, l.Clock)
	switch {
	case !known:
		l.After = 0
		v.First, v.Held = l, short(c.Held)
	case v.Term != e.Term:
		v.Gaps++
		v.Unseen += time.Duration(l.Clock - v.Last)
		l.After = v.Last
	default:
		l.After = max(l.After, v.Last)
	}
	before := v.newest()
	v.Looks += c.Looks
	v.Last, v.Term = l.Clock, e.Term
	if known && l.News(before) {
		v.Kept = append(slices.Clone(v.Kept[max(0, len(v.Kept)-(MaxLooks-1)):]), l)
	}
	if l.Shows.told() {
		v = v.count(l)
	}
	return v
}

// newest is the last look kept.
func (v Score) newest() Look {
	if n := len(v.Kept); n > 0 {
		return v.Kept[n-1]
	}
	return v.First
}

// count holds a look that tells a value against the one before that did.
func (v Score) count(l Look) Score {
	if v.Now.Shows != 0 && !l.same(v.Now) {
		v.Changes++
		switch {
		case l.Shows.has():
		case v.Now.Shows.has():
			v.SetBack++
		default:
			v.Wrong++
		}
	}
	if l.Shows.has() && v.Came == 0 {
		v.Came, v.CameAfter = l.Clock, l.After
	}
	if l.Shows == ShowsWanted && v.Applied == 0 {
		v.Applied = l.Clock
	}
	v.Now = l
	return v
}

// short bounds what a look tells.
func short(text string) string {
	if len(text) > MaxFoundBytes {
		text = text[:MaxFoundBytes]
	}
	return cut(text)
}

// ScoreWord says in one word what became of the object of an observed action.
type ScoreWord uint8

// The words of a score, the better ones first.
const (
	ScoreCame    ScoreWord = iota + 1 // the wanted value came, and stands
	ScoreDetour                       // it stands, and was not all that was seen: another value came before it, or it went away and came again
	ScoreStored                       // it was stored, and is not applied
	ScorePending                      // it has not come, and may still
	ScoreNever                        // it has not come
	ScoreWrong                        // it has not come; another value than before did
	ScoreSetBack                      // it came, and went away again
	ScoreUnknown                      // nothing tells which value stands there
	ScoreUnseen                       // no look was told
	ScoreNone                         // the step has no object that could be looked at
)

var scoreWords = [...]string{"", "came", "detour", "stored", "pending", "never", "wrong", "set_back", "unknown", "not_seen", "no_object"}

func (w ScoreWord) String() string { return name(scoreWords[:], uint8(w)) }

// Score finds what was seen of an observed action's object; false: nothing was told.
func (s State) Score(id ActionID) (Score, bool) { return s.scores.Get(id.key()) }

// ScoreOf is the word for an observed action; false for any other, and for one
// that is so old that its score is gone.
func (s State) ScoreOf(a Action) (ScoreWord, bool) {
	m, _ := s.Master(a.For.Master)
	if a.Phase != Observed || m.Number >= a.For.Number+MaxScored {
		return 0, false
	}
	if !a.Step.Class.readable() {
		return ScoreNone, true
	}
	v, known := s.Score(a.ID)
	f, _ := s.Failover(a.For)
	switch {
	case !known:
		return ScoreUnseen, true
	case v.Now.Shows == 0:
		return ScoreUnknown, true
	case v.Now.Shows.has() && (v.SetBack > 0 || v.Wrong > 0):
		return ScoreDetour, true
	case v.Now.Shows == ShowsStored:
		return ScoreStored, true
	case v.Now.Shows == ShowsWanted:
		return ScoreCame, true
	case v.Came > 0:
		return ScoreSetBack, true
	case v.Wrong > 0:
		return ScoreWrong, true
	case m.Number == a.For.Number && v.Last-f.Clock < Clock(ScoreOpen):
		return ScorePending, true
	}
	return ScoreNever, true
}

// Promoted is the log clock when the new address was first seen; false when
// only the acceptance is known, which is what it then gives.
func (f Failover) Promoted() (Clock, bool) { return f.Clock - Clock(f.Seen), f.Seen > 0 }

// Scored finds the observed actions of a master's newest failover whose objects
// can be looked at.
func (s State) Scored(id MasterID) []Action {
	m, _ := s.Master(id)
	f, ok := s.Failover(FailoverID{id, m.Number})
	if !ok || !m.Known() {
		return nil
	}
	var scored []Action
	for _, key := range f.Actions {
		a, ok := s.Action(key)
		if !ok || a.Phase != Observed {
			return nil // a failover is observed as a whole
		}
		if a.Step.Class.readable() {
			scored = append(scored, a)
		}
	}
	return scored
}

// pruneScores forgets the scores of the failover that leaves MaxScored.
func (s State) pruneScores(m MasterID, n Number) State {
	if n <= MaxScored {
		return s
	}
	f, _ := s.Failover(FailoverID{m, n - MaxScored})
	for _, a := range f.Actions {
		s.scores, _, _ = s.scores.Delete(a.key())
	}
	return s
}
