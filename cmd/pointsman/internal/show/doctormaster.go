package show

import (
	"fmt"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// leastDownAfter is the shortest down-after-milliseconds that is safe: at 1000
// the link to a new master is itself often taken for down, and a second,
// needless failover follows (measured with Redis 7.0.15: 6 of 74).
const leastDownAfter = 2000

// sentinelChecks judge the Sentinels of one master by the nodes' own reports.
func sentinelChecks(m *pointsmanv1.Master) Checks {
	declared := len(m.GetSentinels())
	if declared == 0 || m.GetState() == pointsmanv1.MasterState_MASTER_STATE_UNKNOWN {
		return Checks{Fails("sentinels", m.GetId(), "no majority of its Sentinels was heard since it was declared",
			"see pointsman masters show "+m.GetId()+"; check the addresses and the ACL user in the spec, and pointsman doctor --dial from a node")}
	}
	return Checks{reachCheck(m), agreeCheck(m), countCheck(m), downAfterCheck(m)}
}

func reachCheck(m *pointsmanv1.Master) Check {
	var silent []string
	declared := len(m.GetSentinels())
	for _, r := range m.GetSentinels() {
		if !r.GetReachable() {
			silent = append(silent, r.GetAddress()+": "+or(r.GetError()))
		}
	}
	reached, need := declared-len(silent), declared/2+1
	why := fmt.Sprintf("%d of %d answer, %d are a majority", reached, declared, need)
	if len(silent) > 0 {
		why += "; " + strings.Join(silent, "; ")
	}
	do := "start it, or look at the network and the ACL user between the nodes and it"
	switch {
	case reached < need:
		return Fails("sentinels", m.GetId(), why, do)
	case reached < declared:
		return Warns("sentinels", m.GetId(), why, do)
	case declared < 3:
		return Warns("sentinels", m.GetId(), why+"; not one of them may fail", "run three Sentinels, one per zone, and declare all of them")
	}
	return ok("sentinels", m.GetId(), "%s", why)
}

// agreeCheck fails when no majority names the accepted address, which during
// a failover it does not for a moment.
func agreeCheck(m *pointsmanv1.Master) Check {
	named, tilted := 0, []string{}
	var others []string
	for _, r := range m.GetSentinels() {
		switch {
		case !r.GetReachable():
		case r.GetMaster() == m.GetAddress():
			named++
		default:
			others = append(others, r.GetAddress()+" names "+or(r.GetMaster()))
		}
		if r.GetTilt() {
			tilted = append(tilted, r.GetAddress())
		}
	}
	why := fmt.Sprintf("%d of %d name %s", named, len(m.GetSentinels()), or(m.GetAddress()))
	if len(others) > 0 {
		why += "; " + strings.Join(others, "; ")
	}
	switch {
	case named <= len(m.GetSentinels())/2:
		return Fails("agreement", m.GetId(), why, "normal for seconds during a failover; if it lasts, pointsman masters show "+m.GetId())
	case len(others) > 0:
		return Warns("agreement", m.GetId(), why, "normal for seconds during a failover; a Sentinel that lasts so was cut off or lost its configuration")
	case len(tilted) > 0:
		return Warns("agreement", m.GetId(), why+"; in tilt mode: "+strings.Join(tilted, ", "), "a Sentinel in tilt decides nothing for 30 s: look for pauses or clock jumps of its machine")
	}
	return ok("agreement", m.GetId(), "%s", why)
}

func countCheck(m *pointsmanv1.Master) Check {
	declared := len(m.GetSentinels())
	var wrong []string
	for _, r := range m.GetSentinels() {
		if r.GetReachable() && int(r.GetKnownSentinels())+1 != declared {
			wrong = append(wrong, fmt.Sprintf("%s knows %d others", r.GetAddress(), r.GetKnownSentinels()))
		}
	}
	if len(wrong) > 0 {
		return Warns("declared", m.GetId(), fmt.Sprintf("%d are declared; %s", declared, strings.Join(wrong, "; ")),
			"declare every Sentinel in the spec; one that is gone for good is forgotten by SENTINEL RESET on each other, one at a time")
	}
	return ok("declared", m.GetId(), "each Sentinel knows %d others, as declared", declared-1)
}

func downAfterCheck(m *pointsmanv1.Master) Check {
	var hasty []string
	seen := uint64(0)
	for _, r := range m.GetSentinels() {
		if d := r.GetDownAfterMs(); d > 0 {
			seen = max(seen, d)
			if d < leastDownAfter {
				hasty = append(hasty, fmt.Sprintf("%s: %d", r.GetAddress(), d))
			}
		}
	}
	switch {
	case len(hasty) > 0:
		return Warns("down-after", m.GetId(), "down-after-milliseconds is below 2000 at "+strings.Join(hasty, ", ")+": a second, needless failover may follow the first",
			"sentinel down-after-milliseconds NAME 5000 on each Sentinel")
	case seen == 0:
		return Skips("down-after", m.GetId(), "the coordinators have not read down-after-milliseconds yet", "pointsman doctor --dial asks each Sentinel")
	}
	return ok("down-after", m.GetId(), "%d ms", seen)
}

// roleChecks ask whether each candidate was seen, and as what.
func roleChecks(m *pointsmanv1.Master) Checks {
	var unseen, masters []string
	replicas, self := 0, ""
	for _, c := range m.GetCandidates() {
		r := roleOf(m, c.GetAddress())
		if c.GetAddress() == m.GetAddress() {
			self = Word(r.GetRole())
		}
		switch r.GetRole() {
		case pointsmanv1.RedisRole_REDIS_ROLE_MASTER:
			masters = append(masters, c.GetAddress())
		case pointsmanv1.RedisRole_REDIS_ROLE_REPLICA:
			replicas++
		default:
			unseen = append(unseen, strings.TrimSuffix(c.GetAddress()+": "+r.GetError(), ": "))
		}
	}
	why := fmt.Sprintf("%s of %d candidates", count(replicas, "replica"), len(m.GetCandidates()))
	switch {
	case m.GetAddress() == "":
		return nil // told by sentinels
	case self != "master":
		return Checks{Fails("roles", m.GetId(), fmt.Sprintf("the accepted master %s answers ROLE with %s; %s", m.GetAddress(), or(self), why),
			"normal until Sentinel has failed over; else look at that Redis node and at the user and password under redis: in the spec")}
	case len(masters) > 1:
		return Checks{Fails("roles", m.GetId(), "more than one says it is master: "+strings.Join(masters, ", "),
			"the old master comes back as one for about 10 s; if it lasts, clients of the other one lose their writes")}
	case len(unseen) > 0:
		return Checks{Warns("roles", m.GetId(), "not seen: "+strings.Join(unseen, "; ")+"; "+why, "start it, or correct the user and password under redis: in the spec")}
	}
	return Checks{ok("roles", m.GetId(), "%s is master, %s", m.GetAddress(), why)}
}
