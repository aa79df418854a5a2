package fsm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// book is a little log: it gives each command the next index and keeps the state.
type book struct {
	t     *testing.T
	state State
	term  Term
	clock Clock
}

func newBook(t *testing.T) *book {
	b := &book{t: t, state: New(), term: 1}
	b.must(InitCluster{Cluster: "c1"})
	b.must(PutSpec{Spec: testSpec()})
	b.must(b.see(Seed, "a:1", 1))
	return b
}

func testSpec() Spec {
	plan := func(prefix string) []Stage {
		return []Stage{
			{Name: "cutover", Steps: []Step{
				{Name: "lb", Target: "lb-par", Kind: "ovh_iplb", Object: ObjectID("lb-par/frontend/" + prefix), Class: Readable, Act: 5 * time.Second},
				{Name: "url", Kind: "setting", Object: SettingObject(prefix + "/url"), Class: InLog},
			}},
			{Name: "announce", Steps: []Step{
				{Name: "mail", Target: "lb-par", Kind: "mail", Object: ObjectID("lb-par/mail/" + prefix), Class: Blind, Act: 5 * time.Second},
			}},
		}
	}
	candidates := []Candidate{{"a:1", "a"}, {"b:1", "b"}, {"c:1", "c"}}
	return Spec{
		Masters: []MasterSpec{{ID: "cache", Candidates: candidates, Plan: plan("cache")}, {ID: "queue", Candidates: candidates, Plan: plan("queue")}},
		Targets: []TargetSpec{{ID: "lb-par", Kind: "ovh_iplb", Hold: 10 * time.Second}},
	}
}

func (b *book) see(as ObservedAs, to Address, epoch Epoch, rides ...Ride) Observe {
	m, _ := b.state.Master("cache")
	o := Observe{Master: "cache", Base: m.Number, Revision: b.state.Spec().Revision, Address: to, Epoch: epoch, As: as, Term: b.term, Claims: rides}
	spec, _ := b.state.Spec().Master("cache")
	for _, s := range spec.steps() {
		o.Values = append(o.Values, Value{Step: s.Name, Value: []byte(to)})
	}
	return o
}

func (b *book) apply(c Command) Answer {
	return b.applyAs("", c)
}

func (b *book) applyAs(id CommandID, c Command) (answer Answer) {
	b.state, answer = b.state.Apply(Entry{Index: b.state.Index() + 1, Term: b.term, ID: id, Clock: b.clock, Node: "n1", Command: c})
	return answer
}

func (b *book) must(c Command) Answer {
	b.t.Helper()
	answer := b.apply(c)
	if err := answer.Err(); err != nil {
		b.t.Fatalf("%s: %v", c.Kind(), err)
	}
	return answer
}

func (b *book) refused(want Refusal, c Command) {
	b.t.Helper()
	if err := b.apply(c).Err(); !errors.Is(err, want) {
		b.t.Fatalf("%s: got %v, want refusal %v", c.Kind(), err, want)
	}
}

func (b *book) action(id ActionID) Action {
	b.t.Helper()
	a, ok := b.state.Action(id)
	if !ok {
		b.t.Fatalf("no action %s", id)
	}
	return a
}

func (b *book) claim(id ActionID) Token {
	b.t.Helper()
	return b.must(Claim{Action: id, Term: b.term, Act: 5 * time.Second}).Token
}

func (b *book) phase(id ActionID, want Phase) {
	b.t.Helper()
	if got := b.action(id).Phase; got != want {
		b.t.Fatalf("%s is %s, want %s", id, got, want)
	}
}

func TestG3_SupersedingDoesNotFreeTheObject(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	token := b.claim("cache/1/lb")
	b.must(b.see(Advance, "c:1", 3))
	for _, step := range []string{"lb", "url", "mail"} {
		b.phase(ActionID("cache/1/"+step), Superseded)
	}
	b.refused(ErrPhase, Settle{Action: "cache/1/lb", Token: token, To: Done, Effect: Changed})
	b.refused(ErrBusy, Claim{Action: "cache/2/lb", Term: b.term}) // superseding does not free the object
	b.must(Release{Object: "lb-par/frontend/cache", Token: token})
	b.claim("cache/2/lb")
}

