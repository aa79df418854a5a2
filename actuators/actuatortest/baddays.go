package actuatortest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// Bad is a kind whose bad days are tried.
type Bad struct {
	Kind string // its heading in the table
	// Open makes the outside world and the kind, whose connections go where
	// through says. The target's URL has the scheme.
	Open func(t *testing.T, scheme string, through func(Dial) Dial) World
	Sort func(r *http.Request, body []byte) Sort // nil: it speaks no HTTP, and More has all of its own days
	ID   string                                  // header of the provider's ids; empty: it gives none
	// Cases say what the days are here; each that a kind must say itself is there.
	Cases map[Day]Case
	More  []More                  // days that other kinds do not have
	Asked func(World) []time.Time // when the world was asked; nil: when it was connected to
	// What one look and its deed may ask for, and all of the last minute; 0: 10 and maxLastly.
	Round  float64
	Lastly int
	Heal   func(World) // undoes what Do did; nil: nothing to undo
}

// Case is a bad day of one kind.
type Case struct {
	None   string                           // why there is no such day here, for the table
	Answer *Says                            // what the provider answers; nil: as for other kinds
	Change func(body []byte) []byte         // or what becomes of the body that it answers
	Of     Sort                             // of which requests, if not of those of the day
	Also   func(*http.Request, []byte) bool // of which among them; nil: all
	Do     func(World)                      // or the world is turned
	Want   Want
}

// More is a day of one kind alone. Its case says all of it.
type More struct {
	Day
	Case
	After bool // the request is carried out before the answer is spoilt
}

// The stretch of time that a bad day lasts, and what it may cost in requests: the
// target's rate at first, and less once the trouble lasts.
const (
	badStretch  = 10 * time.Minute
	maxRequests = 10*Rate + Rate // in the stretch; the second is what the bucket held
	maxLastly   = 50             // in the last minute; the densest poll is four requests every 5 s
)

// RunBadDays tries every bad day. Whatever goes wrong, the action stands as the
// table says, with the provider's id of the answer; nothing runs hot, no secret
// shows, nothing is changed twice; and once all is mended it ends done, by
// itself or, where it is stuck, after a human's retry.
func RunBadDays(t *testing.T, b Bad) {
	for _, d := range b.days() {
		c, said := b.caseOf(d.Day)
		if c.None != "" {
			continue
		}
		t.Run(string(d.Day), func(t *testing.T) {
			if d.own && !said {
				t.Fatalf("%s does not say what this day is", b.Kind)
			}
			synctest.Test(t, func(t *testing.T) { newTrial(t, b, d, c).run() })
		})
	}
	t.Run("docs", func(t *testing.T) { section(t, b.Kind, b.table()) })
}

// caseOf is what the kind says of a day; said: that it has a word of its own.
func (b Bad) caseOf(d Day) (c Case, said bool) {
	for _, m := range b.More {
		if m.Day == d {
			return m.Case, true
		}
	}
	c, said = b.Cases[d]
	return c, said
}

// days are all of the kind's; what it says of its own ones is in their rows.
func (b Bad) days() []day {
	all := network()
	if b.Sort != nil {
		all = append(all, answers()...)
	}
	for _, m := range b.More {
		all = append(all, day{Day: m.Day, Want: m.Want, spoil: spoil{
			of: m.Of, also: m.Also, answer: m.Answer, change: m.Change, after: m.After,
		}})
	}
	return all
}

// trial is one bad day of one kind.
type trial struct {
	*testing.T
	Bad
	Case
	spoil spoil
	want  Want
	world World
	relay *relay
	step  fsm.Step
	pace  *Pace
}

func newTrial(t *testing.T, b Bad, d day, c Case) *trial {
	t.Helper()
	r := &trial{T: t, Bad: b, Case: c, spoil: d.spoil, want: d.Want.over(c.Want), pace: NewPace()}
	scheme := "http"
	if d.spoil.cert != nil {
		scheme = "https"
	}
	r.world = b.Open(t, scheme, func(up Dial) Dial {
		r.relay = newRelay(t, up, b.Sort, b.ID)
		return r.relay.Dial
	})
	if len(r.world.Secrets) > 0 {
		r.relay.secret = r.world.Secrets[0]
	}
	if c.Answer != nil || c.Change != nil {
		r.spoil.answer, r.spoil.change = c.Answer, c.Change
	}
	if c.Of != 0 {
		r.spoil.of = c.Of
	}
	if c.Do != nil {
		r.spoil = spoil{}
	}
	if c.Also != nil {
		r.spoil.also = c.Also
	}
	r.step = stepOf(t, r.world)
	return r
}

// over is what is wanted where a kind says otherwise.
func (w Want) over(other Want) Want {
	if other.End != "" {
		w.End, w.Doubt = other.End, other.Doubt
	}
	if other.Says != "" {
		w.Says = other.Says
	}
	if other.Do != "" {
		w.Do = other.Do
	}
	return w
}

