package show

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Actions writes the table of actions; now is the log clock, nil when unknown.
func (p *Printer) Actions(all []*pointsmanv1.Action, now *durationpb.Duration) {
	if len(all) == 0 {
		p.printf("no actions\n")
		return
	}
	g := p.grid(cols("ACTION", "STATE", "EFFECT", "OBJECT", "ATTEMPTS", "SINCE", "OPENS IN",
		"+WANTED", "+KIND", "+STAGE", "+NODE", "+TERM", "+TOKEN", "WAITS FOR"))
	for _, a := range all {
		g.row(a.GetId(), p.actionState(a), or(Word(a.GetEffect())), or(a.GetObject()), fmt.Sprint(a.GetAttempts()),
			since(changed(a), now), remaining(a), or(a.GetWanted()), or(a.GetKind()), or(a.GetStage()), or(a.GetNodeId()),
			fmt.Sprint(a.GetTerm()), fmt.Sprint(a.GetToken()), openOnly(a))
	}
	g.wrapLast()
	g.print()
}

// changed is the log clock of the last step in an action's life that stands in
// it: settled, tried, or planned.
func changed(a *pointsmanv1.Action) *durationpb.Duration {
	if a.GetSettledAt() != nil {
		return a.GetSettledAt()
	}
	if n := len(a.GetHistory()); n > 0 && a.GetHistory()[n-1].GetSettledAt() != nil {
		return a.GetHistory()[n-1].GetSettledAt()
	}
	return a.GetPlannedAt()
}

func (p *Printer) actionState(a *pointsmanv1.Action) string {
	word := or(Word(a.GetState()))
	if a.GetInDoubt() {
		word += " (in doubt)"
	}
	return p.paint(stateTone(a.GetState()), word)
}

func stateTone(s pointsmanv1.ActionState) tone {
	switch s {
	case pointsmanv1.ActionState_ACTION_STATE_DONE:
		return good
	case pointsmanv1.ActionState_ACTION_STATE_STUCK:
		return bad
	case pointsmanv1.ActionState_ACTION_STATE_SUPERSEDED, pointsmanv1.ActionState_ACTION_STATE_ABANDONED, pointsmanv1.ActionState_ACTION_STATE_OBSERVED:
		return faint
	}
	return warn
}

// waits is what an open action stands at: its gates, its refresh or its reason.
func waits(a *pointsmanv1.Action) string {
	var all []string
	if w := gateWord(a); w != "" {
		all = append(all, w)
	}
	if len(all) == 0 && a.GetRefresh() != "" && a.GetState() == pointsmanv1.ActionState_ACTION_STATE_WAITING {
		all = append(all, "refresh "+a.GetRefresh())
	}
	if len(all) == 0 && a.GetReason() != "" {
		all = append(all, a.GetReason())
	}
	return or(strings.Join(all, "; "))
}

// gateWord joins the gates of an action; empty when there are none.
func gateWord(a *pointsmanv1.Action) string {
	var all []string
	for _, g := range a.GetGates() {
		all = append(all, strings.TrimSuffix(Word(g.GetKind())+": "+g.GetDetail(), ": "))
	}
	return strings.Join(all, "; ")
}

// gateWords says what a gate is and when it opens.
func gateWords(g *pointsmanv1.Gate) string {
	words := strings.TrimSuffix(Word(g.GetKind())+": "+g.GetDetail(), ": ")
	if g.GetRemaining() != nil {
		words += " (opens in " + span(g.GetRemaining()) + ")"
	}
	return words
}

// openOnly is what an open action waits for; a done one waits for nothing. One
// that was given up or superseded has its reason there.
func openOnly(a *pointsmanv1.Action) string {
	if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_DONE {
		return none
	}
	return waits(a)
}

// remaining is the longest time among the gates that open by themselves; none
// when one of them does not.
func remaining(a *pointsmanv1.Action) string {
	var longest *durationpb.Duration
	for _, g := range a.GetGates() {
		if g.GetRemaining() == nil {
			return none
		}
		if longest == nil || g.GetRemaining().AsDuration() > longest.AsDuration() {
			longest = g.GetRemaining()
		}
	}
	return span(longest)
}

// actionLine is an action in one line, for timelines and watches.
func (p *Printer) actionLine(a *pointsmanv1.Action) string {
	parts := []string{a.GetId(), p.actionState(a)}
	if w := Word(a.GetEffect()); w != "" {
		parts = append(parts, w)
	}
	if a.GetAttempts() > 0 {
		parts = append(parts, count(int(a.GetAttempts()), "attempt"))
	}
	if w := waits(a); w != none {
		parts = append(parts, w)
	}
	return strings.Join(parts, "  ")
}

