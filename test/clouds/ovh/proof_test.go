package ovh

import (
	"fmt"
	"testing"
	"time"
)

func TestParseMarker(t *testing.T) {
	for name, want := range map[string]string{
		"[pm 1a2b3c4d cache/7]":           "[pm 1a2b3c4d cache/7]",
		"my cache [pm 1a2b3c4d cache/71]": "[pm 1a2b3c4d cache/71]",
		"[pm 1a2b3c4d a/b/7]":             "[pm 1a2b3c4d a/b/7]",
		"[pm 1a2b3c4d cache/7] ":          "",
		"[pm 1a2b3c4 cache/7]":            "",
		"[pm 1a2b3c4d cache/x]":           "",
		"[pm 1a2b3c4d cache]":             "",
		"cache":                           "",
	} {
		got, ok := ParseMarker(name)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %q %t", name, got, ok)
		}
	}
}

// story is what a proof is counted from, played against the real handlers.
type story struct {
	t *testing.T
	s *Sim
	c *caller
}

func (st story) swing(farm int64, number int) {
	st.t.Helper()
	st.c.swing(farm, fmt.Sprintf("my cache [pm 1a2b3c4d cache/%d]", number))
}

func (st story) refresh() {
	st.t.Helper()
	st.c.refresh()
	time.Sleep(time.Second)
}

func lb(number int, farm int64, effect string) LoggedAction {
	return LoggedAction{
		ID: fmt.Sprintf("cache/%d/lb", number), Kind: "ovh_iplb", State: "done", Effect: effect, Object: "lb-par/frontend/4711",
		Marker: fmt.Sprintf("[pm 1a2b3c4d cache/%d]", number), Farm: farm, Claims: 1,
	}
}

func refreshed(n int) LoggedAction {
	return LoggedAction{ID: fmt.Sprintf("lb-par/refresh/%d", n), State: "done", Effect: "changed", Claims: 1}
}

