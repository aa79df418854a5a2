package show

import (
	"fmt"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Preflight writes a paragraph for each step: what stands there, what a
// failover would make of it, and what is in its way.
func (p *Printer) Preflight(m *pointsmanv1.Preflight) {
	wrong := 0
	for _, c := range m.GetChecks() {
		word, shade := "ok", good
		if len(c.GetProblems()) > 0 {
			word, shade = "not ready", bad
			wrong++
		}
		p.printf("\n%s  %s/%s  %s  %s\n", p.paint(shade, word), c.GetMaster(), c.GetStep(), c.GetKind(), c.GetObject())
		if c.GetFound() != "" {
			p.printf("  now       %s%s\n", oneLine(c.GetFound()), bracketed(c.GetVerdict()))
		}
		for _, o := range c.GetOutcomes() {
			p.printf("  to        %s: %s%s\n", o.GetAddress(), oneLine(o.GetWanted()), alreadySo(o.GetVerdict()))
		}
		if c.GetTypical() != nil {
			p.printf("  took      %s so far (median)\n", span(c.GetTypical()))
		}
		for _, why := range c.GetProblems() {
			p.printf("  %s   %s\n", p.paint(bad, "problem"), oneLine(why))
		}
	}
	if len(m.GetChecks()) == 0 {
		p.printf("no step in any plan: failovers would be recorded, and nothing else done\n")
		return
	}
	p.printf("\n%s looked at in %s, %d not ready\n", count(len(m.GetChecks()), "step"), span(m.GetTook()), wrong)
}

func bracketed(verdict string) string {
	if verdict == "" {
		return ""
	}
	return fmt.Sprintf("  (%s)", verdict)
}

// alreadySo says what is worth knowing of an outcome beside its value: most are absent.
func alreadySo(verdict string) string {
	if verdict == "applied" || verdict == "staged" {
		return "  (stands so already)"
	}
	return ""
}
