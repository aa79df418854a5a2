package ovh_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// ride is one failover A→B through the actuator, as the executor drives it:
// the same verdicts, the same waits for a count that lags, the same limits.
type ride struct {
	*rig
	lb      actuators.Work
	reason  string   // why it is not done
	ids     []string // of the provider's answers to what ended it
	staged  time.Time
	counted bool
	limit   time.Time
	tries   int
	trouble time.Time // since when it has had to try again
}

// The executor's figures.
const (
	settleLag = 2 * time.Second
	lagLimit  = 5 * time.Second
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

// paced opens the actuator anew, with a budget.
func (r *rig) paced() {
	r.t.Helper()
	if r.pace != nil {
		return
	}
	r.pace = &pace{tokens: rate, at: time.Now()}
	tool, err := r.kind.Open(r.target, r.pace)
	r.must(err)
	r.t.Cleanup(func() { r.must(tool.(interface{ Close() error }).Close()) })
	r.tool = tool
}

// ride drives failover n for at most so long. Done is believed by nobody: the
// caller of it looks at the provider's data plane.
func (r *rig) ride(n fsm.Number, most time.Duration) (*ride, end) {
	r.t.Helper()
	r.paced()
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
	for _, secret := range []string{applicationKey, applicationSecret, consumerKey} {
		if strings.Contains(text, secret) {
			r.t.Errorf("a secret shows in %q", text)
		}
	}
}

func (w *ride) sight(work actuators.Work) (actuators.Sight, error) {
	ctx, cancel := span()
	defer cancel()
	reading, err := w.tool.Read(ctx, actuators.Subject{Step: work.Action.Step, Candidates: []fsm.Address{addressB}})
	if err != nil {
		return actuators.Sight{}, err
	}
	s := w.tool.Judge(reading, work)
	w.counted = w.counted || s.Counted
	return s, nil
}

// round looks once and does what is due.
func (w *ride) round() end {
	w.pace.afford(10)
	s, err := w.sight(w.lb)
	if err != nil {
		return w.failed(err)
	}
	return w.follows(s)
}

func (w *ride) follows(s actuators.Sight) end {
	w.noSecret(s.Detail)
	switch s.Verdict {
	case actuators.Applied:
		return done
	case actuators.Newer, actuators.Foreign:
		w.reason, w.ids = fmt.Sprintf("%s: %s", s.Verdict, s.Detail), s.Reading.Requests
		return stuck
	case actuators.Staged:
		if w.staged.IsZero() {
			w.staged = time.Now()
		}
		return w.refresh()
	case actuators.Busy:
		time.Sleep(max(s.After, time.Millisecond))
		return ""
	}
	w.staged, w.counted = time.Time{}, false
	ctx, cancel := span()
	defer cancel()
	_, err := w.tool.Act(ctx, w.lb, s)
	if x := actuators.Explain(err); err != nil && !x.Doubt {
		return w.failed(err)
	}
	s, readErr := w.sight(w.lb)
	if readErr != nil {
		w.reason = readErr.Error()
		w.pause(0)
		return ""
	}
	if s.Verdict == actuators.Absent {
		w.reason = "read back another value: " + s.Detail
		w.pause(0)
		return ""
	}
	return w.follows(s)
}

// refresh drives a refresh action of its own, then looks whether it has
// applied the value.
func (w *ride) refresh() end {
	work := w.refreshWork()
	for time.Now().Before(w.limit) {
		w.pace.afford(4)
		s, err := w.sight(work)
		if err != nil {
			if e := w.failed(err); e != "" {
				return e
			}
			continue
		}
		if s.Verdict == actuators.Busy {
			w.reason = s.Detail
			time.Sleep(s.After)
			continue
		}
		ctx, cancel := span()
		out, err := w.tool.Act(ctx, work, s)
		cancel()
		if err != nil {
			work.Action.Doubt = actuators.Explain(err).Doubt
			if e := w.failed(err); e != "" {
				return e
			}
			continue
		}
		work.Action.Checkpoint, work.Action.Doubt = out.Checkpoint, false
		again, e := w.followed(&work)
		if e != "" {
			return e
		}
		if !again {
			return w.applied(time.Now())
		}
		work.Action.Attempts++
		w.pause(0)
	}
	return ""
}

func (w *ride) followed(work *actuators.Work) (again bool, e end) {
	for began := time.Now(); time.Now().Before(w.limit); {
		w.pace.afford(1)
		ctx, cancel := span()
		p, err := w.tool.Follow(ctx, *work)
		cancel()
		if err != nil {
			if e := w.failed(err); e != "" {
				return false, e
			}
			continue
		}
		if p.Reason != "" {
			w.reason, w.ids = p.Reason, p.Requests
		}
		if p.Done || p.Again {
			if len(p.Next) > 0 {
				work.Action.Checkpoint = p.Next
			}
			return p.Again, ""
		}
		if time.Since(began) > taskLimit {
			w.reason = "the provider's task has not ended: " + p.Reason
			return false, stuck
		}
		time.Sleep(max(p.After, 10*time.Millisecond))
	}
	return true, ""
}

// applied looks after a refresh that is done, for as long as the count may lag.
func (w *ride) applied(refreshed time.Time) end {
	covered := w.lb
	covered.Covered = true
	for time.Now().Before(w.limit) {
		w.pace.afford(5)
		s, err := w.sight(covered)
		switch {
		case err != nil:
			if e := w.failed(err); e != "" {
				return e
			}
		case s.Verdict == actuators.Applied && time.Since(w.staged) < lagLimit && !w.counted:
			time.Sleep(lagLimit / 10)
		case s.Verdict == actuators.Staged && time.Since(refreshed) < settleLag:
			time.Sleep(settleLag / 8)
		case s.Verdict == actuators.Staged:
			w.reason = "still staged: " + s.Detail
			return ""
		default:
			return w.follows(s)
		}
	}
	return ""
}

// Bounds of one failover in any minute: what is beyond them is a loop that runs
// hot. The first is a full bucket and what a minute brings; the second is as
// much as that allows if every write comes after a look of two requests.
const (
	maxPerMinute    = 2*rate + 5 // the transport asks again by itself where a kept connection turns out closed
	maxWritesMinute = maxPerMinute / 3
)

// sound holds the end of a ride against what the provider did: never done
// falsely, no change made twice, no hot loop, and a stuck one says why.
func (w *ride) sound(e end, edits int) {
	w.t.Helper()
	if e == done {
		f, err := w.sim.Applied(frontend, "sbg") // somebody else may have staged another name since we read
		w.must(err)
		if w.Value() != addressB {
			w.t.Errorf("done, and traffic goes to %q", w.Value())
		}
		if f.DisplayName == nil || !strings.HasSuffix(*f.DisplayName, "[pm 1f2e3d4c cache/1]") {
			w.t.Errorf("done, and the frontend is %+v", f)
		}
	} else if w.reason == "" {
		w.t.Errorf("%s, and nothing says why", e)
	}
	if n := w.Seen().Changes; n > 1+edits {
		w.t.Errorf("%d changes of the value by one failover and %d edits of others", n, edits)
	}
	if n := w.busiest(func(cloud.Call) bool { return true }); n > maxPerMinute {
		w.t.Errorf("%s: %d requests within a minute", e, n)
	}
	if n := w.busiest(cloud.Call.Write); n > maxWritesMinute {
		w.t.Errorf("%s: %d writes within a minute", e, n)
	}
}

// busiest is the largest number of our requests of a sort within one minute.
func (w *ride) busiest(of func(cloud.Call) bool) (most int) {
	var at []time.Time
	for _, c := range w.sim.Journal(0).Calls {
		if c.Foreign || c.Method == cloud.MethodSeed || !of(c) {
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
