package coordinator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// Where the leadership should stand is decided here, by functions of values:
// no clock is read, nothing is sent.
//
// Two wishes, the first before the second:
//   - Reach. A leader that does not reach a target with open or coming work hands
//     over to a node that does, plans or not; without work it does so as soon as
//     nothing is going on.
//   - Zone. When all has been calm for a while, it leaves the zone that holds the
//     most masters, so that the loss of a zone seldom costs both. Zones that are
//     about equal move nobody.
//
// It never flaps: each kind of move keeps its distance from the last hand-over,
// whatever that was for; a verdict about a target takes three probes; and only a
// node that is better by count is handed to.

// Pace is how often things are looked at and moved. Zero fields take their
// defaults; tests make them shorter.
type Pace struct {
	Probe time.Duration // between two probes of a target; default 30 s
	Again time.Duration // between two while a verdict is open, or work fails; default 2 s
	Calm  time.Duration // nothing may have been going on for so long before a move by zone; default 1 min
	Reach time.Duration // least time from a hand-over to one by reach; default 1 min
	Zone  time.Duration // least time from a hand-over to one by zone; default 5 min
	// Preflight is the time between two looks of the leader at the object of
	// every step; default 10 min.
	Preflight time.Duration
}

func (p Pace) withDefaults() Pace {
	p.Probe, p.Again = positive(p.Probe, 30*time.Second), positive(p.Again, 2*time.Second)
	p.Calm = positive(p.Calm, time.Minute)
	p.Reach, p.Zone = positive(p.Reach, time.Minute), positive(p.Zone, 5*time.Minute)
	p.Preflight = positive(p.Preflight, 10*time.Minute)
	return p
}

const (
	// maxLag is how many entries a node may be behind the leader's state.
	maxLag = 4096
	// zoneMargin is the part of all masters, one in so many, by which zones must
	// differ before a leader moves: 167 against 166 are about equal.
	zoneMargin = 10
)

// seat is a node as a place for the leadership.
type seat struct {
	id       fsm.NodeID
	zone     string
	voter    bool
	heard    bool // it reported lately; true for the leader itself
	low      bool // below its disk floor
	lag      uint64
	contacts map[fsm.TargetID]contact
}

// verdict is whether a node reaches a target. The zero value is: not known yet.
type verdict uint8

const (
	reached verdict = iota + 1
	lost
)

// contact is what a node's probes of one target say.
type contact struct {
	verdict verdict
	since   time.Duration // that the verdict stands
	probed  time.Duration // since the newest probe began
	failing bool          // the newest one failed
}

// scene is everything that the decision depends on.
type scene struct {
	off      bool // leader_placement: off
	leader   fsm.NodeID
	seats    []seat
	declared []fsm.TargetID // targets of the spec that a plan uses
	needed   []fsm.TargetID // those of open or coming work
	masters  map[string]int // by the zone of their present address, weighted
	calm     time.Duration  // how long nothing has been going on; 0: something is
	last     time.Duration  // since the last hand-over on purpose; negative: none is known
	pace     Pace
}

type cause uint8

const (
	byHuman cause = iota + 1
	byStop
	byReach
	byZone
	byDisk
)

func (c cause) String() string {
	return [...]string{"none", "human", "stop", "reach", "zone", "disk"}[min(int(c), 5)]
}

// decision is what to do. Next names who leads soon; with now it is time.
type decision struct {
	next   fsm.NodeID // empty: stay
	now    bool
	cause  cause
	reason string // why it stays, moves or waits
	alert  string // what is wrong and nobody would mend; empty: nothing
	urgent bool   // the alert keeps work from being done
}

// decide says where the leadership should stand.
func decide(s scene) decision {
	me, ok := s.seat(s.leader)
	if !ok {
		return decision{reason: "this node is no voter"}
	}
	if me.low {
		return s.byDisk(me)
	}
	if d, done := s.byReach(me, s.needed, true); done {
		return d
	}
	if d, done := s.byReach(me, s.declared, false); done {
		return d
	}
	return s.byZone(me)
}

