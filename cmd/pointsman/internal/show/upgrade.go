package show

import (
	"fmt"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// mostLag is how many log entries a node may be behind the furthest and still
// be called caught up: with a few more it catches up while another restarts.
const mostLag = 1000

// Release is a program that nodes are to be upgraded to.
type Release struct {
	Version  string
	Commands uint32 // the highest command that it reads
}

// Upgrade judges whether the nodes can be brought to a release one after
// another without losing the quorum or a command.
func (s Status) Upgrade(to Release) Checks {
	all := Checks{s.leaderCheck(), s.spareCheck(), s.caughtUpCheck(), s.openCheck()}
	all = append(all, s.hashCheck())
	for _, n := range s.byID() {
		all = append(all, nodeCheck(n, to))
		if n.GetReachable() {
			all = append(all, diskCheck(n))
		}
	}
	all = append(all, s.readsCheck(to))
	return append(all, s.orderCheck(to, all))
}

// spareCheck asks whether a majority is left while one node restarts.
func (s Status) spareCheck() Check {
	all, reached := s.voters()
	need := all/2 + 1
	why := fmt.Sprintf("%d of %d voters answer; with one restarting %d are left, %d are needed", reached, all, reached-1, need)
	switch {
	case reached-1 < need:
		return Fails("quorum", "", why, "upgrade with every voter of at least three running; otherwise nothing is carried out while one restarts")
	case reached < all:
		return Fails("quorum", "", why, "start "+strings.Join(s.missing(), ", ")+" first")
	}
	return ok("quorum", "", "%s", why)
}

func nodeCheck(n *pointsmanv1.Node, to Release) Check {
	why := fmt.Sprintf("version %s, reads commands up to %d; log %s, snapshot %d", or(n.GetVersion()), n.GetCommandVersion(), logSpan(n), n.GetSnapshotIndex())
	switch {
	case !n.GetReachable():
		return Fails("node", n.GetId(), "does not answer; last known "+why, "start it: each other node that restarts would cost the quorum")
	case len(n.GetDegraded()) > 0:
		return Warns("node", n.GetId(), why+"; "+strings.Join(n.GetDegraded(), "; "), "see to it first: it is not fit to lead meanwhile")
	case n.GetVersion() == to.Version:
		return ok("node", n.GetId(), "%s: is there already", why)
	}
	return ok("node", n.GetId(), "%s", why)
}

func (s Status) caughtUpCheck() Check {
	newest := uint64(0)
	for _, n := range s.byID() {
		newest = max(newest, n.GetAppliedIndex())
	}
	for _, n := range s.byID() {
		if n.GetReachable() && n.GetAppliedIndex()+mostLag < newest {
			return Fails("caught up", "", fmt.Sprintf("%s is %d entries behind", n.GetId(), newest-n.GetAppliedIndex()), "wait until it has caught up: pointsman nodes list")
		}
	}
	return ok("caught up", "", "no node that answers is more than %d entries behind", mostLag)
}

// openCheck: a restart in the midst of a failover is survived, but need not be.
func (s Status) openCheck() Check {
	open := int(s.Cluster.GetCluster().GetOpenActions())
	stuck := 0
	for _, a := range s.Actions.GetActions() {
		if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_STUCK {
			stuck++
		}
	}
	switch {
	case open > stuck:
		return Fails("open actions", "", count(open, "action")+" under way", "wait until they are settled: pointsman actions list --open")
	case stuck > 0:
		return Warns("open actions", "", count(stuck, "action")+" stuck; an upgrade leaves them as they are", "pointsman actions list --state stuck")
	}
	return ok("open actions", "", "none")
}

// readsCheck compares what may stand in the log with what the release reads: a
// node that meets an entry that it cannot read stops.
func (s Status) readsCheck(to Release) Check {
	now, most := s.Cluster.GetCluster().GetCommandVersion(), uint32(0)
	for _, n := range s.byID() {
		most = max(most, n.GetCommandVersion())
	}
	why := fmt.Sprintf("the cluster proposes up to %d, this program reads up to %d", now, to.Commands)
	switch {
	case to.Commands < now || to.Commands < most:
		return Fails("commands", "", fmt.Sprintf("%s, a node up to %d: it would stop at an entry that it cannot read", why, most),
			"upgrade to a release that reads at least as much")
	case now == 0:
		return Fails("commands", "", "a voter has not announced which commands it reads", "start every voter once")
	case to.Commands > now:
		return ok("commands", "", "%s; new ones are proposed once every voter has announced them, and going back is over from then on", why)
	}
	return ok("commands", "", "%s", why)
}

// orderCheck says how to go on: followers first, the leader last.
func (s Status) orderCheck(to Release, before Checks) Check {
	leader := s.Cluster.GetCluster().GetLeaderId()
	var order []string
	last := ""
	for _, n := range s.byID() {
		switch {
		case n.GetVersion() == to.Version:
		case n.GetId() == leader:
			last = n.GetId()
		default:
			order = append(order, n.GetId())
		}
	}
	if last != "" {
		order = append(order, last+" (leads: it hands over when it is stopped)")
	}
	switch {
	case before.Worst() == Failed:
		return ok("order", "", "see to what failed first")
	case len(order) == 0:
		return ok("order", "", "every node runs %s", to.Version)
	}
	return ok("order", "", "%s; one at a time, this check between each", strings.Join(order, ", then "))
}
