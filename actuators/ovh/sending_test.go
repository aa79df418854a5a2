package ovh_test

import (
	"context"
	"testing"

	"github.com/pointsman/pointsman/actuators"
)

// TestSending: the one request that writes says so when it leaves; reads, their
// signing, and what was never sent say nothing.
func TestSending(t *testing.T) {
	inBubble(t, func(r *rig) {
		left := 0
		ctx := actuators.WithSending(context.Background(), func() { left++ })
		w := r.work(1, addressB)
		reading, err := r.tool.Read(ctx, actuators.Subject{Step: w.Action.Step})
		r.must(err)
		if left != 0 {
			t.Errorf("a read said %d times that it writes", left)
		}
		s := r.tool.Judge(reading, w)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err = r.tool.Act(gone, w, s); err == nil || left != 0 {
			t.Errorf("not sent (%v), said %d times", err, left)
		}
		_, err = r.tool.Act(ctx, w, r.look(w))
		r.must(err)
		if left != 1 {
			t.Errorf("one write, said %d times", left)
		}
		refresh := r.refreshWork()
		_, err = r.tool.Act(ctx, refresh, r.look(refresh))
		r.must(err)
		if left != 2 {
			t.Errorf("a write and a refresh, said %d times", left)
		}
	})
}
