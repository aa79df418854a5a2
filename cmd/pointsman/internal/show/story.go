package show

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// event is one line of a failover's timeline.
type event struct {
	at   time.Duration // after acceptance
	who  string
	what string
}

// Failover writes one failover as a timeline: everything relative to its
// acceptance, by the log clock.
func (p *Printer) Failover(f *pointsmanv1.Failover) {
	p.printf("%s  %s  %s -> %s  epoch %d  (%s)\n", p.paint(bold, "FAILOVER "+f.GetId()), p.failoverState(f),
		or(f.GetFrom()), or(f.GetTo()), f.GetSentinelEpoch(), or(Word(f.GetKind())))
	p.field("accepted", fmt.Sprintf("%s by %s, term %d, log index %d, spec revision %d", wall(f.GetAcceptedTime()),
		or(f.GetAcceptedNode()), f.GetAcceptedTerm(), f.GetAcceptedIndex(), f.GetSpecRevision()))
	if d, ok := between(f.GetAcceptedAt(), f.GetSettledAt()); ok {
		p.field("settled", relative(d))
	}
	for _, e := range f.GetEvidence() {
		p.field("evidence", e)
	}
	p.timeline(f)
	p.plan(f)
}

func (p *Printer) timeline(f *pointsmanv1.Failover) {
	p.printf("\n")
	g := p.grid(cols("TIME", "WHO", "WHAT"))
	for _, e := range story(f) {
		g.row(relative(e.at), e.who, e.what)
	}
	g.print()
}

// story orders what is known of a failover by time. Entries of one instant
// keep the order of the plan.
func story(f *pointsmanv1.Failover) []event {
	events := []event{{0, f.GetId(), "accepted: " + or(f.GetTo()) + " is the master"}}
	for _, a := range f.GetActions() {
		events = append(events, deeds(f.GetAcceptedAt(), a)...)
	}
	if d, ok := between(f.GetAcceptedAt(), f.GetSettledAt()); ok {
		events = append(events, event{d, f.GetId(), Word(f.GetState())})
	}
	sort.SliceStable(events, func(i, j int) bool { return events[i].at < events[j].at })
	return events
}

func deeds(zero *durationpb.Duration, a *pointsmanv1.Action) []event {
	var events []event
	numbers := attemptNames(a)
	told := false // the last attempt told the end
	for i, h := range a.GetHistory() {
		d, ok := between(zero, h.GetSettledAt())
		if !ok {
			continue
		}
		became := outcome(h)
		if told = h.GetOutcome() == a.GetState(); told {
			became = strings.TrimSpace(became + " " + Word(a.GetEffect()))
		}
		what := fmt.Sprintf("%s by %s (term %d): %s", attemptWord(numbers[i]), or(h.GetNodeId()), h.GetTerm(), became)
		events = append(events, event{d, a.GetStep(), what + because(h.GetReason(), h.GetRequestIds())})
	}
	if d, ok := between(zero, a.GetSettledAt()); ok && !told {
		what := strings.TrimSpace(Word(a.GetState()) + " " + Word(a.GetEffect()))
		events = append(events, event{d, a.GetStep(), what + because(a.GetReason(), nil)})
	}
	return events
}

func attemptWord(number string) string {
	if number == none {
		return "an attempt"
	}
	return "attempt " + number
}

func because(reason string, requests []string) string {
	s := ""
	if reason != "" {
		s += ": " + reason
	}
	if len(requests) > 0 {
		s += " [" + strings.Join(requests, " ") + "]"
	}
	return s
}

func (p *Printer) plan(f *pointsmanv1.Failover) {
	if len(f.GetActions()) == 0 {
		p.printf("\nno actions: the plan was empty\n")
		return
	}
	p.printf("\n")
	g := p.grid(cols("STAGE", "STEP", "STATE", "EFFECT", "ATTEMPTS", "OBJECT", "WANTED", "WAITS FOR"))
	for _, a := range f.GetActions() {
		g.row(or(a.GetStage()), or(a.GetStep()), p.actionState(a), or(Word(a.GetEffect())), fmt.Sprint(a.GetAttempts()),
			or(a.GetObject()), or(a.GetWanted()), openOnly(a))
	}
	g.print()
}

// openOnly is what an action waits for; a final one waits for nothing.
func openOnly(a *pointsmanv1.Action) string {
	if Final(a.GetState()) {
		return none
	}
	return waits(a)
}

// Final reports whether an action in this state never changes again.
func Final(s pointsmanv1.ActionState) bool {
	switch s {
	case pointsmanv1.ActionState_ACTION_STATE_DONE,
		pointsmanv1.ActionState_ACTION_STATE_SUPERSEDED,
		pointsmanv1.ActionState_ACTION_STATE_ABANDONED:
		return true
	}
	return false
}
