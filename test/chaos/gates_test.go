package chaos

import (
	"strings"
	"testing"
	"time"
)

// Each gate can fail, and says so by its name; what outlasted the window excuses
// duplicates and stale writes, and nothing else.
func TestGates(t *testing.T) {
	for _, c := range []struct {
		name    string
		spoil   func(*tally)
		excused bool
	}{
		{"lost", func(t *tally) { t.lost = 1 }, false},
		{"orphans", func(t *tally) { t.orphans = 1 }, false},
		{"false success", func(t *tally) { t.false = 1 }, false},
		{"left standing", func(t *tally) { t.left = 1 }, false},
		{"duplicates", func(t *tally) { t.duplicates = 1 }, true},
		{"stale", func(t *tally) { t.stale = 1 }, true},
		{"", func(t *tally) { t.repeats, t.accepted, t.superseded = 3, 2, 1 }, true},
	} {
		for _, outlasted := range []time.Duration{0, time.Second} {
			r, got := &run{outlasted: outlasted}, tally{}
			c.spoil(&got)
			r.judge(&got)
			want := c.name != "" && (outlasted == 0 || !c.excused)
			if said := strings.Join(got.violations, "\n"); (got.error() != nil) != want || want && !strings.HasPrefix(said, c.name+":") {
				t.Errorf("%q with the window outlasted by %s: %q", c.name, outlasted, said)
			}
		}
	}
}

// Traffic is judged by where it went between two moments, the ends included.
func TestSight(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	s := &sight{at: []time.Time{at(0), at(10), at(20)}, to: []string{"a", "b", "a"}}
	for _, c := range []struct {
		to          string
		from, until int
		want        bool
	}{
		{"a", 0, 5, true}, {"b", 0, 5, false}, {"b", 0, 10, true}, {"b", 19, 30, true}, {"b", 20, 30, false}, {"a", 15, 25, true}, {"a", 11, 19, false}, {"a", 100, 200, true},
	} {
		if got := s.went(c.to, at(c.from), at(c.until)); got != c.want {
			t.Errorf("traffic went to %s between %d and %d: %t", c.to, c.from, c.until, got)
		}
	}
	if when, ok := s.since("a", at(12)); !ok || !when.Equal(at(20)) {
		t.Errorf("traffic went to a again at %s, %t", when, ok)
	}
	if when, ok := s.since("b", at(12)); !ok || !when.Equal(at(12)) {
		t.Errorf("traffic went to b at %s, %t", when, ok)
	}
	if _, ok := s.since("b", at(30)); ok {
		t.Error("traffic went to b after it had left")
	}
}

// Names are unique, and the selection is of faults that exist.
func TestFaultsAreNamedOnce(t *testing.T) {
	names := map[string]bool{}
	for _, f := range faults() {
		if names[f.name] || f.play == nil {
			t.Errorf("fault %q", f.name)
		}
		names[f.name] = true
	}
	for _, name := range small() {
		if !names[name] {
			t.Errorf("the selection names %q", name)
		}
	}
}
