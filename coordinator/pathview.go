package coordinator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Codes of the alerts about data paths.
const (
	AlertPathDisagrees = "DATA_PATH_DISAGREES" // a majority of zones does not reach the master, and no failover is open
	AlertPathAwaited   = "DATA_PATH_AWAITED"   // a change is in effect, and the probe that it requires is not ok
)

const (
	pathDisagree = 10 * time.Second // that a majority of zones must disagree before it is an alert
	pathYoung    = 2 * time.Second  // how old another node's look may be to count for confirm
	awaitedSoon  = 2 * time.Second  // before a change that waits for its probe is shown
	awaitedLong  = time.Minute      // before it is critical
)

// own is what this node meets, by master and step. Ages instead of times: no two
// clocks are compared.
func (p *paths) own() (out []*pointsmanv1.ProbeReport) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(p.masters)) {
		m := p.masters[id]
		for _, one := range m.paths {
			out = append(out, &pointsmanv1.ProbeReport{
				NodeId: p.self.GetId(), Zone: p.self.GetZone(), Master: string(id), Step: one.step, Address: one.address,
				State: one.met.state, RunId: one.met.runID, Reached: one.met.reached, Detail: one.met.detail,
				Age: age(m.began, now), Since: age(one.since, now),
			})
		}
	}
	return out
}

// others is what the other nodes meet: by their reports on the leader, by the
// leader's word elsewhere.
func (p *paths) others() (out []*pointsmanv1.ProbeReport) {
	now := time.Now()
	state := p.node.State()
	for id, one := range p.peers.heard() {
		member, _ := state.Member(id)
		for _, r := range one.health.GetProbes() {
			r = older(r, now.Sub(one.at))
			r.NodeId, r.Zone = string(id), member.Zone // not the sender's to choose
			out = append(out, r)
		}
	}
	if len(out) > 0 {
		return out
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.toldAt) > heardFor {
		return nil
	}
	for _, r := range p.told {
		out = append(out, older(r, now.Sub(p.toldAt)))
	}
	return out
}

// older is a report as it stands a while after it came.
func older(r *pointsmanv1.ProbeReport, by time.Duration) *pointsmanv1.ProbeReport {
	r = proto.CloneOf(r)
	if r.GetAge() != nil {
		r.Age = durationpb.New(span(r.GetAge()) + by)
	}
	if r.GetSince() != nil {
		r.Since = durationpb.New(span(r.GetSince()) + by)
	}
	return r
}

// answerTo is what the leader tells another node of all the rest.
func (p *paths) answerTo(node string) []*pointsmanv1.ProbeReport {
	all := append(p.own(), p.others()...)
	return slices.DeleteFunc(all, func(r *pointsmanv1.ProbeReport) bool { return r.GetNodeId() == node })
}

// hear keeps the leader's word.
func (p *paths) hear(told []*pointsmanv1.ProbeReport) {
	told = slices.DeleteFunc(told, func(r *pointsmanv1.ProbeReport) bool { return r.GetNodeId() == p.self.GetId() })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told, p.toldAt = told, time.Now()
}

// see is what all nodes meet on the paths of one master, by step and node, and
// what is wrong with it.
func (p *paths) see(id fsm.MasterID) (reports []*pointsmanv1.ProbeReport, alerts []*pointsmanv1.Alert) {
	p.mu.Lock()
	m, ok := p.masters[id]
	var calm time.Duration
	if ok {
		calm = time.Since(m.busy)
	}
	p.mu.Unlock()
	if !ok {
		return nil, nil
	}
	for _, r := range append(p.own(), p.others()...) {
		if r.GetMaster() == string(id) {
			reports = append(reports, r)
		}
	}
	slices.SortFunc(reports, func(a, b *pointsmanv1.ProbeReport) int {
		return cmp.Or(cmp.Compare(a.GetStep(), b.GetStep()), cmp.Compare(a.GetNodeId(), b.GetNodeId()))
	})
	if calm >= pathDisagree {
		alerts = disagreeing(reports, p.zones(), p.wanted(id))
	}
	return reports, append(alerts, p.awaited(id)...)
}

// zones counts those in which a voter stands.
func (p *paths) zones() int {
	zones := map[string]bool{}
	for _, v := range p.node.Status().Voters {
		member, _ := p.node.State().Member(v.ID)
		zones[member.Zone] = true
	}
	return len(zones)
}

