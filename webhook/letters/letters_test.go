package letters_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
	"github.com/pointsman/pointsman/webhook/ledger"
	"github.com/pointsman/pointsman/webhook/letters"
)

// world is a store with a worker of its only partition, as far as these commands
// meet one.
type world struct {
	t      *testing.T
	memory *buffertest.Memory
	faulty *buffertest.Faulty
	ledger *ledger.Ledger
	runs   []string // idempotency keys, one for each call of the handler
	poison bool     // the handler fails: what it gets dies
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, memory: &buffertest.Memory{}}
	w.faulty = buffertest.NewFaulty(w.memory, 1)
	l, err := ledger.Open(t.Context(), ledger.Config{Store: w.memory, Commits: ledger.CAS{}, Token: 7, Worker: "w"})
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = l
	return w
}

func (w *world) box(k letters.Kind) letters.Box { return letters.Box{Store: w.faulty, Kind: k} }

func event(n int) webhook.Event {
	body := fmt.Appendf(nil, `{"n":%d}`, n)
	shop := fmt.Sprintf("shop-%d.example", n%5)
	return webhook.Event{
		ID: webhook.IDOf("orders", shop, fmt.Sprint(n)), Sum: sha256.Sum256(body), App: "orders", Shop: shop, Topic: "orders/create",
		WebhookID: fmt.Sprint(n), Arrived: time.Unix(int64(n), 0), Body: body,
	}
}

