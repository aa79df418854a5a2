package octavia_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/octavia"
	"github.com/pointsman/pointsman/fsm"
	cloud "github.com/pointsman/pointsman/test/clouds/octavia"
)

// rig is a lab with an opened actuator, under a target's rate.
type rig struct {
	*lab
	t    *testing.T
	tool actuators.Actuator
	pace *pace
}

func newRig(t *testing.T, turn ...func(*cloud.Knobs)) *rig {
	t.Helper()
	r := &rig{lab: newLab(t, turn...), t: t, pace: &pace{tokens: rate, at: time.Now()}}
	tool, err := r.kind.Open(r.target, r.pace)
	r.must(err)
	r.tool = tool
	t.Cleanup(func() { r.must(tool.(interface{ Close() error }).Close()) })
	return r
}

func inBubble(t *testing.T, f func(*rig), turn ...func(*cloud.Knobs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newRig(t, turn...)) })
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// work is the action of failover n to an address, claimed.
func (r *rig) work(n fsm.Number, to fsm.Address) actuators.Work {
	r.t.Helper()
	params, err := proto.Marshal(r.step)
	r.must(err)
	step := fsm.Step{Name: "lb", Target: "lb-par", Kind: octavia.Name, Object: "lb-par/listener/" + listenerID, Class: fsm.Readable, Params: params, Act: actSpan}
	id := fsm.FailoverID{Master: "cache", Number: n}
	v, err := r.kind.Render(step, actuators.Facts{Failover: id, From: addressA, To: to})
	r.must(err)
	return actuators.Work{Cluster: actuatortest.Cluster, Action: fsm.Action{
		ID: id.Action("lb"), For: id, Phase: fsm.Claimed, Step: step, Target: r.target, Value: v.Value, Wanted: v.Wanted, Token: fsm.TokenOf(0, uint64(n)), Term: 1,
	}}
}

// pace is a target's rate of 60 a minute, as a bucket of one minute.
type pace struct {
	mu     sync.Mutex // guards what follows
	tokens float64
	at     time.Time
}

const rate = 60

func (p *pace) take(n float64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.tokens = min(rate, p.tokens+now.Sub(p.at).Seconds()*rate/60)
	p.at = now
	if p.tokens >= n {
		p.tokens -= n
		return 0
	}
	return time.Duration((n-p.tokens)*float64(time.Second)) + time.Millisecond
}

// Wait implements actuators.Budget.
func (p *pace) Wait(ctx context.Context) error {
	for left := p.take(1); left > 0; left = p.take(1) {
		if at, ok := ctx.Deadline(); ok && time.Until(at) < left {
			return context.DeadlineExceeded
		}
		time.Sleep(left)
	}
	return nil
}

// afford waits, before an attempt, until all its requests may go.
func (p *pace) afford(n float64) {
	for left := p.take(n); left > 0; left = p.take(n) {
		time.Sleep(left)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens += n
}

// ride is one failover A→B through the actuator, as the executor drives it:
// the same verdicts, the same limits.
type ride struct {
	*rig
	lb      actuators.Work
	reason  string   // why it is not done
	ids     []string // of the provider's answers to what ended it
	limit   time.Time
	tries   int
	trouble time.Time // since when it has had to try again
}

// The executor's figures.
const (
	taskLimit = 15 * time.Minute
	actSpan   = 5 * time.Second
)

// end is how a ride ended.
type end string

const (
	done  end = "done"
	stuck end = "stuck"
	open  end = "open" // still at it when the time was up
)

// ride drives failover n for at most so long. Done is believed by nobody: the
// caller of it looks at where traffic goes.
func (r *rig) ride(n fsm.Number, most time.Duration) (*ride, end) {
	r.t.Helper()
	w := &ride{rig: r, lb: r.work(n, addressB), limit: time.Now().Add(most)}
	for time.Now().Before(w.limit) {
		if e := w.round(); e != "" {
			return w, e
		}
	}
	return w, open
}

func span() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), actSpan)
}

// pause is the executor's backoff, at its longest.
func (w *ride) pause(after time.Duration) {
	if w.trouble.IsZero() {
		w.trouble = time.Now()
	}
	w.tries++
	most := max(time.Since(w.trouble)/32, time.Second)
	time.Sleep(max(after, min(250*time.Millisecond<<min(w.tries, 10), most, 30*time.Second)))
}

// failed notes an error; it is the end only if no further try can help.
func (w *ride) failed(err error) end {
	x := actuators.Explain(err)
	w.reason, w.ids = err.Error(), x.Requests
	w.noSecret(w.reason)
	if x.Permanent {
		return stuck
	}
	w.pause(x.After)
	return ""
}

func (r *rig) noSecret(text string) {
	r.t.Helper()
	for _, s := range []string{secret, password, "gAAAAA"} {
		if strings.Contains(text, s) {
			r.t.Errorf("a secret shows in %q", text)
		}
	}
}

func (w *ride) sight() (actuators.Sight, error) {
	ctx, cancel := span()
	defer cancel()
	reading, err := w.tool.Read(ctx, actuators.Subject{Step: w.lb.Action.Step, Candidates: []fsm.Address{addressB}})
	if err != nil {
		return actuators.Sight{}, err
	}
	return w.tool.Judge(reading, w.lb), nil
}

