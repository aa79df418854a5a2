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

// A paused shop holds up nobody until so many of its events wait.
func TestWaitingIsBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cfg.MaxWaiting = 50
		w.sink.answer = func(d Delivery, try int) error {
			if d.Event.Shop == "closed" && d.Event.WebhookID == "0" && try == 1 {
				return PauseShop(errSink, time.Hour)
			}
			return nil
		}
		r := w.receiver("a")
		for i := range 40 {
			r.add(ev("closed", fmt.Sprint(i), "x"), ev("open", fmt.Sprint(i), "y"))
		}
		k := w.start(1)
		time.Sleep(time.Minute)
		k.wants("handled_total", 40, "done")
		k.wants("full", 0)
		for i := range 40 {
			r.add(ev("closed", fmt.Sprint("more", i), "x"))
		}
		time.Sleep(time.Minute)
		k.wants("full", 1)
		if n := k.count("waiting"); n < 50 || n > 50+goSegments {
			t.Errorf("%g wait", n)
		}
		time.Sleep(2 * time.Hour)
		k.wants("handled_total", 120, "done")
		k.drain()
	})
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
