package actuatortest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// badDaysPage is seen from the folder of a kind.
const badDaysPage = "../../docs/targets/bad-days.md"

// table is the kind's part of the page: every day that is not the same for all.
func (b Bad) table() string {
	var own []day
	for _, d := range b.days() {
		if d.spoil.dial == nil && d.spoil.cert == nil || b.Cases[d.Day].Want != (Want{}) {
			own = append(own, d)
		}
	}
	return table(own, b.Cases)
}

func table(days []day, cases map[Day]Case) string {
	var rows strings.Builder
	rows.WriteString("| what happens | the action is | its reason says | what to do |\n|---|---|---|---|\n")
	for _, d := range days {
		if c := cases[d.Day]; c.None != "" {
			fmt.Fprintf(&rows, "| %s | – | – | %s |\n", d.Day, c.None)
		} else {
			rows.WriteString(d.Want.over(c.Want).row(d.Day))
		}
	}
	return rows.String()
}

func (w Want) row(d Day) string {
	state, says := string(w.End), "`"+strings.ReplaceAll(w.Says, "|", `\|`)+"`"
	if w.End == Open {
		state = "tried again"
	}
	if w.Doubt && w.End != Done {
		state += ", in doubt"
	}
	if w.Says == "" || w.End == Done {
		says = "–"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", d, state, says, w.Do)
}

// section holds a part of the page against what was tried. With WRITE_DOCS set
// the part is written anew.
func section(t *testing.T, name, want string) {
	t.Helper()
	raw, err := os.ReadFile(badDaysPage)
	if err != nil {
		t.Fatal(err)
	}
	from, to := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	head, rest, found := strings.Cut(string(raw), from)
	was, tail, ended := strings.Cut(rest, to)
	switch {
	case !found || !ended:
		t.Fatalf("%s has no part between %q and %q", badDaysPage, from, to)
	case was == want:
	case os.Getenv("WRITE_DOCS") == "":
		t.Errorf("%s: the part %s is not what was tried; make bad-days writes it. It should be:\n%s", badDaysPage, name, want)
	default:
		if err := os.WriteFile(badDaysPage, []byte(head+from+want+to+tail), 0o644); err != nil { //nolint:gosec // a page for all to read
			t.Fatal(err)
		}
	}
}