// byDisk leaves a node whose disk is below its floor, plans or not: what it
// cannot write, it cannot decide. The alert about the disk itself is the node's.
func (s scene) byDisk(me seat) decision {
	d := decision{cause: byDisk, reason: fmt.Sprintf("%s is below its disk floor", me.id)}
	best, found := s.best(func(seat) bool { return true })
	if !found {
		d.alert, d.urgent = d.reason+", and nobody is better: "+s.others(me, nil), true
		d.reason = d.alert
		return d
	}
	d.next, d.now = best.id, true
	return d
}

// byReach looks for a node that reaches more of some targets than the leader.
func (s scene) byReach(me seat, of []fsm.TargetID, urgent bool) (decision, bool) {
	gone := me.lost(of)
	if len(gone) == 0 {
		return decision{}, false
	}
	what := fmt.Sprintf("%s does not reach %s", me.id, list(gone))
	d := decision{cause: byReach, urgent: urgent, reason: what}
	best, found := s.best(func(to seat) bool { return to.short(me, of) < len(gone) })
	switch {
	case s.off:
		d.alert = what + "; leader_placement is off"
	case !found:
		d.alert = what + ", and nobody is better: " + s.others(me, of)
	default:
		d.next, d.reason = best.id, fmt.Sprintf("%s, %s does", what, best.id)
		d.now = s.after(s.pace.Reach) == 0 && (urgent || s.calm > 0)
		if left := s.after(s.pace.Reach); left > 0 {
			d.reason += fmt.Sprintf("; %s after the last hand-over", s.pace.Reach)
		} else if !d.now {
			d.reason += "; when nothing is going on"
		}
		return d, true
	}
	d.reason = d.alert
	return d, true
}

// byZone looks for a zone that holds clearly fewer masters.
func (s scene) byZone(me seat) decision {
	total, most := 0, 0
	for _, n := range s.masters {
		total, most = total+n, max(most, n)
	}
	mine := s.masters[me.zone]
	stay := func(why string) decision { return decision{reason: why} }
	held := fmt.Sprintf("zone %s holds %d of %d masters", me.zone, mine, total)
	switch {
	case s.off:
		return stay("leader_placement is off; " + held)
	case mine == 0:
		return stay(fmt.Sprintf("zone %s holds no master", me.zone))
	case mine < most:
		return stay(held + ", another one more")
	}
	best, found := s.best(func(to seat) bool {
		return mine-s.masters[to.zone] > total/zoneMargin && to.short(me, s.declared) == 0
	})
	if !found {
		return stay(held + ", and no zone with a fit node holds clearly fewer")
	}
	d := decision{next: best.id, cause: byZone, reason: fmt.Sprintf("%s, zone %s of %s %d", held, best.zone, best.id, s.masters[best.zone])}
	switch left := s.after(s.pace.Zone); {
	case left > 0:
		d.reason += fmt.Sprintf("; %s after the last hand-over", s.pace.Zone)
	case s.calm < s.pace.Calm:
		d.reason += fmt.Sprintf("; when all has been calm for %s", s.pace.Calm)
	default:
		d.now = true
	}
	return d
}

// after is how long until a hand-over may follow the last one.
func (s scene) after(least time.Duration) time.Duration {
	if s.last < 0 {
		return 0
	}
	return max(0, least-s.last)
}

func (s scene) seat(id fsm.NodeID) (seat, bool) {
	i := slices.IndexFunc(s.seats, func(n seat) bool { return n.id == id && n.voter })
	if i < 0 {
		return seat{}, false
	}
	return s.seats[i], true
}

// best is the first in the order of succession that is better.
func (s scene) best(better func(seat) bool) (seat, bool) {
	for _, n := range s.successors() {
		if s.unfit(n) == "" && better(n) {
			return n, true
		}
	}
	return seat{}, false
}