// disagreeing makes an alert of each step of which a majority of all zones has
// not reached the master for pathDisagree. A zone in which some node reaches it,
// or none knows, does not count.
func disagreeing(reports []*pointsmanv1.ProbeReport, zones int, wanted string) (out []*pointsmanv1.Alert) {
	type zoneWord struct {
		good, bad bool
		since     time.Duration
		text      string
	}
	steps := map[string]map[string]zoneWord{}
	address := map[string]string{}
	for _, r := range reports {
		if steps[r.GetStep()] == nil {
			steps[r.GetStep()] = map[string]zoneWord{}
		}
		w := steps[r.GetStep()][r.GetZone()]
		switch since := span(r.GetSince()); {
		case r.GetState() == pathUnknown:
		case r.GetState() == pathOK || since < pathDisagree:
			w.good = true
		default:
			w.bad, w.since, w.text = true, max(w.since, since), whereTo(r)
		}
		steps[r.GetStep()][r.GetZone()] = w
		address[r.GetStep()] = r.GetAddress()
	}
	for _, step := range slices.Sorted(maps.Keys(steps)) {
		var bad []string
		since := time.Duration(0)
		for _, zone := range slices.Sorted(maps.Keys(steps[step])) {
			if w := steps[step][zone]; w.bad && !w.good {
				bad, since = append(bad, zone+": "+w.text), max(since, w.since)
			}
		}
		if len(bad)*2 > zones {
			out = append(out, &pointsmanv1.Alert{
				Code: AlertPathDisagrees, Severity: pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL,
				Subject: reports[0].GetMaster() + "/" + step, Age: durationpb.New(since),
				Message: fmt.Sprintf("%s does not lead to %s from %d of %d zones; %s", address[step], wanted, len(bad), zones, strings.Join(bad, "; ")),
			})
		}
	}
	return out
}

// whereTo says in words what a report met.
func whereTo(r *pointsmanv1.ProbeReport) string {
	text := pathWord(r.GetState())
	if r.GetReached() != "" {
		text += ", it reaches " + r.GetReached()
	}
	if r.GetDetail() != "" {
		text += " (" + r.GetDetail() + ")"
	}
	return text
}

// awaited tells of changes that are in effect and wait for their probe.
func (p *paths) awaited(id fsm.MasterID) (out []*pointsmanv1.Alert) {
	state, now := p.node.State(), time.Now()
	p.mu.Lock()
	asked := maps.Clone(p.asked)
	p.mu.Unlock()
	for _, action := range slices.Sorted(maps.Keys(asked)) {
		a, ok := state.Action(action)
		waits := now.Sub(asked[action])
		if !ok || a.For.Master != id || a.Phase.Final() || waits < awaitedSoon {
			continue
		}
		alert := &pointsmanv1.Alert{
			Code: AlertPathAwaited, Subject: string(action), Age: durationpb.New(waits), Severity: pointsmanv1.AlertSeverity_ALERT_SEVERITY_WARNING,
			Message: "changed, and not done until its probe is ok: " + p.unconfirmed(a, asked[action]),
		}
		if waits >= awaitedLong {
			alert.Severity = pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL
		}
		out = append(out, alert)
	}
	return out
}

// confirm says why an action whose change is in effect is not done yet: its step
// requires a probe, and none that began after the first call was ok. Empty: it
// is done. It is asked on the leader alone, again and again, and only reads.
func (p *paths) confirm(a fsm.Action) string {
	p.mu.Lock()
	m, one := p.pathOf(a)
	if one == nil || !one.required {
		p.mu.Unlock()
		return ""
	}
	asked, before := p.asked[a.ID]
	if !before {
		asked = time.Now()
		p.asked[a.ID], m.next = asked, asked // look at once
	}
	p.mu.Unlock()
	return p.unconfirmed(a, asked)
}

// pathOf finds an action's path, under mu.
func (p *paths) pathOf(a fsm.Action) (*pathMaster, *path) {
	m, ok := p.masters[a.For.Master]
	if !ok {
		return nil, nil
	}
	for _, one := range m.paths {
		if one.step == a.Step.Name {
			return m, one
		}
	}
	return m, nil
}

// unconfirmed prefers this node's own look. Another's counts, while it is young,
// when this one does not get through at all.
func (p *paths) unconfirmed(a fsm.Action, asked time.Time) string {
	p.mu.Lock()
	m, one := p.pathOf(a)
	if one == nil {
		p.mu.Unlock()
		return "" // taken out of the spec
	}
	address, step, found, began := one.address, one.step, one.met, m.began
	if began.Before(asked) && !m.running {
		m.next = time.Now() // the look that was under way came too soon
	}
	p.mu.Unlock()
	if !began.Before(asked) {
		switch found.state {
		case pathOK:
			return ""
		case pathOther, pathNotMaster:
			return fmt.Sprintf("from zone %s %s does not lead to %s: %s", p.self.GetZone(), address, p.wanted(a.For.Master),
				whereTo(&pointsmanv1.ProbeReport{State: found.state, Reached: found.reached, Detail: found.detail}))
		}
		for _, r := range p.others() {
			old := span(r.GetAge())
			if r.GetMaster() == string(a.For.Master) && r.GetStep() == step && r.GetState() == pathOK && r.GetAge() != nil &&
				old <= min(pathYoung, time.Since(asked)) {
				return ""
			}
		}
		return fmt.Sprintf("from zone %s %s is %s (%s), and no other zone reaches %s", p.self.GetZone(), address, pathWord(found.state), found.detail, p.wanted(a.For.Master))
	}
	return fmt.Sprintf("%s was not looked at since the change", address)
}
