package work

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/client/leases"
	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

var errSink = errors.New("sink is ill")

// Order per shop holds over many shops, receivers, failures and a change of the
// holder; each event is done, none is done twice once it was committed.
func TestOrderPerShop(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				rng := rand.New(rand.NewPCG(seed, 1))
				w.cfg.Partitions, w.cfg.Attempts, w.cfg.Backoff = 1+rng.IntN(5), 100, 10*time.Millisecond
				w.sink.hold = func(ctx context.Context, _ Delivery, _ int) { sleep(ctx, time.Millisecond) }
				w.sink.answer = func(d Delivery, try int) error {
					switch (int(d.Event.ID[0]) + try) % 5 {
					case 0:
						return errSink
					case 1:
						return RetryAfter(errSink, 50*time.Millisecond)
					case 2:
						if d.Event.ID[1] < 30 {
							return Unavailable(errSink)
						}
					}
					return nil
				}
				r := w.receiver("a")
				want := map[string][]string{}
				fill := func(segments int) {
					for range segments {
						var events []webhook.Event
						for range 1 + rng.IntN(20) {
							shop := fmt.Sprintf("s%d", rng.IntN(40))
							body := fmt.Sprint(len(want[shop]))
							want[shop] = append(want[shop], body)
							events = append(events, ev(shop, body, body))
						}
						r.add(events...)
					}
				}
				fill(50)
				k := w.start(1)
				time.Sleep(300 * time.Millisecond)
				fill(20)
				time.Sleep(300 * time.Millisecond)
				k.drain()
				k = w.start(2)
				fill(20)
				time.Sleep(30 * time.Minute) // the breaker opens now and then
				k.drain()
				if len(w.sink.twice) > 0 || w.sink.most > DefaultConcurrency {
					t.Errorf("%d calls at once; two for one shop: %v", w.sink.most, w.sink.twice)
				}
				for shop, bodies := range want {
					if got := slices.Compact(w.sink.bodies(shop)); !slices.Equal(got, bodies) {
						t.Errorf("%s: %v, want %v", shop, got, bodies)
					}
				}
			})
		})
	}
}

func TestOutcomes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cfg.Attempts = 3
		start := time.Now()
		at := map[string]time.Duration{}
		w.sink.answer = func(d Delivery, try int) error {
			at[fmt.Sprint(string(d.Event.Body), try)] = time.Since(start)
			switch body := string(d.Event.Body); {
			case body == "permanent":
				return Permanent(errSink)
			case body == "poison":
				return errSink
			case body == "panic" && try == 1:
				panic("ouch")
			case body == "after" && try == 1:
				return RetryAfter(errSink, 10*time.Minute)
			case body == "pause" && try < 5:
				return PauseShop(errSink, time.Hour)
			case body == "away" && try < 20:
				return Unavailable(errSink)
			}
			return nil
		}
		r := w.receiver("a")
		var all []webhook.Event
		for _, body := range []string{"permanent", "poison", "panic", "after", "pause", "away"} {
			all = append(all, ev("shop-"+body, "1", body), ev("shop-"+body, "2", "good"))
		}
		r.add(all...)
		k := w.start(1)
		time.Sleep(8 * time.Hour)
		k.wants("handled_total", 10, "done")
		k.wants("handled_total", 2, "dead")
		k.wants("waiting", 0)
		for body, calls := range map[string]int{"permanent": 1, "poison": 3, "panic": 2, "after": 2, "pause": 5, "away": 20} {
			if got := w.sink.bodies("shop-" + body); len(got) != calls+1 || got[calls] != "good" {
				t.Errorf("%s: %v", body, got)
			}
		}
		if d := at["after2"] - at["after1"]; d < 10*time.Minute {
			t.Errorf("Retry-After of 10m: again after %s", d)
		}
		if d := at["pause2"] - at["pause1"]; d < time.Hour {
			t.Errorf("paused for an hour: again after %s", d)
		}
		k.drain()
		keys := w.mem.Keys(webhook.PrefixDead)
		if len(keys) != 2 {
			t.Fatalf("dead letters: %v", keys)
		}
		for _, key := range keys {
			letter := w.letter(key)
			body, n := string(letter.GetBody()), len(letter.GetAttempts())
			if body != "permanent" && body != "poison" || body == "poison" && n != 3 || letter.GetReason() == "" || letter.GetToken() != 1 {
				t.Errorf("dead letter %v", letter)
			}
		}
		k = w.start(2) // they stay dead
		time.Sleep(time.Minute)
		k.wants("handled_total", 0)
		k.drain()
	})
}

