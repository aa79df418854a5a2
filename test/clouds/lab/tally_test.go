package lab

import (
	"testing"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestTally: each count counts what it says, and nothing else.
func TestTally(t *testing.T) {
	done := func(id string) *pointsmanv1.Action {
		return &pointsmanv1.Action{
			Id: id, Attempts: 1, State: pointsmanv1.ActionState_ACTION_STATE_DONE, Effect: pointsmanv1.ActionEffect_ACTION_EFFECT_CHANGED,
		}
	}
	log := []*pointsmanv1.Action{done("cache/1/hook"), done("cache/2/hook")}
	one, two := Deed{"cache/1/hook", "", "a"}, Deed{"cache/2/hook", "a", "b"}
	for name, c := range map[string]struct {
		deeds []Deed
		want  Tally
	}{
		"sound":     {[]Deed{one, two}, Tally{Changes: 2}},
		"repeated":  {[]Deed{one, two, {"cache/2/hook", "b", "b"}}, Tally{Changes: 2}},
		"duplicate": {[]Deed{one, two, {"cache/2/hook", "x", "b"}}, Tally{Changes: 3, Duplicates: 1}},
		"stale":     {[]Deed{two, one}, Tally{Changes: 2, Stale: 1}},
		"lost":      {[]Deed{one}, Tally{Changes: 1, Lost: 1}},
		"orphan":    {[]Deed{one, two, {"cache/3/hook", "b", "c"}}, Tally{Changes: 3, Orphans: 1}},
	} {
		got := tally("http", c.deeds, log)
		if got.Changes != c.want.Changes || got.Duplicates != c.want.Duplicates || got.Stale != c.want.Stale || got.Lost != c.want.Lost || got.Orphans != c.want.Orphans || got.Done != 2 {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if got.Sound() != (c.want.Duplicates+c.want.Stale+c.want.Lost+c.want.Orphans == 0) || got.Sound() != (len(got.Details) == 0) {
			t.Errorf("%s: sound %v with %q", name, got.Sound(), got.Details)
		}
	}
}
