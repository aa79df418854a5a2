package lab

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAudit: each count of the leases counts what it says, and nothing else.
func TestAudit(t *testing.T) {
	zero := time.Now()
	at := func(s int) time.Time { return zero.Add(time.Duration(s) * time.Second) }
	good := func() []stint {
		return []stint{ // two partitions, two failovers: accepted at 20 and 40, settled after 6 s and 12 s
			{"w1", 0, 10, "a", at(0), at(5)}, {"w2", 1, 10, "a", at(0), at(4)},
			{"w2", 0, 30, "b", at(6), at(11)}, {"w1", 1, 30, "b", at(6), at(11)},
			{"w1", 0, 50, "c", at(12), time.Time{}}, {"w2", 1, 51, "c", at(12), time.Time{}},
		}
	}
	swings := []swing{{20, "a", "b", at(6)}, {40, "b", "c", at(12)}}
	for name, c := range map[string]struct {
		spoil func([]stint) []stint
		want  Leases
	}{
		"good":                {func(s []stint) []stint { return s }, Leases{}},
		"token fell":          {func(s []stint) []stint { s[1].token, s[1].address = 31, "b"; return s }, Leases{Fallen: 1}},
		"two holders":         {func(s []stint) []stint { s[2].end = at(13); return s }, Leases{Shared: 1}},
		"never ended":         {func(s []stint) []stint { s[0].end = time.Time{}; return s }, Leases{Shared: 1, Late: 1}},
		"held when settled":   {func(s []stint) []stint { s[1].end = at(10); s[3].begin = at(11); return s }, Leases{Late: 1}},
		"granted for the old": {func(s []stint) []stint { s[2].address = "a"; return s }, Leases{Stale: 1, Unmoved: 1}},
		"not granted anew":    {func(s []stint) []stint { return slices.Delete(s, 3, 4) }, Leases{Unmoved: 1}},
	} {
		l := audit(2, 2, c.spoil(good()), swings)
		if l.Fallen != c.want.Fallen || l.Shared != c.want.Shared || l.Late != c.want.Late || l.Stale != c.want.Stale || l.Unmoved != c.want.Unmoved {
			t.Errorf("%s: %+v, want %+v", name, l, c.want)
		}
		if sum := l.Fallen + l.Shared + l.Late + l.Stale + l.Unmoved; (sum == 0) != (len(l.Details) == 0) {
			t.Errorf("%s: counted %d, told %q", name, sum, l.Details)
		}
	}
}

// TestCrewTells: the timeline has one line when all is given back, and one when
// all is granted for another master; shares that are evened out have none.
func TestCrewTells(t *testing.T) {
	var told []string
	c := &Crew{events: func(e Event) { told = append(told, e.Text) }}
	var held []*stint
	grant := func(address string, token uint64) {
		for p := range uint32(crewParts) {
			s := &stint{worker: "w1", partition: p, token: token, address: address}
			held = append(held, s)
			c.begin(s)
		}
	}
	grant("a", 7)
	c.finish(held[0])
	held[0] = &stint{worker: "w2", token: 8, address: "a"}
	c.begin(held[0])
	for _, s := range held {
		c.finish(s)
	}
	grant("b", 20)
	if len(told) != 3 || !strings.Contains(told[0], "for a") || !strings.Contains(told[1], "given back") || !strings.HasSuffix(told[2], "for b under higher tokens, 20") {
		t.Errorf("told %q", told)
	}
	list, err := c.told()
	if l := audit(1, crewParts, list, []swing{{index: 10, from: "a", to: "b", settled: time.Now()}}); err != nil || len(l.Details) > 0 {
		t.Errorf("%v, %q", err, l.Details)
	}
	if err := c.waitHeld(t.Context(), "b"); err != nil {
		t.Error(err)
	}
}
