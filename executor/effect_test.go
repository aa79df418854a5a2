package executor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// found is a kind whose object stands as wanted without any write, and cannot
// be judged at the first look.
type found struct {
	lb
	looks *int
}

func (f found) Open(fsm.TargetSpec, actuators.Budget) (actuators.Actuator, error) { return f, nil }

func (f found) Judge(actuators.Reading, actuators.Work) actuators.Sight {
	if *f.looks++; *f.looks == 1 {
		return actuators.Sight{Verdict: actuators.Busy, After: 100 * time.Millisecond}
	}
	return actuators.Sight{Verdict: actuators.Applied, Found: true}
}

// TestG4_EffectOfWhatWasNeverWritten: a second attempt is no proof that the first
// one wrote.
func TestG4_EffectOfWhatWasNeverWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := seeded(t)
		l := &life{world: w}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := DefaultConfig()
		c.Journal, c.Kinds = l, actuators.Kinds{"lb": found{lb{l}, new(int)}, "note": second{note{lb{l}}}}
		e := New(c)
		go func() { _ = e.Run(ctx, 1) }()
		if _, err := e.Observe(ctx, 1, sightings(1)[0]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		a, _ := w.now().Action("cache/1/lb")
		if a.Phase != fsm.Done || a.Effect != fsm.Already || a.Attempts != 2 || len(w.writes) != 0 {
			t.Fatalf("%s, %s after %d attempts and %d writes", a.Phase, a.Effect, a.Attempts, len(w.writes))
		}
		cancel()
		synctest.Wait()
	})
}
