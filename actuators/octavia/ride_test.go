package octavia_test

import (
	"net/http"
	"strings"
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
	pace *actuatortest.Pace
}

func newRig(t *testing.T, turn ...func(*cloud.Knobs)) *rig {
	t.Helper()
	r := &rig{lab: newLab(t, turn...), t: t, pace: actuatortest.NewPace()}
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

// ride is one failover A→B through the actuator.
type ride struct {
	*rig
	*actuatortest.Ride
}

type end = actuatortest.End

const (
	actSpan = actuatortest.ActSpan
	done    = actuatortest.Done
	stuck   = actuatortest.Stuck
	open    = actuatortest.Open
)

// ride drives failover n for at most so long. Done is believed by nobody: the
// caller of it looks at where traffic goes.
func (r *rig) ride(n fsm.Number, most time.Duration) (*ride, end) {
	r.t.Helper()
	w := &ride{rig: r, Ride: &actuatortest.Ride{
		T: r.t, Tool: r.tool, Work: r.work(n, addressB), To: addressB, Pace: r.pace, Round: 7, Tick: 3, Secrets: []string{secret, password, "gAAAAA"},
	}}
	return w, w.Run(most)
}

func (r *rig) noSecret(text string) {
	r.t.Helper()
	for _, s := range []string{secret, password, "gAAAAA"} {
		if strings.Contains(text, s) {
			r.t.Errorf("a secret shows in %q", text)
		}
	}
}

// Bounds of one failover in any minute: what is beyond them is a loop that runs
// hot. The first is a full bucket and what a minute brings; the second is as
// much as that allows if every write comes after a look of four requests.
const (
	maxPerMinute    = 2*actuatortest.Rate + 5 // the transport asks again by itself where a kept connection turns out closed
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
	case w.Reason == "":
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
func (w *ride) busiest(of func(cloud.Call) bool) int {
	var at []time.Time
	for _, c := range w.sim.Journal() {
		if !c.Foreign && of(c) {
			at = append(at, c.Received)
		}
	}
	return actuatortest.Busiest(at)
}
