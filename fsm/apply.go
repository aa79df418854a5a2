package fsm

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

// Kind names a sort of command in the log. Numbers are for ever.
type Kind uint8

// The command kinds of release 1.
const (
	KindInitCluster Kind = iota + 1
	KindMember
	KindPutSpec
	KindObserve
	KindClaim
	KindRelease
	KindSettle
	KindRetry
	KindAbandon
	KindPutSetting
	KindDeleteSetting
	KindNoteDrift
	KindNoteState      // later than the first release: gated by what the members read
	KindAskSwitchover  // the same
	KindNoteSwitchover // the same
	KindNoteScore      // the same
	KindOpenSession    // the same
	KindCloseSessions  // the same
	KindGrantLeases    // the same
	KindMoveLeases     // the same
	KindSaveCheckpoint // the same
)

var kindNames = [...]string{"", "init_cluster", "member", "put_spec", "observe", "claim", "release", "settle", "retry", "abandon", "put_setting", "delete_setting", "note_drift", "note_state", "ask_switchover", "note_switchover", "note_score", "open_session", "close_sessions", "grant_leases", "move_leases", "save_checkpoint"}

func (k Kind) String() string { return name(kindNames[:], uint8(k)) }

// Kinds lists every kind that this release reads.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(kindNames)-1)
	for k := KindInitCluster; k <= KindSaveCheckpoint; k++ {
		kinds = append(kinds, k)
	}
	return kinds
}

// Command is one change that the log may decide. The set is closed: what is
// not in this package cannot be applied.
type Command interface {
	Kind() Kind
	apply(State, Entry) (State, Answer)
}

// Entry is a command where it stands in the log.
type Entry struct {
	Index   uint64
	Term    Term      // of the Raft entry
	ID      CommandID // repeats get the first answer; empty: never remembered
	Clock   Clock     // the leader's log clock when it proposed
	Wall    time.Time // display only; no rule reads it
	Node    NodeID    // the proposer
	Actor   string    // a person or part of the program
	Command Command
}

// Answer is what the log says to a command. It is the same on every node.
type Answer struct {
	Refusal Refusal // zero: accepted
	Detail  string
	Index   uint64
	Number  Number    // of the failover that an Observe made; zero: none
	Token   Token     // of a Claim, a session or a grant
	Claims  []Granted // that rode in an Observe and were granted
}

// Granted is a claim that rode in an Observe.
type Granted struct {
	Action ActionID
	Token  Token
}

// Err is nil when the command was accepted, else a *Refused.
func (a Answer) Err() error {
	if a.Refusal == 0 {
		return nil
	}
	return &Refused{Refusal: a.Refusal, Detail: a.Detail}
}

// Kept is an answer remembered for repeats.
type Kept struct {
	ID     CommandID
	Clock  Clock
	Answer Answer
}

// Apply decides one entry. It is pure: equal states and entries give equal
// results on every node, today and on replay. It never panics on any entry
// that carries a non-nil Command.
func (s State) Apply(e Entry) (State, Answer) {
	s.index, s.term = e.Index, e.Term
	s.clock = max(s.clock, e.Clock)
	s = s.forget()
	if e.ID != "" {
		if kept, ok := s.answers.Get([]byte(e.ID)); ok && !planted.Bug(planted.NoDedupe) {
			return s, kept.Answer
		}
	}
	next, answer := e.Command.apply(s, e)
	if answer.Refusal == 0 {
		next = next.restated(e)
	} else {
		next = s // a refusal changes nothing
	}
	answer.Index = e.Index
	if e.ID != "" {
		next = next.remember(Kept{ID: e.ID, Clock: next.clock, Answer: answer})
	}
	return next, answer
}

func (s State) remember(k Kept) State {
	s.answers, _, _ = s.answers.Insert([]byte(k.ID), k)
	s.aged, _, _ = s.aged.Insert(indexKey(k.Answer.Index), k.ID)
	return s
}

// forget drops answers past their age or number, a few with each entry, so
// that no entry is slow.
func (s State) forget() State {
	const each = 8
	for range each {
		key, id, ok := s.aged.Root().Minimum()
		if !ok {
			return s
		}
		kept, _ := s.answers.Get([]byte(id))
		if s.answers.Len() < MaxAnswers && s.clock-kept.Clock < Clock(AnswersKept) {
			return s
		}
		s.aged, _, _ = s.aged.Delete(key)
		s.answers, _, _ = s.answers.Delete([]byte(id))
	}
	return s
}

func indexKey(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i) }

func accepted() Answer { return Answer{} }

func refused(s State, err error) (State, Answer) {
	r, ok := err.(*Refused) //nolint:errorlint // refusals are made here, never wrapped
	if !ok {
		r = &Refused{Refusal: ErrSpec, Detail: err.Error()}
	}
	return s, Answer{Refusal: r.Refusal, Detail: cut(r.Detail)}
}

// cut bounds a text, at a rune's start.
func cut(text string) string {
	if len(text) > MaxReasonBytes {
		text = text[:MaxReasonBytes]
	}
	return strings.ToValidUTF8(text, "")
}
