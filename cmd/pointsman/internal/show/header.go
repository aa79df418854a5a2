package show

import (
	"fmt"
	"strings"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Header says who answered, and how fresh the answer is: to Talk when a leader
// confirmed it, and loudly to Out when nobody did.
func (p *Printer) Header(h *pointsmanv1.ResponseHeader) {
	if h.GetStale() {
		p.printf("%s\n", p.paint(bad, staleLine(h)))
		return
	}
	fmt.Fprintln(p.Talk, headerLine(h))
}

// headerLine is one line for people.
func headerLine(h *pointsmanv1.ResponseHeader) string {
	parts := []string{"answered by " + or(h.GetNodeId())}
	if h.GetLeaderId() != "" {
		parts = append(parts, "leader "+h.GetLeaderId())
	} else {
		parts = append(parts, "no leader known")
	}
	parts = append(parts, fmt.Sprintf("term %d", h.GetTerm()), fmt.Sprintf("applied %d", h.GetAppliedIndex()))
	return strings.Join(parts, " · ")
}

func staleLine(h *pointsmanv1.ResponseHeader) string {
	how := "answered for itself alone"
	switch {
	case h.GetNodeId() == h.GetLeaderId():
		how = "answered as the leader without asking the others"
	case h.GetAge() != nil:
		how += ", last in contact with a leader " + Span(h.GetAge().AsDuration()) + " ago"
	}
	return fmt.Sprintf("STALE: %s %s; term %d, applied %d; others may know more",
		or(h.GetNodeId()), how, h.GetTerm(), h.GetAppliedIndex())
}
