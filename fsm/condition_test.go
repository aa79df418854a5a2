package fsm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func (b *book) note(sight Sight, base Number) NoteState {
	return NoteState{Term: b.term, Notes: []Note{{Master: "cache", Base: base, Sight: sight, Reason: "seen"}}}
}

func (b *book) word(want Word) Shown {
	b.t.Helper()
	c, ok := b.state.Condition("cache")
	v, shown := b.state.Setting(StateKey("cache"))
	if !ok || !shown || c.Word != want || v.Plain() != want.String() {
		b.t.Fatalf("condition %+v, shown %q, want %s", c, v.Value, want)
	}
	var s Shown
	if err := json.Unmarshal([]byte(v.Value), &s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// finish settles every open action of the newest failover done.
func (b *book) finish() {
	b.t.Helper()
	m, _ := b.state.Master("cache")
	for _, a := range b.state.Actions(FailoverID{"cache", m.Number}) {
		if a.Phase.Final() {
			continue
		}
		token := a.Token
		if a.Phase != Claimed {
			token = b.claim(a.ID)
		}
		b.must(Settle{Action: a.ID, Token: token, To: Done, Effect: Changed})
		if a.Step.Class.holds() {
			b.must(Release{Object: a.Step.Object, Token: token})
		}
	}
}

func TestState_LifeOfASwitch(t *testing.T) {
	b := newBook(t)
	if _, ok := b.state.Setting(StateKey("cache")); ok {
		t.Fatal("a state before the first note: a voter of an older release could not follow")
	}
	b.must(b.note(SightCalm, 0))
	if s := b.word(StateOK); s.New != "a:1" || s.Failover != "" || s.EstimateMS != nil {
		t.Errorf("before any failover: %+v", s)
	}
	b.clock += Clock(time.Minute)
	b.must(b.note(SightComing, 0))
	if s := b.word(StateFailingOver); s.Old != "a:1" || s.New != "" || s.Failover != "" || s.Reason != "seen" {
		t.Errorf("from the votes on: %+v", s)
	}
	b.clock += Clock(time.Second)
	b.must(b.see(Advance, "b:1", 2, Ride{Step: "lb", Act: time.Second}))
	if s := b.word(StateFailingOver); s.Old != "a:1" || s.New != "b:1" || s.Failover != "cache/1" {
		t.Errorf("once accepted: %+v", s)
	}
	b.refused(ErrBase, b.note(SightComing, 0)) // a vote that is told late
	b.clock += Clock(time.Second)
	b.finish()
	s := b.word(StateOK)
	if s.EstimateMS == nil || *s.EstimateMS != 2000 || s.New != "b:1" {
		t.Errorf("after a switch of 2 s: %+v", s)
	}
	b.refused(ErrBase, b.note(SightComing, 0))
	b.word(StateOK)
}

// TestState_NeverOkWithOpenActions: without votes too, and whatever is noted.
func TestState_NeverOkWithOpenActions(t *testing.T) {
	b := newBook(t)
	b.must(b.note(SightCalm, 0))
	b.must(b.see(Advance, "b:1", 2))
	b.word(StateFailingOver)
	b.must(b.note(SightCalm, 1))
	b.word(StateFailingOver)
	b.must(b.note(SightLate, 1))
	b.word(StateDegraded)
	token := b.claim("cache/1/lb")
	b.must(Settle{Action: "cache/1/lb", Token: token, To: Stuck, Reason: "403"})
	if s := b.word(StateDegraded); !strings.Contains(s.Reason, "cache/1/lb") || strings.Contains(s.Reason, "403") {
		t.Errorf("stuck: %+v", s)
	}
	b.must(Release{Object: "lb-par/frontend/cache", Token: token})
	b.must(Retry{Action: "cache/1/lb"})
	b.must(Abandon{Action: "cache/1/lb", Reason: "by hand"})
	b.finish()
	b.word(StateOK) // late ended with the actions
}

func TestState_RepairIsDegraded(t *testing.T) {
	b := newBook(t)
	b.must(b.note(SightCalm, 0))
	b.must(b.see(Advance, "b:1", 2))
	b.finish()
	b.must(NoteDrift{Action: "cache/1/lb", Found: "stale", Repair: true})
	b.word(StateDegraded)
	b.finish()
	b.word(StateOK)
}

// TestState_VotesWithoutPromotion: they fall back to degraded while the master
// is down, then to ok, and count in no estimate.
func TestState_VotesWithoutPromotion(t *testing.T) {
	b := newBook(t)
	b.must(b.note(SightCalm, 0))
	for _, c := range []struct {
		sight Sight
		want  Word
	}{{SightComing, StateFailingOver}, {SightDown, StateDegraded}, {SightComing, StateFailingOver}, {SightDown, StateDegraded}, {SightCalm, StateOK}} {
		b.clock += Clock(time.Second)
		b.must(b.note(c.sight, 0))
		b.word(c.want)
	}
	if c, _ := b.state.Condition("cache"); len(c.Spans) != 0 {
		t.Errorf("spans %v of a switch that never was", c.Spans)
	}
}

func TestState_EstimateIsTheMedianOfTheLast(t *testing.T) {
	b := newBook(t)
	b.must(b.note(SightCalm, 0))
	to := []Address{"b:1", "a:1"}
	for i := range 12 {
		b.must(b.see(Advance, to[i%2], Epoch(i+2)))
		b.clock += Clock(time.Duration(i+1) * time.Second)
		b.finish()
	}
	c, _ := b.state.Condition("cache")
	if got, _ := c.Estimate(); len(c.Spans) != MaxSpans || c.Spans[0] != 5*time.Second || got != 9*time.Second {
		t.Errorf("spans %v, estimate %v; want the last %d and their median 9s", c.Spans, got, MaxSpans)
	}
}

func TestState_Refusals(t *testing.T) {
	b := newBook(t)
	b.refused(ErrTerm, NoteState{Term: b.term + 1, Notes: []Note{{Master: "cache", Sight: SightCalm}}})
	b.refused(ErrLimit, NoteState{Term: b.term})
	b.refused(ErrLimit, NoteState{Term: b.term, Notes: make([]Note, MaxNotes+1)})
	b.refused(ErrUnknown, NoteState{Term: b.term, Notes: []Note{{Master: "queue", Sight: SightCalm}}})
	b.refused(ErrPhase, b.note(SightLate+1, 0))
	b.must(NoteState{Term: b.term, Notes: []Note{{Master: "queue", Sight: SightCalm}, {Master: "cache", Sight: SightCalm}}})
	b.word(StateOK)
	for _, key := range []string{"redis/cache/state", "redis/cache/state/x", "redis/nobody/state"} {
		b.refused(ErrOwned, PutSetting{Key: key, Value: "ok"})
	}
	b.refused(ErrOwned, DeleteSetting{Key: "redis/cache/state"})
	b.must(PutSetting{Key: "redis/cache/states", Value: "mine"})
	b.must(PutSpec{Spec: Spec{Targets: testSpec().Targets, Masters: testSpec().Masters[1:]}, IfRevision: 1})
	if _, ok := b.state.Setting(StateKey("cache")); ok || len(b.state.Conditions()) != 0 {
		t.Error("the state of a master outlived its declaration")
	}
}

// TestSettings_BytesAreBounded counts what is stored, over puts, replacements
// and deletions, and after a snapshot.
func TestSettings_BytesAreBounded(t *testing.T) {
	b := newBook(t)
	big := strings.Repeat("x", MaxValueBytes)
	keys := make([]string, 0, MaxStoredBytes/MaxValueBytes)
	for i := range MaxStoredBytes/MaxValueBytes - 1 {
		keys = append(keys, fmt.Sprintf("k/%d", i))
		b.must(PutSetting{Key: keys[i], Value: big})
	}
	b.refused(ErrLimit, PutSetting{Key: "one-more", Value: big})
	b.must(PutSetting{Key: keys[0], Value: "small"})
	b.must(PutSetting{Key: "one-more", Value: big})
	b.refused(ErrLimit, PutSetting{Key: keys[0], Value: big})
	b.must(DeleteSetting{Key: "one-more"})
	want := 0
	for _, v := range b.state.Settings("") {
		want += len(v.Key) + len(v.Value)
	}
	if got, back := b.state.Stored(), Unflatten(b.state.Flatten()).Stored(); got != want || back != want {
		t.Errorf("stored %d, after a snapshot %d, want %d", got, back, want)
	}
}
