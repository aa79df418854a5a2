package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
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
	Rate            int // requests a minute
	Masters         []masterPlan
	Knobs           ovh.Knobs
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
	end := d.switches()
	for range d.r.IntN(5) {
		d.fault(end)
	}
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

func (d drawer) knobs() {
	k := ovh.DefaultKnobs()
	k.SecondRefresh = pick(d.r, ovh.SecondQueue, ovh.SecondMerge, ovh.SecondRefuse)
	k.RefreshSnapshot = pick(d.r, ovh.SnapshotStart, ovh.SnapshotPost)
	k.PendingClears = pick(d.r, ovh.ClearsDone, ovh.ClearsSnapshot)
	k.PendingLag = pick(d.r, 0, 0, 300*time.Millisecond, 3*time.Second)
	k.HideNameEdits = d.chance(20)
	k.TaskTodo = pick(d.r, 10*time.Millisecond, 100*time.Millisecond, 2*time.Second)
	k.TaskDoing = pick(d.r, 100*time.Millisecond, 400*time.Millisecond, 5*time.Second)
	k.TaskListLag = pick(d.r, 0, 0, time.Second)
	k.ErrorForm = pick(d.r, ovh.FormMixed, ovh.FormNew, ovh.FormOld)
	k.VoidBody = pick(d.r, ovh.VoidNull, ovh.VoidEmpty)
	if d.chance(30) {
		k.ZoneDelay = map[string]time.Duration{"sbg": d.span(0, 3*time.Second)}
	}
	if d.chance(15) {
		k.TaskTTL = d.span(100*time.Millisecond, 5*time.Second)
	}
	d.p.Knobs = k
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

// aimed holds a write on its way for less than the window, and has the next
// switch come before it lands; half the time the leader is struck as well. It
// returns when that switch comes.
func (d drawer) aimed(m masterPlan, at time.Duration) time.Duration {
	late := d.span(d.p.Act, d.p.Hold+time.Second)
	path := fmt.Sprintf("*/frontend/%d", m.Frontend)
	do := ovh.Fault{Method: http.MethodPut, Path: path, Count: 1 + d.r.IntN(2), Do: ovh.DoDelay, When: ovh.Before, Delay: late}
	if d.chance(20) {
		do = ovh.Fault{Method: http.MethodPut, Path: path, Count: 1 + d.r.IntN(3), Do: ovh.DoHang, When: pick(d.r, ovh.Before, ovh.After)}
	}
	if d.chance(70) {
		d.add(event{At: at, Do: "fault", Fault: &do})
	} else {
		d.add(event{At: at + d.span(150*time.Millisecond, 500*time.Millisecond), Do: "mute", Node: "leader", Peer: provider, For: late})
	}
	if d.chance(60) {
		e := event{At: at + d.span(250*time.Millisecond, 2*time.Second), Node: "leader", How: pick(d.r, flushed, flushed, reset, silent)}
		e.Do, e.Peer, e.For = pick(d.r, "crash", "cut", "cut", "pause", "deaf", "transfer"), "peers", d.span(time.Second, min(late, 6*time.Second))
		d.add(e)
	}
	return at + d.span(300*time.Millisecond, late)
}

func (d drawer) other(m masterPlan, not ...string) string {
	for {
		if c := pick(d.r, m.Candidates...); !slices.Contains(not, c) {
			return c
		}
	}
}

// fault draws one fault; most strike near a switch.
func (d drawer) fault(end time.Duration) {
	near := d.p.Events[d.r.IntN(len(d.p.Events))].At
	at := pick(d.r, d.span(4*time.Second, end), max(0, near+d.span(-500*time.Millisecond, 1500*time.Millisecond)))
	node := pick(d.r, "leader", "leader", "leader", "n1", "n2", "n3")
	e := event{At: at, Node: node, For: pick(d.r, d.span(200*time.Millisecond, 3*time.Second), d.span(time.Second, 40*time.Second))}
	e.How = pick(d.r, flushed, reset, silent)
	switch d.r.IntN(14) {
	case 0, 1:
		e.Do = "crash"
	case 2, 12:
		d.fuse()
		return
	case 3:
		e.Do = pick(d.r, "stop", "transfer", "snapshot")
	case 4:
		e.Do, e.Peer = "cut", pick(d.r, "peers", "peers", "n1", "n2", "n3")
	case 5:
		e.Do, e.Peer = pick(d.r, "deaf", "mute"), pick(d.r, "peers", "n1", "n2", "n3", provider)
	case 6:
		e.Do, e.Peer = "cut", provider
	case 7:
		e.Do = "pause"
	case 8, 9, 10:
		d.providerFault(at)
		return
	case 11, 13:
		d.otherFault(e)
		return
	}
	d.add(e)
}

func (d drawer) fuse() {
	if d.p.Fuse != nil {
		return
	}
	site := pick(d.r, "propose:observe", "propose:claim", "propose:release", "propose:settle", "wire:PUT", "wire:POST", "wire:GET", "store")
	most := map[string]int{"wire:GET": 60, "store": 80, "propose:settle": 12}[site]
	d.p.Fuse = &fuse{Site: site, Nth: 1 + d.r.IntN(max(most, 5)), After: d.chance(50), Death: pick(d.r, flushed, reset, silent), Back: d.span(100*time.Millisecond, 30*time.Second)}
}

func (d drawer) providerFault(at time.Duration) {
	f := &ovh.Fault{
		Method: pick(d.r, http.MethodPut, http.MethodPut, http.MethodPost, http.MethodGet), Count: pick(d.r, 1, 1, 2, 4),
		When: pick(d.r, ovh.Before, ovh.After),
		Do:   pick(d.r, ovh.DoAnswer, ovh.DoAnswer, ovh.DoHang, ovh.DoDrop, ovh.DoReset, ovh.DoDelay, ovh.DoDelay, ovh.DoEmpty),
	}
	switch f.Do {
	case ovh.DoAnswer:
		f.Status = pick(d.r, 500, 502, 503, 504, 429)
		f.HTML = f.Status > 500 && f.Status < 505 && d.chance(50)
		if f.Status == 429 {
			f.When, f.RetryAfter = ovh.Before, pick(d.r, "", "1", "5")
		}
	case ovh.DoDelay:
		f.Delay = pick(d.r, d.span(100*time.Millisecond, 4*time.Second), d.span(4*time.Second, 40*time.Second))
	}
	d.add(event{At: at, Do: "fault", Fault: f})
}

func (d drawer) otherFault(e event) {
	m := pick(d.r, d.p.Masters...)
	switch d.r.IntN(5) {
	case 0, 4:
		e.Do, e.Master, e.Farm, e.Node = "foreign", m.ID, m.Farms[pick(d.r, m.Candidates...)], ""
	case 1:
		e.Do, e.Node = "task", ""
		e.Task = &ovh.TaskPlan{Todo: d.span(0, 5*time.Second), Doing: d.span(0, 10*time.Second), Outcome: pick(d.r, ovh.TaskDone, ovh.TaskError, ovh.TaskCancelled)}
	case 2:
		e.Do = "blind"
	case 3:
		e.Do, e.Master, e.Sentinel, e.Node = "away", m.ID, d.r.IntN(sentinelsEach), ""
	}
	d.add(e)
}