// ActionEvent writes one message of a watch as a line.
func (p *Printer) ActionEvent(a *pointsmanv1.Action) { p.printf("%s\n", p.actionLine(a)) }

// Action writes one action in full; now is the log clock, nil when unknown.
func (p *Printer) Action(a *pointsmanv1.Action, now *durationpb.Duration) {
	p.printf("%s  %s", p.paint(bold, "ACTION "+a.GetId()), p.actionState(a))
	if w := Word(a.GetEffect()); w != "" {
		p.printf("  %s", w)
	}
	p.printf("\n")
	p.field("kind", a.GetKind())
	p.field("target", a.GetTarget())
	p.field("object", a.GetObject())
	p.field("wanted", a.GetWanted())
	p.field("stage", a.GetStage())
	if !strings.Contains(gateWord(a), a.GetReason()) {
		p.field("reason", a.GetReason())
	}
	p.field("refresh", a.GetRefresh())
	if p.wide() {
		p.field("checkpoint", a.GetCheckpoint())
		p.field("token", fmt.Sprint(a.GetToken()))
	}
	p.field("since", since(changed(a), now))
	if a.GetAttempts() > 0 {
		p.field("attempts", fmt.Sprintf("%d, the last by %s in term %d", a.GetAttempts(), or(a.GetNodeId()), a.GetTerm()))
	}
	for _, g := range a.GetGates() {
		p.field("waits for", gateWords(g))
	}
	p.attempts(a)
	if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_STUCK {
		p.printf("\nnext: %s\n", stuckNext(a))
	}
}

func (p *Printer) attempts(a *pointsmanv1.Action) {
	if len(a.GetHistory()) == 0 {
		return
	}
	p.printf("\n")
	g := p.grid(cols("ATTEMPT", "OUTCOME", "AFTER", "BY", "TERM", "LOG INDEX", "+TOKEN", "+CLAIMED", "+REQUEST", "REASON"))
	numbers := attemptNames(a)
	for i, h := range a.GetHistory() {
		g.row(numbers[i], outcome(h), since(a.GetPlannedAt(), h.GetSettledAt()), or(h.GetNodeId()),
			fmt.Sprint(h.GetTerm()), fmt.Sprint(h.GetIndex()), fmt.Sprint(h.GetToken()),
			since(a.GetPlannedAt(), h.GetClaimedAt()), span(h.GetFirstRequestAfter()), or(h.GetReason()))
	}
	g.wrapLast()
	g.print()
	p.requests(a, numbers)
}

// requests lists the provider's ids, for a support case.
func (p *Printer) requests(a *pointsmanv1.Action, numbers []string) {
	g := p.grid(cols("ATTEMPT", "OUTCOME", "REQUEST IDS"))
	some := false
	for i, h := range a.GetHistory() {
		if len(h.GetRequestIds()) > 0 {
			g.row(numbers[i], outcome(h), strings.Join(h.GetRequestIds(), " "))
			some = true
		}
	}
	if some {
		p.printf("\n")
		g.wrapLast()
		g.print()
	}
}

// attemptNames names each entry of the history: "1", "2", .... A claim settled
// twice (waiting, then done) keeps its number. When claims are missing from the
// history, because it is cut or their leaders died, there is no number to give.
func attemptNames(a *pointsmanv1.Action) []string {
	names := make([]string, len(a.GetHistory()))
	rank, last, current := 0, uint64(0), false
	for i, h := range a.GetHistory() {
		if h.GetToken() != last || i == 0 {
			rank, last = rank+1, h.GetToken()
		}
		current = current || h.GetToken() == a.GetToken()
		names[i] = fmt.Sprint(rank)
	}
	open := 0
	if !current && a.GetState() == pointsmanv1.ActionState_ACTION_STATE_CLAIMED {
		open = 1
	}
	if rank+open != int(a.GetAttempts()) {
		for i := range names {
			names[i] = none
		}
	}
	return names
}

func outcome(h *pointsmanv1.Attempt) string {
	word := Word(h.GetOutcome())
	if h.GetOutcome() == pointsmanv1.ActionState_ACTION_STATE_PENDING {
		word = "try again"
	}
	if h.GetInDoubt() {
		word += " (in doubt)"
	}
	return or(word)
}

// field writes one labelled line of a full view; nothing when it is empty.
func (p *Printer) field(label, text string) {
	if text != "" && text != none {
		p.printf("  %-10s  %s\n", label, oneLine(text))
	}
}
