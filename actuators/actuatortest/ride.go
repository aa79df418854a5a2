package actuatortest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// The executor's figures.
const (
	ActSpan   = 5 * time.Second
	settleLag = 2 * time.Second
	lagLimit  = 5 * time.Second
	taskLimit = 15 * time.Minute
)

// End is how a ride ended.
type End string

// The ends of a ride.
const (
	Done  End = "done"
	Stuck End = "stuck" // until a human acts
	Open  End = "open"  // still at it when the time was up
)

// Ride is one failover through an actuator, as the executor drives it: a look
// before each claim, whose version the claim names, a look after each write, the
// same waits and limits, and pauses that grow. Done is believed by nobody: who
// rides looks at what the outside world did. It is for one goroutine.
type Ride struct {
	T       testing.TB
	Tool    actuators.Actuator
	Work    actuators.Work
	To      fsm.Address // whose place in the object is read too; empty: nobody's
	Pace    *Pace       // nil: none
	Round   float64     // requests that the rate has to allow before a round
	Tick    float64     // and before a question about a task
	Secrets []string    // which must show up nowhere

	// What came of it.

	Reason  string   // why it is not done
	IDs     []string // of the provider's answers to what ended it
	Doubted bool     // some write got no clear answer
	Claims  int

	staged  time.Time
	counted bool
	limit   time.Time
	tries   int
	trouble time.Time // since when it has had to try again
}

// Run drives the action for at most so long.
func (w *Ride) Run(most time.Duration) End {
	w.T.Helper()
	w.limit = time.Now().Add(most)
	for time.Now().Before(w.limit) {
		if e := w.round(); e != "" {
			return e
		}
	}
	return Open
}

func claimSpan() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), ActSpan)
}

// pause is the executor's backoff, at its longest.
func (w *Ride) pause(after time.Duration) {
	if w.trouble.IsZero() {
		w.trouble = time.Now()
	}
	w.tries++
	most := max(time.Since(w.trouble)/32, time.Second)
	time.Sleep(max(after, min(250*time.Millisecond<<min(w.tries, 10), most, 30*time.Second)))
}

// shown fails the ride if a secret shows in what people get to see.
func (w *Ride) shown(texts ...string) {
	w.T.Helper()
	for _, text := range texts {
		for _, secret := range w.Secrets {
			if secret != "" && strings.Contains(text, secret) {
				w.T.Errorf("a secret shows in %q", text)
			}
		}
	}
}

// failed notes an error; it is the end only if no further try can help.
func (w *Ride) failed(err error) End {
	w.T.Helper()
	x := actuators.Explain(err)
	w.told(err.Error(), x.Requests)
	w.Doubted = w.Doubted || x.Doubt
	if x.Permanent {
		return Stuck
	}
	w.pause(x.After)
	return ""
}

func (w *Ride) told(reason string, ids []string) {
	w.T.Helper()
	w.Reason, w.IDs = reason, ids
	w.shown(append(ids, reason)...)
}

func (w *Ride) sight(work actuators.Work) (actuators.Sight, error) {
	w.T.Helper()
	ctx, cancel := claimSpan()
	defer cancel()
	subject := actuators.Subject{Step: work.Action.Step, Value: work.Action.Value}
	if w.To != "" {
		subject.Candidates = []fsm.Address{w.To}
	}
	reading, err := w.Tool.Read(ctx, subject)
	if err != nil {
		return actuators.Sight{}, err
	}
	s := w.Tool.Judge(reading, work)
	w.counted = w.counted || s.Counted
	w.shown(s.Detail, s.Version, s.Warning)
	return s, nil
}

// round looks once and does what is due.
func (w *Ride) round() End {
	w.T.Helper()
	w.Pace.Afford(w.Round)
	s, err := w.sight(w.Work)
	if err != nil {
		return w.failed(err)
	}
	return w.follows(s)
}

// follows does what a sight calls for.
func (w *Ride) follows(s actuators.Sight) End {
	w.T.Helper()
	switch s.Verdict {
	case actuators.Applied:
		return Done
	case actuators.Newer, actuators.Foreign:
		w.told(fmt.Sprintf("%s: %s", s.Verdict, s.Detail), s.Reading.Requests)
		return Stuck
	case actuators.Staged:
		if w.staged.IsZero() {
			w.staged = time.Now()
		}
		return w.refresh(*s.Refresh)
	case actuators.Busy:
		w.told(s.Detail, s.Reading.Requests)
		time.Sleep(max(s.After, time.Millisecond))
		return ""
	}
	return w.act(s)
}

