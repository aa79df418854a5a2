package executor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// TestG4_TaskThatIsDoneIsReadBack: the provider's word that it has carried out
// a write is not the value: a read is.
func TestG4_TaskThatIsDoneIsReadBack(t *testing.T) {
	for name, ignored := range map[string]int{"carried out": 0, "lost by the provider": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := ofClass(t, fsm.Readable)
				began := time.Now()
				o.ignore = ignored
				o.task = func() actuators.Progress {
					return actuators.Progress{Done: time.Since(began) > 3*time.Second, After: time.Second}
				}
				l := o.lead(t, 1, nil)
				defer l.stop()
				l.sees(1)
				o.until(t, "cache/1/do", fsm.Waiting, 2*time.Second)
				looks := o.looks()
				a, _ := o.until(t, "cache/1/do", fsm.Done, time.Minute)
				if o.looks() == looks {
					t.Error("done, and nothing was read after the task")
				}
				if a.Effect != fsm.Changed || len(o.requests()) != 1+ignored {
					t.Errorf("%s after %d requests", a.Effect, len(o.requests()))
				}
				o.fair(t, first)
			})
		})
	}
}

// TestG8_TaskOfADeadLeaderIsFollowedByTheNext: its number is in the log.
func TestG8_TaskOfADeadLeaderIsFollowedByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ofClass(t, fsm.Readable)
		began := time.Now()
		o.task = func() actuators.Progress {
			return actuators.Progress{Done: time.Since(began) > time.Minute, After: time.Second}
		}
		dead := o.lead(t, 1, nil)
		dead.sees(1)
		o.until(t, "cache/1/do", fsm.Waiting, 2*time.Second)
		dead.stop()
		l := o.lead(t, 2, nil)
		defer l.stop()
		o.until(t, "cache/1/do", fsm.Done, 2*time.Minute)
		if n := len(o.requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
		o.fair(t, first)
	})
}
