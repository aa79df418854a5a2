package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// observing puts the test's spec with the first master observed, or not.
func (b *book) observing(on bool) {
	b.t.Helper()
	spec := testSpec()
	spec.Masters[0].Observe = on
	b.must(PutSpec{Spec: spec, IfRevision: b.state.Spec().Revision})
}

// looked tells one look a second after whatever was last.
func (b *book) looked(shows Showing, at Address) Answer {
	b.clock += Clock(time.Second)
	m, _ := b.state.Master("cache")
	return b.apply(NoteScore{
		Term: b.term, Action: FailoverID{"cache", m.Number}.Action("lb"), Looks: 1,
		Look: Look{Clock: b.clock, Shows: shows, At: at, Meets: MeetsAbsent, Found: "at " + string(at)},
	})
}

func TestObserve_NothingIsEverClaimed(t *testing.T) {
	b := newBook(t)
	b.observing(true)
	answer := b.must(b.see(Advance, "b:1", 2, Ride{Step: "lb", Act: time.Second}, Ride{Step: "url"}))
	if len(answer.Claims) != 0 || len(b.state.Open()) != 0 || len(b.state.Objects()) != 0 {
		t.Fatalf("observed, and yet: %+v, open %v, busy %v", answer, b.state.Open(), b.state.Objects())
	}
	for _, a := range b.state.Actions(FailoverID{"cache", 1}) {
		if a.Phase != Observed || string(a.Value) != "b:1" {
			t.Errorf("%s is %s with %q", a.ID, a.Phase, a.Value)
		}
	}
	refuseAll := func() {
		t.Helper()
		b.refused(ErrPhase, Claim{Action: "cache/1/lb", Term: b.term, Act: time.Second})
		b.refused(ErrPhase, Settle{Action: "cache/1/lb", To: Done, Effect: Changed})
		b.refused(ErrPhase, Retry{Action: "cache/1/lb"})
		b.refused(ErrPhase, Abandon{Action: "cache/1/lb", Reason: "r"})
		b.refused(ErrPhase, NoteDrift{Action: "cache/1/lb", Found: "other", Repair: true})
	}
	refuseAll()
	b.observing(false) // counts from the next failover on
	b.phase("cache/1/lb", Observed)
	refuseAll()
	if got := b.must(b.see(Advance, "c:1", 3, Ride{Step: "lb", Act: time.Second})).Claims; len(got) != 1 {
		t.Fatalf("the next failover's claims: %v", got)
	}
	b.phase("cache/1/lb", Observed)
	b.phase("cache/2/lb", Claimed)
}

// TestObserve_ARunningPlanIsNotRewritten: going back, what was accepted before
// goes on to its end, and what is done is not repaired any more.
func TestObserve_ARunningPlanIsNotRewritten(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	token := b.claim("cache/1/lb")
	b.observing(true)
	b.must(Settle{Action: "cache/1/lb", Token: token, To: Done, Effect: Changed})
	b.must(Release{Object: "lb-par/frontend/cache", Token: token})
	b.must(Settle{Action: "cache/1/url", Token: b.claim("cache/1/url"), To: Done, Effect: Changed})
	if got := b.state.Standing("cache"); len(got) != 0 {
		t.Errorf("looked at for drift while it is only observed: %v", got)
	}
	b.refused(ErrPhase, NoteDrift{Action: "cache/1/lb", Found: "farm 11", Repair: true})
	b.observing(false)
	b.must(NoteDrift{Action: "cache/1/lb", Found: "farm 11", Repair: true})
}

// TestObserve_ObjectsAreNobodysYet: what no real action is about is looked at
// before the first one, and a setting that is only planned is anybody's.
func TestObserve_ObjectsAreNobodysYet(t *testing.T) {
	b := newBook(t)
	b.refused(ErrOwned, PutSetting{Key: "cache/url", Value: "x"})
	b.observing(true)
	b.must(PutSetting{Key: "cache/url", Value: "x"})
	b.must(b.see(Advance, "b:1", 2))
	unwritten := func() (names []string) {
		for _, s := range b.state.Unwritten("cache") {
			names = append(names, s.Name)
		}
		return names
	}
	if got := unwritten(); !slices.Equal(got, []string{"lb"}) {
		t.Errorf("unwritten while observed: %v", got)
	}
	b.observing(false)
	if got := unwritten(); !slices.Equal(got, []string{"lb"}) {
		t.Errorf("unwritten until the first real failover: %v", got)
	}
	b.must(b.see(Advance, "c:1", 3))
	if got := unwritten(); len(got) != 0 {
		t.Errorf("unwritten after it: %v", got)
	}
}