func TestProof(t *testing.T) {
	for _, row := range []struct {
		name string
		play func(story)
		log  []LoggedAction
		want Proof
	}{
		{"nothing", func(story) {}, nil, Proof{}},
		{"one failover", func(st story) { st.swing(farmB, 1); st.refresh() },
			[]LoggedAction{lb(1, farmB, "changed"), refreshed(1)}, Proof{FrontendChanges: 1, Refreshes: 1}},
		{"two failovers", func(st story) { st.swing(farmB, 1); st.refresh(); st.swing(farmA, 2); st.refresh() },
			[]LoggedAction{lb(1, farmB, "changed"), lb(2, farmA, "changed"), refreshed(1), refreshed(2)}, Proof{FrontendChanges: 2, Refreshes: 2}},
		{"repeated PUT and refresh", func(st story) { st.swing(farmB, 1); st.swing(farmB, 1); st.refresh(); st.refresh() },
			[]LoggedAction{lb(1, farmB, "changed"), refreshed(1), refreshed(2)}, Proof{FrontendChanges: 1, Refreshes: 2, Repeats: 2}},
		{"new marker on the same value is no repeat", func(st story) { st.swing(farmA, 1); st.refresh() },
			[]LoggedAction{lb(1, farmA, "already"), refreshed(1)}, Proof{Refreshes: 1}},
		{"duplicate", func(st story) { st.swing(farmB, 1); st.swing(farmA, 1); st.swing(farmB, 1) },
			[]LoggedAction{lb(1, farmB, "changed")}, Proof{FrontendChanges: 3, Duplicates: 2}},
		{"repair after a human is a duplicate change", func(st story) {
			st.swing(farmB, 1)
			if err := st.s.ForeignPut(testFrontend, map[string]any{"defaultFarmId": farmA}); err != nil {
				st.t.Fatal(err)
			}
			st.swing(farmB, 1)
		}, []LoggedAction{lb(1, farmB, "changed")}, Proof{FrontendChanges: 2, Duplicates: 1}},
		{"stale value", func(st story) { st.swing(farmB, 2); st.swing(farmA, 1) },
			[]LoggedAction{lb(1, farmA, "changed"), lb(2, farmB, "changed")}, Proof{FrontendChanges: 2, Stale: 1}},
		{"stale twice", func(st story) { st.swing(farmB, 3); st.swing(farmA, 1); st.swing(farmB, 2) },
			[]LoggedAction{lb(1, farmA, "changed"), lb(2, farmB, "changed"), lb(3, farmB, "changed")}, Proof{FrontendChanges: 3, Stale: 2}},
		{"stale marker alone", func(st story) { st.swing(farmB, 2); st.swing(farmB, 1) },
			[]LoggedAction{lb(1, farmB, "already"), lb(2, farmB, "changed")}, Proof{FrontendChanges: 1, Stale: 1}},
		{"other cluster's numbers are its own", func(st story) { st.swing(farmB, 2); st.c.swing(farmA, "[pm ffffffff cache/1]") },
			[]LoggedAction{lb(2, farmB, "changed"), {ID: "cache/1/lb", Object: "lb/frontend/4711", Farm: farmA, Claims: 1}},
			Proof{FrontendChanges: 2}},
		{"no action", func(st story) { st.swing(farmB, 1) }, nil, Proof{FrontendChanges: 1, Orphans: 1}},
		{"no claim", func(st story) { st.swing(farmB, 1) },
			[]LoggedAction{{ID: "cache/1/lb", Object: "lb/frontend/4711", Farm: farmB}}, Proof{FrontendChanges: 1, Orphans: 1}},
		{"claim on another frontend", func(st story) { st.swing(farmB, 1) },
			[]LoggedAction{{ID: "cache/1/lb", Object: "lb/frontend/471", Farm: farmB, Claims: 1}}, Proof{FrontendChanges: 1, Orphans: 1}},
		{"claim under another cluster's marker", func(st story) { st.c.swing(farmB, "[pm ffffffff cache/1]") },
			[]LoggedAction{{ID: "cache/1/lb", Object: "lb/frontend/4711", Marker: "[pm 1a2b3c4d cache/1]", Farm: farmB, Claims: 1}},
			Proof{FrontendChanges: 1, Orphans: 1}},
		{"unmarked", func(st story) { st.c.swing(farmB, "cache") }, []LoggedAction{{ID: "cache/1/lb", Farm: farmB, Claims: 1}},
			Proof{FrontendChanges: 1, Orphans: 1}},
		{"more refreshes than claims", func(st story) { st.swing(farmB, 1); st.refresh(); st.swing(farmA, 2); st.refresh() },
			[]LoggedAction{lb(1, farmB, "changed"), lb(2, farmA, "changed"), refreshed(1)}, Proof{FrontendChanges: 2, Refreshes: 2, Orphans: 1}},
		{"lost change", func(story) {}, []LoggedAction{lb(1, farmB, "changed")}, Proof{Lost: 1}},
		{"lost: another value under its marker", func(st story) { st.swing(farmB, 1) },
			[]LoggedAction{lb(1, farmA, "changed")}, Proof{FrontendChanges: 1, Lost: 1}},
		{"lost: already and never seen", func(story) {}, []LoggedAction{lb(1, farmB, "already")}, Proof{Lost: 1}},
		{"already since the seed", func(story) {}, []LoggedAction{lb(1, farmA, "already")}, Proof{}},
		{"already by a human", func(st story) {
			if err := st.s.ForeignPut(testFrontend, map[string]any{"defaultFarmId": farmB}); err != nil {
				st.t.Fatal(err)
			}
		}, []LoggedAction{lb(1, farmB, "already")}, Proof{}},
		{"lost refresh", func(story) {}, []LoggedAction{refreshed(1)}, Proof{Lost: 1}},
		{"not done is not lost", func(story) {}, []LoggedAction{{ID: "cache/1/lb", State: "stuck", Object: "lb/frontend/4711", Farm: farmB, Claims: 2}}, Proof{}},
		{"settings are not ours", func(story) {}, []LoggedAction{{ID: "cache/1/url", Kind: "setting", State: "done", Effect: "changed", Object: "settings/redis/cache/url", Claims: 1}}, Proof{}},
		{"somebody else's refresh", func(st story) {
			if _, err := st.s.ForeignRefresh(testService, ""); err != nil {
				st.t.Fatal(err)
			}
		}, nil, Proof{}},
		{"somebody else's key", func(st story) {
			st.s.AddCredential(Credential{ApplicationKey: testAK, ApplicationSecret: testAS, ConsumerKey: "human", Foreign: true})
			st.c.ck = "human"
			st.c.swing(farmB, "cache")
			st.refresh()
		}, nil, Proof{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
				row.play(story{t, s, c})
				got := s.Prove(row.log)
				details := got.Details
				got.Details = nil
				if fmt.Sprint(got) != fmt.Sprint(row.want) {
					t.Errorf("proof %+v, want %+v: %q", got, row.want, details)
				}
				odd := got.Duplicates + got.Repeats + got.Stale + got.Lost + got.Orphans
				if (odd == 0) != (len(details) == 0) {
					t.Errorf("%d counted, details %q", odd, details)
				}
			})
		})
	}
}

// TestRepeatedRefreshes are those that had nothing to take: one with a merged answer, one of a clean zone.
func TestRepeatedRefreshes(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.SecondRefresh = SecondMerge; k.TaskDoing = time.Minute }), func(t *testing.T, s *Sim, c *caller) {
		c.swing(farmB, "[pm 1a2b3c4d cache/1]")
		c.want(200, "POST", base+"/refresh", `{"zone":"gra"}`)
		c.refresh()
		time.Sleep(2 * time.Minute)
		c.want(200, "POST", base+"/refresh", `{"zone":"gra"}`)
		time.Sleep(2 * time.Minute)
		if p := s.Prove(nil); p.Refreshes != 3 || p.Repeats != 2 {
			t.Errorf("proof %+v", p)
		}
		c.refresh()
		time.Sleep(2 * time.Minute)
		if p := s.Prove(nil); p.Refreshes != 4 || p.Repeats != 2 {
			t.Errorf("sbg was still staged, and its refresh counts as a repeat: %+v", p)
		}
	})
}
