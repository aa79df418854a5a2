package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// Expect is what a run was meant to do.
type Expect struct {
	Failovers   int
	LeaderKills int
}

// Check is one claim of a report.
type Check struct {
	Name   string
	Detail string // why it does not hold; empty when it does
}

// OK says that the claim holds.
func (c Check) OK() bool { return c.Detail == "" }

// facts are what the checks look at besides the report.
type facts struct {
	want       Expect
	proof      ovh.Proof
	promotions []string // what the lab's recorder saw, one for each failover: "address epoch"
	traffic    string   // where the load balancer sends
	master     string   // whom the Sentinels name
	setting    string   // as it stands
	settingDue string   // as the plan would write it for that master
	writing    error    // whether a write went through at the end
	logged     error    // why the log is not verified
	working    error    // why a worker ended before it was told to
}

// Report gathers what the run came to and judges it. The checks say which
// claims hold; Report.OK says that all of them do. An error means that the
// facts could not be gathered, and the report is as far as it came.
func (l *Lab) Report(ctx context.Context, want Expect) (Report, []Check, error) {
	r := Report{Failovers: []Failover{}, LeaderKills: l.killed}
	f := facts{want: want}
	err := l.gather(ctx, &r, &f)
	checks := judge(r, f)
	if err != nil {
		checks = append(checks, Check{Name: "gathered", Detail: err.Error()})
	}
	r.OK = !slices.ContainsFunc(checks, func(c Check) bool { return !c.OK() })
	return r, checks, err
}

func (l *Lab) gather(ctx context.Context, r *Report, f *facts) (err error) {
	if l.Writer != nil {
		f.writing = l.Writer.wrote(ctx, time.Now())
		r.Client = l.Writer.Seen()
	}
	r.Log, f.logged = l.Nodes.Verify(ctx)
	var swings []swing
	for _, t := range l.tales {
		last, err := l.failover(ctx, t.id)
		if err != nil {
			return err
		}
		r.Failovers = append(r.Failovers, t.told(last))
		swings = append(swings, swing{index: last.GetAcceptedIndex(), from: t.old, to: t.promotion.Address, settled: t.seen.Settled})
		f.promotions = append(f.promotions, fmt.Sprintf("%s at epoch %d", t.promotion.Address, t.promotion.Epoch))
	}
	if l.Crew != nil {
		var stints []stint
		stints, f.working = l.Crew.told()
		r.Leases = audit(l.opt.Workers, crewParts, stints, swings)
	}
	if f.proof, err = l.Prove(ctx); err != nil {
		return err
	}
	p := f.proof
	r.Provider = Provider{
		FrontendChanges: p.FrontendChanges, Refreshes: p.Refreshes, Duplicates: p.Duplicates, Repeats: p.Repeats,
		Stale: p.Stale, Lost: p.Lost, Orphans: p.Orphans,
	}
	f.traffic = l.Cloud.Applied()
	if f.setting, f.settingDue, err = l.Setting(ctx); err != nil {
		return err
	}
	f.master, err = l.Redis.Master(ctx)
	return err
}

// judge is the one place that decides what a good run is.
func judge(r Report, f facts) []Check {
	p := r.Provider
	checks := []Check{
		claim("failovers", len(r.Failovers) == f.want.Failovers, "%d of %d", len(r.Failovers), f.want.Failovers),
		claim("leader_kills", r.LeaderKills == f.want.LeaderKills, "%d of %d", r.LeaderKills, f.want.LeaderKills),
		first("numbers", numbered(r.Failovers)),
		first("seen", agree(r.Failovers, f.promotions)),
		first("phases", ordered(r.Failovers)),
		first("actions", allDone(r.Failovers)),
		claim("frontend_changes", p.FrontendChanges == len(r.Failovers), "%d for %d failovers", p.FrontendChanges, len(r.Failovers)),
		claim("refreshes", p.Refreshes >= len(r.Failovers) && p.Refreshes <= len(r.Failovers)+r.LeaderKills,
			"%d for %d failovers and %d leader kills", p.Refreshes, len(r.Failovers), r.LeaderKills),
		claim("duplicates", p.Duplicates == 0, "%d: %q", p.Duplicates, f.proof.Details),
		claim("repeats", p.Repeats <= r.LeaderKills, "%d for %d leader kills: %q", p.Repeats, r.LeaderKills, f.proof.Details),
		claim("stale", p.Stale == 0, "%d: %q", p.Stale, f.proof.Details),
		claim("lost", p.Lost == 0, "%d: %q", p.Lost, f.proof.Details),
		claim("orphans", p.Orphans == 0, "%d: %q", p.Orphans, f.proof.Details),
		claim("journal", f.proof.Dropped == 0, "%d writes are no longer in the provider's journal", f.proof.Dropped),
		claim("traffic", f.traffic == f.master && f.master != "", "the load balancer sends to %q, the sentinels name %q", f.traffic, f.master),
		claim("setting", f.setting == f.settingDue, "%q, for this master it should be %q", f.setting, f.settingDue),
		claim("client", r.Client.WritesOK > 0 && f.writing == nil, "%d writes, %v", r.Client.WritesOK, f.writing),
		claim("log", r.Log.Verified, "%d entries, %v", r.Log.Entries, f.logged),
	}
	if r.Leases == nil {
		return checks
	}
	return append(checks, leased(*r.Leases, f.working)...)
}

