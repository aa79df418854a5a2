package work

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

// small answers pages of seven, whatever was asked for.
type small struct{ buffer.Store }

func (s small) List(ctx context.Context, prefix, after string, limit int) ([]buffer.Info, bool, error) {
	return s.Store.List(ctx, prefix, after, min(limit, 7))
}

// A backlog of thousands of segments, in pages of seven.
func TestBacklogInSmallPages(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store = small{w.mem}
		w.cfg.Partitions = 3
		r := w.receiver("a")
		for i := range 3000 {
			r.add(ev(fmt.Sprint("s", i%50), fmt.Sprint(i), fmt.Sprint(i)))
		}
		k := w.start(1)
		time.Sleep(5 * time.Minute)
		k.wants("handled_total", 3000, "done")
		k.drain()
		if got := w.sink.bodies("s7"); len(got) != 60 || !slices.IsSortedFunc(got, func(a, b string) int { return len(a) - len(b) }) {
			t.Errorf("s7: %v", got)
		}
	})
}

// The store goes wrong in all ways; when it is well again all is done.
func TestStoreFaults(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		f := buffertest.NewFaulty(w.mem, 3)
		w.store = f
		for _, op := range []buffertest.Op{buffertest.Put, buffertest.Get, buffertest.List} {
			f.Odds(op, buffertest.Odds{buffertest.Fail: .1, buffertest.Lost: .1, buffertest.Hang: .02, buffertest.Slow: .1})
		}
		w.cfg.Partitions = 2
		w.sink.answer = func(d Delivery, try int) error {
			if string(d.Event.Body) == "13" {
				return Permanent(errSink)
			}
			return nil
		}
		r := w.receiver("a")
		k := w.start(1)
		for i := range 200 {
			r.add(ev(fmt.Sprint("s", i%10), fmt.Sprint(i), fmt.Sprint(i)))
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(10 * time.Minute)
		f.Mend()
		time.Sleep(time.Minute)
		k.drain()
		k.wants("handled_total", 199, "done")
		k.wants("handled_total", 1, "dead")
		if got := w.sink.bodies(""); len(got) != 200 {
			t.Errorf("%d calls", len(got))
		}
	})
}

// A paused shop holds up nobody, however many of its events wait; they come in
// order when it opens, also under another holder.
func TestWaitingIsBounded(t *testing.T) {
	for _, move := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			w.cfg.MaxWaiting = 50
			start := time.Now()
			w.sink.answer = func(d Delivery, _ int) error {
				if d.Event.Shop == "closed" && time.Since(start) < time.Hour {
					return PauseShop(errSink, time.Hour)
				}
				return nil
			}
			r := w.receiver("a")
			k := w.start(1)
			var want []string
			for i := range 200 {
				one, two := fmt.Sprint(2*i), fmt.Sprint(2*i+1)
				want = append(want, one, two)
				r.add(ev("closed", one, one), ev("open", one, "y"), ev("closed", two, two))
				time.Sleep(20 * time.Millisecond)
			}
			time.Sleep(time.Minute)
			k.wants("handled_total", 200, "done")
			k.wants("full", 0)
			if n := k.count("waiting"); n > 50/shopPart {
				t.Errorf("%g wait", n)
			}
			if move {
				k.drain()
				k = w.start(2)
			}
			time.Sleep(2 * time.Hour)
			if got := slices.Compact(w.sink.bodies("closed")); !slices.Equal(got, want) {
				t.Errorf("%d calls: %v", len(got), got)
			}
			k.wants("waiting", 0)
			k.drain()
		})
	}
}

func TestRatePerShop(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cfg.Rate = 2
		r := w.receiver("a")
		var all []webhook.Event
		for i := range 40 {
			all = append(all, ev("s", fmt.Sprint(i), "x"), ev("t", fmt.Sprint(i), "x"))
		}
		r.add(all...)
		k := w.start(1)
		time.Sleep(10 * time.Second)
		if n := k.count("handled_total"); n < 36 || n > 44 {
			t.Errorf("%g events of two shops in 10 s", n)
		}
		time.Sleep(15 * time.Second)
		k.wants("handled_total", 80)
		k.drain()
	})
}

// While the handler fails everybody, calls stop, and no event dies of it.
func TestBreaker(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ill := true
		w.sink.answer = func(Delivery, int) error {
			if ill {
				return errSink
			}
			return nil
		}
		r := w.receiver("a")
		for i := range 20 {
			r.add(ev(fmt.Sprint("s", i), "1", "x"))
		}
		k := w.start(1)
		time.Sleep(time.Hour)
		k.wants("breaker_open", 1)
		if n := len(w.sink.bodies("")); n > 200 {
			t.Errorf("%d calls in an hour", n)
		}
		k.wants("handled_total", 0)
		k.crash()
		ill = false
		k = w.start(2)
		time.Sleep(time.Minute)
		k.wants("handled_total", 20, "done")
		k.wants("breaker_open", 0)
		k.drain()
	})
}
