package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// plan is all that a seed decides.
type plan struct {
	Seed            uint64
	Profile         string // of raft's timings
	Latency         time.Duration
	Poll            map[string]time.Duration
	SnapshotEntries uint64
	Trailing        uint64
	Hold, Act       time.Duration
	Rate            int                // requests a minute
	Clocks          map[string]float64 `json:",omitempty"` // rates of the nodes' clocks; empty: all 1
	ReadLag         time.Duration      // of every other read of a frontend
	Masters         []masterPlan
	Knobs           ovh.Knobs
	Shop            *shopPlan  `json:",omitempty"`
	Sides           []sidePlan `json:",omitempty"`
	Pool            *poolPlan  `json:",omitempty"`
	Events          []event
	Fuse            *fuse
}

type masterPlan struct {
	ID         string
	Frontend   int64
	Candidates []string
	Farms      map[string]int64
	Stuck      bool // policy for a foreign value
}

// event is one thing that happens at a moment of the run.
type event struct {
	At       time.Duration
	Do       string
	Master   string        `json:",omitempty"`
	Address  string        `json:",omitempty"`
	Other    string        `json:",omitempty"`
	Sentinel int           `json:",omitempty"`
	Lag      time.Duration `json:",omitempty"`
	Node     string        `json:",omitempty"` // "leader": who leads then
	Peer     string        `json:",omitempty"`
	For      time.Duration `json:",omitempty"`
	How      death         `json:",omitempty"`
	Fault    *ovh.Fault    `json:",omitempty"`
	Task     *ovh.TaskPlan `json:",omitempty"`
	Farm     int64         `json:",omitempty"`
	Knob     string        `json:",omitempty"`
}

func (e event) String() string {
	text, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func nodeIDs() []string { return []string{"n1", "n2", "n3"} }

// draw makes the plan of a seed.
func draw(seed uint64) *plan {
	d := drawer{rand.New(rand.NewPCG(seed, 0x706f696e74)), &plan{Seed: seed, Poll: map[string]time.Duration{}}}
	p := d.p
	p.Profile = pick(d.r, "calm", "default", "default", "fast")
	p.Latency = pick(d.r, 200*time.Microsecond, time.Millisecond, 3*time.Millisecond)
	for _, id := range nodeIDs() {
		p.Poll[id] = d.span(5*time.Millisecond, 250*time.Millisecond)
	}
	p.SnapshotEntries, p.Trailing = pick[uint64](d.r, 10, 40, 8192), pick[uint64](d.r, 2, 20, 10240)
	p.Hold, p.Act = pick(d.r, 5*time.Second, 10*time.Second, 20*time.Second), pick(d.r, 2*time.Second, 5*time.Second, 5*time.Second)
	p.Rate = pick(d.r, 120, 600, 6000)
	d.masters()
	d.knobs()
	d.unsettled()
	d.shop()
	d.sides()
	d.lines()
	d.clocks()
	end := d.switches()
	for range d.r.IntN(6) {
		d.fault(end)
	}
	if d.chance(10) {
		d.rare()
	}
	d.asks(end)
	d.pool(end)
	slices.SortStableFunc(p.Events, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	return p
}

type drawer struct {
	r *rand.Rand
	p *plan
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func (d drawer) span(from, to time.Duration) time.Duration {
	return from + time.Duration(d.r.Int64N(int64(to-from)))
}

func (d drawer) chance(percent int) bool { return d.r.IntN(100) < percent }

func (d drawer) add(e event) { d.p.Events = append(d.p.Events, e) }

func (d drawer) masters() {
	stuck := d.chance(8)
	for i := range 1 + d.r.IntN(3) {
		m := masterPlan{ID: []string{"cache", "queue", "store"}[i], Frontend: int64(4711 + i), Farms: map[string]int64{}, Stuck: stuck}
		for c := range 3 {
			address := fmt.Sprintf("10.%d.%d.20:6379", i, c+1)
			m.Candidates = append(m.Candidates, address)
			m.Farms[address] = int64(10*(i+1) + c + 1)
		}
		d.p.Masters = append(d.p.Masters, m)
	}
}

// switches draws what Redis does; it returns when the last switch is seen.
func (d drawer) switches() (end time.Duration) {
	for _, m := range d.p.Masters {
		at, now := 5*time.Second+d.span(0, 3*time.Second), m.Candidates[0]
		for range 2 + d.r.IntN(4) {
			e := event{At: at, Do: "switch", Master: m.ID, Address: d.other(m, now), Sentinel: d.r.IntN(sentinelsEach), Lag: d.span(100*time.Millisecond, 2*time.Second)}
			switch {
			case d.chance(5):
				e.Address = now // a failover to the same address
			case d.chance(10):
				e.Do, e.Other = "conflict", d.other(m, now, e.Address)
			}
			d.add(e)
			if e.Do == "switch" && d.chance(4) { // RESET between promotion and hello: two words at one epoch, for good
				d.p.Events[len(d.p.Events)-1].Do, e.Do = "forgotten", "conflict"
			}
			if d.chance(30) {
				d.add(event{At: at + d.span(time.Second, 8*time.Second), Do: "returned", Master: m.ID, Address: now, Sentinel: d.r.IntN(sentinelsEach), Lag: d.span(200*time.Millisecond, 3*time.Second)})
			}
			now = e.Address
			end = max(end, at)
			if e.Do == "switch" && d.chance(20) { // a conflict is over before the next
				at = d.aimed(m, at)
				continue
			}
			at += pick(d.r, d.span(300*time.Millisecond, 3*time.Second), d.span(3*time.Second, 30*time.Second), d.span(10*time.Second, 20*time.Second))
			if e.Do == "conflict" {
				at += 10 * time.Second
			}
		}
		if d.chance(10) {
			at = max(at, end) + 25*time.Second
			d.add(event{At: at, Do: "wiped", Master: m.ID})
			d.add(event{At: at + 60*time.Second, Do: "switch", Master: m.ID, Address: d.other(m, now), Sentinel: d.r.IntN(sentinelsEach), Lag: time.Second})
			end = at + 60*time.Second
		}
	}
	return end + 5*time.Second
}

func (d drawer) other(m masterPlan, not ...string) string {
	for {
		if c := pick(d.r, m.Candidates...); !slices.Contains(not, c) {
			return c
		}
	}
}
