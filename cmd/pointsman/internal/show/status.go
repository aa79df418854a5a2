package show

import (
	"fmt"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Status is what one look at the whole cluster brought together. Masters and
// Actions may be nil when they could not be had.
type Status struct {
	Cluster   *pointsmanv1.GetClusterResponse
	Masters   *pointsmanv1.ListMastersResponse
	Actions   *pointsmanv1.ListActionsResponse // the open ones
	Failovers *pointsmanv1.ListFailoversResponse
	Troubles  []string // who did not answer, and why
	Fallback  bool     // nobody confirmed an answer in time; this is what one node knows
}

// Health is the verdict of a status in one word.
type Health string

// The verdicts.
const (
	Healthy   Health = "healthy"
	Warning   Health = "warnings"
	Unhealthy Health = "unhealthy"
	NoLeader  Health = "no_leader"
)

// Health sums up what the cluster itself reports: its quorum, its alerts and
// stuck actions.
func (s Status) Health() Health {
	c := s.Cluster.GetCluster()
	if c.GetLeaderId() == "" || !c.GetQuorum() || s.Fallback {
		return NoLeader
	}
	worst := pointsmanv1.AlertSeverity_ALERT_SEVERITY_UNSPECIFIED
	for _, a := range s.alerts() {
		worst = max(worst, a.GetSeverity())
	}
	switch {
	case s.blocked():
		return Unhealthy
	case worst == pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL:
		return Unhealthy
	case worst != pointsmanv1.AlertSeverity_ALERT_SEVERITY_UNSPECIFIED || s.lame() || len(s.failing()) > 0:
		return Warning
	}
	return Healthy
}

// blocked reports whether something stands that only a human moves: a stuck
// action, a master that its Sentinels do not agree upon or were never heard of.
func (s Status) blocked() bool {
	for _, a := range s.Actions.GetActions() {
		if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_STUCK {
			return true
		}
	}
	for _, m := range s.Masters.GetMasters() {
		switch m.GetState() {
		case pointsmanv1.MasterState_MASTER_STATE_UNKNOWN, pointsmanv1.MasterState_MASTER_STATE_DISPUTED:
			return true
		}
	}
	return false
}

// lame reports whether a Sentinel or a node is missing, or not fit to lead.
func (s Status) lame() bool {
	for _, m := range s.Masters.GetMasters() {
		for _, r := range m.GetSentinels() {
			if !r.GetReachable() {
				return true
			}
		}
	}
	for _, n := range s.Cluster.GetCluster().GetNodes() {
		if !n.GetReachable() || len(n.GetDegraded()) > 0 {
			return true
		}
	}
	return false
}

// alerts are those of the cluster and of its masters, each once.
func (s Status) alerts() []*pointsmanv1.Alert {
	var all []*pointsmanv1.Alert
	told := map[string]bool{}
	add := func(some []*pointsmanv1.Alert) {
		for _, a := range some {
			if key := a.GetCode() + " " + a.GetSubject() + " " + a.GetMessage(); !told[key] {
				told[key] = true
				all = append(all, a)
			}
		}
	}
	add(s.Cluster.GetCluster().GetAlerts())
	for _, m := range s.Masters.GetMasters() {
		add(m.GetAlerts())
	}
	return all
}

// Parts is the status for programs: the answers of the API side by side.
func (s Status) Parts() []Part {
	parts := []Part{{"health", string(s.Health())}, {"cluster", s.Cluster}}
	if s.Masters != nil {
		parts = append(parts, Part{"masters", s.Masters})
	}
	if s.Actions != nil {
		parts = append(parts, Part{"openActions", s.Actions})
	}
	if s.Failovers != nil {
		parts = append(parts, Part{"newestFailovers", s.Failovers})
	}
	return append(parts, Part{"troubles", append([]string{}, s.Troubles...)})
}

// Status writes the whole cluster on one screen.
func (p *Printer) Status(s Status) {
	c, h := s.Cluster.GetCluster(), s.Cluster.GetHeader()
	p.clusterLine(s.Health(), c, h)
	p.situation(s)
	for _, t := range s.Troubles {
		p.printf("%s\n", p.paint(warn, "  "+t))
	}
	p.Alerts(s.alerts())
	p.printf("\n")
	p.Nodes(c.GetNodes())
	p.Placement(c.GetPlacement())
	if s.Masters != nil {
		p.printf("\n")
		p.Masters(s.Masters.GetMasters(), s.newest())
		p.sights(s.Masters.GetMasters())
	}
	p.objects(s)
	if len(s.Actions.GetActions()) > 0 {
		p.printf("\n")
		p.Actions(s.Actions.GetActions(), c.GetLogClock())
	}
}

func (p *Printer) clusterLine(health Health, c *pointsmanv1.Cluster, h *pointsmanv1.ResponseHeader) {
	if h.GetStale() {
		p.printf("%s\n", p.paint(bad, staleLine(h)))
	}
	p.printf("%s  %s  %s   term %d   applied %d   spec %s   open actions %d   answered by %s (%s)\n",
		p.paint(bold, "CLUSTER "+or(short(c.GetId()))), p.paint(healthTone(health), strings.ReplaceAll(string(health), "_", " ")),
		leaderWord(c), h.GetTerm(), h.GetAppliedIndex(), specWord(c), c.GetOpenActions(), or(h.GetNodeId()), freshness(h))
}

func healthTone(h Health) tone {
	switch h {
	case Healthy:
		return good
	case Warning:
		return warn
	}
	return bad
}

func leaderWord(c *pointsmanv1.Cluster) string {
	if c.GetLeaderId() == "" {
		return "leader none"
	}
	return "leader " + c.GetLeaderId()
}

func specWord(c *pointsmanv1.Cluster) string {
	if c.GetSpecRevision() == 0 {
		return "none"
	}
	return fmt.Sprintf("r%d", c.GetSpecRevision())
}

func freshness(h *pointsmanv1.ResponseHeader) string {
	if h.GetStale() {
		return "STALE"
	}
	return "confirmed"
}

func (s Status) newest() Newest {
	n := Newest{Failovers: map[string]*pointsmanv1.Failover{}, Now: s.Cluster.GetCluster()}
	for _, f := range s.Failovers.GetFailovers() {
		if have := n.Failovers[f.GetMaster()]; have.GetNumber() < f.GetNumber() {
			n.Failovers[f.GetMaster()] = f
		}
	}
	return n
}
