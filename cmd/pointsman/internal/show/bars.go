package show

import (
	"strings"
	"time"
	"unicode/utf8"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Bounds of the bars in a terminal, in columns.
const (
	leastBar  = 20  // a narrower terminal gets none
	widestBar = 100 // more says nothing more
	widestEnd = 38  // of the words behind a bar
)

// bars draws the actions of a failover side by side. Only a terminal gets
// them: elsewhere the story below says the same in lines that a script can
// read.
func (p *Printer) bars(t timeline) {
	names, ends := laneNames(t), laneEnds(t)
	width := min(p.Width-longest(names)-min(longest(ends), widestEnd)-6, widestBar)
	if p.Width == 0 || width < leastBar || len(t.lanes) == 0 || t.end <= 0 {
		return
	}
	p.printf("\n")
	pad := strings.Repeat(" ", longest(names)+4)
	labels, ticks := axis(t.end, width)
	p.printf("%s%s\n%s%s\n", pad, p.paint(faint, labels), pad, p.paint(faint, ticks))
	for i, l := range t.lanes {
		p.printf("  %s  %s %s\n", padded(names[i], longest(names)), p.bar(l, t.end, width), cut(ends[i], widestEnd))
	}
	p.printf("%s%s\n", pad, p.paint(faint, "█ at work  ▒ the provider applies it  · waits  ● done  ✗ stuck  ○ given up"))
}

// bar is one lane in so many columns, its mark behind them.
func (p *Printer) bar(l lane, end time.Duration, width int) string {
	cells := []rune(strings.Repeat(" ", width))
	for _, s := range []stretch{idle, provider, acting} { // an attempt is seen however short it was
		for _, piece := range l.pieces {
			if piece.sort == s {
				fill(cells, glyph(s), piece.from, piece.to, end)
			}
		}
	}
	mark, how := laneMark(l.action)
	at := min(cell(l.ended, end, width)+1, width)
	line := append(cells[:at:at], []rune(mark)...)
	return p.paint(how, string(line)) + strings.Repeat(" ", width-at)
}

func fill(cells []rune, g rune, from, to, end time.Duration) {
	last := cell(to, end, len(cells))
	for i := cell(from, end, len(cells)); i <= last; i++ {
		cells[i] = g
	}
}

// cell is the column of a moment.
func cell(at, end time.Duration, width int) int {
	if end <= 0 {
		return 0
	}
	return max(0, min(int(float64(at)/float64(end)*float64(width)), width-1))
}

func glyph(s stretch) rune {
	switch s {
	case acting:
		return '█'
	case provider:
		return '▒'
	}
	return '·'
}

// laneMark is how an action ended; a blank while it is open.
func laneMark(a *pointsmanv1.Action) (string, tone) {
	switch a.GetState() {
	case pointsmanv1.ActionState_ACTION_STATE_DONE:
		return "●", good
	case pointsmanv1.ActionState_ACTION_STATE_STUCK:
		return "✗", bad
	case pointsmanv1.ActionState_ACTION_STATE_SUPERSEDED, pointsmanv1.ActionState_ACTION_STATE_ABANDONED, pointsmanv1.ActionState_ACTION_STATE_OBSERVED:
		return "○", faint
	}
	return " ", warn
}

// axis is the line of labels and the line of ticks for a span.
func axis(end time.Duration, width int) (labels, ticks string) {
	text, marks := []rune(strings.Repeat(" ", width+1)), []rune(strings.Repeat("─", width))
	step := tickStep(end, width/12)
	for at := time.Duration(0); at <= end; at += step {
		i, label := cell(at, end, width), []rune(tickWord(at))
		marks[i] = '┬'
		if i+len(label) <= len(text) {
			copy(text[i:], label)
		}
	}
	marks[0] = '├'
	return strings.TrimRight(string(text), " "), string(marks)
}

// tickStep is a round span that divides end into about n parts.
func tickStep(end time.Duration, n int) time.Duration {
	rough := max(end/time.Duration(max(n, 1)), time.Microsecond)
	for unit := time.Microsecond; unit < time.Minute; unit *= 10 {
		for _, k := range []time.Duration{1, 2, 5} {
			if k*unit >= rough && k*unit <= 30*time.Second {
				return k * unit
			}
		}
	}
	for _, d := range []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour} {
		if d >= rough {
			return d
		}
	}
	return rough.Truncate(24*time.Hour) + 24*time.Hour
}

// tickWord is a span on an axis: 0, 300ms, 2s, 1m30s, 6h.
func tickWord(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func laneNames(t timeline) []string {
	var all []string
	for _, l := range t.lanes {
		all = append(all, strings.TrimPrefix(l.action.GetStage()+"/"+l.action.GetStep(), "/"))
	}
	return all
}

// laneEnds are the words behind the bars.
func laneEnds(t timeline) []string {
	var all []string
	for _, l := range t.lanes {
		end := Word(l.action.GetState())
		if l.action.GetInDoubt() {
			end += " (in doubt)"
		}
		if e := Word(l.action.GetEffect()); e != "" {
			end += ", " + e
		}
		end += " " + relative(l.ended)
		if n := l.action.GetAttempts(); n > 1 {
			end += ", " + count(int(n), "attempt")
		}
		all = append(all, end)
	}
	return all
}

func longest(words []string) int {
	n := 0
	for _, w := range words {
		n = max(n, utf8.RuneCountInString(w))
	}
	return n
}

func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// cut shortens a text to so many columns.
func cut(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	return string(r[:width-1]) + "…"
}
