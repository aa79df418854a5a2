package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// row is a line of the table: one fault, runs that outlasted the window apart.
type row struct {
	name string
	tally
}

// table shows the rows and their sum, in the form that docs/guarantees.md takes.
func table(rows []row) string {
	lines := [][]string{{"fault", "runs", "accepted", "done", "superseded", "duplicates", "repeats", "lost", "false success", "stale",
		"orphans", "left standing", "slowest, ms"}}
	sum := tally{}
	line := func(name string, t tally) {
		cells := []string{name}
		for _, n := range []int{t.runs, t.accepted, t.done, t.superseded, t.duplicates, t.repeats, t.lost, t.false, t.stale, t.orphans,
			t.left, int(t.slowest.Milliseconds())} {
			cells = append(cells, strconv.Itoa(n))
		}
		lines = append(lines, cells)
	}
	for _, r := range rows {
		line(r.name, r.tally)
		sum.add(r.tally)
	}
	line("sum", sum)
	var b strings.Builder
	for i, cells := range lines {
		for k, c := range cells {
			fmt.Fprintf(&b, "| %-*s ", widest(lines, k), c)
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
		}
	}
	return b.String()
}

func widest(lines [][]string, column int) (n int) {
	for _, cells := range lines {
		n = max(n, len(cells[column]))
	}
	return n
}

// figures is a count of spans with its median, 99th percentile and maximum.
func figures(list []time.Duration) string {
	if len(list) == 0 {
		return "n 0"
	}
	list = slices.Sorted(slices.Values(list))
	at := func(percent int) int64 { return list[(len(list)*percent+99)/100-1].Milliseconds() }
	return fmt.Sprintf("n %d, median %d ms, p99 %d ms, max %d ms", len(list), at(50), at(99), list[len(list)-1].Milliseconds())
}

// below is what stands below the table.
func (s *series) below() (text string) {
	if t := s.sums["whole zone lost"]; t != nil {
		text += "Whole zone lost, Sentinel's promotion → every target right: " + figures(t.right) + ".\n"
	}
	return text
}

// text is the table with what stands above and below it.
func (s *series) text() string {
	return s.heading() + "\n\n" + table(s.rows()) + "\n" + s.below()
}

// heading says which runs a table is of.
func (s *series) heading() string {
	n := 0
	for _, t := range s.sums {
		n += t.runs
	}
	return fmt.Sprintf("`make chaos RUNS=%d SEED=%d` at %s, %s, %.0f minutes.", n, s.seed, s.version,
		s.began.UTC().Format(time.DateOnly), time.Since(s.began).Minutes())
}

// version is the commit that this tree is at.
func version(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// The marks between which a document takes the table.
const (
	tableBegins = "<!-- chaos matrix: written by make chaos MATRIX=docs/guarantees.md -->"
	tableEnds   = "<!-- chaos matrix ends -->"
)

// publish writes a table to a file: between its marks, or as all that it holds.
func publish(file, text string) error {
	old, err := os.ReadFile(file)
	if err == nil {
		before, rest, ok := strings.Cut(string(old), tableBegins)
		_, after, ended := strings.Cut(rest, tableEnds)
		if ok && ended {
			text = before + tableBegins + "\n" + text + tableEnds + after
		}
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// A document keeps what stands outside of the marks, and any other file is the
// table alone.
func TestPublish(t *testing.T) {
	file := t.TempDir() + "/doc.md"
	for _, c := range []struct{ old, want string }{
		{"", "new\n"},
		{"without marks", "new\n"},
		{"a\n" + tableBegins + "\nold\n" + tableEnds + "\nb\n", "a\n" + tableBegins + "\nnew\n" + tableEnds + "\nb\n"},
	} {
		if err := os.WriteFile(file, []byte(c.old), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := publish(file, "new\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != c.want {
			t.Errorf("%q became %q, %v", c.old, got, err)
		}
	}
}

// The median is of the lower half, the maximum is the last.
func TestFigures(t *testing.T) {
	if got := figures([]time.Duration{3e6, 1e6, 2e6, 4e6}); got != "n 4, median 2 ms, p99 4 ms, max 4 ms" {
		t.Error(got)
	}
}
