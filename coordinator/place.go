package coordinator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const (
	placeEvery = 500 * time.Millisecond
	// placeFirst is how long a new leader listens before it moves: by then every
	// peer that lives has reported, the old leader's last hand-over included.
	placeFirst = 2*reportEvery + reportTimeout
	// placeAgain is the least time between a hand-over that failed and the next.
	placeAgain = 5 * time.Second
	// handoverRest bounds what a hand-over takes besides the drain.
	handoverRest = 5 * time.Second
)

// Codes of the alerts about where the leadership stands.
const (
	AlertLeaderCut    = "LEADER_WITHOUT_TARGET"     // with work to do there
	AlertLeaderTarget = "LEADER_TARGET_NOT_REACHED" // without
)

// placer sees to where the leadership stands, while this node leads.
type placer struct {
	c        *Coordinator
	began    *prometheus.CounterVec
	mu       sync.Mutex
	leading  bool
	decision decision
	alerted  time.Time // since when the alert stands
	quiet    time.Time // since when nothing is going on; zero: something is
	revision fsm.Revision
	policy   pointsmanv1.LeaderPlacement // of that revision
}

func newPlacer(c *Coordinator) *placer {
	p := &placer{c: c, began: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pointsman_leader_handovers_total", Help: "Hand-overs of the leadership on purpose that this node made, by cause.",
	}, []string{"cause"})}
	for _, why := range []cause{byHuman, byStop, byReach, byZone, byDisk} {
		p.began.WithLabelValues(why.String())
	}
	c.registry.MustRegister(p.began, placeGauges{p})
	return p
}

