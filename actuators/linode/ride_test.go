package linode_test

import (
	"time"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/fsm"
	cloud "github.com/pointsman/pointsman/test/clouds/linode"
)

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
// caller looks at what is in effect.
func (r *rig) ride(n fsm.Number, most time.Duration) (*ride, end) {
	r.t.Helper()
	w := &ride{rig: r, Ride: &actuatortest.Ride{T: r.t, Tool: r.tool, Work: r.work(n, addressB), To: addressB, Pace: r.pace, Secrets: []string{token}}}
	return w, w.Run(most)
}

// Bounds of one failover in any minute: beyond them is a loop that runs hot. The
// first is a full bucket and what a minute brings; each write follows a look.
const (
	maxPerMinute    = 2*actuatortest.Rate + 5
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
	} else if w.Reason == "" {
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
func (w *ride) busiest(of func(cloud.Call) bool) int {
	var at []time.Time
	for _, c := range w.sim.Journal() {
		if !c.Foreign && of(c) {
			at = append(at, c.Received)
		}
	}
	return actuatortest.Busiest(at)
}
