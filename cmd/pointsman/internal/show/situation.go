package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Bounds of what status shows on its one screen.
const (
	sightsShown  = 3  // masters whose Redis nodes and Sentinels are listed when all is well
	troubleShown = 6  // when not all are: those in trouble come first
	objectsShown = 20 // objects; those that are not as wanted come first
)

// situation answers a newcomer's two questions: is anything wrong, and what
// happened last?
func (p *Printer) situation(s Status) {
	p.printf("  %s\n", p.paint(healthTone(s.Health()), s.verdict()))
	p.printf("  last: %s\n", s.last())
	if n := s.next(); n != "" {
		p.printf("  next: %s\n", n)
	}
}

// verdict is the health in one sentence.
func (s Status) verdict() string {
	open := s.Cluster.GetCluster().GetOpenActions()
	switch s.Health() {
	case NoLeader:
		return s.leaderless()
	case Unhealthy:
		return "something is wrong: " + s.problems()
	case Warning:
		return "it works, and needs a look: " + s.problems()
	}
	if open > 0 {
		text := "nothing is wrong; " + count(int(open), "action") + " under way"
		if running := s.underWay(); running != "" {
			text += ": " + running
		}
		return text
	}
	return "nothing is wrong"
}

// problemsNamed is how many problems the verdict names.
const problemsNamed = 3

// problems names what is wrong, the worst first.
func (s Status) problems() string {
	alerts := s.alerts()
	slices.SortStableFunc(alerts, func(a, b *pointsmanv1.Alert) int { return cmp.Compare(b.GetSeverity(), a.GetSeverity()) })
	var all []string
	for _, a := range s.failing() {
		all = append(all, fmt.Sprintf("%s was tried %d times: %s", a.GetId(), a.GetAttempts(), a.GetReason()))
	}
	for _, a := range alerts {
		all = append(all, strings.TrimSpace(a.GetCode()+" "+a.GetSubject()))
	}
	for _, m := range s.Masters.GetMasters() {
		switch m.GetState() {
		case pointsmanv1.MasterState_MASTER_STATE_UNKNOWN:
			all = append(all, "no majority of the Sentinels of "+m.GetId()+" was heard yet")
		case pointsmanv1.MasterState_MASTER_STATE_DISPUTED:
			if len(m.GetAlerts()) > 0 {
				break // said by them
			}
			all = append(all, "the Sentinels of "+m.GetId()+" contradict each other")
		}
		for _, r := range m.GetSentinels() {
			if !r.GetReachable() && len(m.GetAlerts()) == 0 {
				all = append(all, "Sentinel "+r.GetAddress()+" of "+m.GetId()+" does not answer")
			}
		}
	}
	if left := len(all) - problemsNamed; left > 0 {
		all = append(all[:problemsNamed:problemsNamed], fmt.Sprintf("and %d more", left))
	}
	return strings.Join(all, "; ")
}

// leaderless says how many nodes are missing.
func (s Status) leaderless() string {
	nodes, reached := s.Cluster.GetCluster().GetNodes(), 0
	for _, n := range nodes {
		if n.GetReachable() {
			reached++
		}
	}
	if majority := len(nodes)/2 + 1; reached < majority {
		return fmt.Sprintf("no leader: %d of %d nodes answer, a leader needs %d; nothing new is begun and nothing is undone until then", reached, len(nodes), majority)
	}
	return "no leader has confirmed this answer: an election may be under way; nothing new is begun meanwhile"
}

// last is the newest failover of all masters, in one line.
func (s Status) last() string {
	if s.Failovers == nil {
		return "not known"
	}
	var newest *pointsmanv1.Failover
	for _, f := range s.Failovers.GetFailovers() {
		if newest == nil || f.GetAcceptedIndex() > newest.GetAcceptedIndex() {
			newest = f
		}
	}
	if newest == nil {
		return "no failover was accepted yet"
	}
	text := fmt.Sprintf("%s moved %s -> %s, accepted %s ago, %s", newest.GetId(), or(newest.GetFrom()), or(newest.GetTo()),
		since(newest.GetAcceptedAt(), s.Cluster.GetCluster().GetLogClock()), or(Word(newest.GetState())))
	if newest.GetSettledAt() != nil {
		text += " after " + took(newest)
	}
	return text + " (pointsman failovers show " + newest.GetId() + ")"
}

// sights lists what the Redis nodes and the Sentinels of a few masters say,
// those in trouble first.
func (p *Printer) sights(masters []*pointsmanv1.Master) {
	some := slices.Clone(masters)
	slices.SortStableFunc(some, func(a, b *pointsmanv1.Master) int { return -cmp.Compare(trouble(a), trouble(b)) })
	limit := sightsShown
	if len(some) > 0 && trouble(some[0]) > 0 {
		limit = troubleShown
	}
	if len(masters) > sightsShown { // many: those in trouble only
		some = slices.DeleteFunc(some, func(m *pointsmanv1.Master) bool { return trouble(m) == 0 })
	}
	left := len(some) - limit
	some = some[:min(limit, len(some))]
	if len(some) == 0 {
		return
	}
	p.printf("\n")
	redis, sentinels := p.grid(cols("REDIS", "MASTER", "ZONE", "ROLE", "LINK", "SEEN", "BY", "NOTES")), p.grid(cols("SENTINEL", "MASTER", "NAMES", "EPOCH", "SEEN", "BY", "NOTES"))
	for _, m := range some {
		for _, c := range m.GetCandidates() {
			r := roleOf(m, c.GetAddress())
			redis.row(c.GetAddress(), m.GetId(), or(c.GetZone()), p.redisRole(m, c.GetAddress(), r), p.link(r), span(r.GetAge()), or(r.GetNodeId()), or(r.GetError()))
		}
		for _, r := range m.GetSentinels() {
			sentinels.row(r.GetAddress(), m.GetId(), p.names(m, r), fmt.Sprint(r.GetEpoch()), span(r.GetAge()), or(r.GetNodeId()), p.sentinelNotes(r))
		}
	}
	redis.print()
	p.printf("\n")
	sentinels.print()
	p.paths(some...)
	if left > 0 {
		p.printf("and %s more in trouble: pointsman masters list\n", count(left, "master"))
	}
}

