package linode_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	cloud "github.com/pointsman/pointsman/test/clouds/linode"
)

// ride is one failover A→B through the actuator, as the executor drives it: look,
// act where that is due, look again, and longer and longer pauses.
type ride struct {
	*rig
	work    actuators.Work
	reason  string   // why it is not done
	ids     []string // of the provider's answers to what ended it
	tries   int
	trouble time.Time // since when it has had to try again
}

// The executor's figures.
const (
	actSpan = 5 * time.Second
	rate    = 60 // requests a minute, as a bucket of one minute
)

// end is how a ride ended.
type end string

const (
	done  end = "done"
	stuck end = "stuck"
	open  end = "open" // still at it when the time was up
)

// ride drives failover n for at most so long. Done is believed by nobody: the
// caller looks at what is in effect.
func (r *rig) ride(n fsm.Number, most time.Duration) (*ride, end) {
	r.t.Helper()
	w := &ride{rig: r, work: r.work(n, addressB)}
	for limit := time.Now().Add(most); time.Now().Before(limit); {
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

// pace is a target's rate.
type pace struct {
	mu     sync.Mutex // guards what follows
	tokens float64
	at     time.Time
}

// Wait implements actuators.Budget.
func (p *pace) Wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		now := time.Now()
		p.tokens = min(rate, p.tokens+now.Sub(p.at).Seconds()*rate/60)
		p.at = now
		left := time.Duration((1-p.tokens)*float64(time.Second)) + time.Millisecond
		if p.tokens >= 1 {
			p.tokens--
			p.mu.Unlock()
			return nil
		}
		p.mu.Unlock()
		if at, ok := ctx.Deadline(); ok && time.Until(at) < left {
			return context.DeadlineExceeded
		}
		time.Sleep(left)
	}
}

// failed notes an error; it is the end only if no further try can help.
func (w *ride) failed(err error) end {
	x := actuators.Explain(err)
	w.reason, w.ids = err.Error(), x.Requests
	if strings.Contains(w.reason, token) {
		w.t.Errorf("a secret shows in %q", w.reason)
	}
	if x.Permanent {
		return stuck
	}
	w.pause(x.After)
	return ""
}

func (w *ride) sight() (actuators.Sight, error) {
	ctx, cancel := span()
	defer cancel()
	reading, err := w.tool.Read(ctx, actuators.Subject{Step: w.work.Action.Step, Candidates: []fsm.Address{addressB}})
	if err != nil {
		return actuators.Sight{}, err
	}
	return w.tool.Judge(reading, w.work), nil
}

// round looks once and does what is due.
func (w *ride) round() end {
	s, err := w.sight()
	if err != nil {
		return w.failed(err)
	}
	if e, ended := w.told(s); ended {
		return e
	}
	ctx, cancel := span()
	defer cancel()
	_, err = w.tool.Act(ctx, w.work, s)
	if x := actuators.Explain(err); err != nil && !x.Doubt {
		return w.failed(err)
	}
	again, readErr := w.sight()
	if readErr != nil {
		return w.failed(readErr)
	}
	if e, ended := w.told(again); ended {
		return e
	}
	w.reason = fmt.Sprintf("acted (%v) and read back another value: %s", err, again.Detail)
	w.pause(actuators.Explain(err).After)
	return ""
}

// told takes a verdict that needs no write.
func (w *ride) told(s actuators.Sight) (end, bool) {
	switch s.Verdict {
	case actuators.Applied:
		return done, true
	case actuators.Newer, actuators.Foreign:
		w.reason, w.ids = fmt.Sprintf("%s: %s", s.Verdict, s.Detail), s.Reading.Requests
		return stuck, true
	case actuators.Busy:
		w.reason = s.Detail
		time.Sleep(max(s.After, time.Millisecond))
		return "", true
	}
	return "", false
}

// Bounds of one failover in any minute: beyond them is a loop that runs hot. The
// first is a full bucket and what a minute brings; each write follows a look.
const (
	maxPerMinute    = 2*rate + 5
	maxWritesMinute = maxPerMinute / 2
)

// sound holds the end of a ride against what the provider did: never done
// falsely, no change made twice, no hot loop, and a stuck one says why.
func (w *ride) sound(e end, edits int) {
	w.t.Helper()
	if e == done {
		n, err := w.sim.Stored(nodeID)
		w.must(err)
		if w.Value() != addressB || n.Label != labelOfOne {
			w.t.Errorf("done, traffic goes to %q, and the node is %+v", w.Value(), n)
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
