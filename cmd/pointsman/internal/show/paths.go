package show

import (
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// paths lists what the nodes meet on the data paths of masters; nothing when
// there are none.
func (p *Printer) paths(masters ...*pointsmanv1.Master) {
	g, some := p.grid(cols("DATA PATH", "STEP", "ZONE", "MEETS", "SINCE", "SEEN", "BY", "+RUN ID", "NOTES")), false
	for _, m := range masters {
		for _, r := range m.GetProbes() {
			some = true
			g.row(r.GetAddress(), m.GetId()+"/"+r.GetStep(), or(r.GetZone()), p.met(r), span(r.GetSince()), span(r.GetAge()),
				or(r.GetNodeId()), or(short(r.GetRunId())), or(r.GetDetail()))
		}
	}
	if some {
		p.printf("\n")
		g.print()
	}
}

// met is who answered, marked when it is not the master.
func (p *Printer) met(r *pointsmanv1.ProbeReport) string {
	switch r.GetState() {
	case pointsmanv1.ProbeState_PROBE_STATE_OK:
		return "ok"
	case pointsmanv1.ProbeState_PROBE_STATE_UNSPECIFIED:
		return p.paint(warn, "unknown")
	}
	word := Word(r.GetState())
	if r.GetReached() != "" {
		word += ": " + r.GetReached()
	}
	return p.paint(bad, word)
}