func TestLife_ObserveCarriesTheFirstStagesClaims(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	old := b.claim("cache/1/lb")
	got := b.must(b.see(Advance, "c:1", 3, Ride{Step: "lb", Act: time.Second}, Ride{Step: "url"}, Ride{Step: "mail"}))
	if len(got.Claims) != 1 || got.Claims[0].Action != "cache/2/url" {
		t.Fatalf("granted %+v: lb is busy, mail is of a later stage", got.Claims)
	}
	b.phase("cache/2/lb", Pending)
	got = b.must(b.see(Advance, "a:1", 4, Ride{Step: "lb", Act: time.Second, Expired: []Token{old}}))
	if len(got.Claims) != 1 || got.Claims[0].Token != TokenOf(0, b.state.Index()) {
		t.Fatalf("granted %+v", got.Claims)
	}
	if o, _ := b.state.Object("lb-par/frontend/cache"); len(o.Held) != 1 || o.Held[0].Keep != 10*time.Second {
		t.Fatalf("object %+v", o)
	}
}

func TestG6_BlindIsNeverTakenOver(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	for _, step := range []ActionID{"cache/1/lb", "cache/1/url"} {
		b.must(Settle{Action: step, Token: b.claim(step), To: Done, Effect: Changed})
	}
	token := b.claim("cache/1/mail")
	b.term++
	b.refused(ErrBlind, Claim{Action: "cache/1/mail", Term: b.term})
	b.must(Settle{Action: "cache/1/mail", Token: token, To: Stuck, Doubt: true, Reason: "its holder died"})
	b.must(Retry{Action: "cache/1/mail"})
	b.refused(ErrBusy, Claim{Action: "cache/1/mail", Term: b.term}) // in doubt: its own window too
	b.must(Claim{Action: "cache/1/mail", Term: b.term, Expired: []Token{token}})
}

func TestTime_BackoffCountsOnTheLogClock(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.must(Settle{Action: "cache/1/lb", Token: b.claim("cache/1/lb"), To: Pending, After: time.Minute, Reason: "503"})
	b.refused(ErrBackoff, Claim{Action: "cache/1/lb", Term: b.term})
	b.clock += Clock(time.Minute)
	b.claim("cache/1/lb")
	if got := b.action("cache/1/lb"); got.Attempts != 2 || len(got.History) != 1 {
		t.Fatalf("attempts %d, history %d", got.Attempts, len(got.History))
	}
}

func TestStaged_RefreshIsSharedUntilClaimedAndNeverWaits(t *testing.T) {
	b := newBook(t)
	refresh := &Refresh{Kind: "ovh_iplb", Object: "lb-par/refresh", Act: time.Second}
	wait := func(id ActionID) {
		b.must(Settle{Action: id, Token: b.claim(id), To: Waiting, Refresh: refresh})
	}
	b.must(b.see(Advance, "b:1", 2))
	wait("cache/1/lb")
	queue := Observe{Master: "queue", Revision: 1, Address: "a:1", Epoch: 1, As: Seed}
	b.must(queue)
	queue.As, queue.Address, queue.Epoch, queue.Term = Advance, "b:1", 2, b.term
	queue.Values = b.see(Advance, "b:1", 9).Values
	b.must(queue)
	wait("queue/1/lb")
	if b.action("cache/1/lb").On != "lb-par/refresh/1" || b.action("queue/1/lb").On != "lb-par/refresh/1" {
		t.Fatal("the second master does not share the pending refresh")
	}
	token := b.claim("lb-par/refresh/1")
	b.must(b.see(Advance, "c:1", 3))
	b.must(Claim{Action: "cache/2/lb", Term: b.term, Expired: []Token{b.action("cache/1/lb").Token}})
	b.must(Settle{Action: "cache/2/lb", Token: b.action("cache/2/lb").Token, To: Waiting, Refresh: refresh})
	if got := b.action("cache/2/lb").On; got != "lb-par/refresh/2" {
		t.Fatalf("staged after the claim, waits on %s", got)
	}
	b.refused(ErrBusy, Claim{Action: "lb-par/refresh/2", Term: b.term})
	b.must(Settle{Action: "lb-par/refresh/1", Token: token, To: Waiting, Checkpoint: []byte("task 7")})
	b.refused(ErrBusy, Claim{Action: "lb-par/refresh/2", Term: b.term})
	b.must(Settle{Action: "lb-par/refresh/1", Token: token, To: Done, Effect: Changed})
	b.claim("lb-par/refresh/2")
	b.term++
	b.claim("lb-par/refresh/2") // taken over at once: it carries no value
}

