package sim

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// knobs draws what public material does not settle about the provider.
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
	k.ReadOnly, k.Unknown = pick(d.r, ovh.Ignore, ovh.Refuse), pick(d.r, ovh.Ignore, ovh.Refuse)
	k.ClockSkew = pick(d.r, 0, 0, d.span(-time.Hour, time.Hour))
	k.TimeWindow = pick(d.r, 0, 5*time.Second, time.Minute)
	if d.chance(30) {
		k.ZoneDelay = map[string]time.Duration{"sbg": d.span(0, 3*time.Second)}
	}
	if d.chance(15) {
		k.TaskTTL = d.span(100*time.Millisecond, 5*time.Second)
	}
	if d.chance(10) {
		k.RatePerMinute = 2 * d.p.Rate / 3 // less than we believe: 429
	}
	if d.chance(12) {
		d.p.ReadLag = d.span(100*time.Millisecond, 3*time.Second)
	}
	d.p.Knobs = k
}

// unsettled draws the knobs whose zero is the plain behaviour, for half the
// seeds. It has a stream of its own, so that knobs that are added here leave
// the other decisions of a seed as they were.
func (d drawer) unsettled() {
	d.r = rand.New(rand.NewPCG(d.p.Seed, 0x6b6e6f6273))
	if d.chance(50) {
		return
	}
	k := &d.p.Knobs
	k.TimeDelay, k.TimeOutStatus = pick(d.r, 0, 0, 100*time.Millisecond, time.Second), pick(d.r, 0, 0, 401, 403, 408)
	if d.chance(10) {
		k.ErrorForm = ovh.FormBare
	}
	k.NarrowRules = d.chance(20)
	k.Details = pick(d.r, ovh.DetailsNone, ovh.DetailsText, ovh.DetailsOdd)
	k.NumericCode = pick(d.r, 0, 0, 460)
	k.QueryID = pick(d.r, ovh.QueryIDNew, ovh.QueryIDOld, ovh.QueryIDNone)
	k.PutReplaces, k.ShuffleFields = d.chance(10), d.chance(30)
	k.PendingCounts = pick(d.r, ovh.CountEdits, ovh.CountObjects, ovh.CountNet)
	k.PendingZones = pick(d.r, ovh.PendingSome, ovh.PendingEvery, ovh.PendingAll)
	k.TaskLag = pick(d.r, 0, 0, 300*time.Millisecond, 3*time.Second)
	k.SecondStatus = pick(d.r, 0, 0, 423, 400)
	k.RefreshZones = pick(d.r, ovh.RefreshEvery, ovh.RefreshAsAll, ovh.RefreshUnlisted, ovh.RefreshFirst)
	k.RateFirst = pick(d.r, ovh.RateAtOnce, ovh.RateStall, ovh.RateReset)
	k.RateForm = pick(d.r, ovh.RateJSON, ovh.RateHTML, ovh.RateEmpty)
	k.RateRetryAfter = pick(d.r, "", "1", "30", "soon")
}

// clocks draws rates that are at most 5 % apart.
func (d drawer) clocks() {
	if d.chance(50) {
		return
	}
	d.p.Clocks = map[string]float64{}
	for _, id := range nodeIDs() {
		d.p.Clocks[id] = pick(d.r, slowest, slowest, 1, fastest, fastest)
	}
}

const (
	fastest = 1.0247
	slowest = 0.9759 // fastest / 1.05
)

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

// fault draws one fault; most strike near a switch.
func (d drawer) fault(end time.Duration) {
	near := d.p.Events[d.r.IntN(len(d.p.Events))].At
	at := pick(d.r, d.span(4*time.Second, end), max(0, near+d.span(-500*time.Millisecond, 1500*time.Millisecond)))
	node := pick(d.r, "leader", "leader", "leader", "n1", "n2", "n3")
	e := event{At: at, Node: node, For: pick(d.r, d.span(200*time.Millisecond, 3*time.Second), d.span(time.Second, 40*time.Second))}
	e.How = pick(d.r, flushed, reset, silent)
	switch d.r.IntN(16) {
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
	case 14:
		d.add(event{At: at, Do: "twice", For: pick(d.r, d.span(time.Millisecond, time.Second), d.span(time.Second, 8*time.Second), d.span(8*time.Second, 40*time.Second))})
		return
	case 15:
		e.Do, e.For = "step", pick(d.r, -time.Hour, time.Hour)
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
	if d.chance(40) {
		d.p.Fuse.Hold = pick(d.r, d.span(500*time.Millisecond, 4*time.Second), d.span(4*time.Second, 40*time.Second))
	}
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
	of := e
	of.Master, of.Sentinel, of.Node, of.How = m.ID, d.r.IntN(sentinelsEach), "", ""
	switch d.r.IntN(9) {
	case 0, 4:
		of.Do, of.Farm = "foreign", m.Farms[pick(d.r, m.Candidates...)]
	case 1:
		of.Do, of.Master = "task", ""
		of.Task = &ovh.TaskPlan{
			Todo: d.span(0, 5*time.Second), Doing: d.span(0, 10*time.Second), Outcome: pick(d.r, ovh.TaskDone, ovh.TaskError, ovh.TaskCancelled, ovh.TaskBlocked),
		}
		if of.Task.Outcome != ovh.TaskDone && d.chance(30) {
			of.Task.Applied = []string{pick(d.r, zones()...)}
		}
	case 2:
		e.Do, of = "blind", e
		of.Do = "blind"
	case 3:
		of.Do = "away"
	case 5, 6:
		of.Do, of.Lag, of.For = "flap", d.span(50*time.Millisecond, 700*time.Millisecond), min(of.For, 10*time.Second)
	case 7:
		of.Do, of.Lag = "seeded", d.span(100*time.Millisecond, 2*time.Second)
	case 8:
		of.Do = "reset"
	}
	d.add(of)
}

// rare draws what strikes more than one node, or calls for a human.
func (d drawer) rare() {
	near := d.p.Events[d.r.IntN(len(d.p.Events))].At
	e := event{At: max(4*time.Second, near+d.span(-500*time.Millisecond, 2*time.Second)), How: pick(d.r, flushed, reset, silent)}
	switch d.r.IntN(6) {
	case 0:
		e.Do, e.For, e.Node = "quorum", d.span(2*time.Second, 30*time.Second), pick(d.r, nodeIDs()...)
	case 1:
		e.Do, e.For = "power", d.span(100*time.Millisecond, 10*time.Second)
	case 2:
		e.Do, e.For, e.Node = "emptied", d.span(time.Second, 20*time.Second), pick(d.r, "leader", "n1", "n2", "n3")
	case 3:
		e.Do, e.Fault = "denied", &ovh.Fault{Count: 1 + d.r.IntN(3), Do: ovh.DoAnswer, Status: pick(d.r, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusBadRequest)}
	case 4:
		e.Do, e.Knob, e.For = "maintenance", string(pick(d.r, ovh.MaintenanceHTML, ovh.MaintenanceJSON)), d.span(time.Second, 40*time.Second)
	case 5:
		e.Do, e.For, e.Node = "crash", -1, pick(d.r, "leader", "n1", "n2", "n3") // one goes for good
	}
	d.add(e)
}
