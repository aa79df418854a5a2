package show

import (
	"fmt"
	"slices"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Nodes writes the table of nodes.
func (p *Printer) Nodes(nodes []*pointsmanv1.Node) {
	if len(nodes) == 0 {
		p.printf("no nodes known\n")
		return
	}
	g := p.grid(cols("NODE", "ZONE", "ROLE", "APPLIED", "LAST CONTACT", "DISK FREE", "TARGETS", "+VERSION", "+UPTIME",
		"+TERM", "+LOG", "+RAFT", "+GRPC", "+HTTP", "+STORE", "+STATE HASH", "NOTES"))
	byID := slices.Clone(nodes)
	slices.SortFunc(byID, func(a, b *pointsmanv1.Node) int { return strings.Compare(a.GetId(), b.GetId()) })
	for _, n := range byID {
		g.row(n.GetId(), or(n.GetZone()), p.role(n), p.applied(n), contact(n), p.disk(n), p.targets(n),
			or(n.GetVersion()), span(n.GetUptime()), fmt.Sprint(n.GetTerm()), logSpan(n),
			or(n.GetRaftAddress()), or(n.GetGrpcAddress()), or(n.GetHttpAddress()),
			or(short(n.GetStoreId())), or(short(fmt.Sprintf("%x", n.GetStateHash()))),
			p.paint(warn, or(strings.Join(n.GetDegraded(), "; "))))
	}
	g.print()
}

func (p *Printer) role(n *pointsmanv1.Node) string {
	role := Word(n.GetRole())
	switch {
	case !n.GetReachable():
		return p.paint(bad, "unreachable")
	case n.GetRole() == pointsmanv1.NodeRole_NODE_ROLE_LEADER:
		return p.paint(good, role)
	case role == "":
		return p.paint(warn, "unknown")
	case !n.GetVoter():
		return role + " (no vote)"
	}
	return role
}

func (p *Printer) applied(n *pointsmanv1.Node) string {
	if n.GetAppliedIndex() == 0 && !n.GetReachable() {
		return none
	}
	return fmt.Sprint(n.GetAppliedIndex())
}

// contact is how long ago the node heard from the leader or, when it cannot be
// asked, how long ago the answering node heard from it.
func contact(n *pointsmanv1.Node) string {
	switch {
	case !n.GetReachable() && n.GetAge() != nil:
		return "seen " + span(n.GetAge()) + " ago"
	case n.GetRole() == pointsmanv1.NodeRole_NODE_ROLE_LEADER:
		return none
	}
	return span(n.GetLastContact())
}

func (p *Printer) disk(n *pointsmanv1.Node) string {
	if n.GetDiskFree() == 0 {
		return none
	}
	if n.GetDiskFree() < n.GetDiskFloor() {
		return p.paint(bad, Size(n.GetDiskFree())+" LOW")
	}
	return Size(n.GetDiskFree())
}

// targets counts those that the node reaches, and names those that it does not.
func (p *Printer) targets(n *pointsmanv1.Node) string {
	if len(n.GetTargets()) == 0 {
		return none
	}
	const most = 3
	reached, lost := 0, []string{}
	for _, t := range n.GetTargets() {
		switch t.GetReach() {
		case pointsmanv1.Reach_REACH_REACHED:
			reached++
		case pointsmanv1.Reach_REACH_LOST:
			lost = append(lost, t.GetTarget())
		}
	}
	text := fmt.Sprintf("%d/%d", reached, len(n.GetTargets()))
	if len(lost) == 0 {
		return text
	}
	if len(lost) > most {
		lost = append(lost[:most], "...")
	}
	return p.paint(bad, text+" not "+strings.Join(lost, ","))
}

func logSpan(n *pointsmanv1.Node) string {
	if n.GetLastIndex() == 0 {
		return none
	}
	return fmt.Sprintf("%d-%d", n.GetFirstIndex(), n.GetLastIndex())
}

// Leader writes who leads.
func (p *Printer) Leader(c *pointsmanv1.Cluster, h *pointsmanv1.ResponseHeader) {
	if c.GetLeaderId() == "" {
		p.printf("%s\n", p.paint(bad, "no leader"))
		return
	}
	address := h.GetLeaderAddress()
	for _, n := range c.GetNodes() {
		if n.GetId() == c.GetLeaderId() && address == "" {
			address = n.GetGrpcAddress()
		}
	}
	p.printf("%s  %s  term %d\n", c.GetLeaderId(), or(address), h.GetTerm())
	p.Placement(c.GetPlacement())
	p.Alerts(c.GetPlacement().GetAlerts())
}

// Placement writes why the leader leads, and the last hand-over.
func (p *Printer) Placement(m *pointsmanv1.Placement) {
	if m.GetReason() != "" {
		p.printf("placement %s: %s%s\n", Word(m.GetPolicy()), m.GetReason(), next(m))
	}
	if last := m.GetLast(); last != nil {
		p.printf("last hand-over %s -> %s %s ago, by %s: %s\n", last.GetFrom(), last.GetTo(), span(last.GetAge()), Word(last.GetCause()), or(last.GetReason()))
	}
}

func next(m *pointsmanv1.Placement) string {
	if m.GetNext() == "" {
		return ""
	}
	return " (next: " + m.GetNext() + ")"
}
