package show

import (
	"fmt"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Settings writes the table of settings.
func (p *Printer) Settings(all []*pointsmanv1.Setting) {
	if len(all) == 0 {
		p.printf("no settings\n")
		return
	}
	g := p.grid(cols("KEY", "VALUE", "REVISION", "SET BY", "+UPDATED"))
	for _, s := range all {
		g.row(s.GetKey(), s.GetValue(), fmt.Sprint(s.GetRevision()), setBy(s), wall(s.GetUpdateTime()))
	}
	g.print()
}

// SettingEvent writes one change of a watch; deleted is the key of one that is
// gone.
func (p *Printer) SettingEvent(s *pointsmanv1.Setting, deleted string) {
	if deleted != "" {
		p.printf("%s  deleted\n", deleted)
		return
	}
	p.printf("%s = %s  (revision %d, %s)\n", s.GetKey(), s.GetValue(), s.GetRevision(), setBy(s))
}

func setBy(s *pointsmanv1.Setting) string {
	if s.GetSource() == "" {
		return "hand"
	}
	return s.GetSource()
}

// Revisions writes the table of the spec's revisions, the newest first.
func (p *Printer) Revisions(all []*pointsmanv1.SpecRevision) {
	if len(all) == 0 {
		p.printf("no spec was ever applied\n")
		return
	}
	g := p.grid(cols("REVISION", "APPLIED", "BY", "+INDEX", "REASON"))
	for _, r := range all {
		g.row(fmt.Sprint(r.GetRevision()), wall(r.GetApplyTime()), or(r.GetActor()), fmt.Sprint(r.GetIndex()), or(r.GetReason()))
	}
	g.print()
}
