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
	g := p.grid(cols("NODE", "ZONE", "ROLE", "APPLIED", "LAST CONTACT", "DISK FREE", "+VERSION", "+UPTIME",
		"+TERM", "+LOG", "+RAFT", "+GRPC", "+HTTP", "+STORE", "+STATE HASH", "NOTES"))
	byID := slices.Clone(nodes)
	slices.SortFunc(byID, func(a, b *pointsmanv1.Node) int { return strings.Compare(a.GetId(), b.GetId()) })
	for _, n := range byID {
		g.row(n.GetId(), or(n.GetZone()), p.role(n), p.applied(n), contact(n), p.disk(n),
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
}
