package show

import (
	"fmt"
	"slices"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Doctor judges a cluster by what it says of itself.
//
// Alerts that a check here tells better are not repeated.
func (s Status) Doctor() Checks {
	all := Checks{ok("reachable", "", "%s answered", or(s.Cluster.GetHeader().GetNodeId()))}
	all = append(all, s.quorumCheck(), s.leaderCheck(), s.versionCheck(), s.commandCheck(), s.hashCheck())
	for _, n := range s.byID() {
		if n.GetReachable() {
			all = append(all, diskCheck(n))
		}
	}
	all = append(all, s.specCheck())
	if s.Masters == nil {
		all = append(all, Fails("masters", "", "the masters could not be read: "+strings.Join(s.Troubles, "; "), "pointsman masters list"))
	}
	for _, m := range s.Masters.GetMasters() {
		all = append(all, sentinelChecks(m)...)
		all = append(all, roleChecks(m)...)
	}
	return append(all, s.alertChecks()...)
}

func (s Status) byID() []*pointsmanv1.Node {
	nodes := slices.Clone(s.Cluster.GetCluster().GetNodes())
	slices.SortFunc(nodes, func(a, b *pointsmanv1.Node) int { return strings.Compare(a.GetId(), b.GetId()) })
	return nodes
}

// voters counts those that may vote, and those of them that answer.
func (s Status) voters() (all, reached int) {
	for _, n := range s.Cluster.GetCluster().GetNodes() {
		if n.GetVoter() {
			all++
			if n.GetReachable() {
				reached++
			}
		}
	}
	return all, reached
}

func (s Status) quorumCheck() Check {
	all, reached := s.voters()
	need := all/2 + 1
	why := fmt.Sprintf("%d of %d voters answer, %d are needed", reached, all, need)
	silent := "start " + strings.Join(s.missing(), ", ") + ", or see what keeps it from being reached"
	switch {
	case reached < need:
		return Fails("quorum", "", why, silent)
	case reached < all:
		return Warns("quorum", "", why, silent)
	case all < 3:
		return Warns("quorum", "", why+"; not one of them may fail", "run three nodes, one per zone")
	}
	return ok("quorum", "", "%s", why)
}

func (s Status) leaderCheck() Check {
	if s.Health() == NoLeader {
		return Fails("leader", "", strings.Join(append([]string{"no leader has confirmed the answer"}, s.Troubles...), "; "),
			"wait for an election (about a second); if none comes, pointsman status names the nodes that are missing")
	}
	return ok("leader", "", "%s leads in term %d", s.Cluster.GetCluster().GetLeaderId(), s.Cluster.GetHeader().GetTerm())
}

// spread joins what each node says: "1.2.0 (n1, n2), 1.3.0 (n3)".
func spread(nodes []*pointsmanv1.Node, say func(*pointsmanv1.Node) string) (text string, kinds int) {
	var order []string
	who := map[string][]string{}
	for _, n := range nodes {
		word := say(n)
		if who[word] == nil {
			order = append(order, word)
		}
		who[word] = append(who[word], n.GetId())
	}
	for i, word := range order {
		order[i] = word + " (" + strings.Join(who[word], ", ") + ")"
	}
	return strings.Join(order, ", "), len(order)
}

func (s Status) versionCheck() Check {
	text, kinds := spread(s.byID(), func(n *pointsmanv1.Node) string { return or(n.GetVersion()) })
	if kinds > 1 {
		return Warns("versions", "", text, "fine during an upgrade; afterwards bring every node to one version: pointsman upgrade check")
	}
	return ok("versions", "", "%s", text)
}

func (s Status) commandCheck() Check {
	text, kinds := spread(s.byID(), func(n *pointsmanv1.Node) string { return fmt.Sprint(n.GetCommandVersion()) })
	c := s.Cluster.GetCluster().GetCommandVersion()
	switch {
	case c == 0:
		return Warns("commands", "", "a voter has not announced which commands it reads: "+text, "start every voter once")
	case kinds > 1:
		return Warns("commands", "", fmt.Sprintf("nodes read up to %s; the cluster proposes up to %d", text, c), "finish the upgrade of the nodes that read less")
	}
	return ok("commands", "", "every node reads up to %d", c)
}

// hashCheck compares states at equal index: between others it says nothing.
func (s Status) hashCheck() Check {
	at := map[uint64][]*pointsmanv1.Node{}
	for _, n := range s.byID() {
		if !n.GetReachable() || len(n.GetStateHash()) == 0 {
			continue
		}
		for _, other := range at[n.GetAppliedIndex()] {
			if string(other.GetStateHash()) != string(n.GetStateHash()) {
				return Fails("states", "", fmt.Sprintf("%s and %s hold different states at log index %d", other.GetId(), n.GetId(), n.GetAppliedIndex()),
					"pointsman log verify; take the node that differs from the other two out of service and report it")
			}
		}
		at[n.GetAppliedIndex()] = append(at[n.GetAppliedIndex()], n)
	}
	if !s.Aligned() {
		return Warns("states", "", "not all compared: the nodes were at different log indexes each time", "run it again when the log is quieter, or pointsman log verify")
	}
	for i, nodes := range at {
		return ok("states", "", "%s equal at log index %d", count(len(nodes), "node"), i)
	}
	return Warns("states", "", "no node told its state", "pointsman log verify")
}

// Aligned reports whether all nodes that answered stand at one log index.
func (s Status) Aligned() bool {
	at := map[uint64]bool{}
	for _, n := range s.Cluster.GetCluster().GetNodes() {
		if n.GetReachable() {
			at[n.GetAppliedIndex()] = true
		}
	}
	return len(at) <= 1
}

func diskCheck(n *pointsmanv1.Node) Check {
	why := fmt.Sprintf("%s free, floor %s", Size(n.GetDiskFree()), Size(n.GetDiskFloor()))
	do := "free some space in the data folder's file system; below the floor the node takes on no leadership"
	switch {
	case n.GetDiskFree() < n.GetDiskFloor():
		return Fails("disk", n.GetId(), why, do)
	case n.GetDiskFree()/2 < n.GetDiskFloor():
		return Warns("disk", n.GetId(), why+": less than twice the floor", do)
	}
	return ok("disk", n.GetId(), "%s", why)
}

func (s Status) specCheck() Check {
	c := s.Cluster.GetCluster()
	if c.GetSpecRevision() == 0 {
		return Warns("spec", "", "none was applied: nothing is watched", "pointsman config init spec > spec.yaml, edit it, pointsman apply -f spec.yaml")
	}
	return ok("spec", "", "revision %d, %s", c.GetSpecRevision(), count(int(c.GetMasters()), "master"))
}

// alertChecks are the alerts that stand and that no other check has told.
func (s Status) alertChecks() Checks {
	told := []string{"NO_SPEC", "NO_LEADER", "SENTINEL_COUNT", "SENTINEL_UNREACHABLE", "NO_SENTINEL_MAJORITY", "SENTINELS_DISAGREE"}
	var all Checks
	for _, a := range s.alerts() {
		if slices.Contains(told, a.GetCode()) {
			continue
		}
		one := Check{Name: "alert", Subject: strings.TrimSpace(a.GetCode() + " " + a.GetSubject()), Grade: Warned, Why: a.GetMessage(),
			Do: "docs/errors.md explains " + a.GetCode()}
		if a.GetSeverity() == pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL {
			one.Grade = Failed
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return Checks{ok("alerts", "", "none stands that is not told above")}
	}
	return all
}