// TestStaged_NoneJoinsARefreshThatDidAPart: what was staged after its first claim
// is not in that part.
func TestStaged_NoneJoinsARefreshThatDidAPart(t *testing.T) {
	b := newBook(t)
	stage := func(id ActionID) {
		b.must(Settle{Action: id, Token: b.claim(id), To: Waiting, Refresh: &Refresh{Kind: "ovh_iplb", Object: "lb-par/refresh", Act: time.Second}})
	}
	b.must(b.see(Advance, "b:1", 2))
	stage("cache/1/lb")
	token := b.claim("lb-par/refresh/1")
	b.must(Settle{Action: "lb-par/refresh/1", Token: token, To: Waiting, Checkpoint: []byte("gra")})
	b.must(Settle{Action: "lb-par/refresh/1", Token: token, To: Pending, Partial: true, Checkpoint: []byte("sbg is left")})
	if got := string(b.action("lb-par/refresh/1").Checkpoint); got != "sbg is left" {
		t.Errorf("it goes on from %q", got)
	}
	queue := Observe{Master: "queue", Revision: 1, Address: "a:1", Epoch: 1, As: Seed}
	b.must(queue)
	queue.As, queue.Address, queue.Epoch, queue.Term = Advance, "b:1", 2, b.term
	queue.Values = b.see(Advance, "b:1", 9).Values
	b.must(queue)
	stage("queue/1/lb")
	if got := b.action("queue/1/lb").On; got != "lb-par/refresh/2" {
		t.Errorf("it waits for %s", got)
	}
}

func TestStaged_RoundsAreBounded(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	token := b.claim("cache/1/lb")
	for range MaxRounds + 1 {
		b.must(Settle{Action: "cache/1/lb", Token: token, To: Waiting, Refresh: &Refresh{Kind: "k", Object: "lb-par/refresh"}})
	}
	b.phase("cache/1/lb", Stuck)
}

func TestLife_SettingsRideInSettle(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	token := b.claim("cache/1/url")
	b.refused(ErrOwned, Settle{Action: "cache/1/url", Token: token, To: Done, Effect: Changed, Settings: []SettingWrite{{Key: "other", Value: "x"}}})
	b.must(Settle{Action: "cache/1/url", Token: token, To: Done, Effect: Changed, Settings: []SettingWrite{{Key: "cache/url", Value: "redis://b"}}})
	if v, _ := b.state.Setting("cache/url"); v.Value != "redis://b" || v.Owner != "cache/1/url" {
		t.Fatalf("setting %+v", v)
	}
	b.refused(ErrOwned, PutSetting{Key: "cache/url", Value: "mine"})
	b.refused(ErrOwned, DeleteSetting{Key: "cache/url"})
}

func TestPutSetting(t *testing.T) {
	b := newBook(t)
	zero, one := uint64(0), uint64(1)
	for _, key := range []string{"", "/a", "a//b", "a b", "ä"} {
		b.refused(ErrLimit, PutSetting{Key: key, Value: "x"})
	}
	b.must(PutSetting{Key: "a/b", Value: "1", IfRevision: &zero})
	b.refused(ErrRevision, PutSetting{Key: "a/b", Value: "2", IfRevision: &zero})
	b.refused(ErrRevision, DeleteSetting{Key: "a/b", IfRevision: &one})
	b.must(DeleteSetting{Key: "a/b"})
	b.refused(ErrUnknown, DeleteSetting{Key: "a/b"})
	b.must(PutSetting{Key: strings.Repeat("k", MaxKeyBytes), Value: "x"})
	b.refused(ErrLimit, PutSetting{Key: strings.Repeat("k", MaxKeyBytes+1), Value: "x"})
	b.must(PutSetting{Key: "large", Value: strings.Repeat("v", MaxValueBytes)})
	b.refused(ErrLimit, PutSetting{Key: "large", Value: strings.Repeat("v", MaxValueBytes+1)})
}

