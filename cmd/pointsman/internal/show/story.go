package show

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Failover writes one failover as a timeline: everything relative to its
// promotion, or to its acceptance where that is not known, by the log clock; now
// is that clock, nil when unknown.
func (p *Printer) Failover(f *pointsmanv1.Failover, now *durationpb.Duration) {
	t := newTimeline(f, now)
	p.printf("%s  %s  %s -> %s\n", p.paint(bold, "FAILOVER "+f.GetId()), p.failoverState(f), or(f.GetFrom()), or(f.GetTo()))
	for _, line := range t.summary(now) {
		p.printf("  %s\n", line)
	}
	p.bars(t)
	p.events(t)
	p.plan(f)
	if f.GetState() == pointsmanv1.FailoverState_FAILOVER_STATE_OBSERVED {
		p.printf("\nwhat became of it, after the promotion\n")
		p.scores(f)
	}
	p.evidence(f)
	p.nextOf(f)
}

// summary says in sentences how a failover stands.
func (t *timeline) summary(now *durationpb.Duration) []string {
	f := t.failover
	accepted := "accepted " + wall(f.GetAcceptedTime())
	if now != nil {
		accepted += ", " + since(f.GetAcceptedAt(), now) + " ago,"
	}
	lines := []string{fmt.Sprintf("%s by %s (term %d, log index %d): config-epoch %d, rule %s, spec revision %d", accepted,
		or(f.GetAcceptedNode()), f.GetAcceptedTerm(), f.GetAcceptedIndex(), f.GetSentinelEpoch(), or(Word(f.GetKind())), f.GetSpecRevision())}
	if a := f.GetAsked(); a != nil {
		lines = append(lines, askedLine(f, a))
	}
	counted := tally(f.GetActions())
	switch {
	case len(f.GetActions()) == 0:
		return append(lines, "no actions: the plan was empty")
	case f.GetState() == pointsmanv1.FailoverState_FAILOVER_STATE_OBSERVED:
		return append(lines, fmt.Sprintf("only observed: %s planned, none carried out", count(len(f.GetActions()), "action")))
	case !t.open:
		lines = append(lines, fmt.Sprintf("%s after %s: %s", or(Word(f.GetState())), Span(t.end-t.accepted), counted))
		return append(lines, t.chain()...)
	}
	lines = append(lines, fmt.Sprintf("open for %s: %s", Span(t.end-t.accepted), counted))
	lines = append(lines, t.chain()...)
	for _, a := range f.GetActions() {
		if !Final(a.GetState()) {
			lines = append(lines, standing(a))
		}
	}
	return lines
}

// chain is the way from the promotion to the end in one line, each moment as a
// span after the first; none when only the acceptance is known.
func (t *timeline) chain() []string {
	words := []string{"accepted"}
	if t.accepted > 0 {
		words = []string{"promoted", "accepted " + Span(t.accepted)}
	}
	request, sent := t.request()
	if sent {
		words = append(words, "first request "+Span(request.at))
	}
	if t.accepted == 0 && !sent {
		return nil
	}
	if !t.open {
		words = append(words, Word(t.failover.GetState())+" "+Span(t.end))
	}
	return []string{strings.Join(words, " → ")}
}

// standing says what an open action is at, in one line.
func standing(a *pointsmanv1.Action) string {
	state := Word(a.GetState())
	switch a.GetState() {
	case pointsmanv1.ActionState_ACTION_STATE_STUCK:
		state = "is stuck and waits for a human"
	case pointsmanv1.ActionState_ACTION_STATE_CLAIMED:
		state = "is being carried out by " + or(a.GetNodeId())
	case pointsmanv1.ActionState_ACTION_STATE_WAITING:
		state = "is written and waits for the provider"
	case pointsmanv1.ActionState_ACTION_STATE_PENDING:
		state = "is not begun"
		if a.GetAttempts() > 0 {
			state = fmt.Sprintf("is tried again (%s so far)", count(int(a.GetAttempts()), "attempt"))
		}
	}
	if a.GetInDoubt() {
		state += ", in doubt"
	}
	if w := waits(a); w != none {
		state += ": " + w
	}
	return a.GetId() + " " + state
}

// events writes the story; request ids are for -o wide.
func (p *Printer) events(t timeline) {
	p.printf("\n")
	g := p.grid(cols("TIME", "STEP", "BY", "WHAT"))
	for _, e := range t.events {
		what := e.what
		if p.wide() && len(e.requests) > 0 {
			what += " [" + strings.Join(e.requests, " ") + "]"
		}
		g.row(relative(e.at), or(e.step), or(e.by), what)
	}
	g.wrapLast()
	g.print()
}

