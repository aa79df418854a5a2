package executor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPatientRequestsLeaveSomeForWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(60)
		began := time.Now()
		for range 40 {
			if err := b.Wait(patient(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Fatalf("the first 40 of 60 waited %s", took)
		}
		soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := b.Wait(patient(soon)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a patient request took from the writes' part: %v", err)
		}
		for range 20 {
			if err := b.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Fatalf("writes waited %s", took)
		}
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 900*time.Millisecond || took > 1100*time.Millisecond {
			t.Fatalf("an empty bucket of 60 a minute gave the next after %s", took)
		}
	})
}

func TestOneWarmUpLookAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tools := newTools(DefaultConfig())
		if !tools.beginLook("o") || tools.beginLook("o") {
			t.Fatal("a look under way was begun again")
		}
		time.Sleep(DefaultConfig().WarmFor / 2)
		if !tools.beginLook("o") {
			t.Fatal("no second look after half of its life")
		}
		if tools.take("o") != nil {
			t.Fatal("a look that has seen nothing was given out")
		}
	})
}

// TestWarmingUpStarvesNoDeed: one token at a time, as soon as it may, for ever;
// a deed, a first one or one that failed often, gets its whole grant all the same.
func TestWarmingUpStarvesNoDeed(t *testing.T) {
	for _, rate := range []int{6, 12, 20, 30, 60, 120, 6000} {
		for _, m := range []manner{atOnce, afresh} {
			synctest.Test(t, func(t *testing.T) {
				b := newBudget(rate)
				ctx, cancel := context.WithCancel(patient(t.Context()))
				over := make(chan struct{})
				go func() {
					defer close(over)
					for b.Wait(ctx) == nil {
					}
				}()
				defer func() { cancel(); <-over }()
				time.Sleep(time.Hour)
				began := time.Now()
				for {
					taken, left := b.take(costAct, m)
					if taken > 0 {
						break
					}
					time.Sleep(left)
					if time.Since(began) > 10*time.Minute {
						t.Fatalf("rate %d, manner %d: nothing in ten minutes", rate, m)
					}
				}
			})
		}
	}
}
