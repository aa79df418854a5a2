package ovh

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// move is one step of a random plan.
type move struct {
	kind string
	farm int64
	zone string
	wait time.Duration
}

// TestRandomPlans runs edits and refreshes, ours and others', under all values of the knobs that are not settled.
// What holds for all of them: a zone only ever shows what was staged, newer refreshes never bring back what an
// older one replaced, and a last refresh on a quiet service leaves applied as staged and nothing pending.
func TestRandomPlans(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := DefaultKnobs()
		k.SecondRefresh = rapid.SampledFrom([]Second{SecondQueue, SecondMerge, SecondRefuse}).Draw(rt, "second")
		k.RefreshSnapshot = rapid.SampledFrom([]Snapshot{SnapshotStart, SnapshotPost}).Draw(rt, "snapshot")
		k.PendingClears = rapid.SampledFrom([]Clears{ClearsDone, ClearsSnapshot}).Draw(rt, "clears")
		k.TaskTodo = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(rt, "todo")
		k.ZoneDelay = map[string]time.Duration{"sbg": rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(rt, "delay")}
		plans := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) TaskPlan {
			return TaskPlan{
				Doing:   rapid.SampledFrom([]time.Duration{0, 2 * time.Second}).Draw(rt, "doing"),
				Outcome: rapid.SampledFrom([]TaskStatus{TaskDone, TaskError, TaskCancelled}).Draw(rt, "outcome"),
				Applied: rapid.SampledFrom([][]string{nil, {"gra"}}).Draw(rt, "applied"),
			}
		}), 0, 4).Draw(rt, "plans")
		moves := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) move {
			return move{
				kind: rapid.SampledFrom([]string{"swing", "human", "refresh", "foreign"}).Draw(rt, "kind"),
				farm: rapid.SampledFrom([]int64{farmA, farmB}).Draw(rt, "farm"),
				zone: rapid.SampledFrom([]string{"", "gra", "sbg"}).Draw(rt, "zone"),
				wait: rapid.SampledFrom([]time.Duration{0, time.Second, 10 * time.Second}).Draw(rt, "wait"),
			}
		}), 1, 12).Draw(rt, "moves")
		var err error
		synctest.Test(t, func(t *testing.T) { err = runPlan(t, k, plans, moves) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func runPlan(t *testing.T, k Knobs, plans []TaskPlan, moves []move) error {
	s := seeded(t, Config{Knobs: &k})
	c := inBubble(t, s)
	if err := s.PlanTasks(testService, plans...); err != nil {
		return err
	}
	seen := history{staged: map[string]int{"cache": 0}, shown: map[string]int{}}
	for i, m := range moves {
		if err := m.play(s, c, fmt.Sprintf("edit %d", i+1), k); err != nil {
			return err
		}
		if m.kind == "swing" || m.kind == "human" {
			seen.staged[fmt.Sprintf("edit %d", i+1)] = i + 1
		}
		time.Sleep(m.wait)
		if err := seen.look(s); err != nil {
			return err
		}
	}
	time.Sleep(10 * time.Minute)
	if err := seen.look(s); err != nil {
		return err
	}
	for range len(plans) + 1 { // the last one is beyond the plans
		c.refresh()
		time.Sleep(time.Minute)
	}
	return quiet(s, c)
}

func (m move) play(s *Sim, c *caller, name string, k Knobs) error {
	switch m.kind {
	case "swing":
		c.swing(m.farm, name)
	case "human":
		return s.ForeignPut(testFrontend, map[string]any{"defaultFarmId": m.farm, "displayName": name})
	case "refresh":
		body := ""
		if m.zone != "" {
			body = fmt.Sprintf(`{"zone":%q}`, m.zone)
		}
		if got := c.send("POST", base+"/refresh", body); got.status != 200 && (got.status != 409 || k.SecondRefresh != SecondRefuse) {
			return fmt.Errorf("refresh: %d %s", got.status, got.body)
		}
	case "foreign":
		if _, err := s.ForeignRefresh(testService, m.zone); err != nil && k.SecondRefresh != SecondRefuse {
			return err
		}
	}
	return nil
}

// history knows when each displayName was staged, and the newest that each zone has shown.
type history struct{ staged, shown map[string]int }

func (h history) look(s *Sim) error {
	for _, zone := range []string{"gra", "sbg"} {
		f, err := s.Applied(testFrontend, zone)
		if err != nil {
			return err
		}
		at, known := h.staged[value(f.DisplayName)]
		if !known || at < h.shown[zone] {
			return fmt.Errorf("zone %s shows %q after number %d", zone, value(f.DisplayName), h.shown[zone])
		}
		h.shown[zone] = at
	}
	return nil
}

func quiet(s *Sim, c *caller) error {
	staged, err := s.Staged(testFrontend)
	if err != nil {
		return err
	}
	for _, zone := range []string{"gra", "sbg"} {
		f, err := s.Applied(testFrontend, zone)
		if err != nil {
			return err
		}
		if value(f.DisplayName) != value(staged.DisplayName) || value(f.DefaultFarmID) != value(staged.DefaultFarmID) {
			return fmt.Errorf("zone %s shows %q, staged is %q", zone, value(f.DisplayName), value(staged.DisplayName))
		}
	}
	if left := c.pending(); len(left) != 0 {
		return fmt.Errorf("pending %v on a quiet service", left)
	}
	return nil
}