// deeds are the events of one action. Failed attempts in a row that failed for
// the same reason are one event.
func (t *timeline) deeds(a *pointsmanv1.Action) []event {
	var events []event
	numbers := attemptNames(a)
	told := false // the last attempt told the end
	all := a.GetHistory()
	for i := 0; i < len(all); i++ {
		h, first := all[i], i
		requests := h.GetRequestIds()
		for i+1 < len(all) && alike(h, all[i+1]) {
			i++
			requests = append(requests[:len(requests):len(requests)], all[i].GetRequestIds()...)
		}
		told = h.GetOutcome() == a.GetState()
		events = append(events, event{
			at: t.after(h.GetSettledAt()), step: a.GetStep(), by: t.by(h), requests: requests,
			what: t.attempt(a, h, numbers[first], numbers[i], all[i]),
		})
	}
	if !told && a.GetSettledAt() != nil {
		what := strings.TrimSpace(Word(a.GetState()) + " " + Word(a.GetEffect()))
		events = append(events, event{at: t.after(a.GetSettledAt()), step: a.GetStep(), what: because(what, a.GetReason())})
	}
	return events
}

// alike reports whether two attempts in a row need not be told apart.
func alike(a, b *pointsmanv1.Attempt) bool {
	return a.GetOutcome() == pointsmanv1.ActionState_ACTION_STATE_PENDING && b.GetOutcome() == a.GetOutcome() &&
		a.GetReason() == b.GetReason() && a.GetInDoubt() == b.GetInDoubt() && a.GetTerm() == b.GetTerm() && a.GetNodeId() == b.GetNodeId()
}

// by is the node that made an attempt; its term where another leader than the
// one that accepted was at work.
func (t *timeline) by(h *pointsmanv1.Attempt) string {
	if h.GetTerm() != t.failover.GetAcceptedTerm() {
		return fmt.Sprintf("%s (term %d)", or(h.GetNodeId()), h.GetTerm())
	}
	return h.GetNodeId()
}

// attempt tells one attempt, or a row of them up to last.
func (t *timeline) attempt(a *pointsmanv1.Action, h *pointsmanv1.Attempt, from, to string, last *pointsmanv1.Attempt) string {
	doubt := ""
	if h.GetInDoubt() {
		doubt = ", in doubt"
	}
	switch h.GetOutcome() {
	case pointsmanv1.ActionState_ACTION_STATE_PENDING:
		if h != last {
			return because(fmt.Sprintf("attempts %s to %s failed%s, the last at %s", from, to, doubt, relative(t.after(last.GetSettledAt()))), h.GetReason())
		}
		return because(attemptWord(from)+" failed"+doubt, h.GetReason())
	case pointsmanv1.ActionState_ACTION_STATE_WAITING:
		return because(attemptWord(from)+": written, waits for the provider", h.GetReason())
	case pointsmanv1.ActionState_ACTION_STATE_DONE:
		return because(strings.TrimSpace(attemptWord(from)+": done "+Word(a.GetEffect())), h.GetReason())
	case pointsmanv1.ActionState_ACTION_STATE_STUCK:
		return because(attemptWord(from)+": stuck"+doubt, h.GetReason())
	}
	return because(attemptWord(from)+": "+outcome(h), h.GetReason())
}

func attemptWord(number string) string {
	if number == none {
		return "an attempt"
	}
	return "attempt " + number
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

func (p *Printer) plan(f *pointsmanv1.Failover) {
	if len(f.GetActions()) == 0 {
		return
	}
	p.printf("\n")
	g := p.grid(cols("STAGE", "STEP", "STATE", "EFFECT", "ATTEMPTS", "OBJECT", "WANTED"))
	for _, a := range f.GetActions() {
		g.row(or(a.GetStage()), or(a.GetStep()), p.actionState(a), or(Word(a.GetEffect())), fmt.Sprint(a.GetAttempts()),
			or(a.GetObject()), or(a.GetWanted()))
	}
	g.wrapLast()
	g.print()
}

func (p *Printer) evidence(f *pointsmanv1.Failover) {
	if len(f.GetEvidence()) == 0 {
		return
	}
	p.printf("\naccepted upon\n")
	for _, e := range f.GetEvidence() {
		p.printf("  %s\n", oneLine(e))
	}
}

// nextOf says what to type when a human is needed, or where there is more.
func (p *Printer) nextOf(f *pointsmanv1.Failover) {
	for _, a := range f.GetActions() {
		if a.GetState() == pointsmanv1.ActionState_ACTION_STATE_STUCK {
			p.printf("\nnext: %s\n", stuckNext(a))
			return
		}
	}
	for _, a := range f.GetActions() {
		if a.GetAttempts() > 1 || a.GetInDoubt() {
			fmt.Fprintf(p.Talk, "pointsman actions show %s has each attempt and the provider's request ids\n", a.GetId())
			return
		}
	}
}

func stuckNext(a *pointsmanv1.Action) string {
	return fmt.Sprintf("pointsman actions retry %s, or pointsman actions abandon %s --reason TEXT", a.GetId(), a.GetId())
}

// Final reports whether an action in this state never changes again.
func Final(s pointsmanv1.ActionState) bool {
	switch s {
	case pointsmanv1.ActionState_ACTION_STATE_DONE,
		pointsmanv1.ActionState_ACTION_STATE_SUPERSEDED,
		pointsmanv1.ActionState_ACTION_STATE_ABANDONED,
		pointsmanv1.ActionState_ACTION_STATE_OBSERVED:
		return true
	}
	return false
}
