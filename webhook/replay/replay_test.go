package replay_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/again"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
	"github.com/pointsman/pointsman/webhook/replay"
)

// world is a store with streams, and begins at a time of its own.
type world struct {
	t      *testing.T
	memory *buffertest.Memory
	began  time.Time
	next   map[string]uint64
}

func newWorld(t *testing.T) *world {
	return &world{t: t, memory: &buffertest.Memory{}, began: time.Now(), next: map[string]uint64{}}
}

// stream names a receiver's stream that begins now.
func (w *world) stream(name string) string {
	return fmt.Sprintf("%s-%012x-%016x", name, time.Now().UnixMilli(), rand.Uint64())
}

func event(n int, shop, topic string) webhook.Event {
	body := fmt.Appendf(nil, `{"n":%d}`, n)
	return webhook.Event{ID: webhook.IDOf("orders", shop, fmt.Sprint(n)), Sum: sha256.Sum256(body), App: "orders", Shop: shop,
		Topic: topic, WebhookID: fmt.Sprint(n), Arrived: time.Now(), Body: body}
}

func (w *world) put(stream string, events ...webhook.Event) {
	w.t.Helper()
	seg := webhook.Segment{Stream: stream, Number: w.next[stream]}
	w.next[stream]++
	for _, e := range events {
		seg.Slots.Add(e.Slot())
	}
	b, err := webhook.EncodeSegment(events)
	if err == nil {
		_, err = w.memory.Put(w.t.Context(), seg.Key(), b, buffer.Condition{Absent: true})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) config(id string) replay.Config {
	return replay.Config{Store: w.memory, ID: id, From: w.began, To: time.Now().Add(time.Nanosecond), Late: replay.DefaultLate, Told: func(replay.Done) {}}
}

func (w *world) run(cfg replay.Config) replay.Done {
	w.t.Helper()
	done, err := replay.Run(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// events reads a stream back.
func (w *world) events(stream string) []webhook.Event {
	w.t.Helper()
	var all []webhook.Event
	for _, key := range w.memory.Keys(webhook.SegmentPrefix(stream)) {
		o, _ := w.memory.Get(w.t.Context(), key)
		events, err := webhook.DecodeSegment(o.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, events...)
	}
	return all
}

func ids(events []webhook.Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.WebhookID)
	}
	return strings.Join(all, " ")
}

// Three receivers of which two overlap, one segment a minute: what arrived in the
// span is put in again in the order of arrival, within a stream and over all.
func TestRunKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.stream("a"), w.stream("b")
		c := ""
		var want []string
		var from, to time.Time
		for n := range 3000 {
			switch n {
			case 1000:
				from = time.Now()
			case 1500:
				c = w.stream("c")
			case 2500:
				to = time.Now()
			}
			stream := []string{a, b, c}[n%3]
			if stream == "" || n > 2000 && stream == a {
				stream = b
			}
			w.put(stream, event(n, fmt.Sprint("shop-", n%7), "orders/create"))
			if n >= 1000 && n < 2500 {
				want = append(want, fmt.Sprint(n))
			}
			time.Sleep(time.Minute)
		}
		cfg := w.config("monday")
		cfg.From, cfg.To = from, to
		done := w.run(cfg)
		got := w.events(done.Stream)
		if ids(got) != strings.Join(want, " ") || done.Events != 1500 {
			t.Fatalf("%d events: %s", done.Events, ids(got))
		}
		if done.Segments > 1500+120+4*8*60 { // an hour before, a day after
			t.Errorf("%d segments were read", done.Segments)
		}
		for _, e := range got {
			if e.Replay != "monday" || e.IdempotencyKey() == e.ID.String() || e.IdempotencyKey() != e.Key().String() {
				t.Fatalf("event %s of replay %q has the key %s", e.WebhookID, e.Replay, e.IdempotencyKey())
			}
			if sum := sha256.Sum256(e.Body); sum != e.Sum {
				t.Fatalf("event %s has another body", e.WebhookID)
			}
		}
	})
}

// The same id again makes the same keys, so that the ledger knows them; another id
// makes others. A replay is none of what is replayed, unless asked for.
func TestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.stream("a")
		for n := range 10 {
			w.put(a, event(n, "a.example", "orders/create"))
			time.Sleep(time.Second)
		}
		keys := map[webhook.ID]int{}
		var wanted []replay.Done
		for _, id := range []string{"one", "one", "two"} {
			done := w.run(w.config(id))
			wanted = append(wanted, done)
			for _, e := range w.events(done.Stream) {
				keys[e.Key()]++
			}
			time.Sleep(time.Minute)
		}
		if len(keys) != 20 || wanted[2].Events != 10 || wanted[2].Again != 20 {
			t.Errorf("%d keys, %+v", len(keys), wanted)
		}
		cfg := w.config("three")
		cfg.Replays = true
		if done := w.run(cfg); done.Events != 40 {
			t.Errorf("%+v", done)
		}
	})
}

func TestFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.stream("a")
		redacted := event(3, "a.example", "orders/create")
		redacted.Redacted, redacted.Body = true, nil
		w.put(a, event(1, "a.example", "orders/create"), event(2, "b.example", "orders/create"), redacted)
		time.Sleep(time.Second)
		w.put(a, event(4, "a.example", "app/uninstalled"))
		w.put(a, event(5, "b.example", "app/uninstalled"))
		for _, row := range []struct {
			set      func(*replay.Config)
			want     string
			redacted int
		}{
			{func(*replay.Config) {}, "1 2 4 5", 1},
			{func(c *replay.Config) { c.Shop = "a.example" }, "1 4", 1},
			{func(c *replay.Config) { c.App, c.Shop = "orders", "b.example" }, "2 5", 0},
			{func(c *replay.Config) { c.Topic = "app/uninstalled" }, "4 5", 0},
			{func(c *replay.Config) { c.App = "other" }, "", 0},
			{func(c *replay.Config) { c.To = c.From.Add(time.Second) }, "1 2", 1},
			{func(c *replay.Config) { c.From = c.From.Add(time.Second) }, "4 5", 0},
		} {
			cfg := w.config("x")
			row.set(&cfg)
			done := w.run(cfg)
			if got := ids(w.events(done.Stream)); done.Stream != "" && got != row.want || done.Stream == "" && row.want != "" || done.Redacted != row.redacted {
				t.Errorf("%s, %+v; want %s", got, done, row.want)
			}
			cfg.Dry = true
			before := len(w.memory.Keys(""))
			dry := w.run(cfg)
			if dry.Events != done.Events || len(w.memory.Keys("")) != before {
				t.Errorf("dry %+v, then %+v", dry, done)
			}
			if row.redacted == 1 && row.want == "1 2 4 5" && !cmp.Equal(dry.Rows, map[replay.Row]int{
				{App: "orders", Shop: "a.example", Topic: "orders/create"}: 1, {App: "orders", Shop: "b.example", Topic: "orders/create"}: 1,
				{App: "orders", Shop: "a.example", Topic: "app/uninstalled"}: 1, {App: "orders", Shop: "b.example", Topic: "app/uninstalled"}: 1,
			}) {
				t.Errorf("%v", dry.Rows)
			}
		}
	})
}

// An event that stood in a spill comes later in a stream than it arrived, also in
// one that began after the span. It is found as long as Late says.
func TestSpilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.stream("a")
		spilled := event(1, "a.example", "orders/create")
		w.put(a, event(0, "a.example", "orders/create"))
		time.Sleep(time.Minute)
		to := time.Now()
		for n := range 10 {
			time.Sleep(time.Hour)
			w.put(a, event(100+n, "a.example", "orders/create"))
		}
		b := w.stream("b")
		time.Sleep(time.Hour)
		w.put(b, event(200, "a.example", "orders/create"))
		w.put(b, spilled)
		for late, want := range map[time.Duration]string{12 * time.Hour: "0 1", time.Hour: "0"} {
			cfg := w.config("x")
			cfg.To, cfg.Late = to, late
			if got := ids(w.events(w.run(cfg).Stream)); got != want {
				t.Errorf("late %s: %s", late, got)
			}
		}
	})
}

// Damaged segments are named and left out; those that were deleted meanwhile are
// only left out; foreign objects are left alone; a store that fails for a while is
// asked again, and one that fails for good ends it: the same once more does the rest.
func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.stream("a")
		for n := range 30 {
			w.put(a, event(n, "a.example", "orders/create"))
		}
		keys := w.memory.Keys(webhook.PrefixSegments)
		for key, body := range map[string]string{keys[3]: "cut", "in/foreign": "x", "in/a/b": "x", webhook.SegmentPrefix(a) + "0": "x"} {
			if _, err := w.memory.Put(t.Context(), key, []byte(body), buffer.Condition{}); err != nil {
				t.Fatal(err)
			}
		}
		f := buffertest.NewFaulty(w.memory, 1)
		for _, op := range []buffertest.Op{buffertest.Get, buffertest.List, buffertest.Put} {
			f.Next(op, buffertest.Fail, buffertest.Lost, buffertest.Hang)
		}
		cfg := w.config("x")
		cfg.Store = again.Patient{Store: f}
		done := w.run(cfg)
		if done.Events != 29 || done.Unread != 1 || !slices.Equal(done.Damaged, keys[3:4]) || len(w.events(done.Stream)) != 29 {
			t.Errorf("%+v", done)
		}
		f.Break(buffertest.Fail, buffertest.Get)
		if _, err := replay.Run(t.Context(), cfg); !errors.Is(err, buffertest.ErrBroken) {
			t.Error(err)
		}
	})
}

func TestConfig(t *testing.T) {
	for _, set := range []func(*replay.Config){
		func(c *replay.Config) { c.ID = "" },
		func(c *replay.Config) { c.ID = "retry-0123456789abcdef" },
		func(c *replay.Config) { c.From = c.To },
		func(c *replay.Config) { c.Late = -1 },
	} {
		cfg := newWorld(t).config("x")
		set(&cfg)
		if _, err := replay.Run(t.Context(), cfg); !errors.Is(err, replay.ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// More streams at once than are read at once: nothing is left out.
func TestManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for n := range 100 {
			w.put(w.stream(fmt.Sprint("r", n)), event(n, "a.example", "orders/create"), event(1000+n, "a.example", "orders/create"))
			if n%2 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		done := w.run(w.config("x"))
		if done.Events != 200 || len(w.events(done.Stream)) != 200 {
			t.Errorf("%+v", done)
		}
	})
}
