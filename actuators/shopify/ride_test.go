package shopify_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// actSpan is a claim's span.
const actSpan = 5 * time.Second

// patience bounds a ride; a mended shop is given as much again.
const patience = 30 * time.Minute

// end is how a ride ended.
type end string

const (
	done  end = "done"
	stuck end = "stuck"
	open  end = "open" // still at it when the time was up
)

// ride is one failover through the actuator, as the executor drives it: a look
// before each claim, whose version the claim names, and one after each write.
type ride struct {
	*rig
	work    actuators.Work
	reason  string   // why it is not done
	ids     []string // of the answers to what ended it
	claims  int
	tries   int
	trouble time.Time
}

// ride drives failover n to address B for at most so long.
func (r *rig) ride(n fsm.Number, most time.Duration) (*ride, end) {
	r.t.Helper()
	w := &ride{rig: r, work: r.work(n, addressB)}
	for began := time.Now(); time.Since(began) < most; {
		if e := w.round(); e != "" {
			return w, e
		}
	}
	return w, open
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
	for _, secret := range []string{accessToken, clientSecret, "shpat_"} {
		if strings.Contains(text, secret) {
			r.t.Errorf("a secret shows in %q", text)
		}
	}
}

func (w *ride) round() end {
	s, err := w.see(w.work)
	if err != nil {
		return w.failed(err)
	}
	w.noSecret(s.Detail)
	if e := w.concludes(s); e != "" || s.Verdict != actuators.Absent {
		return e
	}
	w.claims++
	_, err = w.act(w.work, s)
	x := actuators.Explain(err)
	if err != nil && !x.Doubt {
		return w.failed(err)
	}
	w.work.Action.Doubt = w.work.Action.Doubt || x.Doubt
	seen, lookErr := w.see(w.work)
	if lookErr != nil {
		w.reason = lookErr.Error()
		w.pause(0)
		return ""
	}
	if e := w.concludes(seen); e != "" {
		return e
	}
	if w.reason = "read back another value: " + seen.Detail; err != nil {
		w.reason = err.Error()
	}
	w.pause(0)
	return ""
}

func (w *ride) concludes(s actuators.Sight) end {
	switch s.Verdict {
	case actuators.Applied:
		return done
	case actuators.Newer, actuators.Foreign:
		w.reason, w.ids = fmt.Sprintf("%s: %s", s.Verdict, s.Detail), s.Reading.Requests
		return stuck
	}
	return ""
}

// sound holds what every ride must hold.
func (w *ride) sound(e end) {
	w.t.Helper()
	entry := cloud.LoggedAction{ID: string(w.work.Action.ID), Claims: max(w.claims, 1)}
	if e == done {
		entry.State = "done"
		if got := w.Value(); got != addressB {
			w.t.Errorf("done, and the shop says %q", got)
		}
	}
	if p := w.sim.Prove([]cloud.LoggedAction{entry}); !p.Sound() || p.Changes > 1 || p.Repeats > 0 {
		w.t.Errorf("%+v", p)
	}
	if n := len(w.sim.Journal(0).Calls); n > 2000 {
		w.t.Errorf("%d requests: a hot loop", n)
	}
}

// heal makes the shop as it should be.
func (r *rig) heal() {
	r.t.Helper()
	r.Mend()
	r.must(r.sim.SetKnobs(cloud.DefaultKnobs()))
	time.Sleep(time.Minute)
}
