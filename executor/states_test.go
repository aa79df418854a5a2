package executor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// inOffice runs an executor of term 1 over a log with one master.
func inOffice(t *testing.T) (*world, *Executor) {
	t.Helper()
	w := newWorld()
	ctx, cancel := context.WithCancelCause(t.Context())
	conf := DefaultConfig()
	conf.Journal = &life{world: w, cancel: cancel}
	e := New(conf)
	candidates := []fsm.Candidate{{Address: "a:1"}, {Address: "b:1"}}
	stuck := fsm.Step{Name: "lb", Kind: "nothing", Object: "x", Class: fsm.Readable, Act: time.Second}
	must(t, w, fsm.PutSpec{Spec: fsm.Spec{Masters: []fsm.MasterSpec{{ID: "cache", Candidates: candidates, Plan: []fsm.Stage{{Name: "s", Steps: []fsm.Step{stuck}}}}}}})
	must(t, w, fsm.Observe{Master: "cache", Revision: 1, Address: "a:1", Epoch: 1, As: fsm.Seed})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.Run(ctx, 1)
	}()
	t.Cleanup(func() {
		cancel(errDead)
		<-done
	})
	synctest.Wait() // what is told before Run began is forgotten
	return w, e
}

func must(t *testing.T, w *world, c fsm.Command) {
	t.Helper()
	if err := w.commit(1, c).Err(); err != nil {
		t.Fatal(err)
	}
}

func stateIs(t *testing.T, w *world, want fsm.Word, sight fsm.Sight) {
	t.Helper()
	synctest.Wait()
	if c, ok := w.now().Condition("cache"); !ok || c.Word != want || c.Sight != sight {
		t.Fatalf("condition %+v, want %s, %s", c, want, sight)
	}
}

func TestStand_NotesOnlyNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, e := inOffice(t)
		stand := func(s fsm.Sight, base fsm.Number) {
			e.Stand(fsm.Note{Master: "cache", Base: base, Sight: s})
			synctest.Wait()
		}
		stand(fsm.SightCalm, 0)
		stateIs(t, w, fsm.StateOK, fsm.SightCalm)
		at := w.now().Index()
		for range 10 {
			stand(fsm.SightCalm, 0)
			time.Sleep(time.Second)
		}
		if now := w.now().Index(); now != at {
			t.Fatalf("%d entries for nothing", now-at)
		}
		stand(fsm.SightComing, 0)
		stateIs(t, w, fsm.StateFailingOver, fsm.SightComing)
		at = w.now().Index()
		stand(fsm.SightDown, 7) // judged against another failover than the last
		time.Sleep(3 * time.Second)
		if now := w.now().Index(); now != at {
			t.Fatalf("%d entries that the log would refuse", now-at)
		}
	})
}

// TestStand_FlappingCostsLittle: a master that flaps each 200 ms for 2 min.
func TestStand_FlappingCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, e := inOffice(t)
		e.Stand(fsm.Note{Master: "cache", Sight: fsm.SightCalm})
		synctest.Wait()
		at := w.now().Index()
		const over = 2 * time.Minute
		for range int(over / (200 * time.Millisecond)) {
			for _, s := range []fsm.Sight{fsm.SightComing, fsm.SightCalm} {
				e.Stand(fsm.Note{Master: "cache", Sight: s})
				time.Sleep(100 * time.Millisecond)
			}
		}
		if n := w.now().Index() - at; n > noteBurst+uint64(over/noteEvery) {
			t.Errorf("%d entries in %s", n, over)
		}
		time.Sleep(2 * noteEvery)
		stateIs(t, w, fsm.StateOK, fsm.SightCalm)
	})
}

// TestStand_LateIsDegraded: a failover that is not done in LateAfter, though the
// Sentinels see nothing wrong.
func TestStand_LateIsDegraded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, e := inOffice(t)
		e.Stand(fsm.Note{Master: "cache", Sight: fsm.SightCalm})
		synctest.Wait()
		must(t, w, fsm.Observe{
			Master: "cache", Revision: 1, Address: "b:1", Epoch: 2, As: fsm.Advance, Term: 1,
			Values: []fsm.Value{{Step: "lb", Value: []byte("b")}}, Claims: []fsm.Ride{{Step: "lb", Act: time.Hour}},
		})
		a, _ := w.now().Action("cache/1/lb")
		must(t, w, fsm.Settle{Action: a.ID, Token: a.Token, To: fsm.Pending, After: 5 * time.Minute})
		e.Stand(fsm.Note{Master: "cache", Base: 1, Sight: fsm.SightCalm})
		time.Sleep(LateAfter - time.Second)
		stateIs(t, w, fsm.StateFailingOver, fsm.SightCalm)
		time.Sleep(3 * time.Second)
		stateIs(t, w, fsm.StateDegraded, fsm.SightLate)
		must(t, w, fsm.Abandon{Action: a.ID, Reason: "by hand"})
		stateIs(t, w, fsm.StateOK, fsm.SightCalm)
	})
}
