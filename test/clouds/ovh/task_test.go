package ovh

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestRefreshRuns(t *testing.T) {
	k := knobs(func(k *Knobs) {
		k.TaskTodo, k.TaskDoing = 2*time.Second, 10*time.Second
		k.ZoneDelay = map[string]time.Duration{"sbg": 10 * time.Second}
	})
	bubble(t, k, func(t *testing.T, s *Sim, c *caller) {
		c.swing(farmB, "cache")
		task := c.refresh()
		if task.Status != TaskTodo || task.Action != "refreshIplb" || !slices.Equal(task.Zones, []string{"gra", "sbg"}) {
			t.Fatalf("task %+v", task)
		}
		for _, step := range []struct {
			after    time.Duration
			status   TaskStatus
			progress int64
			gra, sbg int64
		}{
			{time.Second, TaskTodo, 0, farmA, farmA},
			{6 * time.Second, TaskDoing, 25, farmA, farmA},
			{6 * time.Second, TaskDoing, 55, farmB, farmA},
			{10 * time.Second, TaskDone, 100, farmB, farmB},
		} {
			time.Sleep(step.after)
			got := c.task(task.ID)
			if got.Status != step.status || got.Progress != step.progress || (got.DoneDate != nil) != (step.status == TaskDone) {
				t.Errorf("task %+v, want %+v", got, step)
			}
			if gra, sbg := appliedFarm(t, s, "gra"), appliedFarm(t, s, "sbg"); gra != step.gra || sbg != step.sbg {
				t.Errorf("applied %d and %d, want %+v", gra, sbg, step)
			}
		}
	})
}

func TestRefreshOfOneZone(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		c.swing(farmB, "cache")
		var task Task
		c.want(200, "POST", base+"/refresh", `{"zone":"sbg"}`).decode(t, &task)
		time.Sleep(time.Second)
		if gra, sbg := appliedFarm(t, s, "gra"), appliedFarm(t, s, "sbg"); gra != farmA || sbg != farmB || !slices.Equal(task.Zones, []string{"sbg"}) {
			t.Errorf("applied %d and %d by %+v", gra, sbg, task)
		}
	})
}

func TestSnapshotMoment(t *testing.T) {
	for moment, want := range map[Snapshot]int64{SnapshotPost: farmA, SnapshotStart: farmB} {
		bubble(t, knobs(func(k *Knobs) { k.RefreshSnapshot = moment; k.TaskTodo = time.Minute }), func(t *testing.T, s *Sim, c *caller) {
			c.swing(farmA, "first")
			c.refresh()
			c.swing(farmB, "second")
			time.Sleep(2 * time.Minute)
			if got := appliedFarm(t, s, "gra"); got != want {
				t.Errorf("%s: applied %d, want %d", moment, got, want)
			}
			if left := c.pending()["gra"]; (left == 0) != (moment == SnapshotStart) {
				t.Errorf("%s: %d left pending", moment, left)
			}
		})
	}
}

// TestEditWhileDoing edits after the snapshot: the running refresh must not carry it.
func TestEditWhileDoing(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.TaskDoing = time.Minute }), func(t *testing.T, s *Sim, c *caller) {
		c.swing(farmB, "first")
		c.refresh()
		time.Sleep(time.Second)
		c.swing(farmA, "second")
		time.Sleep(2 * time.Minute)
		if f, _ := s.Applied(testFrontend, "gra"); value(f.DisplayName) != "first" || c.pending()["gra"] != 1 {
			t.Errorf("applied %v, pending %v", value(f.DisplayName), c.pending())
		}
	})
}

func TestSecondRefresh(t *testing.T) {
	policy := func(p Second) Config { return knobs(func(k *Knobs) { k.SecondRefresh = p; k.TaskDoing = time.Minute }) }
	bubble(t, policy(SecondQueue), func(t *testing.T, s *Sim, c *caller) {
		first := c.refresh()
		time.Sleep(time.Second)
		c.swing(farmB, "x")
		second := c.refresh()
		time.Sleep(30 * time.Second)
		if a, b := c.task(first.ID).Status, c.task(second.ID).Status; a != TaskDoing || b != TaskTodo {
			t.Errorf("first %s, second %s", a, b)
		}
		time.Sleep(2 * time.Minute)
		if got := appliedFarm(t, s, "gra"); got != farmB || c.task(second.ID).Status != TaskDone {
			t.Errorf("applied %d", got)
		}
	})
	bubble(t, policy(SecondMerge), func(t *testing.T, s *Sim, c *caller) {
		first := c.refresh()
		time.Sleep(time.Second)
		c.swing(farmB, "x")
		if second := c.refresh(); second.ID != first.ID {
			t.Errorf("task %d, then %d", first.ID, second.ID)
		}
		time.Sleep(2 * time.Minute)
		if got := appliedFarm(t, s, "gra"); got != farmA || c.pending()["gra"] != 1 {
			t.Errorf("a merged refresh took what came after the snapshot: %d", got)
		}
	})
	bubble(t, policy(SecondRefuse), func(t *testing.T, _ *Sim, c *caller) {
		c.refresh()
		c.want(409, "POST", base+"/refresh", "")
		time.Sleep(2 * time.Minute)
		c.want(200, "POST", base+"/refresh", "")
	})
}

