package show

import (
	"fmt"
	"strings"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Masters writes the table of masters. Newest holds the newest failover of
// each by master id, as far as it is known; now is the log clock.
func (p *Printer) Masters(masters []*pointsmanv1.Master, newest Newest) {
	if len(masters) == 0 {
		p.printf("no masters: the spec is empty or was never applied; pointsman apply -f spec.yaml\n")
		return
	}
	g := p.grid(cols("MASTER", "ADDRESS", "EPOCH", "STATE", "LAST FAILOVER", "SENTINELS", "OPEN", "+ZONE", "+SPEC", "ALERTS"))
	for _, m := range masters {
		g.row(m.GetId(), or(m.GetAddress()), fmt.Sprint(m.GetEpoch()), p.masterState(m),
			newest.of(m), p.agreement(m), p.openCount(m.GetOpenActions()),
			or(zoneOf(m)), fmt.Sprint(m.GetSpecRevision()), p.alertWords(m.GetAlerts()))
	}
	g.print()
}

// Newest holds what is known of the newest failover of each master.
type Newest struct {
	Failovers map[string]*pointsmanv1.Failover // by master id
	Now       *pointsmanv1.Cluster             // for the log clock; nil when unknown
}

func (n Newest) of(m *pointsmanv1.Master) string {
	if m.GetNumber() == 0 {
		return none
	}
	id := fmt.Sprintf("%s/%d", m.GetId(), m.GetNumber())
	f := n.Failovers[m.GetId()]
	if f.GetId() != id || n.Now == nil {
		return id
	}
	return fmt.Sprintf("%s %s, %s ago", id, Word(f.GetState()), since(f.GetAcceptedAt(), n.Now.GetLogClock()))
}

func (p *Printer) masterState(m *pointsmanv1.Master) string {
	word := or(Word(m.GetState()))
	if m.GetObserveOnly() {
		word += " (observe only)"
	}
	switch m.GetState() {
	case pointsmanv1.MasterState_MASTER_STATE_STEADY:
		return p.paint(good, word)
	case pointsmanv1.MasterState_MASTER_STATE_DISPUTED:
		return p.paint(bad, word)
	}
	return p.paint(warn, word)
}

// agreement is how many of the declared Sentinels name the accepted address.
func (p *Printer) agreement(m *pointsmanv1.Master) string {
	agree, all := 0, len(m.GetSentinels())
	for _, s := range m.GetSentinels() {
		if s.GetReachable() && s.GetMaster() == m.GetAddress() {
			agree++
		}
	}
	word := fmt.Sprintf("%d/%d", agree, all)
	switch {
	case agree == all:
		return word
	case agree > all/2:
		return p.paint(warn, word)
	}
	return p.paint(bad, word)
}

func (p *Printer) openCount(n uint32) string {
	if n == 0 {
		return "0"
	}
	return p.paint(warn, fmt.Sprint(n))
}

func (p *Printer) alertWords(alerts []*pointsmanv1.Alert) string {
	if len(alerts) == 0 {
		return none
	}
	words := make([]string, len(alerts))
	for i, a := range alerts {
		words[i] = p.paint(severity(a), a.GetCode())
	}
	return strings.Join(words, " ")
}

func severity(a *pointsmanv1.Alert) tone {
	if a.GetSeverity() == pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL {
		return bad
	}
	return warn
}

func zoneOf(m *pointsmanv1.Master) string {
	for _, c := range m.GetCandidates() {
		if c.GetAddress() == m.GetAddress() {
			return c.GetZone()
		}
	}
	return ""
}

// Master writes one master in full.
func (p *Printer) Master(m *pointsmanv1.Master) {
	p.printf("%s  %s  %s\n", p.paint(bold, "MASTER "+m.GetId()), or(m.GetAddress()), p.masterState(m))
	last := none
	if m.GetNumber() > 0 {
		id := fmt.Sprintf("%s/%d", m.GetId(), m.GetNumber())
		last = fmt.Sprintf("%s, planned by spec revision %d (pointsman failovers show %s)", id, m.GetSpecRevision(), id)
	}
	p.printf("epoch %d   zone %s   open actions %d\nlast failover %s\n", m.GetEpoch(), or(zoneOf(m)), m.GetOpenActions(), last)
	if w := m.GetSwitchover(); w != nil {
		p.printf("switchover %s\n", p.switchoverLine(w))
	}
	p.printf("\n")
	p.sentinels(m)
	p.printf("\n")
	p.redisNodes(m)
	p.paths(m)
	p.Alerts(m.GetAlerts())
}

func (p *Printer) sentinels(m *pointsmanv1.Master) {
	g := p.grid(cols("SENTINEL", "NAMES", "EPOCH", "FLAGS", "PEERS", "AGE", "SEEN BY", "+DOWN AFTER", "+EVENTS", "+RUN ID", "NOTES"))
	for _, s := range m.GetSentinels() {
		names := or(s.GetMaster())
		if s.GetReachable() && s.GetMaster() != m.GetAddress() {
			names = p.paint(bad, names)
		}
		g.row(s.GetAddress(), names, fmt.Sprint(s.GetEpoch()), or(strings.Join(s.GetFlags(), ",")),
			fmt.Sprint(s.GetKnownSentinels()), span(s.GetAge()), or(s.GetNodeId()),
			downAfter(s), yes(s.GetSubscribed(), "live", none), or(short(s.GetRunId())), p.sentinelNotes(s))
	}
	g.print()
}

func (p *Printer) sentinelNotes(s *pointsmanv1.SentinelReport) string {
	var notes []string
	if !s.GetReachable() {
		notes = append(notes, p.paint(bad, "unreachable:"))
	}
	if s.GetTilt() {
		notes = append(notes, p.paint(bad, "tilt"))
	}
	if s.GetError() != "" {
		notes = append(notes, s.GetError())
	}
	return or(strings.Join(notes, " "))
}

func downAfter(s *pointsmanv1.SentinelReport) string {
	if s.GetDownAfterMs() == 0 {
		return none
	}
	return Span(time.Duration(s.GetDownAfterMs()) * time.Millisecond)
}

func (p *Printer) redisNodes(m *pointsmanv1.Master) {
	roles := map[string]*pointsmanv1.RoleReport{}
	for _, r := range m.GetRoles() {
		roles[r.GetAddress()] = r
	}
	g := p.grid(cols("REDIS", "ZONE", "ROLE", "LINK", "AGE", "SEEN BY", "+FOLLOWS", "+OFFSET", "+BEHIND", "NOTES"))
	for _, c := range m.GetCandidates() {
		r := roles[c.GetAddress()]
		role := or(Word(r.GetRole()))
		if r.GetRole() == pointsmanv1.RedisRole_REDIS_ROLE_UNREACHABLE {
			role = p.paint(bad, role)
		}
		g.row(c.GetAddress(), or(c.GetZone()), role, p.link(r), span(r.GetAge()), or(r.GetNodeId()),
			or(r.GetMaster()), offset(r), behind(m, r), or(r.GetError()))
	}
	g.print()
}

// linkUp is what ROLE says of a replica that follows its master.
const linkUp = "connected"

// link marks a replica that does not follow: it would be behind when promoted.
func (p *Printer) link(r *pointsmanv1.RoleReport) string {
	if r.GetLink() != "" && r.GetLink() != linkUp {
		return p.paint(warn, r.GetLink())
	}
	return or(r.GetLink())
}

func offset(r *pointsmanv1.RoleReport) string {
	if !replicates(r) {
		return none
	}
	return fmt.Sprint(r.GetOffset())
}

func replicates(r *pointsmanv1.RoleReport) bool {
	return r.GetRole() == pointsmanv1.RedisRole_REDIS_ROLE_MASTER || r.GetRole() == pointsmanv1.RedisRole_REDIS_ROLE_REPLICA
}

// behind is how many bytes a replica's offset is short of the master's. The
// two were asked up to a second apart, so it is near, not exact.
func behind(m *pointsmanv1.Master, r *pointsmanv1.RoleReport) string {
	lead := roleOf(m, m.GetAddress())
	if r.GetRole() != pointsmanv1.RedisRole_REDIS_ROLE_REPLICA || lead.GetRole() != pointsmanv1.RedisRole_REDIS_ROLE_MASTER {
		return none
	}
	return fmt.Sprintf("%d B", max(lead.GetOffset()-r.GetOffset(), 0))
}

func yes(b bool, then, otherwise string) string {
	if b {
		return then
	}
	return otherwise
}

// Alerts writes what a human should look at; nothing when all is well.
func (p *Printer) Alerts(alerts []*pointsmanv1.Alert) {
	if len(alerts) == 0 {
		return
	}
	p.printf("\n")
	g := p.grid(cols("ALERT", "SUBJECT", "SINCE", "WHAT"))
	for _, a := range alerts {
		g.row(p.paint(severity(a), a.GetCode()), or(a.GetSubject()), alertAge(a), a.GetMessage())
	}
	g.wrapLast()
	g.print()
}

// alertAge is none when nothing is known: an alert that is no time old says
// nothing.
func alertAge(a *pointsmanv1.Alert) string {
	if a.GetAge().AsDuration() == 0 {
		return none
	}
	return span(a.GetAge())
}