// run decides again and again for one term.
func (p *placer) run(ctx context.Context) {
	p.set(true)
	defer p.set(false)
	began, tried := time.Now(), time.Time{}
	tick := time.NewTicker(placeEvery)
	defer tick.Stop()
	for {
		d := p.look()
		if d.now && time.Since(began) >= placeFirst && time.Since(tried) >= placeAgain {
			tried = time.Now()
			p.move(ctx, d)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *placer) set(leading bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leading, p.decision, p.alerted, p.quiet = leading, decision{}, time.Time{}, time.Time{}
}

// look decides and keeps the decision for people.
func (p *placer) look() decision {
	calm := p.calm()
	s := p.scene()
	s.calm = calm
	d := decide(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	if was := p.decision; was.reason != d.reason || was.alert != d.alert {
		p.c.Logger.Info("leadership", "reason", d.reason, "next", string(d.next), "alert", d.alert)
	}
	switch {
	case d.alert == "":
		p.alerted = time.Time{}
	case p.alerted.IsZero():
		p.alerted = time.Now()
		p.c.Logger.Warn("the leadership stands badly", "alert", d.alert)
	}
	p.decision = d
	return d
}

// calm is how long nothing has been going on.
func (p *placer) calm() time.Duration {
	busy := len(p.c.sights.coming()) > 0
	for _, a := range p.c.node.State().Open() {
		busy = busy || a.Phase != fsm.Stuck // a human's turn is no reason to stay
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case busy:
		p.quiet = time.Time{}
		return 0
	case p.quiet.IsZero():
		p.quiet = time.Now()
	}
	return time.Since(p.quiet)
}

// move hands over. The term's end is its success, so its own time does not end
// with the term, but with the node.
func (p *placer) move(ctx context.Context, d decision) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.c.drainTime()+handoverRest)
	defer cancel()
	go func() {
		select {
		case <-p.c.node.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	p.c.Logger.Info("handing over", "to", string(d.next), "cause", d.cause.String(), "reason", d.reason)
	if err := p.c.transfer(ctx, d.next, d.cause, d.reason); err != nil {
		p.c.Logger.Warn("hand-over failed, this node goes on", "to", string(d.next), "error", err)
	}
}

// transfer hands over and keeps why. Cluster refuses a node below its disk floor.
func (c *Coordinator) transfer(ctx context.Context, to fsm.NodeID, why cause, reason string) error {
	if err := c.node.Transfer(ctx, to); err != nil {
		return err
	}
	c.peers.note(handover{from: fsm.NodeID(c.Node.GetId()), to: to, cause: why, reason: reason, at: time.Now()})
	c.placer.began.WithLabelValues(why.String()).Inc()
	return nil
}

// scene collects what the decision depends on, but for the calm.
func (p *placer) scene() scene {
	c := p.c
	state, me := c.node.State(), c.node.Status()
	s := scene{leader: me.Node, masters: map[string]int{}, last: -1, pace: c.Pace, off: p.policyOf(state.Spec()) == pointsmanv1.LeaderPlacement_LEADER_PLACEMENT_OFF}
	heard := c.peers.heard()
	for _, v := range me.Voters {
		m, _ := state.Member(v.ID)
		n := seat{id: v.ID, zone: m.Zone, voter: true}
		if v.ID == me.Node {
			n.zone, n.heard, n.low, n.contacts = me.Zone, true, me.DiskDegraded, c.prober.contacts()
		} else if one, ok := heard[v.ID]; ok && one.health != nil {
			n.heard, n.low = true, one.health.GetBelowDiskFloor()
			n.lag = state.Index() - min(state.Index(), one.health.GetAppliedIndex())
			n.contacts = contactsOf(one.health.GetTargets(), time.Since(one.at))
		}
		s.seats = append(s.seats, n)
	}
	s.targets(state, c.sights.coming())
	for _, m := range state.Spec().Masters {
		now, _ := state.Master(m.ID)
		for _, candidate := range m.Candidates {
			if candidate.Address == now.Address {
				s.masters[candidate.Zone]++
			}
		}
	}
	if last := c.peers.last(); !last.at.IsZero() {
		s.last = time.Since(last.at)
	}
	return s
}

// targets finds those that are declared and those of open or coming work.
func (s *scene) targets(state fsm.State, coming []fsm.MasterID) {
	needed := map[fsm.TargetID]bool{}
	for _, a := range state.Open() {
		needed[a.Target.ID] = needed[a.Target.ID] || a.Phase != fsm.Stuck
	}
	for _, id := range coming {
		m, _ := state.Spec().Master(id)
		for t := range usedTargets(fsm.Spec{Masters: []fsm.MasterSpec{m}, Targets: state.Spec().Targets}) {
			needed[t] = true
		}
	}
	used := usedTargets(state.Spec())
	for _, id := range slices.Sorted(maps.Keys(used)) {
		s.declared = append(s.declared, id)
		if needed[id] {
			s.needed = append(s.needed, id)
		}
	}
}

// policyOf is the spec's rule, read once for each revision.
func (p *placer) policyOf(spec fsm.Spec) pointsmanv1.LeaderPlacement {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.policy == 0 || p.revision != spec.Revision {
		p.revision, p.policy = spec.Revision, pointsmanv1.LeaderPlacement_LEADER_PLACEMENT_AUTO
		if rev, err := api.DecodeSpec(spec); err != nil {
			p.c.Logger.Error("spec in the log cannot be read", "revision", uint64(spec.Revision), "error", err)
		} else if rule := rev.GetSpec().GetLeaderPlacement(); rule != 0 {
			p.policy = rule
		}
	}
	return p.policy
}

// Targets implements api.Fitness.
func (p *placer) Targets() []*pointsmanv1.TargetReach { return p.c.prober.messages() }

// Placement implements api.Fitness.
func (p *placer) Placement() *pointsmanv1.Placement {
	now := time.Now()
	out := &pointsmanv1.Placement{Policy: p.policyOf(p.c.node.State().Spec()), Last: p.c.peers.last().message(now)}
	p.mu.Lock()
	defer p.mu.Unlock()
	out.Reason, out.Next = p.decision.reason, string(p.decision.next)
	if p.decision.alert != "" {
		a := &pointsmanv1.Alert{
			Code: AlertLeaderTarget, Message: p.decision.alert, Subject: p.c.Node.GetId(),
			Severity: pointsmanv1.AlertSeverity_ALERT_SEVERITY_WARNING, Age: durationpb.New(now.Sub(p.alerted)),
		}
		if p.decision.urgent {
			a.Code, a.Severity = AlertLeaderCut, pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL
		}
		out.Alerts = append(out.Alerts, a)
	}
	return out
}

// successors is the order in which a graceful stop asks who takes over.
func (p *placer) successors() (ids []fsm.NodeID) {
	for _, n := range p.scene().successors() {
		ids = append(ids, n.id)
	}
	return ids
}

// wanted are the targets that this leader lost: who reaches them, it asks with
// its next answer to each report.
func (p *placer) wanted() (ids []string) {
	for id, c := range p.c.prober.contacts() {
		if c.verdict == lost || c.failing {
			ids = append(ids, string(id))
		}
	}
	return ids
}

// byHand is a hand-over that a human asked for.
func (p *placer) byHand(ctx context.Context, t api.Transfer) (fsm.NodeID, error) {
	to, why := p.scene().choose(t.To)
	if why != "" && !t.Force {
		if to == "" {
			return "", fmt.Errorf("%w: %s", api.ErrUnfit, why)
		}
		return "", fmt.Errorf("%w: %s %s", api.ErrUnfit, to, why)
	}
	if t.DryRun {
		return to, nil
	}
	if to == "" { // by force: the fittest of all
		for _, id := range p.successors() {
			to = id
			break
		}
	}
	reason := "asked for"
	if why != "" {
		reason += " by force: it " + why
	}
	return to, p.c.transfer(ctx, to, byHuman, reason)
}
