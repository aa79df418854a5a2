package work

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

// One request to the store that is never answered holds work up for its own time
// only, whichever it is.
func TestHungRequest(t *testing.T) {
	for op, skip := range map[buffertest.Op]int{buffertest.Get: 6, buffertest.List: 4, buffertest.Put: 2} {
		for n := range skip {
			t.Run(fmt.Sprint(op, n), func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					f := buffertest.NewFaulty(w.mem, 1)
					w.store = f
					f.Next(op, append(make([]buffertest.Fault, n), buffertest.Hang)...)
					r := w.receiver("a")
					k := w.start(1)
					r.add(ev("s", "1", "one"))
					time.Sleep(5 * time.Minute)
					r.heard(0)
					r.add(ev("t", "1", "two"))
					time.Sleep(5 * time.Minute)
					if got := w.sink.bodies(""); !slices.Equal(got, []string{"one", "two"}) {
						t.Errorf("calls: %v", got)
					}
					k.crash()
				})
			})
		}
	}
}

// The breaker's probe ends when the store does not answer for its event.
func TestHungProbe(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		f := buffertest.NewFaulty(w.mem, 1)
		w.store, w.cfg.CacheBytes, w.cfg.BreakAfter = f, 1, 3
		ill := true
		w.sink.answer = func(Delivery, int) error {
			if ill {
				return Unavailable(errSink)
			}
			return nil
		}
		r := w.receiver("a")
		r.add(ev("s", "1", "one"), ev("t", "1", "two"))
		k := w.start(1)
		time.Sleep(30 * time.Second)
		k.wants("breaker_open", 1)
		ill = false
		f.Next(buffertest.Get, buffertest.Hang)
		time.Sleep(10 * time.Minute)
		k.wants("handled_total", 2, "done")
		k.crash()
	})
}

// A receiver whose object cannot be read does not hold up the others, nor its own
// segments.
func TestReceiverCannotBeRead(t *testing.T) {
	for _, fault := range []buffertest.Fault{buffertest.Fail, buffertest.Hang} {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.receiver("a")
			w.store = &unreadable{w.mem, webhook.ReceiverKey(r.stream), fault}
			other := w.receiver("b")
			r.add(ev("s", "1", "one"))
			other.add(ev("t", "1", "two"))
			k := w.start(1)
			time.Sleep(time.Minute)
			k.wants("handled_total", 2, "done")
			k.crash()
		})
	}
}

// A command that has exited 0 is done, whoever holds its output open.
func TestCommandLeavesAChild(t *testing.T) {
	c := Command{Args: []string{"sh", "-c", "sleep 60 & exit 0"}, Grace: 20 * time.Millisecond}
	if err := c.Handle(t.Context(), Delivery{Event: ev("s", "1", "x")}); err != nil {
		t.Error(err)
	}
}

// What a handler says may quote the event: letters keep it, logs do not.
func TestLogsQuoteNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var logs bytes.Buffer
		w.cfg.Log = slog.New(slog.NewTextHandler(&logs, nil))
		secret := saying{errSink, "secret@example.com"}
		w.sink.answer = func(d Delivery, try int) error {
			switch d.Event.Shop {
			case "permanent":
				return Permanent(secret)
			case "pause":
				return PauseShop(secret, time.Second)
			case "panic":
				panic("secret@example.com")
			}
			return secret
		}
		w.cfg.Attempts = 2
		r := w.receiver("a")
		for _, shop := range []string{"permanent", "pause", "panic", "again"} {
			r.add(ev(shop, "1", "x"))
		}
		k := w.start(1)
		time.Sleep(time.Hour)
		r.add(ev("fenced", "1", "x"))
		k.crash()
		text := logs.String()
		if strings.Contains(text, "secret") || !strings.Contains(text, "permanent: "+errSink.Error()) {
			t.Error(text)
		}
		if !w.stored("secret@example.com") {
			t.Error("no letter tells what the handler said")
		}
		if err := error(quiet{Fenced(secret)}); strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	})
}

// What lands in a gap after one partition has jumped it is read by one that opens
// later.
func TestGapThatFillsUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.receiver("a")
		r.put(0, ev("s", "0", "x"))
		r.put(3*blockSpan, ev("s", "1", "x"))
		cfg := w.cfg
		cfg.Store = w.mem
		f := newFeed(cfg.withDefaults(), newMeters(nil))
		ctx, cancel := context.WithCancel(t.Context())
		var goes sync.WaitGroup
		goes.Go(func() { f.run(ctx) })
		time.Sleep(time.Minute)
		through := func(from uint64) uint64 {
			_, at, err := f.next(ctx, r.stream, from, goEntries)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		through(0)
		time.Sleep(time.Minute)
		f.mu.Lock()
		clear(f.blocks) // as for one that is far behind
		f.mu.Unlock()
		if at := through(blockSpan); at != 3*blockSpan {
			t.Errorf("an empty gap is read up to %d", at)
		}
		r.put(2*blockSpan, ev("s", "2", "x"))
		if at := through(blockSpan); at > 2*blockSpan {
			t.Errorf("a gap that was filled up is read up to %d", at)
		}
		cancel()
		goes.Wait()
	})
}

// A shop that stays closed ends among the dead letters, each event a day after it
// came.
func TestClosedForGood(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.sink.answer = func(Delivery, int) error { return PauseShop(errSink, 0) }
		r := w.receiver("a")
		k := w.start(1)
		for i := range 4 {
			r.add(ev("s", fmt.Sprint(i), "x"))
		}
		time.Sleep(12 * time.Hour)
		r.heard(0)
		r.add(ev("s", "young", "x"))
		time.Sleep(13 * time.Hour)
		k.wants("handled_total", 4, "dead")
		time.Sleep(12 * time.Hour)
		k.wants("handled_total", 5, "dead")
		k.drain()
	})
}

// A segment that is lost after it was read holds its shop up for a day, not for
// ever.
func TestBodyIsLost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cfg.CacheBytes = 1
		ill := true
		w.sink.answer = func(Delivery, int) error {
			if ill {
				return PauseShop(errSink, time.Minute)
			}
			return nil
		}
		r := w.receiver("a")
		r.add(ev("s", "1", "one"))
		r.add(ev("s", "2", "two"))
		k := w.start(1)
		time.Sleep(10 * time.Second)
		if err := w.mem.Delete(t.Context(), w.mem.Keys(webhook.PrefixSegments)[0], buffer.Condition{}); err != nil {
			t.Fatal(err)
		}
		ill = false
		time.Sleep(25 * time.Hour)
		k.wants("handled_total", 1, "dead")
		k.wants("handled_total", 1, "done")
		if n := k.count("store_errors_total", "read"); n > 24*60 {
			t.Errorf("%g reads", n)
		}
		if keys := w.mem.Keys(webhook.PrefixDead); len(keys) != 1 || w.letter(keys[0]).GetReason() == "" {
			t.Errorf("dead letters: %v", keys)
		}
		k.drain()
	})
}