// TestScore_Words: what successive looks make of the object, from a:1 to b:1.
func TestScore_Words(t *testing.T) {
	for _, row := range []struct {
		looks                   string // a, b, c: that candidate's value; B: the wanted one, stored; x: none's; ?: not to be told; -: not read
		word                    ScoreWord
		changes, wrong, setBack int
		came                    int // the look that first saw it
	}{
		{"", ScoreUnseen, 0, 0, 0, 0},
		{"aaab", ScoreCame, 1, 0, 0, 4},
		{"bbb", ScoreCame, 0, 0, 0, 1},
		{"aBBb", ScoreCame, 1, 0, 0, 2},
		{"aB", ScoreStored, 1, 0, 0, 2},
		{"aa", ScorePending, 0, 0, 0, 0},
		{"a" + strings.Repeat("a", 61), ScoreNever, 0, 0, 0, 0},
		{"ac", ScoreWrong, 1, 1, 0, 0},
		{"ax", ScoreWrong, 1, 1, 0, 0},
		{"acb", ScoreDetour, 2, 1, 0, 3},
		{"aba", ScoreSetBack, 2, 0, 1, 2},
		{"abab", ScoreDetour, 3, 0, 1, 2},
		{"abc", ScoreSetBack, 2, 0, 1, 2},
		{"a--b", ScoreCame, 1, 0, 0, 4},
		{"--b", ScoreCame, 0, 0, 0, 3},
		{"---", ScoreUnknown, 0, 0, 0, 0},
		{"??", ScoreUnknown, 0, 0, 0, 0},
		{"ab-", ScoreCame, 1, 0, 0, 2},
	} {
		b := newBook(t)
		b.observing(true)
		b.must(b.see(Advance, "b:1", 2))
		accepted := b.clock
		for _, l := range row.looks {
			shows, at := ShowsOther, Address("")
			switch l {
			case 'b':
				shows, at = ShowsWanted, "b:1"
			case 'B':
				shows, at = ShowsStored, "b:1"
			case 'a', 'c':
				at = Address(string(l) + ":1")
			case '?':
				shows = ShowsUnknown
			case '-':
				shows = ShowsNothing
			}
			if err := b.looked(shows, at).Err(); err != nil {
				t.Fatalf("%q: %v", row.looks, err)
			}
		}
		a := b.action("cache/1/lb")
		word, ok := b.state.ScoreOf(a)
		v, _ := b.state.Score(a.ID)
		if !ok || word != row.word || v.Changes != row.changes || v.Wrong != row.wrong || v.SetBack != row.setBack {
			t.Errorf("%q: %s %+v, want %+v", row.looks, word, v, row)
		}
		if want := accepted + Clock(row.came)*Clock(time.Second); row.came > 0 && v.Came != want || row.came == 0 && v.Came != 0 {
			t.Errorf("%q: came at %s, want %s", row.looks, time.Duration(v.Came), time.Duration(want))
		}
		if fmt.Sprint(a) != fmt.Sprint(b.action(a.ID)) {
			t.Errorf("%q: the action's entry changed", row.looks)
		}
	}
}

func TestScore_WhatHasNoObject(t *testing.T) {
	b := newBook(t)
	b.observing(true)
	b.must(b.see(Advance, "b:1", 2))
	for _, id := range []ActionID{"cache/1/url", "cache/1/mail"} {
		if word, ok := b.state.ScoreOf(b.action(id)); !ok || word != ScoreNone {
			t.Errorf("%s: %s", id, word)
		}
	}
	if got := b.state.Scored("cache"); len(got) != 1 || got[0].ID != "cache/1/lb" {
		t.Errorf("scored: %v", got)
	}
}

