package coordinator

import (
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

// See shows one master as this node sees it, with what peers told a leader.
func (s *sights) See(id fsm.MasterID) api.Sight {
	out := s.seen(id)
	probes, alerts := s.paths.see(id)
	out.Probes, out.Alerts = probes, append(out.Alerts, alerts...)
	for _, m := range s.findings.alerts(time.Now()) {
		if m.GetMaster() == string(id) {
			out.Alerts = append(out.Alerts, m.GetAlert())
		}
	}
	return out
}

func (s *sights) seen(id fsm.MasterID) api.Sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.sights[id]
	if !ok {
		return api.Sight{}
	}
	now := time.Now()
	view := viewOut(string(s.node.Status().Node), one.merged, now)
	out := api.Sight{Sentinels: view.GetSentinels(), Roles: view.GetRoles(), Standing: standing(one)}
	for _, a := range one.verdict.Alerts {
		out.Alerts = append(out.Alerts, &pointsmanv1.Alert{
			Code: a.Reason, Message: a.Detail, Subject: string(id), Severity: severity(a.Reason),
			Age: durationpb.New(now.Sub(one.since[a.Reason])),
		})
	}
	return out
}

func severity(reason string) pointsmanv1.AlertSeverity {
	switch reason {
	case sentinel.AlertConflict, sentinel.AlertUnannounced, sentinel.AlertBlind, sentinel.AlertNotCandidate, sentinel.AlertDifference:
		return pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL
	default:
		return pointsmanv1.AlertSeverity_ALERT_SEVERITY_WARNING
	}
}

func standing(one *sight) pointsmanv1.MasterState {
	seen := slices.ContainsFunc(one.merged.Reports, func(r sentinel.Report) bool { return r.Seen })
	has := func(reason string) bool {
		return slices.ContainsFunc(one.verdict.Alerts, func(a sentinel.Alert) bool { return a.Reason == reason })
	}
	switch {
	case !seen:
		return pointsmanv1.MasterState_MASTER_STATE_UNSPECIFIED
	case has(sentinel.AlertConflict) || has(sentinel.AlertDisagree) || has(sentinel.AlertDifference):
		return pointsmanv1.MasterState_MASTER_STATE_DISPUTED
	case one.verdict.WarmUp:
		return pointsmanv1.MasterState_MASTER_STATE_FAILING_OVER
	default:
		return pointsmanv1.MasterState_MASTER_STATE_STEADY
	}
}

func roleOut(role string) pointsmanv1.RedisRole {
	switch role {
	case sentinel.RoleMaster:
		return pointsmanv1.RedisRole_REDIS_ROLE_MASTER
	case sentinel.RoleSlave:
		return pointsmanv1.RedisRole_REDIS_ROLE_REPLICA
	case sentinel.RoleSentinel:
		return pointsmanv1.RedisRole_REDIS_ROLE_SENTINEL
	case sentinel.RoleUnreachable:
		return pointsmanv1.RedisRole_REDIS_ROLE_UNREACHABLE
	default:
		return pointsmanv1.RedisRole_REDIS_ROLE_UNSPECIFIED
	}
}

func roleIn(role pointsmanv1.RedisRole) string {
	for _, name := range []string{sentinel.RoleMaster, sentinel.RoleSlave, sentinel.RoleSentinel, sentinel.RoleUnreachable} {
		if roleOut(name) == role {
			return name
		}
	}
	return ""
}

// viewOut writes a view with ages instead of times: no two clocks are compared.
func viewOut(node string, v sentinel.View, now time.Time) *pointsmanv1.MasterView {
	out := &pointsmanv1.MasterView{Master: v.Master, Switching: v.Switching, Began: age(v.Began, now)}
	for _, r := range v.Reports {
		m := &pointsmanv1.SentinelReport{
			Address: r.Sentinel, RunId: r.RunID, Reachable: r.Seen, Master: r.Address, Epoch: r.Epoch,
			KnownSentinels: uint32(min(max(r.OtherSentinels, 0), 1<<16)), Tilt: r.Tilt, Error: r.Err, Age: age(r.At, now), NodeId: by(r.Via, node),
			Subscribed: r.Subscribed, DownAfterMs: uint64(max(r.DownAfter, 0).Milliseconds()),
		}
		if r.Flags != "" {
			m.Flags = strings.Split(r.Flags, ",")
		}
		if r.Failover {
			m.Flags = append(m.Flags, flagFailover)
		}
		out.Sentinels = append(out.Sentinels, m)
	}
	for _, r := range v.Roles {
		out.Roles = append(out.Roles, &pointsmanv1.RoleReport{
			Address: r.Address, Role: roleOut(r.Role), Error: r.Err, Age: age(r.At, now), NodeId: by(r.Via, node),
			Master: r.Master, Link: r.Link, Offset: r.Offset,
		})
	}
	return out
}

// flagFailover says that the reporting Sentinel leads a failover now.
const flagFailover = "failover_in_progress"

func by(via, node string) string {
	if via != "" {
		return via
	}
	return node
}

func age(at, now time.Time) *durationpb.Duration {
	if at.IsZero() {
		return nil
	}
	return durationpb.New(now.Sub(at))
}

// viewIn reads a peer's view as taken now, less the ages that it names.
func viewIn(m *pointsmanv1.MasterView, now time.Time) sentinel.View {
	v := sentinel.View{Master: m.GetMaster(), Switching: m.GetSwitching(), At: now}
	if m.GetBegan() != nil {
		v.Began = now.Add(-m.GetBegan().AsDuration())
	}
	for _, r := range m.GetSentinels() {
		flags := slices.Clone(r.GetFlags())
		leads := slices.Contains(flags, flagFailover)
		v.Reports = append(v.Reports, sentinel.Report{
			Sentinel: r.GetAddress(), RunID: r.GetRunId(), Address: r.GetMaster(), Epoch: r.GetEpoch(), Seen: r.GetReachable(),
			Err: r.GetError(), At: now.Add(-r.GetAge().AsDuration()), Tilt: r.GetTilt(), OtherSentinels: int(r.GetKnownSentinels()),
			Subscribed: r.GetSubscribed(), DownAfter: time.Duration(min(r.GetDownAfterMs(), math.MaxInt32)) * time.Millisecond,
			Failover: leads, Flags: strings.Join(slices.DeleteFunc(flags, func(f string) bool { return f == flagFailover }), ","),
		})
	}
	for _, r := range m.GetRoles() {
		v.Roles = append(v.Roles, sentinel.Role{
			Address: r.GetAddress(), Role: roleIn(r.GetRole()), Err: r.GetError(), At: now.Add(-r.GetAge().AsDuration()),
			Master: r.GetMaster(), Link: r.GetLink(), Offset: r.GetOffset(),
		})
	}
	return v
}

// beganApart is more than the ages of one beginning differ by from report to report.
const beganApart = 100 * time.Millisecond

// differs reports whether a peer sees something else than before, ages aside.
func differs(a, b sentinel.View) bool {
	return a.Switching != b.Switching || b.Began.Sub(a.Began) > beganApart ||
		!slices.EqualFunc(a.Reports, b.Reports, func(x, y sentinel.Report) bool {
			return x.Address == y.Address && x.Epoch == y.Epoch && x.Seen == y.Seen && x.Failover == y.Failover
		}) ||
		!slices.EqualFunc(a.Roles, b.Roles, func(x, y sentinel.Role) bool { return x.Role == y.Role })
}