// act writes under a claim of its own, and reads back.
func (w *Ride) act(s actuators.Sight) End {
	w.T.Helper()
	w.staged, w.counted = time.Time{}, false
	w.Claims++
	w.Work.Action.Phase, w.Work.Action.Version = fsm.Claimed, s.Version
	w.Work.Action.Token++
	ctx, cancel := claimSpan()
	defer cancel()
	out, err := w.Tool.Act(ctx, w.Work, s)
	x := actuators.Explain(err)
	w.Doubted = w.Doubted || x.Doubt
	w.Work.Action.Doubt = x.Doubt
	switch {
	case err != nil && !x.Doubt:
		return w.failed(err)
	case out.Waiting:
		w.Work.Action.Phase, w.Work.Action.Checkpoint = fsm.Waiting, out.Checkpoint
		return w.task()
	case w.Work.Action.Step.Class == fsm.Blind && err != nil:
		w.told(err.Error(), x.Requests)
		return Stuck
	case w.Work.Action.Step.Class == fsm.Blind:
		return Done
	}
	return w.check(err, append(out.Requests, x.Requests...))
}

// check reads back after a write, however that was answered.
func (w *Ride) check(acted error, ids []string) End {
	w.T.Helper()
	s, err := w.sight(w.Work)
	switch {
	case err != nil:
		if acted == nil {
			acted = err
		}
		w.told(fmt.Sprintf("written, not read back: %v", acted), append(ids, actuators.Explain(err).Requests...))
	case s.Verdict == actuators.Absent || s.Verdict == actuators.Busy:
		reason := "read back another value: " + s.Detail
		if acted != nil {
			reason = acted.Error()
		}
		w.told(reason, append(ids, s.Reading.Requests...))
	default:
		return w.follows(s)
	}
	w.pause(0)
	return ""
}

// task follows what the action itself waits for; the look after it is what counts.
func (w *Ride) task() End {
	w.T.Helper()
	again, e := w.followed(&w.Work)
	if e != "" {
		return e
	}
	if again {
		w.Work.Action.Phase = fsm.Claimed
		w.pause(0)
	}
	return ""
}

// refresh drives a refresh action of its own, then looks whether it has applied
// the value.
func (w *Ride) refresh(r fsm.Refresh) End {
	w.T.Helper()
	target := w.Work.Action.Target
	work := actuators.Work{Cluster: w.Work.Cluster, Action: refreshOf(target, r)}
	for time.Now().Before(w.limit) {
		w.Pace.Afford(min(w.Round, 4))
		s, err := w.sight(work)
		if err != nil {
			if e := w.failed(err); e != "" {
				return e
			}
			continue
		}
		if s.Verdict == actuators.Busy {
			w.told(s.Detail, s.Reading.Requests)
			time.Sleep(s.After)
			continue
		}
		ctx, cancel := claimSpan()
		out, err := w.Tool.Act(ctx, work, s)
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

// refreshOf is the refresh that a staged action stands on.
func refreshOf(target fsm.TargetSpec, r fsm.Refresh) fsm.Action {
	return fsm.Action{
		ID: fsm.ActionID(target.ID + "/refresh/1"), Phase: fsm.Claimed, Target: target, Attempts: 1, Term: 1,
		Step: fsm.Step{Name: "refresh", Target: target.ID, Kind: r.Kind, Object: r.Object, Class: fsm.Trigger, Act: r.Act},
	}
}

// followed asks until a task has ended, or is to be asked for again.
func (w *Ride) followed(work *actuators.Work) (again bool, e End) {
	w.T.Helper()
	for began := time.Now(); time.Now().Before(w.limit); {
		w.Pace.Afford(w.Tick)
		ctx, cancel := claimSpan()
		p, err := w.Tool.Follow(ctx, *work)
		cancel()
		if err != nil {
			if e := w.failed(err); e != "" {
				return false, e
			}
			continue
		}
		if p.Reason != "" && !p.Done {
			w.told(p.Reason, p.Requests)
		}
		if p.Done || p.Again {
			if len(p.Next) > 0 {
				work.Action.Checkpoint = p.Next
			}
			return p.Again, ""
		}
		if time.Since(began) > taskLimit {
			w.Reason = "the provider's task has not ended: " + p.Reason
			return false, Stuck
		}
		time.Sleep(max(p.After, 10*time.Millisecond))
	}
	return true, ""
}

// applied looks after a refresh that is done, for as long as the count may lag.
func (w *Ride) applied(refreshed time.Time) End {
	w.T.Helper()
	covered := w.Work
	covered.Covered = true
	for time.Now().Before(w.limit) {
		w.Pace.Afford(w.Round / 2)
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
			w.told("still staged: "+s.Detail, s.Reading.Requests)
			return ""
		default:
			return w.follows(s)
		}
	}
	return ""
}

// Busiest is the largest number of instants within one minute; they are in order.
func Busiest(at []time.Time) (most int) {
	first := 0
	for last := range at {
		for at[last].Sub(at[first]) >= time.Minute {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}
