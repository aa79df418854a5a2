package sim

import (
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/cluster"
)

// clock is how one node measures spans: at a rate of its own. Its wall clock,
// which outlives the process, may step besides.
type clock struct {
	rate  float64 // 0: 1
	began time.Time
}

func newClock(rate float64) clock { return clock{rate, time.Now()} }

// local turns a true span into what this clock measures.
func (c clock) local(d time.Duration) time.Duration {
	if c.rate == 0 {
		return d
	}
	return time.Duration(float64(d) * c.rate)
}

// true turns a span of this clock into a true one.
func (c clock) real(d time.Duration) time.Duration {
	if c.rate == 0 {
		return d
	}
	return time.Duration(float64(d) / c.rate)
}

// at is a true moment as this clock shows it.
func (c clock) at(t time.Time) time.Time { return c.began.Add(c.local(t.Sub(c.began))) }

// timings are those of a profile, measured by this clock.
func (c clock) timings(profile string) cluster.Timings {
	t, _ := cluster.TimingsOf(profile)
	for _, d := range []*time.Duration{&t.Heartbeat, &t.Election, &t.Lease, &t.Commit, &t.RPC, &t.Write, &t.Stall} {
		*d = c.real(*d)
	}
	return t
}

// wall is the offset of a node's wall clock, in nanoseconds.
func (r *run) wall(id string) *atomic.Int64 { return r.walls[id] }
