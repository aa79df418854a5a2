package ovh_test

import (
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// TestConformance runs the suite over every behaviour that OVH's public
// material leaves open, one at a time, and over the worst of them together.
func TestConformance(t *testing.T) {
	for name, turn := range variants() {
		t.Run(name, func(t *testing.T) {
			actuatortest.Run(t, func(t *testing.T) actuatortest.World { return newLab(t, turn).world() })
		})
	}
}

func variants() map[string]func(*cloud.Knobs) {
	return map[string]func(*cloud.Knobs){
		"default":                 func(*cloud.Knobs) {},
		"second refresh: merge":   func(k *cloud.Knobs) { k.SecondRefresh = cloud.SecondMerge },
		"second refresh: refuse":  func(k *cloud.Knobs) { k.SecondRefresh = cloud.SecondRefuse },
		"snapshot at post":        func(k *cloud.Knobs) { k.RefreshSnapshot = cloud.SnapshotPost },
		"pending clears early":    func(k *cloud.Knobs) { k.PendingClears = cloud.ClearsSnapshot },
		"pending lags":            func(k *cloud.Knobs) { k.PendingLag = 2 * time.Second },
		"name edits not counted":  func(k *cloud.Knobs) { k.HideNameEdits = true },
		"errors in the old form":  func(k *cloud.Knobs) { k.ErrorForm = cloud.FormOld },
		"errors in the new form":  func(k *cloud.Knobs) { k.ErrorForm = cloud.FormNew },
		"empty void body":         func(k *cloud.Knobs) { k.VoidBody = cloud.VoidEmpty },
		"strict about fields":     func(k *cloud.Knobs) { k.ReadOnly, k.Unknown = cloud.Refuse, cloud.Refuse },
		"clock an hour ahead":     func(k *cloud.Knobs) { k.ClockSkew = time.Hour },
		"clock a day behind":      func(k *cloud.Knobs) { k.ClockSkew = -24 * time.Hour },
		"zones at their own time": func(k *cloud.Knobs) { k.ZoneDelay = map[string]time.Duration{"sbg": 9 * time.Second} },
		"instant tasks":           func(k *cloud.Knobs) { k.TaskTodo, k.TaskDoing = 0, 0 },
		"slow tasks": func(k *cloud.Knobs) {
			k.TaskTodo, k.TaskDoing = 20*time.Second, 2*time.Minute
			k.TimeWindow = 0 // or what is held over such a task would be refused for its age
		},
		"task list lags": func(k *cloud.Knobs) { k.TaskListLag = 5 * time.Second },
		"tasks vanish":   func(k *cloud.Knobs) { k.TaskTTL = time.Nanosecond },
		"the worst together": func(k *cloud.Knobs) {
			k.SecondRefresh, k.PendingClears, k.PendingLag = cloud.SecondMerge, cloud.ClearsSnapshot, time.Second
			k.HideNameEdits, k.TaskTTL, k.TaskDoing = true, time.Millisecond, 5*time.Second
			k.VoidBody, k.ErrorForm = cloud.VoidEmpty, cloud.FormOld
		},
	}
}
