package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Printer writes answers. It is not safe for concurrent use.
type Printer struct {
	Out    io.Writer // data
	Talk   io.Writer // who answered, hints
	Format Format
	Color  bool // the output is a terminal that may be coloured
	Width  int  // columns of the terminal that the output is; 0: it is none
	Stream bool // several values follow each other: a watch
}

// tone is how a word is coloured on a terminal.
type tone string

// The tones, as SGR codes.
const (
	plain tone = ""
	good  tone = "32"
	warn  tone = "33"
	bad   tone = "31;1"
	bold  tone = "1"
	faint tone = "2"
)

// paint colours s on a terminal; elsewhere it stays as it is.
func (p *Printer) paint(t tone, s string) string {
	if !p.Color || t == plain || s == "" || s == none {
		return s
	}
	return "\x1b[" + string(t) + "m" + s + "\x1b[0m"
}

func (p *Printer) wide() bool { return p.Format == Wide }

func (p *Printer) printf(format string, args ...any) {
	io.WriteString(p.Out, harmless(fmt.Sprintf(format, args...))) //nolint:errcheck // a broken pipe ends the process
}

// harmless drops every control character but line ends and our own colours: a
// provider's or a Sentinel's text must not steer the terminal.
func harmless(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r == '\n' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) || r == '\x1b' && ours(s[i:]) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func ours(s string) bool {
	for _, t := range []tone{good, warn, bad, bold, faint, "0"} {
		if strings.HasPrefix(s, "\x1b["+string(t)+"m") {
			return true
		}
	}
	return false
}

// grid is a table whose columns may be for -o wide only.
type grid struct {
	p     *Printer
	w     table.Writer
	keep  []bool
	heads table.Row
	wide  []int // longest cell of each kept column
}

// gap stands between two columns.
const gap = "  "

// column is one heading; wide columns stand only in -o wide.
type column struct {
	name string
	wide bool
}

// cols makes columns of headings; a leading "+" marks a wide one.
func cols(names ...string) []column {
	all := make([]column, len(names))
	for i, n := range names {
		all[i] = column{name: strings.TrimPrefix(n, "+"), wide: strings.HasPrefix(n, "+")}
	}
	return all
}

func (p *Printer) grid(columns []column) *grid {
	g := &grid{p: p, w: table.NewWriter()}
	for _, c := range columns {
		keep := !c.wide || p.wide()
		g.keep = append(g.keep, keep)
		if keep {
			g.heads = append(g.heads, p.paint(bold, c.name))
			g.wide = append(g.wide, len(c.name))
		}
	}
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box = table.BoxStyle{PaddingRight: gap}
	style.Format = table.FormatOptions{}
	g.w.SetStyle(style)
	g.w.SuppressTrailingSpaces()
	g.w.AppendHeader(g.heads)
	return g
}

func (g *grid) row(cells ...string) {
	var row table.Row
	for i, c := range cells {
		if g.keep[i] {
			c = oneLine(c)
			g.wide[len(row)] = max(g.wide[len(row)], text.StringWidthWithoutEscSequences(c))
			row = append(row, c)
		}
	}
	g.w.AppendRow(row)
}

// leastLast is the narrowest column that words are wrapped into.
const leastLast = 30

// wrapLast breaks the words of the last column at the terminal's edge. Without
// a terminal each row stays one line.
func (g *grid) wrapLast() {
	last := len(g.wide) - 1
	left := g.p.Width - 1
	for _, w := range g.wide[:last] {
		left -= w + len(gap)
	}
	if g.p.Width == 0 || left < leastLast {
		return
	}
	g.w.SetColumnConfigs([]table.ColumnConfig{{Number: last + 1, WidthMax: left, WidthMaxEnforcer: text.WrapSoft}})
}

func (g *grid) print() {
	for line := range strings.Lines(g.w.Render()) {
		g.p.printf("%s\n", strings.TrimRight(line, " \n"))
	}
}

// oneLine keeps a text of several lines from breaking the table.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