// TestPutSetting_Limits: beyond a limit of all settings together a new one is
// refused; what is there can be written still, and what is deleted makes room.
func TestPutSetting_Limits(t *testing.T) {
	for name, c := range map[string]struct {
		value string
		fit   int // of such values, beside the book's own setting
	}{
		"keys":  {"x", MaxSettings - len(newBook(t).state.Settings(""))},
		"bytes": {strings.Repeat("v", MaxValueBytes), MaxStoredBytes / (MaxValueBytes + len("k/00000"))},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			for n := range c.fit {
				b.must(PutSetting{Key: fmt.Sprintf("k/%05d", n), Value: c.value})
			}
			b.refused(ErrLimit, PutSetting{Key: "k/more", Value: c.value})
			b.must(PutSetting{Key: "k/00000", Value: c.value})
			b.must(DeleteSetting{Key: "k/00001"})
			b.must(PutSetting{Key: "k/more", Value: c.value})
			b.refused(ErrLimit, PutSetting{Key: "k/yet-more", Value: c.value})
		})
	}
}

func TestLife_OnlyHumansRetryAndAbandon(t *testing.T) {
	b := newBook(t)
	b.must(b.see(Advance, "b:1", 2))
	b.refused(ErrReason, Abandon{Action: "cache/1/lb"})
	token := b.claim("cache/1/lb")
	b.refused(ErrPhase, Abandon{Action: "cache/1/lb", Reason: "no"})
	b.refused(ErrPhase, Retry{Action: "cache/1/lb"})
	b.refused(ErrReason, Settle{Action: "cache/1/lb", Token: token, To: Stuck})
	b.must(Settle{Action: "cache/1/lb", Token: token, To: Stuck, Reason: "403"})
	b.must(Retry{Action: "cache/1/lb", Reason: "key renewed"})
	b.must(Abandon{Action: "cache/1/lb", Reason: "done by hand"})
	b.refused(ErrPhase, Retry{Action: "cache/1/lb"})
}

func TestMembers(t *testing.T) {
	b := newBook(t)
	b.must(PutMember{Member{Node: "n1", Store: "s1"}})
	b.must(PutMember{Member{Node: "n1", Store: "s1", GRPC: "x"}})
	b.refused(ErrStore, PutMember{Member{Node: "n1", Store: "s2"}})
	b.refused(ErrCluster, InitCluster{Cluster: "c2"})
}

func TestRepeatedCommandGetsFirstAnswer(t *testing.T) {
	b := newBook(t)
	first := b.applyAs("id-1", b.see(Advance, "b:1", 2))
	again := b.applyAs("id-1", b.see(Advance, "c:1", 3))
	if first.Number != 1 || again.Number != 1 || again.Index != first.Index {
		t.Fatalf("first %+v, again %+v", first, again)
	}
	if m, _ := b.state.Master("cache"); m.Address != "b:1" {
		t.Fatal("the repeat was applied")
	}
	b.clock += Clock(AnswersKept)
	if late := b.applyAs("id-1", b.see(Advance, "c:1", 3)); late.Number != 2 {
		t.Fatalf("forgotten id: %+v", late)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	b := newBook(t)
	for i := range MaxFailovers + 10 {
		b.must(b.see(Advance, "b:1", Epoch(i+2)))
	}
	if n := len(b.state.Failovers("cache")); n != MaxFailovers {
		t.Fatalf("%d failovers kept", n)
	}
	if n := b.state.actions.Len(); n != 3*MaxFailovers {
		t.Fatalf("%d actions kept", n)
	}
	token := b.claim("cache/1010/lb")
	for range 3 * MaxAttemptsKept {
		b.must(Settle{Action: "cache/1010/lb", Token: token, To: Pending, Reason: "503"})
		token = b.must(Claim{Action: "cache/1010/lb", Term: b.term, Expired: []Token{token}}).Token
	}
	if n := len(b.action("cache/1010/lb").History); n != MaxAttemptsKept {
		t.Fatalf("%d attempts kept", n)
	}
}