// successors are the other voters above their disk floors, the fittest first:
// heard and near, then by targets, then by masters in the zone.
func (s scene) successors() []seat {
	me, _ := s.seat(s.leader)
	var out []seat
	for _, n := range s.seats {
		if n.voter && n.id != s.leader && !n.low {
			out = append(out, n)
		}
	}
	unfit := func(n seat) int {
		if s.unfit(n) != "" {
			return 1
		}
		return 0
	}
	slices.SortFunc(out, func(a, b seat) int {
		return cmp.Or(
			cmp.Compare(unfit(a), unfit(b)),
			cmp.Compare(a.short(me, s.needed), b.short(me, s.needed)),
			cmp.Compare(a.short(me, s.declared), b.short(me, s.declared)),
			cmp.Compare(s.masters[a.zone], s.masters[b.zone]),
			cmp.Compare(a.id, b.id),
		)
	})
	return out
}

// unfit says why a node cannot lead, its targets aside; empty when it can.
func (s scene) unfit(n seat) string {
	switch {
	case !n.voter:
		return "is no voter"
	case !n.heard:
		return "was not heard lately"
	case n.low:
		return "is below its disk floor"
	case n.lag > maxLag:
		return fmt.Sprintf("is %d entries behind", n.lag)
	}
	return ""
}

// choose checks the node that a human names, or finds the fittest for an empty
// id. It says why not; force takes that back.
func (s scene) choose(to fsm.NodeID) (fsm.NodeID, string) {
	me, _ := s.seat(s.leader)
	if to == "" {
		gone := me.lost(s.declared)
		best, found := s.best(func(n seat) bool { return len(n.lost(s.declared)) <= len(gone) })
		if !found {
			return "", "nobody is as fit: " + s.others(me, s.declared)
		}
		return best.id, ""
	}
	n, ok := s.seat(to)
	if !ok {
		return to, "is no voter"
	}
	if why := s.unfit(n); why != "" {
		return to, why
	}
	for _, t := range n.lost(s.declared) {
		if me.contacts[t].verdict != lost {
			return to, fmt.Sprintf("does not reach %s, which %s does", t, me.id)
		}
	}
	return to, ""
}

// others says of each other voter why it is not handed to.
func (s scene) others(me seat, of []fsm.TargetID) string {
	var out []string
	for _, n := range s.seats {
		if n.id == s.leader || !n.voter {
			continue
		}
		why := s.unfit(n)
		if gone := n.lost(of); why == "" && len(gone) > 0 {
			why = "does not reach " + list(gone)
		} else if why == "" {
			why = "has not shown lately that it reaches " + list(me.lost(of))
		}
		out = append(out, string(n.id)+" "+why)
	}
	if len(out) == 0 {
		return "there is no other voter"
	}
	return strings.Join(out, ", ")
}

// lost are the targets that the node is known not to reach.
func (n seat) lost(of []fsm.TargetID) (gone []fsm.TargetID) {
	for _, t := range of {
		if n.contacts[t].verdict == lost {
			gone = append(gone, t)
		}
	}
	return gone
}

// short counts the targets that the node has not proven to reach. What the
// leader lost it must have reached since: a provider that is gone for all is
// missed by one node after the other.
func (n seat) short(leader seat, of []fsm.TargetID) (count int) {
	for _, t := range of {
		c, theirs := n.contacts[t], leader.contacts[t]
		if c.verdict != reached || c.failing || theirs.verdict == lost && c.probed >= theirs.since {
			count++
		}
	}
	return count
}

func list(ids []fsm.TargetID) string {
	const most = 3
	var words []string
	for i, id := range ids {
		if i == most {
			words = append(words, fmt.Sprintf("%d more", len(ids)-most))
			break
		}
		words = append(words, string(id))
	}
	return strings.Join(words, ", ")
}