// round looks once and does what is due.
func (w *ride) round() end {
	w.pace.afford(7)
	s, err := w.sight()
	if err != nil {
		return w.failed(err)
	}
	w.noSecret(s.Detail)
	switch s.Verdict {
	case actuators.Applied:
		return done
	case actuators.Newer, actuators.Foreign:
		w.reason, w.ids = fmt.Sprintf("%s: %s", s.Verdict, s.Detail), s.Reading.Requests
		return stuck
	case actuators.Busy:
		w.reason = s.Detail
		time.Sleep(max(s.After, time.Millisecond))
		return ""
	}
	w.lb.Action.Token++ // a claim of its own
	ctx, cancel := span()
	defer cancel()
	out, err := w.tool.Act(ctx, w.lb, s)
	switch x := actuators.Explain(err); {
	case err != nil && !x.Doubt:
		return w.failed(err)
	case err != nil:
		w.reason, w.ids = err.Error(), x.Requests
		w.noSecret(w.reason)
	case out.Waiting:
		w.lb.Action.Checkpoint = out.Checkpoint
		return w.followed()
	default:
		return ""
	}
	w.pause(0)
	return ""
}

// followed asks until the write is through; the next round's look is what counts.
func (w *ride) followed() end {
	for began := time.Now(); time.Now().Before(w.limit); {
		w.pace.afford(3)
		ctx, cancel := span()
		p, err := w.tool.Follow(ctx, w.lb)
		cancel()
		if err != nil {
			if e := w.failed(err); e != "" {
				return e
			}
			continue
		}
		w.noSecret(p.Reason)
		if p.Done {
			return ""
		}
		w.reason, w.ids = p.Reason, p.Requests
		if p.Again {
			w.pause(0)
			return ""
		}
		if time.Since(began) > taskLimit {
			w.reason = "the provider's task has not ended: " + p.Reason
			return stuck
		}
		time.Sleep(max(p.After, 10*time.Millisecond))
	}
	return ""
}

// Bounds of one failover in any minute: what is beyond them is a loop that runs
// hot. The first is a full bucket and what a minute brings; the second is as
// much as that allows if every write comes after a look of four requests.
const (
	maxPerMinute    = 2*rate + 5 // the transport asks again by itself where a kept connection turns out closed
	maxWritesMinute = maxPerMinute / 4
)

// sound holds the end of a ride against what the provider did: never done
// falsely, no change made twice, no hot loop, nothing of others touched, and a
// stuck one says why.
func (w *ride) sound(e end, edits int) {
	w.t.Helper()
	switch {
	case e == done && w.editedSince():
	case e == done:
		l, _ := w.sim.Effect(listenerID)
		if w.Value() != addressB {
			w.t.Errorf("done, and traffic goes to %q", w.Value())
		}
		if !strings.HasSuffix(l.Description, "[pm 1f2e3d4c cache/1]") {
			w.t.Errorf("done, and the listener is %+v", l)
		}
	case w.reason == "":
		w.t.Errorf("%s, and nothing says why", e)
	}
	if n := w.Seen().Changes; n > 1+edits {
		w.t.Errorf("%d changes of the value by one failover and %d edits of others", n, edits)
	}
	for _, c := range w.sim.Journal() {
		if l := c.Listener; l != nil && !c.Foreign && l.OthersBefore != l.OthersNow {
			w.t.Errorf("%+v was changed to %+v", l.OthersBefore, l.OthersNow)
		}
	}
	if n := w.busiest(func(cloud.Call) bool { return true }); n > maxPerMinute {
		w.t.Errorf("%s: %d requests within a minute", e, n)
	}
	if n := w.busiest(cloud.Call.Write); n > maxWritesMinute {
		w.t.Errorf("%s: %d writes within a minute", e, n)
	}
	if n := w.busiest(func(c cloud.Call) bool { return c.Keystone }); n > maxPerMinute/2 {
		w.t.Errorf("%s: %d tokens within a minute", e, n)
	}
}

// editedSince reports an edit of somebody else after what our last look at the
// listener showed, which lags behind where the provider's reads do: that is drift.
func (w *ride) editedSince() bool {
	var edited, shown time.Time
	for _, c := range w.sim.Journal() {
		switch {
		case c.Foreign && c.Accepted:
			edited = c.Effect
		case c.Method == http.MethodGet && c.Path == "/lbaas/listeners/"+listenerID:
			shown = c.Received.Add(-w.sim.Knobs().ReadLag)
		}
	}
	return !edited.IsZero() && !edited.Before(shown)
}

// busiest is the largest number of our requests of a sort within one minute.
func (w *ride) busiest(of func(cloud.Call) bool) (most int) {
	var at []time.Time
	for _, c := range w.sim.Journal() {
		if c.Foreign || !of(c) {
			continue
		}
		at = append(at, c.Received)
		for at[len(at)-1].Sub(at[0]) >= time.Minute {
			at = at[1:]
		}
		most = max(most, len(at))
	}
	return most
}