func (w *world) letter(key string) *webhookv1.Letter {
	o, err := w.mem.Get(w.t.Context(), key)
	letter := &webhookv1.Letter{}
	if err == nil {
		err = proto.Unmarshal(o.Body, letter)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return letter
}

// A crash between effect and commit: the next holder hands it out again, with the
// same key and a newer token.
func TestCrashBeforeCommit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		f := buffertest.NewFaulty(w.mem, 1)
		w.store = f
		w.receiver("a").add(ev("s", "1", "x"))
		k := w.start(1)
		time.Sleep(50 * time.Millisecond)
		f.Break(buffertest.Fail, buffertest.Put) // no commit from here on
		time.Sleep(10 * time.Second)
		k.crash()
		k.wants("uncommitted_total", 1)
		f.Mend()
		k = w.start(2)
		time.Sleep(time.Second)
		k.drain()
		c := w.sink.calls
		if len(c) != 2 || c[0].Key != c[1].Key || c[0].Token != 1 || c[1].Token != 2 {
			t.Errorf("calls: %v", c)
		}
	})
}

// A worker that was paused still believes in its lease: what it finishes is
// refused, counted, and the other's completions stand.
func TestZombieIsFenced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.sink.hold = func(ctx context.Context, d Delivery, _ int) {
			if d.Token == 1 {
				sleep(ctx, 20*time.Second) // longer than any ttl
			}
		}
		r := w.receiver("a")
		r.add(ev("s", "1", "x"), ev("t", "1", "y"))
		old := w.start(1)
		time.Sleep(time.Second)
		k := w.start(2)
		time.Sleep(time.Minute)
		old.wants("fenced_total", 2)
		if ends := old.ended(); len(ends) != 1 || !leases.Lost(ends[0]) {
			t.Errorf("the old one ended with %v", ends)
		}
		k.wants("handled_total", 2, "done")
		old.crash()
		k.drain()
		k = w.start(3)
		time.Sleep(time.Minute)
		k.drain()
		if got := w.sink.bodies(""); len(got) != 4 {
			t.Errorf("calls: %v", got)
		}
	})
}

func TestSinkSaysFenced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.sink.answer = func(Delivery, int) error { return Fenced(errSink) }
		w.receiver("a").add(ev("s", "1", "x"))
		k := w.start(1)
		time.Sleep(time.Second)
		if ends := k.ended(); len(ends) != 1 || !leases.Lost(ends[0]) || !errors.Is(ends[0], errSink) {
			t.Errorf("ended with %v", ends)
		}
		k.crash()
	})
}

// A lease that may not be believed in any more: nothing is handed out.
func TestCheckComesFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.receiver("a").add(ev("s", "1", "x"))
		k := w.startWith(1, func() error { return leases.ErrLost })
		time.Sleep(time.Minute)
		if got, ends := w.sink.bodies(""), k.ended(); len(got) != 0 || len(ends) != 1 || !leases.Lost(ends[0]) {
			t.Errorf("calls %v, ends %v", got, ends)
		}
		k.crash()
	})
}