// stepOf plans the world's step.
func stepOf(t testing.TB, w World) fsm.Step {
	t.Helper()
	planned, problems := w.Kind.Plan(inputOf(w))
	if len(problems) > 0 {
		t.Fatalf("plan: %v", problems)
	}
	params, err := proto.Marshal(w.Message)
	if err != nil {
		t.Fatal(err)
	}
	return fsm.Step{
		Name: "step", Target: w.Target.ID, Kind: w.Name, Object: planned.Object, Class: planned.Class, Params: params, Act: ActSpan,
	}
}

func inputOf(w World) actuators.StepInput {
	return actuators.StepInput{
		Master: master, Step: "step", Target: w.Target.ID, Message: w.Message, TargetMsg: w.TargetOf,
		Candidates: []fsm.Candidate{{Address: w.A, Zone: "zone-a"}, {Address: w.B, Zone: "zone-b"}},
	}
}

// ride drives the one failover, with an actuator opened anew.
func (r *trial) ride(most time.Duration) (*Ride, End) {
	r.Helper()
	id := fsm.FailoverID{Master: master, Number: 1}
	v, err := r.world.Kind.Render(r.step, actuators.Facts{Failover: id, From: r.world.A, To: r.world.B, Epoch: 1, Zone: "zone-b"})
	if err != nil {
		r.Fatal(err)
	}
	tool, err := r.world.Kind.Open(r.world.Target, r.pace)
	if err != nil {
		r.Fatal(err)
	}
	if c, ok := tool.(interface{ Close() error }); ok {
		defer func() {
			if err := c.Close(); err != nil {
				r.Error(err)
			}
		}()
	}
	w := &Ride{T: r, Tool: tool, To: r.world.B, Pace: r.pace, Round: cmp.Or(r.Round, 10), Tick: 1, Secrets: r.world.Secrets, Work: work(fsm.Action{
		ID: id.Action("step"), For: id, Phase: fsm.Claimed, Step: r.step, Target: r.world.Target, Value: v.Value, Wanted: v.Wanted,
		Token: fsm.TokenOf(0, 1), Term: 1, Attempts: 1,
	}, false)}
	return w, w.Run(most)
}

func (r *trial) run() {
	r.Helper()
	r.relay.set(r.spoil)
	if r.Do != nil {
		r.Do(r.world)
	}
	w, e := r.ride(badStretch)
	r.judge(w, e)
	r.cheap(e)
	r.relay.set(spoil{})
	if r.spoil.cert != nil { // what is mended speaks TLS with a certificate that no test machine knows
		return
	}
	if r.Heal != nil {
		r.Heal(r.world)
	}
	w, e = r.ride(patience)
	if e != Done {
		r.Errorf("all is mended, and it is %s: %s", e, w.Reason)
	}
	if at := r.world.Outside.Value(); at != r.world.B {
		r.Errorf("done, and the object points at %q", at)
	}
	if n := r.world.Outside.Seen().Changes; n > 1 {
		r.Errorf("%d changes of the value by one failover", n)
	}
}

// judge holds the end of the bad stretch against the table.
func (r *trial) judge(w *Ride, e End) {
	r.Helper()
	if e != r.want.End {
		r.Fatalf("%s (%s), want %s", e, w.Reason, r.want.End)
	}
	if e == Done {
		return
	}
	if w.Doubted != r.want.Doubt {
		r.Errorf("in doubt: %t, want %t (%s)", w.Doubted, r.want.Doubt, w.Reason)
	}
	if r.want.Says == "" || !strings.Contains(w.Reason, r.want.Says) {
		r.Errorf("%s: %q, want %q in it", e, w.Reason, r.want.Says)
	}
	seen := r.relay.traffic()
	known := func(id string) bool { return slices.Contains(seen.struck, id) }
	switch {
	case r.ID == "":
	case r.Do != nil && len(w.IDs) == 0:
		r.Errorf("%s: no id of the provider's answer", w.Reason)
	case len(seen.struck) > 0 && !slices.ContainsFunc(w.IDs, known):
		r.Errorf("%s: ids %q, none of the answers that were wrong (%d)", w.Reason, w.IDs, len(seen.struck))
	}
}

// cheap holds what the bad stretch has cost.
func (r *trial) cheap(e End) {
	r.Helper()
	seen := r.relay.traffic()
	if r.Asked != nil {
		seen.asked = r.Asked(r.world)
	}
	if len(seen.asked) == 0 {
		r.Error("nothing was asked: the day struck nothing")
	}
	if n := len(seen.asked); n > maxRequests {
		r.Errorf("%d requests in %s: a hot loop", n, badStretch)
	}
	lastly := 0
	for _, at := range seen.asked {
		if time.Since(at) < time.Minute {
			lastly++
		}
	}
	if e == Open && lastly > cmp.Or(r.Lastly, maxLastly) {
		r.Errorf("%d requests in the last minute: a hot loop", lastly)
	}
	const most = 4 << 20 // of a body whose bound is 1 MiB, and what is on the way
	if seen.sent > most {
		r.Errorf("%d bytes of one body were taken", seen.sent)
	}
	for place := range seen.places {
		if strings.Contains(elsewhere, strings.SplitN(place, ":", 2)[0]) {
			r.Errorf("a redirect was followed to %s", place)
		}
	}
	if r.spoil.answer != nil && len(seen.struck) == 0 {
		r.Error("no answer was wrong: the day struck nothing")
	}
}
