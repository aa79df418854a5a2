package show

import (
	"fmt"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// askedLine says that a human asked for a failover, and whether the one that was
// expected became master.
func askedLine(f *pointsmanv1.Failover, a *pointsmanv1.FailoverRequest) string {
	line := "switchover asked by " + or(a.GetActor())
	if a.GetReason() != "" {
		line += ": " + oneLine(a.GetReason())
	}
	if d, ok := between(a.GetAskedAt(), f.GetAcceptedAt()); ok {
		line += fmt.Sprintf(" (%s before, of %s)", Span(d), or(a.GetSentinel()))
	}
	if a.GetExpected() != f.GetTo() {
		line += "; expected was " + or(a.GetExpected())
	}
	return line
}

// switchoverLine is the newest request of a master in one line.
func (p *Printer) switchoverLine(w *pointsmanv1.Switchover) string {
	state := or(Word(w.GetState()))
	switch w.GetState() {
	case pointsmanv1.SwitchoverState_SWITCHOVER_STATE_LED:
		state = p.paint(good, state) + " to " + w.GetFailover()
	case pointsmanv1.SwitchoverState_SWITCHOVER_STATE_REFUSED, pointsmanv1.SwitchoverState_SWITCHOVER_STATE_UNSEEN:
		state = p.paint(bad, state)
	default:
		state = p.paint(warn, state)
	}
	line := fmt.Sprintf("%s: %s -> %s, asked by %s", state, or(w.GetFrom()), or(w.GetTo()), or(w.GetActor()))
	if w.GetReason() != "" {
		line += ": " + oneLine(w.GetReason())
	}
	if w.GetDetail() != "" && w.GetDetail() != "OK" {
		line += " (" + oneLine(w.GetDetail()) + ")"
	}
	if w.GetLeft() != nil {
		line += ", over in " + Span(w.GetLeft().AsDuration().Round(time.Second)) + " at the latest"
	}
	return line
}

// Switchover writes what was asked, or would be, and what the failover will do.
func (p *Printer) Switchover(r *pointsmanv1.SwitchoverResponse) {
	w := r.GetSwitchover()
	p.printf("%s  %s  %s -> %s\n", p.paint(bold, "SWITCHOVER "+w.GetMaster()), or(Word(w.GetState())), or(w.GetFrom()), or(w.GetTo()))
	if w.GetWhy() != "" {
		sure := "expected"
		if w.GetCertain() {
			sure = "certain"
		}
		p.printf("  %s would promote %s (%s): %s\n", or(w.GetSentinel()), or(w.GetTo()), sure, w.GetWhy())
	}
	for _, n := range r.GetNotes() {
		p.printf("  note: %s\n", oneLine(n))
	}
	p.standings(r.GetReplicas())
	p.planned(r.GetPlan())
}

func (p *Printer) standings(all []*pointsmanv1.ReplicaStanding) {
	if len(all) == 0 {
		return
	}
	p.printf("\n")
	g := p.grid(cols("REPLICA", "PRIORITY", "OFFSET", "BEHIND", "HEARD MASTER", "LINK", "PASSED OVER"))
	for _, r := range all {
		behind, heard := none, none
		if r.LagBytes != nil {
			behind = fmt.Sprintf("%d bytes", r.GetLagBytes())
		}
		if r.GetLastIo() != nil {
			heard = span(r.GetLastIo()) + " ago"
		}
		g.row(r.GetAddress(), fmt.Sprint(r.GetPriority()), fmt.Sprint(r.GetOffset()), behind, heard, or(r.GetLink()), or(r.GetPassedOver()))
	}
	g.wrapLast()
	g.print()
}

func (p *Printer) planned(plan []*pointsmanv1.PlannedStep) {
	if len(plan) == 0 {
		return
	}
	p.printf("\n")
	g := p.grid(cols("STAGE", "STEP", "OBJECT", "STANDS", "FOUND", "WOULD BE"))
	for _, s := range plan {
		found := or(oneLine(s.GetFound()))
		if s.GetProblem() != "" {
			found = p.paint(bad, oneLine(s.GetProblem()))
		}
		g.row(s.GetStage(), s.GetStep(), or(s.GetObject()), or(s.GetVerdict()), found, or(s.GetWanted()))
	}
	g.wrapLast()
	g.print()
}

// Progress tells of one failover what has changed since it was told last.
type Progress struct {
	told map[string]string
}

// Progress writes the failover's acceptance, each action when it changes, and
// its end.
func (p *Printer) Progress(seen *Progress, f *pointsmanv1.Failover) {
	if seen.told == nil {
		seen.told = map[string]string{}
		p.printf("\n%s accepted: %s -> %s, epoch %d\n", f.GetId(), or(f.GetFrom()), or(f.GetTo()), f.GetSentinelEpoch())
	}
	for _, a := range f.GetActions() {
		if line := p.actionLine(a); seen.told[a.GetId()] != line {
			seen.told[a.GetId()] = line
			p.printf("  %s\n", line)
		}
	}
	if f.GetSettledAt() != nil {
		p.printf("%s %s after %s: %s\n", f.GetId(), p.failoverState(f), took(f), tally(f.GetActions()))
	}
}
