package sentinel

import (
	"slices"
	"strings"
)

// alerts adds what is worth knowing beside the verdict.
func (j *judge) alerts() {
	for _, r := range j.v.Reports {
		j.aboutSentinel(r)
	}
	if len(j.usable) < j.majority() && j.stood(SilentFor, "blind") {
		j.alert(AlertBlind, "%d of %d sentinels answer", len(j.usable), len(j.v.Reports))
	}
	named := j.named(func(Report) bool { return true })
	if len(named) > 1 && j.stood(DisagreeFor, "disagree") {
		j.alert(AlertDisagree, "sentinels name %s", strings.Join(named, " and "))
	}
	behind := func(r Report) bool { return r.Epoch < j.acc.Epoch }
	if j.acc.Known && j.count(behind) >= j.majority() && j.stood(BehindAfter, "behind %d", j.acc.Epoch) {
		j.alert(AlertBehind, "%d of %d sentinels are below the accepted epoch %d", j.count(behind), len(j.v.Reports), j.acc.Epoch)
	}
	j.unannounced(named)
	for _, n := range j.v.Notes {
		if age := j.now.Sub(n.At); age <= NoteFor && strings.HasPrefix(n.Channel, "-failover-abort") {
			j.alert(AlertAborted, "%s on sentinel %s", n.Channel, n.Sentinel)
		}
	}
}

func (j *judge) aboutSentinel(r Report) {
	if !slices.ContainsFunc(j.usable, func(u Report) bool { return u.Sentinel == r.Sentinel }) {
		if j.stood(SilentFor, "silent %s", r.Sentinel) {
			j.alert(AlertSilent, "sentinel %s: %s", r.Sentinel, strings.TrimSpace(r.Err))
		}
		return
	}
	if !j.candidate(r.Address) {
		j.alert(AlertNotCandidate, "sentinel %s names %s at epoch %d", r.Sentinel, r.Address, r.Epoch)
	}
	if s := j.next.of(r.Sentinel); s.alone && (!j.acc.Known || r.Epoch != j.acc.Epoch) {
		j.alert(AlertAlone, "sentinel %s holds %s at epoch %d, which nobody follows", r.Sentinel, r.Address, r.Epoch)
	}
	if r.Tilt {
		j.alert(AlertTilt, "sentinel %s", r.Sentinel)
	}
	if r.OtherSentinels != len(j.v.Reports)-1 && j.stood(CountFor, "count %s", r.Sentinel) {
		j.alert(AlertCount, "sentinel %s knows %d others, %d are declared", r.Sentinel, r.OtherSentinels, len(j.v.Reports)-1)
	}
}

// unannounced: a replica answers as master, no Sentinel names it, and the
// accepted master does not answer as one. The Sentinel that promoted it has
// died before it could tell; the next election may be minutes away.
func (j *judge) unannounced(named []string) {
	if !j.acc.Known {
		return
	}
	i := slices.IndexFunc(j.v.Roles, func(r Role) bool { return r.Address == j.acc.Address })
	if i < 0 || j.v.Roles[i].Role == "" || j.v.Roles[i].Role == RoleMaster {
		return
	}
	for _, r := range j.v.Roles {
		if r.Role != RoleMaster || r.Address == j.acc.Address || slices.Contains(named, r.Address) {
			continue
		}
		if j.stood(UnannouncedFor, "unannounced %s", r.Address) {
			j.alert(AlertUnannounced, "%s is master, no sentinel says so, and %s answers %s", r.Address, j.acc.Address, j.v.Roles[i].Role)
		}
	}
}