func TestFailedTasks(t *testing.T) {
	for _, outcome := range []TaskStatus{TaskError, TaskCancelled} {
		for _, clears := range []Clears{ClearsDone, ClearsSnapshot} {
			bubble(t, knobs(func(k *Knobs) { k.TaskOutcome, k.PendingClears = outcome, clears }), func(t *testing.T, s *Sim, c *caller) {
				c.swing(farmB, "x")
				task := c.refresh()
				time.Sleep(DefaultKnobs().TaskTodo + time.Millisecond)
				c.pending() // a look at the count while the task runs costs nothing of it
				time.Sleep(time.Second)
				if got := c.task(task.ID); got.Status != outcome || got.DoneDate != nil {
					t.Errorf("task %+v", got)
				}
				if got := appliedFarm(t, s, "gra"); got != farmA || c.pending()["gra"] != 1 {
					t.Errorf("%s: applied %d, pending %v", outcome, got, c.pending())
				}
			})
		}
	}
}

func TestPlannedTasks(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		if err := s.PlanTasks(testService, TaskPlan{Doing: time.Second, Outcome: TaskError, Applied: []string{"gra"}}); err != nil {
			t.Fatal(err)
		}
		if err := s.PlanTasks(testService, TaskPlan{Outcome: "lost"}); err == nil {
			t.Error("a plan with an unknown outcome was taken")
		}
		c.swing(farmB, "x")
		task := c.refresh()
		time.Sleep(2 * time.Second)
		if gra, sbg := appliedFarm(t, s, "gra"), appliedFarm(t, s, "sbg"); gra != farmB || sbg != farmA || c.task(task.ID).Status != TaskError {
			t.Errorf("half applied: %d and %d", gra, sbg)
		}
		if got := c.pending(); got["gra"] != 0 || got["sbg"] != 1 {
			t.Errorf("pending %v", got)
		}
		task = c.refresh()
		time.Sleep(time.Second)
		if c.task(task.ID).Status != TaskDone || appliedFarm(t, s, "sbg") != farmB {
			t.Error("the next refresh does not follow the knobs")
		}
	})
}

func TestBlockedTask(t *testing.T) {
	for finish, want := range map[TaskStatus]int64{TaskDone: farmB, TaskCancelled: farmA} {
		bubble(t, knobs(func(k *Knobs) { k.TaskOutcome = TaskBlocked }), func(t *testing.T, s *Sim, c *caller) {
			c.swing(farmB, "x")
			task := c.refresh()
			if err := s.FinishTask(task.ID, TaskDone); err == nil {
				t.Error("a task in todo was finished by hand")
			}
			time.Sleep(time.Hour)
			if got := c.task(task.ID).Status; got != TaskBlocked || appliedFarm(t, s, "gra") != farmA {
				t.Errorf("task %s", got)
			}
			if err := s.FinishTask(task.ID, finish); err != nil {
				t.Fatal(err)
			}
			if got := appliedFarm(t, s, "gra"); got != want || c.task(task.ID).Status != finish {
				t.Errorf("finished %s: applied %d", finish, got)
			}
			if err := s.FinishTask(task.ID+1, finish); err == nil {
				t.Error("an unknown task was finished")
			}
		})
	}
}

func TestTaskList(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.TaskListLag, k.TaskTTL = 3*time.Second, time.Hour }), func(t *testing.T, s *Sim, c *caller) {
		attach, err := s.AddTask(testService, "vrackAttach", TaskDoing)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		since := stamp(time.Now())
		task := c.refresh()
		list := func(query string) []int64 {
			t.Helper()
			var ids []int64
			c.want(200, "GET", base+"/task"+query, "").decode(t, &ids)
			slices.Sort(ids)
			return ids
		}
		if got := list("?action=refreshIplb"); len(got) != 0 {
			t.Errorf("listed before the lag: %v", got)
		}
		time.Sleep(3 * time.Second)
		both, mine := []int64{attach, task.ID}, []int64{task.ID}
		from := "?creationDate.from=" + since[:19] + "Z"
		for query, want := range map[string][]int64{
			"": both, "?action=refreshIplb": mine, "?action=refreshIplb&status=done": mine, "?status=doing": {attach},
			"?action=refreshIplb&status=todo": {}, from: mine, "?doneDate.from=1999-01-01T00:00:00Z": mine,
			"?creationDate.to=1999-01-01T00:00:00Z": {},
		} {
			if got := list(query); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		c.want(400, "GET", base+"/task?status=running", "")
		c.want(400, "GET", base+"/task?creationDate.from=yesterday", "")
		time.Sleep(time.Hour)
		c.want(404, "GET", fmt.Sprintf("%s/task/%d", base, task.ID), "")
		if got := list("?action=refreshIplb"); len(got) != 0 {
			t.Errorf("a task outlived its time: %v", got)
		}
	})
}

func TestTasksAreBounded(t *testing.T) {
	bubble(t, Config{MaxTasks: 3}, func(t *testing.T, s *Sim, c *caller) {
		attach, err := s.AddTask(testService, "vrackAttach", TaskDoing) // unfinished tasks stay
		if err != nil {
			t.Fatal(err)
		}
		first := c.refresh()
		for range 5 {
			time.Sleep(time.Second)
			c.refresh()
		}
		if n := len(s.State().Services[testService].Tasks); n != 3 {
			t.Errorf("%d tasks kept", n)
		}
		c.task(attach)
		c.want(404, "GET", fmt.Sprintf("%s/task/%d", base, first.ID), "")
	})
}
