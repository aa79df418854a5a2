package show

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Measures of the drawing, in its own units.
const (
	svgWidth  = 960
	svgPad    = 24
	svgNames  = 190 // of the column of names
	svgEnds   = 230 // of the column of ends
	svgLane   = 30
	svgBar    = 14
	svgLetter = 7.3 // width of a letter of 12 units
	svgLine   = 18
	svgEvents = 60 // most events that are written below
)

// Where the bars begin and end.
const (
	barsFrom = svgPad + svgNames
	barsTo   = svgWidth - svgPad - svgEnds
)

// svgStyle has a panel of its own, so that the drawing can be read on a page of
// any colour, and follows the reader's choice of light or dark.
const svgStyle = `<style>
.panel{fill:#ffffff;stroke:#c9d1d9}.ink{fill:#1f2328}.dim{fill:#59636e}.grid{stroke:#d8dee4}
.acting{fill:#0969da}.provider{fill:#bf8700}.idle{stroke:#8c959f}.done{fill:#1a7f37}.stuck{fill:#cf222e}.gone{fill:#6e7781}
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}text.head{font-size:15px;font-weight:600}
@media (prefers-color-scheme:dark){.panel{fill:#0d1117;stroke:#3d444d}.ink{fill:#f0f6fc}.dim{fill:#9198a1}.grid{stroke:#2a313c}
.acting{fill:#4493f8}.provider{fill:#d29922}.idle{stroke:#656c76}.done{fill:#3fb950}.stuck{fill:#f85149}.gone{fill:#9198a1}}
</style>`

// FailoverSVG writes one failover as a drawing in a file of its own: it loads
// nothing and runs nothing. now is the log clock, nil when unknown.
func FailoverSVG(w io.Writer, f *pointsmanv1.Failover, now *durationpb.Duration) error {
	d := &drawing{t: newTimeline(f, now)}
	d.head()
	d.axis()
	for i, l := range d.t.lanes {
		d.lane(i, l)
	}
	d.legend()
	d.story()
	_, err := io.WriteString(w, d.whole())
	return err
}

// drawing is an SVG under way; y is where the next thing goes.
type drawing struct {
	t    timeline
	body bytes.Buffer
	y    float64
}

func (d *drawing) whole() string {
	f := d.t.failover
	height := d.y + svgPad
	title := escaped(fmt.Sprintf("Failover %s: %s, %s to %s", f.GetId(), Word(f.GetState()), or(f.GetFrom()), or(f.GetTo())))
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\" role=\"img\" aria-label=\"%s\">\n"+
		"<title>%s</title>\n%s\n<rect class=\"panel\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%.0f\" rx=\"8\"/>\n%s</svg>\n",
		svgWidth, height, svgWidth, height, title, title, svgStyle, svgWidth-1, height-1, d.body.String())
}

// escaped is a text that cannot end its element or attribute; what XML cannot
// hold becomes U+FFFD.
func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(strings.ToValidUTF8(s, string(utf8.RuneError)))) // a buffer takes everything
	return b.String()
}

// text writes a text that fits so many units; the whole of one that is cut
// stands in its tip.
func (d *drawing) text(class string, x, y, room float64, s string) {
	s = oneLine(s)
	short, tip := cut(s, max(2, int(room/svgLetter))), ""
	if short != s {
		tip = "<title>" + escaped(s) + "</title>"
	}
	fmt.Fprintf(&d.body, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s%s</text>\n", class, x, y, tip, escaped(short))
}

func (d *drawing) head() {
	f := d.t.failover
	d.y = svgPad + 14
	d.text("ink head", svgPad, d.y, svgWidth*0.75, fmt.Sprintf("%s  %s  %s → %s", f.GetId(), Word(f.GetState()), or(f.GetFrom()), or(f.GetTo())))
	for _, line := range d.t.summary(nil) {
		d.y += svgLine
		d.text("dim", svgPad, d.y, svgWidth-2*svgPad, line)
	}
	d.y += svgLine
}

// x is the place of a moment.
func (d *drawing) x(at time.Duration) float64 {
	if d.t.end <= 0 {
		return barsFrom
	}
	return barsFrom + float64(at)/float64(d.t.end)*(barsTo-barsFrom)
}

func (d *drawing) axis() {
	d.y += svgLine
	bottom := d.y + 8 + float64(len(d.t.lanes))*svgLane
	step := tickStep(d.t.end, 8)
	for at := time.Duration(0); at <= d.t.end; at += step {
		fmt.Fprintf(&d.body, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", d.x(at), d.y+6, d.x(at), bottom)
		d.text("dim", d.x(at)-4, d.y, 60, tickWord(at))
	}
	d.y += 8
}

func (d *drawing) lane(i int, l lane) {
	middle := d.y + svgLane/2
	d.text("ink", svgPad, middle+4, svgNames-8, laneNames(d.t)[i])
	for _, sort := range []stretch{idle, provider, acting} {
		for _, p := range l.pieces {
			if p.sort == sort {
				d.piece(p, middle)
			}
		}
	}
	if class := markClass(l.action); class != "" {
		fmt.Fprintf(&d.body, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>\n", class, d.x(l.ended), middle)
	}
	d.text("ink", barsTo+14, middle+4, svgEnds-8, laneEnds(d.t)[i])
	d.y += svgLane
}

func (d *drawing) piece(p piece, middle float64) {
	from, to := d.x(p.from), d.x(p.to)
	if p.sort == idle {
		fmt.Fprintf(&d.body, "<line class=\"idle\" stroke-dasharray=\"2 4\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", from, middle, to, middle)
		return
	}
	class := "provider"
	if p.sort == acting {
		class = "acting"
	}
	fmt.Fprintf(&d.body, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n",
		class, from, middle-svgBar/2, max(to-from, 3), svgBar)
}

func markClass(a *pointsmanv1.Action) string {
	switch {
	case a.GetState() == pointsmanv1.ActionState_ACTION_STATE_DONE:
		return "done"
	case a.GetState() == pointsmanv1.ActionState_ACTION_STATE_STUCK:
		return "stuck"
	case Final(a.GetState()):
		return "gone"
	}
	return ""
}

func (d *drawing) legend() {
	d.y += svgLine
	x := float64(barsFrom)
	for _, entry := range [][2]string{{"acting", "at work"}, {"provider", "the provider applies it"}, {"done", "done"}, {"stuck", "stuck"}, {"gone", "given up"}} {
		fmt.Fprintf(&d.body, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" rx=\"2\"/>\n", entry[0], x, d.y-9)
		d.text("dim", x+15, d.y, 200, entry[1])
		x += 15 + svgLetter*float64(len(entry[1])) + 18
	}
	d.y += svgLine / 2
}

func (d *drawing) story() {
	for i, e := range d.t.events {
		d.y += svgLine
		if i == svgEvents {
			d.text("dim", svgPad, d.y, svgWidth, count(len(d.t.events)-i, "more event"))
			return
		}
		d.text("dim", svgPad, d.y, 80, relative(e.at))
		d.text("ink", svgPad+80, d.y, 140, or(e.step))
		d.text("dim", svgPad+230, d.y, 110, or(e.by))
		d.text("ink", svgPad+345, d.y, svgWidth-2*svgPad-345, e.what)
	}
}