// Duplicates: at once, in another stream, a day later, and after a restart. One
// with another body goes into quarantine.
func TestDuplicates(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.receiver("a"), w.receiver("b")
		a.add(ev("s", "1", "x"), ev("s", "1", "x"))
		b.add(ev("s", "1", "x"), ev("s", "2", "y"))
		k := w.start(1)
		time.Sleep(24 * time.Hour)
		b.heard(0)
		b.add(ev("s", "1", "x"))
		time.Sleep(time.Minute)
		k.wants("skipped_total", 3, "duplicate")
		k.drain()
		k = w.start(2)
		b.heard(0)
		b.add(ev("s", "1", "x"), ev("s", "1", "forged"), ev("s", "1", "forged"))
		time.Sleep(time.Minute)
		k.drain()
		if got := w.sink.bodies(""); !slices.Equal(got, []string{"x", "y"}) {
			t.Errorf("calls: %v", got)
		}
		keys := w.mem.Keys(webhook.PrefixQuarantine)
		if len(keys) != 1 || string(w.letter(keys[0]).GetBody()) != "forged" {
			t.Errorf("quarantine: %v", keys)
		}
		k.wants("skipped_total", 2, "quarantine")
	})
}

// Two receivers whose clocks are ten minutes apart: nothing is lost, and order
// within each holds.
func TestClocksApart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.receiver("a"), w.receiver("b")
		k := w.start(1)
		for i := range 50 {
			slow, fast := ev("s", fmt.Sprint("a", i), fmt.Sprint("a", i)), ev("s", fmt.Sprint("b", i), fmt.Sprint("b", i))
			slow.Arrived, fast.Arrived = slow.Arrived.Add(-5*time.Minute), fast.Arrived.Add(5*time.Minute)
			a.add(slow)
			b.add(fast)
			time.Sleep(time.Duration(i) * 7 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		k.drain()
		next := map[byte]int{}
		for _, body := range w.sink.bodies("s") {
			if body != fmt.Sprint(body[:1], next[body[0]]) {
				t.Fatalf("%s comes where %d is due", body, next[body[0]])
			}
			next[body[0]]++
		}
		if next['a'] != 50 || next['b'] != 50 {
			t.Errorf("done: %v", next)
		}
	})
}

// Segments that land late below others, numbers that never come, damaged ones.
func TestMissingAndDamaged(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.receiver("a")
		r.put(1, ev("s", "1", "one"))
		key, body := r.segment(2, ev("s", "2", "two"))
		whole := slices.Clone(body)
		body[20] ^= 1
		_, _ = w.mem.Put(t.Context(), key, body, buffer.Condition{})
		r.put(4, ev("s", "4", "four"))
		k := w.start(1)
		time.Sleep(time.Minute)
		if got := w.sink.bodies(""); !slices.Equal(got, []string{"one", "four"}) {
			t.Errorf("calls: %v", got)
		}
		k.wants("missing_segments", 2) // 0 and 3
		k.wants("damaged_segments", 1)
		k.drain()
		k = w.start(2) // who comes next knows what is missing
		r.put(3, ev("s", "3", "three"))
		time.Sleep(10 * time.Minute)
		_, _ = w.mem.Put(t.Context(), key, whole, buffer.Condition{})
		time.Sleep(10 * time.Minute)
		if got := w.sink.bodies(""); !slices.Equal(got, []string{"one", "four", "three", "two"}) {
			t.Errorf("calls: %v", got)
		}
		k.wants("missing_segments", 1)
		k.wants("damaged_segments", 0)
		time.Sleep(25 * time.Hour)
		k.wants("missing_segments", 0)
		k.wants("abandoned_segments_total", 1)
		k.drain()
	})
}

// What lands after it was listed past is found soon.
func TestLateSegmentIsFoundSoon(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.receiver("a")
		k := w.start(1)
		for i := range uint64(20) {
			r.put(2*i+1, ev("s", fmt.Sprint("late", i), "x"))
			time.Sleep(150 * time.Millisecond)
			r.put(2*i, ev("s", fmt.Sprint(i), "x"))
		}
		time.Sleep(time.Second)
		k.wants("handled_total", 40, "done")
		k.wants("missing_segments", 0)
		k.drain()
	})
}