// trouble ranks masters: 0 when there is nothing to see.
func trouble(m *pointsmanv1.Master) int {
	rank := 2 * len(m.GetAlerts())
	if m.GetState() != pointsmanv1.MasterState_MASTER_STATE_STEADY {
		rank++
	}
	for _, r := range m.GetSentinels() {
		if !r.GetReachable() || r.GetMaster() != m.GetAddress() {
			rank++
		}
	}
	return rank
}

func roleOf(m *pointsmanv1.Master, address string) *pointsmanv1.RoleReport {
	for _, r := range m.GetRoles() {
		if r.GetAddress() == address {
			return r
		}
	}
	return nil
}

// redisRole marks a role that contradicts what was accepted.
func (p *Printer) redisRole(m *pointsmanv1.Master, address string, r *pointsmanv1.RoleReport) string {
	role := or(Word(r.GetRole()))
	switch {
	case r.GetRole() == pointsmanv1.RedisRole_REDIS_ROLE_UNREACHABLE:
		return p.paint(bad, role)
	case (r.GetRole() == pointsmanv1.RedisRole_REDIS_ROLE_MASTER) != (address == m.GetAddress()) && role != none:
		return p.paint(warn, role)
	}
	return role
}

func (p *Printer) names(m *pointsmanv1.Master, r *pointsmanv1.SentinelReport) string {
	if r.GetReachable() && r.GetMaster() != m.GetAddress() {
		return p.paint(bad, or(r.GetMaster()))
	}
	return or(r.GetMaster())
}

// objects lists each object that was ever written: what is wanted there, and
// what was found last.
func (p *Printer) objects(s Status) {
	all := s.objects()
	if len(all) == 0 {
		return
	}
	p.printf("\n")
	g := p.grid(cols("OBJECT", "WANTED", "FOUND", "SINCE", "BY"))
	for _, o := range all[:min(objectsShown, len(all))] {
		g.row(o.action.GetObject(), or(o.action.GetWanted()), p.paint(o.tone, o.found), since(changed(o.action), s.Cluster.GetCluster().GetLogClock()), o.action.GetId())
	}
	g.print()
	if left := len(all) - objectsShown; left > 0 {
		p.printf("and %s more, all as wanted or of lesser trouble: pointsman actions list\n", count(left, "object"))
	}
}

// object is one outside thing and the newest action on it.
type object struct {
	action *pointsmanv1.Action
	found  string
	tone   tone
}

// objects are the newest action of each object, those not as wanted first.
func (s Status) objects() []object {
	worstFirst := []tone{bad, warn, plain}
	newest := map[string]*pointsmanv1.Action{}
	for _, f := range s.Failovers.GetFailovers() {
		for _, a := range f.GetActions() {
			if have := newest[a.GetObject()]; have == nil || a.GetPlannedAt().AsDuration() > have.GetPlannedAt().AsDuration() {
				newest[a.GetObject()] = a
			}
		}
	}
	var all []object
	for _, a := range newest {
		o := object{action: a}
		o.found, o.tone = s.found(a)
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b object) int {
		return cmp.Or(cmp.Compare(slices.Index(worstFirst, a.tone), slices.Index(worstFirst, b.tone)), cmp.Compare(a.action.GetObject(), b.action.GetObject()))
	})
	return all
}

// driftWords is what a drift alert says was found: the words in its brackets.
func driftWords(message string) string {
	_, rest, _ := strings.Cut(message, "(")
	found, _, ok := strings.Cut(rest, "); ")
	if !ok {
		return "see the alert"
	}
	return found
}

// found is what the last look at an object saw.
func (s Status) found(a *pointsmanv1.Action) (string, tone) {
	for _, alert := range s.alerts() {
		if alert.GetCode() == "OBJECT_DRIFTED" && alert.GetSubject() == a.GetObject() {
			return strings.TrimSpace("DIFFERS: " + driftWords(alert.GetMessage())), bad
		}
	}
	switch a.GetState() {
	case pointsmanv1.ActionState_ACTION_STATE_DONE:
		return "as wanted", plain
	case pointsmanv1.ActionState_ACTION_STATE_WAITING:
		return "written, the provider applies it", warn
	case pointsmanv1.ActionState_ACTION_STATE_CLAIMED:
		return "being written", warn
	case pointsmanv1.ActionState_ACTION_STATE_STUCK:
		return "not as wanted: stuck", bad
	case pointsmanv1.ActionState_ACTION_STATE_OBSERVED:
		return "only observed: " + or(Word(a.GetScore().GetResult())), plain
	case pointsmanv1.ActionState_ACTION_STATE_ABANDONED:
		return "given up: " + or(a.GetReason()), warn
	}
	if a.GetInDoubt() {
		return "not known: in doubt", warn
	}
	return "not as wanted yet", warn
}