// leased are the claims about the workers' leases.
func leased(l Leases, working error) []Check {
	return []Check{
		claim("workers", l.Grants > 0 && working == nil, "%d grants, %v", l.Grants, working),
		claim("lease_moves", l.Unmoved == 0, "%d: %q", l.Unmoved, l.Details),
		claim("lease_tokens", l.Fallen == 0, "%d: %q", l.Fallen, l.Details),
		claim("lease_holders", l.Shared == 0, "%d: %q", l.Shared, l.Details),
		claim("lease_addresses", l.Stale == 0, "%d: %q", l.Stale, l.Details),
		claim("lease_ends", l.Late == 0, "%d: %q", l.Late, l.Details),
	}
}

func claim(name string, holds bool, format string, args ...any) Check {
	if holds {
		return Check{Name: name}
	}
	return Check{Name: name, Detail: fmt.Sprintf(format, args...)}
}

func first(name string, err error) Check { return claim(name, err == nil, "%v", err) }

// numbered: the same master, numbers without a gap, epochs that rise.
func numbered(list []Failover) error {
	for i := 1; i < len(list); i++ {
		was, is := list[i-1], list[i]
		m0, n0, err0 := parseID(was.ID)
		m1, n1, err1 := parseID(is.ID)
		if err := errors.Join(err0, err1); err != nil {
			return err
		}
		if m0 != m1 || n1 != n0+1 || is.SentinelEpoch <= was.SentinelEpoch || is.From != was.To {
			return fmt.Errorf("%s (%s → %s, epoch %d) follows %s (%s → %s, epoch %d)",
				is.ID, is.From, is.To, is.SentinelEpoch, was.ID, was.From, was.To, was.SentinelEpoch)
		}
	}
	return nil
}

func parseID(id string) (master string, number int, err error) {
	i := len(id) - 1
	for i >= 0 && id[i] != '/' {
		i--
	}
	if i < 0 {
		return "", 0, fmt.Errorf("no failover's id: %q", id)
	}
	_, err = fmt.Sscanf(id[i+1:], "%d", &number)
	return id[:i], number, err
}

// agree: what was accepted is what the lab's own recorder saw.
func agree(list []Failover, promotions []string) error {
	for i, f := range list {
		if told := fmt.Sprintf("%s at epoch %d", f.To, f.SentinelEpoch); told != promotions[i] {
			return fmt.Errorf("%s says %s, the recorder %s", f.ID, told, promotions[i])
		}
	}
	return nil
}

// recorderLag is by how many milliseconds the lab's own recorder may see a
// promotion after the coordinators on a busy machine: it polls, they are told.
const recorderLag = 300

// ordered: each phase was reached. Acceptance is seen through the API and may be
// seen a moment after the first request, so these two have no order here.
func ordered(list []Failover) error {
	for _, f := range list {
		p := f.PhasesMS
		for _, at := range []*float64{p.Promoted, p.Accepted, p.FirstRequest, p.Applied, p.Settled} {
			if at == nil {
				return fmt.Errorf("%s did not reach every phase", f.ID)
			}
		}
		for _, pair := range [][2]float64{{0, *p.Promoted}, {*p.Promoted - recorderLag, *p.FirstRequest}, {*p.FirstRequest, *p.Applied}, {*p.FirstRequest, *p.Settled}} {
			if pair[0] > pair[1] {
				return fmt.Errorf("%s: promoted %.1f, first request %.1f, applied %.1f, settled %.1f", f.ID, *p.Promoted, *p.FirstRequest, *p.Applied, *p.Settled)
			}
		}
	}
	return nil
}

func allDone(list []Failover) error {
	for _, f := range list {
		if len(f.Actions) == 0 {
			return fmt.Errorf("%s has no actions", f.ID)
		}
		for _, a := range f.Actions {
			if a.State != "done" {
				return fmt.Errorf("%s is %s", a.ID, a.State)
			}
		}
	}
	return nil
}
