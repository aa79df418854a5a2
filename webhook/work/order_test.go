package work

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A number that hangs while hundreds of others land, and is answered before the
// shop sends its next event: that one does not overtake it.
func TestLateNumberComesFirst(t *testing.T) {
	for pause := range 8 {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.receiver("a")
			k := w.start(1)
			for n := uint64(1); n < 600; n++ {
				r.put(n, ev("other", fmt.Sprint(n), "x"))
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(time.Duration(pause) * 37 * time.Millisecond)
			r.put(0, ev("s", "1", "first"))
			r.put(600, ev("s", "2", "second"))
			time.Sleep(time.Minute)
			if got := w.sink.bodies("s"); !slices.Equal(got, []string{"first", "second"}) {
				t.Errorf("after %d: %v", pause, got)
			}
			k.drain()
		})
	}
}

// What the former holder has found late and not finished comes before what is
// newer.
func TestMissingNumberComesFirstAfterAMove(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.sink.answer = func(d Delivery, _ int) error {
			if d.Event.Shop == "s" && d.Token == 1 {
				return Unavailable(errSink)
			}
			return nil
		}
		r := w.receiver("a")
		k := w.start(1)
		r.put(1, ev("other", "1", "x"))
		time.Sleep(300 * time.Millisecond)
		r.put(0, ev("s", "1", "first"))
		time.Sleep(5 * time.Second)
		r.put(2, ev("s", "2", "second"))
		time.Sleep(35 * time.Second)
		k.drain()
		n := len(w.sink.bodies("s"))
		k = w.start(2)
		time.Sleep(time.Minute)
		if got := w.sink.bodies("s")[n:]; !slices.Equal(got, []string{"first", "second"}) {
			t.Error(got)
		}
		k.drain()
	})
}
