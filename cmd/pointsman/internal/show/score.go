package show

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Scores writes a line for each step of each master of which observed failovers
// are kept: what became of its object without Pointsman, and when Pointsman
// would have begun.
func (p *Printer) Scores(all []*pointsmanv1.MasterScore) {
	if len(all) == 0 {
		p.printf("nothing is scored: no master is only observed (observe_only: true in the spec), and no score is kept of one that was\n")
		return
	}
	g := p.grid(cols("MASTER", "STEP", "OBSERVED", "RESULTS", "WOULD BEGIN", "CAME BY", "AT MOST", "WOULD BE STUCK", "+KIND", "+OBJECT"))
	for _, m := range all {
		if len(m.GetSteps()) == 0 {
			g.row(m.GetMaster(), none, fmt.Sprint(m.GetFailovers()), none, none, none, none, none, none, none)
		}
		for _, s := range m.GetSteps() {
			g.row(m.GetMaster(), s.GetStep(), fmt.Sprint(s.GetFailovers()), p.results(s.GetResults()), spanned(s.GetWouldBegin()), spanned(s.GetCameBy()),
				spanned(s.GetCameByMost()), fmt.Sprint(s.GetWouldBeStuck()), s.GetKind(), s.GetObject())
		}
	}
	g.print()
	for _, m := range all {
		if !m.GetObserveOnly() {
			fmt.Fprintf(p.Talk, "%s is no longer only observed: this is kept of the time when it was\n", m.GetMaster())
		}
	}
}

// results counts them: "came 3, set_back 1".
func (p *Printer) results(all []*pointsmanv1.ResultCount) string {
	var parts []string
	for _, r := range all {
		parts = append(parts, p.paint(resultTone(r.GetResult()), fmt.Sprintf("%s %d", Word(r.GetResult()), r.GetCount())))
	}
	return or(strings.Join(parts, ", "))
}

func resultTone(r pointsmanv1.ScoreResult) tone {
	switch r {
	case pointsmanv1.ScoreResult_SCORE_RESULT_CAME:
		return good
	case pointsmanv1.ScoreResult_SCORE_RESULT_NEVER, pointsmanv1.ScoreResult_SCORE_RESULT_WRONG, pointsmanv1.ScoreResult_SCORE_RESULT_SET_BACK,
		pointsmanv1.ScoreResult_SCORE_RESULT_STORED:
		return bad
	case pointsmanv1.ScoreResult_SCORE_RESULT_NO_OBJECT:
		return faint
	}
	return warn
}

func spanned(d *durationpb.Duration) string {
	if d == nil {
		return none
	}
	return Span(d.AsDuration())
}

// Observed writes what became of the objects of observed failovers, one by one.
func (p *Printer) Observed(all []*pointsmanv1.Failover) {
	for _, f := range all {
		p.printf("\n%s  %s -> %s  accepted %s\n", p.paint(bold, "FAILOVER "+f.GetId()), or(f.GetFrom()), or(f.GetTo()), wall(f.GetAcceptedTime()))
		p.scores(f)
	}
}

// scores is the part of a failover that was only observed: for each action what
// would have been, and what was seen. Times count from the promotion.
func (p *Printer) scores(f *pointsmanv1.Failover) {
	for _, a := range f.GetActions() {
		s := a.GetScore()
		if s == nil {
			continue
		}
		p.printf("  %s  %s\n", a.GetStep(), p.paint(resultTone(s.GetResult()), Word(s.GetResult())))
		p.printf("    pointsman  %s\n", oneLine(wouldHave(f, s)))
		if s.GetLooks() == 0 {
			continue
		}
		for _, l := range append([]*pointsmanv1.ScoreLook{s.GetFirst()}, s.GetSeen()...) {
			p.printf("    %9s  %s\n", "+"+Span(l.GetAt().AsDuration()), oneLine(lookLine(a, f, l)))
		}
		p.printf("    seen       %s\n", theirs(s))
	}
}

// wouldHave says what Pointsman would have done, and when.
func wouldHave(f *pointsmanv1.Failover, s *pointsmanv1.ActionScore) string {
	when := "with the acceptance"
	if s.GetWouldBegin() != nil && f.GetPromotedBefore() != nil {
		when = Span(s.GetWouldBegin().AsDuration()) + " after the promotion"
	}
	if s.GetWouldWait() != "" {
		when = "after " + s.GetWouldWait()
	}
	if s.GetWould() == "" {
		return "would have begun " + when
	}
	return s.GetWould() + ", begun " + when
}

// lookLine is one look in words.
func lookLine(a *pointsmanv1.Action, f *pointsmanv1.Failover, l *pointsmanv1.ScoreLook) string {
	found := because("", l.GetFound())
	switch l.GetShows() {
	case "wanted":
		return "as wanted" + found
	case "stored":
		return "as wanted, and the provider counts changes that are not applied" + found
	case "nothing":
		return "cannot be read" + found
	case "unknown":
		return "nothing tells which value stands there" + found
	}
	switch l.GetAddress() {
	case "":
		return "points at no candidate" + found
	case f.GetFrom():
		return "points at " + l.GetAddress() + ", the old master" + found
	}
	return fmt.Sprintf("points at %s, which is neither the old master nor the new one%s", l.GetAddress(), found)
}

// theirs sums the looks up.
func theirs(s *pointsmanv1.ActionScore) string {
	var parts []string
	switch came := s.GetCameBy(); {
	case came == nil:
		parts = append(parts, "the wanted value has not come")
	case s.GetCameAfter() == nil:
		parts = append(parts, fmt.Sprintf("the wanted value stood there at the first look, +%s", Span(came.AsDuration())))
	default:
		parts = append(parts, fmt.Sprintf("the wanted value came between +%s and +%s", Span(s.GetCameAfter().AsDuration()), Span(came.AsDuration())))
	}
	parts = append(parts, count(int(s.GetChanges()), "change"))
	if s.GetWrong() > 0 {
		parts = append(parts, fmt.Sprintf("%d to a wrong value", s.GetWrong()))
	}
	if s.GetSetBack() > 0 {
		parts = append(parts, fmt.Sprintf("%d away from the wanted one", s.GetSetBack()))
	}
	parts = append(parts, fmt.Sprintf("%s, the last at +%s", count(int(s.GetLooks()), "look"), Span(s.GetLastLook().AsDuration())))
	if s.GetLeaderChanges() > 0 {
		parts = append(parts, fmt.Sprintf("%s not seen (the leader changed)", Span(s.GetUnseen().AsDuration())))
	}
	return strings.Join(parts, ", ")
}