func (w *world) put(key string, m proto.Message) {
	w.t.Helper()
	b, err := proto.Marshal(m)
	if err == nil {
		_, err = w.memory.Put(w.t.Context(), key, b, buffer.Condition{})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func letterOf(e webhook.Event, reason string) *webhookv1.Letter {
	return &webhookv1.Letter{Event: webhook.Envelope(e), Body: e.Body, Reason: reason, Token: 7, AtNs: e.Arrived.UnixNano(),
		Attempts: []*webhookv1.Attempt{{Outcome: "422", Worker: "w", Token: 7}}}
}

func (w *world) die(e webhook.Event, token uint64) {
	w.t.Helper()
	w.put(webhook.DeadKey(e, token), letterOf(e, "handler: 422 Unprocessable"))
	w.ledger.Finish(e, ledger.Dead)
}

// work hands out what the buffer holds and is not finished.
func (w *world) work() {
	w.t.Helper()
	for _, key := range w.memory.Keys(webhook.PrefixSegments) {
		o, err := w.memory.Get(w.t.Context(), key)
		if err != nil {
			w.t.Fatal(err)
		}
		events, err := webhook.DecodeSegment(o.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range events {
			if sum := sha256.Sum256(e.Body); sum != e.Sum {
				w.t.Errorf("%s has another body", e.ID)
			}
			switch w.ledger.Seen(e) {
			case ledger.New:
				w.runs = append(w.runs, e.IdempotencyKey())
				if w.poison {
					w.die(e, 7)
				} else {
					w.ledger.Finish(e, ledger.Done)
				}
			case ledger.OtherBody:
				w.t.Errorf("%s is taken for another event", e.ID)
			case ledger.WasDone, ledger.WasDead:
			}
		}
	}
	if err := w.ledger.Commit(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) retryAll(k letters.Kind) (letters.Done, error) {
	w.t.Helper()
	refs, more, err := w.box(k).Index(w.t.Context(), letters.Filter{})
	if err != nil || more {
		w.t.Fatal(more, err)
	}
	return w.box(k).Retry(w.t.Context(), refs, letters.Filter{}, func(letters.Done) {})
}

// wantRuns holds the runs against events, each once under the key that the shop's
// own delivery had.
func (w *world) wantRuns(events ...webhook.Event) {
	w.t.Helper()
	var want []string
	for _, e := range events {
		want = append(want, e.ID.String())
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(w.runs)); !slices.Equal(got, want) {
		w.t.Errorf("ran %d: %v\nwant %d: %v", len(got), got, len(want), want)
	}
}

func (w *world) some(n int) []webhook.Event {
	var all []webhook.Event
	for i := range n {
		all = append(all, event(i))
		w.die(event(i), 7)
	}
	return all
}

func TestRetryRunsOnce(t *testing.T) {
	w := newWorld(t)
	all := w.some(200) // several batches
	w.work()
	done, err := w.retryAll(letters.Dead)
	if err != nil || done.Letters != 200 || !webhook.ValidStream(done.Stream) {
		t.Fatal(done, err)
	}
	if left := w.memory.Keys(webhook.PrefixDead); len(left) > 0 {
		t.Errorf("%d letters are left", len(left))
	}
	w.work()
	w.wantRuns(all...)
}

// Whatever request of a retry is lost or broken for good, a second one on
// purpose runs nothing twice and leaves nothing behind.
func TestRetryTwiceOnPurpose(t *testing.T) {
	for _, op := range []buffertest.Op{buffertest.Put, buffertest.Delete, buffertest.Get, buffertest.List} {
		for _, fault := range []buffertest.Fault{buffertest.Fail, buffertest.Lost, buffertest.LostHang, buffertest.Late} {
			t.Run(fmt.Sprint(op, fault), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					all := w.some(100)
					refs, _, _ := w.box(letters.Dead).Index(t.Context(), letters.Filter{})
					w.faulty.Next(op, slices.Repeat([]buffertest.Fault{buffertest.None}, 1)...)
					w.faulty.Next(op, slices.Repeat([]buffertest.Fault{fault}, 50)...)
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					_, err := w.box(letters.Dead).Retry(ctx, refs, letters.Filter{}, func(letters.Done) {})
					cancel()
					if err == nil && op != buffertest.List {
						t.Fatal("nothing went wrong")
					}
					w.faulty.Mend()
					w.work() // between the two
					for range 2 {
						if _, err := w.retryAll(letters.Dead); err != nil {
							t.Fatal(err)
						}
						w.work()
					}
					w.faulty.Wait()
					w.work()
					w.wantRuns(all...)
					if left := w.memory.Keys(webhook.PrefixDead); len(left) > 0 {
						t.Errorf("%d letters are left", len(left))
					}
				})
			})
		}
	}
}

// A retry that dies too is a letter again; retried once more it runs once more,
// under the key that it always had.
func TestRetryDiesToo(t *testing.T) {
	w := newWorld(t)
	e := event(1)
	w.die(e, 7)
	w.poison = true
	for range 3 {
		if done, err := w.retryAll(letters.Dead); err != nil || done.Letters != 1 {
			t.Fatal(done, err)
		}
		w.work()
	}
	w.wantRuns(e, e, e)
}

// Letters that workers have left under two tokens are one, and go together.
func TestOlderTokens(t *testing.T) {
	w := newWorld(t)
	e := event(1)
	w.die(e, 7)
	w.die(e, 9)
	w.die(event(2), 8)
	refs, err := w.box(letters.Dead).Find(t.Context(), e.Key().String()[:12])
	if err != nil || len(refs) != 1 || refs[0].Key != webhook.DeadKey(e, 9) || len(refs[0].Older) != 1 {
		t.Fatal(refs, err)
	}
	if done, err := w.retryAll(letters.Dead); err != nil || done.Letters != 2 {
		t.Fatal(done, err)
	}
	w.work()
	w.wantRuns(e, event(2))
	if left := w.memory.Keys(webhook.PrefixDead); len(left) > 0 {
		t.Error(left)
	}
}

// What is released from the quarantine runs under a key of its own: the other
// event under its id has used that one.
func TestQuarantine(t *testing.T) {
	w := newWorld(t)
	first := event(1)
	w.ledger.Finish(first, ledger.Done)
	for _, body := range []string{"another", "and another"} {
		e := first
		e.Body, e.Sum = []byte(body), sha256.Sum256([]byte(body))
		w.put(webhook.QuarantineKey(e), letterOf(e, "another body"))
	}
	for range 2 {
		if _, err := w.retryAll(letters.Quarantine); err != nil {
			t.Fatal(err)
		}
		w.work()
	}
	if len(w.runs) != 2 || w.runs[0] == w.runs[1] || slices.Contains(w.runs, first.ID.String()) {
		t.Error(w.runs)
	}
}

func TestWhatCannotBeRetriedStays(t *testing.T) {
	w := newWorld(t)
	redacted, damaged, other := event(1), event(2), event(3)
	redacted.Redacted, redacted.Body = true, nil
	w.die(redacted, 7)
	w.put(webhook.DeadKey(damaged, 7), letterOf(webhook.Event{ID: damaged.ID, Sum: damaged.Sum, Body: []byte("cut")}, "422"))
	w.put(webhook.DeadKey(other, 7), &webhookv1.Letter{})
	done, err := w.retryAll(letters.Dead)
	if err != nil || done.Letters != 0 || done.Redacted != 1 || done.Damaged != 2 || done.Stream != "" {
		t.Error(done, err)
	}
	if n := len(w.memory.Keys(webhook.PrefixDead)); n != 3 {
		t.Errorf("%d letters", n)
	}
}

// A letter goes when it is on record who has dropped it; also when the first try
// was cut in between, and when it cannot be read.
func TestDrop(t *testing.T) {
	w := newWorld(t)
	e, damaged := event(1), event(2)
	w.die(e, 7)
	w.put(webhook.DeadKey(damaged, 7), &webhookv1.Letter{})
	box := w.box(letters.Dead)
	drop := func(by string) (letters.Done, error) {
		refs, _, err := box.Index(t.Context(), letters.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		return box.Drop(t.Context(), refs, letters.Filter{}, by, "test order", func(letters.Done) {})
	}
	w.faulty.Break(buffertest.Fail, buffertest.Put)
	if done, err := drop("eve@a"); !errors.Is(err, buffertest.ErrBroken) || done.Letters != 0 || len(w.memory.Keys(webhook.PrefixDead)) != 2 {
		t.Fatal(done, err)
	}
	w.faulty.Mend()
	w.faulty.Break(buffertest.Fail, buffertest.Delete)
	if _, err := drop("ann@a"); !errors.Is(err, buffertest.ErrBroken) {
		t.Fatal(err)
	}
	w.faulty.Mend()
	if done, err := drop("bob@b"); err != nil || done.Letters != 2 || len(w.memory.Keys(webhook.PrefixDead)) != 0 {
		t.Fatal(done, err)
	}
	refs, err := w.box(letters.Dropped).Find(t.Context(), e.Key().String(), damaged.Key().String())
	if err != nil || len(refs) != 2 {
		t.Fatal(refs, err)
	}
	l, err := w.box(letters.Dropped).Read(t.Context(), refs[0])
	if err != nil || l.Event.Shop != e.Shop || len(l.Event.Body) > 0 || l.Size != uint64(len(e.Body)) || l.Drop.GetReason() != "test order" ||
		!strings.Contains(l.Reason, "422") || l.Drop.GetBy() == "eve@a" {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := w.box(letters.Dropped).Read(t.Context(), refs[1]); err != nil || l.Damaged != nil || !strings.Contains(l.Reason, "damaged") {
		t.Errorf("%+v, %v", l, err)
	}
	for _, key := range w.memory.Keys(webhook.PrefixDropped) {
		if o, _ := w.memory.Get(t.Context(), key); bytes.Contains(o.Body, e.Body) {
			t.Error("the record has the body")
		}
	}
}

func TestFind(t *testing.T) {
	w := newWorld(t)
	ids := map[string]int{}
	for i := range 300 {
		w.die(event(i), 7)
		ids[event(i).Key().String()[:4]]++
	}
	box := w.box(letters.Dead)
	one, two := event(1).Key().String(), event(2).Key().String()
	refs, err := box.Find(t.Context(), one[:16], strings.ToUpper(two), one)
	if err != nil || len(refs) != 2 || refs[0].ID != one || refs[1].ID != two {
		t.Error(refs, err)
	}
	for begin, want := range map[string]error{"ffffffffffffffff": letters.ErrNone, "": letters.ErrID, "abc": letters.ErrID, "../../etc": letters.ErrID, one + "0": letters.ErrID} {
		if _, err := box.Find(t.Context(), begin); !errors.Is(err, want) {
			t.Errorf("%q: %v", begin, err)
		}
	}
	w.put(webhook.DeadPrefix(1)+one[:4]+strings.Repeat("0", 60)+"-0000000000000007", &webhookv1.Letter{})
	if _, err := box.Find(t.Context(), one[:4]); !errors.Is(err, letters.ErrMany) || !strings.Contains(err.Error(), one) {
		t.Error(err)
	}
}

// The index goes over all pages, the oldest letter first, leaves foreign objects
// alone, and reads one shop's part when that is enough.
func TestIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const n = 2345
		for i := range n {
			w.die(event(i), 7)
			time.Sleep(time.Second)
		}
		for _, key := range []string{"dead/x/y", "dead/001/y", "dead/999/" + event(1).Key().String() + "-7", "dead/001/" + strings.Repeat("g", 64) + "-7"} {
			w.put(key, &webhookv1.Letter{})
		}
		refs, more, err := w.box(letters.Dead).Index(t.Context(), letters.Filter{})
		if err != nil || more || len(refs) != n {
			t.Fatal(len(refs), more, err)
		}
		for i, r := range refs {
			if r.ID != event(i).Key().String() {
				t.Fatalf("letter %d is another one", i)
			}
		}
		f := letters.Filter{App: "orders", Shop: "shop-3.example", Topic: "orders/create", Reason: "unprocessable"}
		before := w.faulty.Calls(buffertest.List)
		refs, _, err = w.box(letters.Dead).Index(t.Context(), f)
		if err != nil || len(refs) < n/5 || len(refs) == n || w.faulty.Calls(buffertest.List) != before+1 {
			t.Errorf("%d letters in %d lists, %v", len(refs), w.faulty.Calls(buffertest.List)-before, err)
		}
		found := 0
		err = w.box(letters.Dead).Each(t.Context(), refs, f, func(l letters.Letter) (bool, error) {
			found++
			if l.Event.Shop != f.Shop || len(l.Attempts) != 1 || l.Token != 7 || l.Size == 0 {
				t.Errorf("%+v", l)
			}
			return found < 100, nil
		})
		if err != nil || found != 100 {
			t.Error(found, err)
		}
	})
}