// TestScore_ANewLeaderDoesNotKnowMore: between the last look that was told and
// the next leader's first one nothing was seen, and the score says so.
func TestScore_ANewLeaderDoesNotKnowMore(t *testing.T) {
	b := newBook(t)
	b.observing(true)
	b.must(b.see(Advance, "b:1", 2))
	b.looked(ShowsOther, "a:1")
	told := b.clock
	b.term++
	b.clock += 8 * Clock(time.Second)
	b.refused(ErrTerm, NoteScore{Term: b.term - 1, Action: "cache/1/lb", Looks: 1, Look: Look{Clock: b.clock, Shows: ShowsOther, Meets: MeetsAbsent}})
	b.clock += Clock(time.Second)
	b.must(NoteScore{Term: b.term, Action: "cache/1/lb", Looks: 1, Look: Look{Clock: b.clock, After: b.clock, Shows: ShowsWanted, At: "b:1", Meets: MeetsApplied}})
	v, _ := b.state.Score("cache/1/lb")
	if v.Gaps != 1 || v.Unseen != 9*time.Second || v.CameAfter != told || v.Came != b.clock {
		t.Errorf("%+v, last look told at %s", v, time.Duration(told))
	}
}

func TestScore_Refusals(t *testing.T) {
	b := newBook(t)
	b.observing(true)
	b.must(b.see(Advance, "b:1", 2))
	look := Look{Clock: b.clock, Shows: ShowsOther, Meets: MeetsAbsent}
	b.refused(ErrUnknown, NoteScore{Term: b.term, Action: "cache/2/lb", Looks: 1, Look: look})
	b.refused(ErrLimit, NoteScore{Term: b.term, Action: "cache/1/lb", Looks: 1})
	b.refused(ErrLimit, NoteScore{Term: b.term, Action: "cache/1/lb", Look: look})
	b.looked(ShowsOther, "a:1")
	b.refused(ErrLimit, NoteScore{Term: b.term, Action: "cache/1/lb", Looks: 1, Look: look}) // older than what was told
	b.must(b.see(Advance, "c:1", 3))
	look.Clock = b.clock
	b.refused(ErrPhase, NoteScore{Term: b.term, Action: "cache/1/lb", Looks: 1, Look: look}) // a newer failover
	b.observing(false)
	b.must(b.see(Advance, "a:1", 4))
	b.refused(ErrPhase, NoteScore{Term: b.term, Action: "cache/3/lb", Looks: 1, Look: look}) // not observed
}

func TestScore_Bounds(t *testing.T) {
	b := newBook(t)
	b.observing(true)
	b.must(b.see(Advance, "b:1", 2))
	for i := range 3 * MaxLooks {
		b.looked(ShowsOther, []Address{"a:1", "c:1"}[i%2])
	}
	v, _ := b.state.Score("cache/1/lb")
	if len(v.Kept) != MaxLooks || v.First.At != "a:1" || v.Kept[MaxLooks-1].Clock != b.clock || v.Changes != 3*MaxLooks-1 {
		t.Errorf("kept %d, %+v", len(v.Kept), v)
	}
	b.must(NoteScore{Term: b.term, Action: "cache/1/lb", Looks: 1, Look: Look{Clock: b.clock, Shows: ShowsOther, Meets: MeetsAbsent, Found: strings.Repeat("ä", MaxReasonBytes)}})
	if v, _ := b.state.Score("cache/1/lb"); len(v.Now.Found) > MaxFoundBytes {
		t.Errorf("%d bytes kept", len(v.Now.Found))
	}
	for i := range MaxScored {
		b.must(b.see(Advance, "b:1", Epoch(3+i)))
		b.looked(ShowsWanted, "b:1")
	}
	if _, kept := b.state.Score("cache/1/lb"); kept {
		t.Error("the oldest score is kept")
	}
	if _, ok := b.state.ScoreOf(b.action("cache/1/lb")); ok {
		t.Error("a score that is gone has a word")
	}
	if n := len(b.state.Flatten().Scores); n != MaxScored {
		t.Errorf("%d scores", n)
	}
}
