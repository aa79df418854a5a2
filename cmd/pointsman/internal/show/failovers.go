package show

import (
	"fmt"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Failovers writes the table of failovers.
func (p *Printer) Failovers(all []*pointsmanv1.Failover) {
	if len(all) == 0 {
		p.printf("no failovers\n")
		return
	}
	g := p.grid(cols("FAILOVER", "STATE", "FROM", "TO", "EPOCH", "ACCEPTED", "TOOK", "ACTIONS", "+PROMOTED", "+REQUEST", "+KIND", "+NODE", "+TERM", "+SPEC"))
	for _, f := range all {
		g.row(p.failoverCells(f)...)
	}
	g.print()
}

func (p *Printer) failoverCells(f *pointsmanv1.Failover) []string {
	return []string{
		f.GetId(), p.failoverState(f), f.GetFrom(), f.GetTo(), fmt.Sprint(f.GetSentinelEpoch()),
		wall(f.GetAcceptedTime()), took(f), tally(f.GetActions()), before(f.GetPromotedBefore()), request(f),
		or(Word(f.GetKind())), or(f.GetAcceptedNode()), fmt.Sprint(f.GetAcceptedTerm()), fmt.Sprint(f.GetSpecRevision()),
	}
}

// FailoverEvent writes one message of a watch as a line.
func (p *Printer) FailoverEvent(f *pointsmanv1.Failover) {
	p.printf("%s  %s  %s -> %s  epoch %d  %s  took %s\n", f.GetId(), p.failoverState(f),
		or(f.GetFrom()), or(f.GetTo()), f.GetSentinelEpoch(), tally(f.GetActions()), took(f))
	for _, a := range f.GetActions() {
		p.printf("  %s\n", p.actionLine(a))
	}
}

func (p *Printer) failoverState(f *pointsmanv1.Failover) string {
	word := or(Word(f.GetState()))
	switch f.GetState() {
	case pointsmanv1.FailoverState_FAILOVER_STATE_DONE:
		return p.paint(good, word)
	case pointsmanv1.FailoverState_FAILOVER_STATE_STUCK:
		return p.paint(bad, word)
	}
	return p.paint(warn, word)
}

func took(f *pointsmanv1.Failover) string {
	d, ok := between(f.GetAcceptedAt(), f.GetSettledAt())
	if !ok {
		return none
	}
	return Span(d)
}

// before is a span before the acceptance.
func before(d *durationpb.Duration) string {
	if d == nil {
		return none
	}
	return "-" + Span(d.AsDuration())
}

// request is when the first changing request left, after the acceptance.
func request(f *pointsmanv1.Failover) string {
	t := timeline{failover: f}
	e, ok := t.request()
	if !ok {
		return none
	}
	return "+" + Span(e.at)
}

// tally counts actions by state: "2/3 done".
func tally(actions []*pointsmanv1.Action) string {
	done := 0
	if len(actions) > 0 && actions[0].GetState() == pointsmanv1.ActionState_ACTION_STATE_OBSERVED {
		return fmt.Sprintf("%d observed", len(actions))
	}
	for _, a := range actions {
		if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_DONE {
			done++
		}
	}
	return fmt.Sprintf("%d/%d done", done, len(actions))
}
