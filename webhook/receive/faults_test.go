package receive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

// What each fault of the first write, or of all writes, comes to: an answer
// within 3.5 s, and never a 2xx for what cannot be read back.
func TestStoreFaults(t *testing.T) {
	type row struct {
		next []buffertest.Fault
		all  buffertest.Fault
		want int
	}
	rows := map[string]row{}
	for _, f := range []buffertest.Fault{buffertest.Fail, buffertest.Lost, buffertest.Hang, buffertest.LostHang, buffertest.Late, buffertest.Conflict, buffertest.Slow} {
		rows["first "+string(f)] = row{next: []buffertest.Fault{f}, want: 200}
		rows["always "+string(f)] = row{all: f, want: 503}
	}
	rows["always slow"] = row{all: buffertest.Slow, want: 200}
	rows["always late"] = row{all: buffertest.Late, want: 200} // the first try lands while others are tried
	rows["always lost"] = row{all: buffertest.Lost, want: 200} // found by reading back
	rows["always lost-hang"] = row{all: buffertest.LostHang, want: 200}
	rows["always ignore"] = row{all: buffertest.Ignore, want: 200} // one key, one content
	rows["lost, and not read back"] = row{next: []buffertest.Fault{buffertest.Lost, buffertest.Hang}, want: 200}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := &buffertest.Memory{}
				store := buffertest.NewFaulty(memory, 1)
				r := open(t, testConfig(store))
				store.Next(buffertest.Put, row.next...)
				if row.all != buffertest.None {
					store.Break(row.all, buffertest.Put)
				}
				began := time.Now()
				code, text := status(r, request("1", "{}"))
				took := time.Since(began)
				if code != row.want || took > answerWithin {
					t.Errorf("%d %s after %s, want %d", code, text, took, row.want)
				}
				if _, count := kept(t, memory); code == 200 && count["1"] == 0 {
					t.Error("acknowledged, and not there")
				}
				store.Wait()
				store.Mend()
				time.Sleep(time.Second)
				if code, text := status(r, request("1", "{}")); code != 200 {
					t.Errorf("tried again: %d %s", code, text)
				}
				if r.memory.used() != 0 || r.slots.used() != 0 {
					t.Errorf("in flight: %d bytes, %d requests", r.memory.used(), r.slots.used())
				}
			})
		})
	}
}

// Without a spill requests wait for a store that comes back in time, and are
// refused where it does not.
func TestStoreRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buffertest.NewFaulty(&buffertest.Memory{}, 1)
		r := open(t, testConfig(store))
		var all sync.WaitGroup
		send := func(what string, want int) {
			for i := range 200 {
				all.Go(func() {
					began := time.Now()
					resp := serve(r, request(fmt.Sprint(what, i), "{}"))
					if took := time.Since(began); resp.StatusCode != want || took > answerWithin || (resp.Header.Get("Retry-After") != "") != (want == 503) {
						t.Errorf("%s: %d %v after %s", what, resp.StatusCode, resp.Header, took)
					}
				})
			}
		}
		store.Break(buffertest.Fail)
		send("during a restart", 200)
		time.Sleep(2 * time.Second)
		if r.Ready() == nil {
			t.Error("ready")
		}
		store.Mend()
		all.Wait()
		store.Break(buffertest.Hang)
		send("while it hangs", 503)
		all.Wait()
		store.Mend()
		send("then", 200)
		all.Wait()
		if r.Ready() != nil || r.memory.used() != 0 {
			t.Error(r.Ready(), r.memory.used())
		}
	})
}

// A store that is down at the start: nothing is written before the stream is
// known, and then it is.
func TestStoreDownAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &buffertest.Memory{}
		store := buffertest.NewFaulty(memory, 1)
		store.Break(buffertest.Lost, buffertest.Put) // the announcement lands, and nobody knows
		store.Break(buffertest.Fail, buffertest.Get)
		r := openOnly(t, testConfig(store))
		if code, _ := status(r, request("1", "{}")); code != 503 || r.Ready() == nil {
			t.Fatal(code, r.Ready())
		}
		store.Mend()
		time.Sleep(time.Second)
		if code, _ := status(r, request("1", "{}")); code != 200 || r.Ready() != nil {
			t.Fatal(code, r.Ready())
		}
	})
}

// A client that has left before the answer matters to nobody.
func TestClientGone(t *testing.T) {
	store := &buffertest.Memory{}
	r := open(t, testConfig(store))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code, _ := status(r, request("1", "{}").WithContext(ctx)); code != 200 {
		t.Error(code)
	}
	if _, count := kept(t, store); count["1"] != 1 {
		t.Errorf("stored %v", count)
	}
}

// One id a hundred times at once over two receivers: all are told 200, and each
// receiver stores it once; the ledger dedupes the two.
func TestSameIDAtOnce(t *testing.T) {
	store := &buffertest.Memory{}
	both := []*Receiver{open(t, testConfig(store)), open(t, testConfig(store))}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if code, text := status(both[i%2], request("same", "{}")); code != 200 {
				t.Errorf("%d %s", code, text)
			}
		})
	}
	all.Wait()
	events, count := kept(t, store)
	if count["same"] != 2 || len(count) != 1 || events["same"].ID != webhook.IDOf("orders", "a.myshopify.com", "same") {
		t.Errorf("stored %v", count)
	}
	if have := value(t, both[0].meters.requests.WithLabelValues("orders", string(duplicate))); have != 49 {
		t.Errorf("%v duplicates, want 49", have)
	}
}

// While the store does not take it, every request of one id shares its fate, and
// the next try is fresh.
func TestSameIDShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := buffertest.NewFaulty(&buffertest.Memory{}, 1)
		r := open(t, testConfig(store))
		store.Break(buffertest.Hang)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if code, _ := status(r, request("same", "{}")); code != 503 {
					t.Error(code)
				}
			})
		}
		all.Wait()
		store.Mend()
		time.Sleep(time.Second)
		for range 2 {
			if code, _ := status(r, request("same", "{}")); code != 200 {
				t.Error(code)
			}
		}
	})
}

// Another body under a known id is kept aside, once, and acknowledged.
func TestQuarantine(t *testing.T) {
	store := buffertest.NewFaulty(&buffertest.Memory{}, 1)
	r := open(t, testConfig(store))
	store.Next(buffertest.Put, buffertest.None, buffertest.None)
	for _, body := range []string{"one", "two", "two", "three", "one"} {
		if code, text := status(r, request("1", body)); code != 200 {
			t.Errorf("%s: %d %s", body, code, text)
		}
	}
	page, _, err := store.List(t.Context(), webhook.PrefixQuarantine, "", 10)
	if err != nil || len(page) != 2 {
		t.Fatalf("%v %v", page, err)
	}
	bodies := map[string]bool{}
	for _, info := range page {
		o, err := store.Get(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		var l webhookv1.Letter
		if err := proto.Unmarshal(o.Body, &l); err != nil || l.GetEvent().GetWebhookId() != "1" || l.GetReason() == "" {
			t.Errorf("%v %v", &l, err)
		}
		bodies[string(l.GetBody())] = true
	}
	if !maps.Equal(bodies, map[string]bool{"two": true, "three": true}) {
		t.Errorf("aside: %v", bodies)
	}
	if all := inOrder(t, store); len(all) != 1 || string(all[0].Body) != "one" {
		t.Errorf("stored %v", all)
	}
	if have := value(t, r.meters.requests.WithLabelValues("orders", string(quarantined))); have != 3 {
		t.Errorf("%v quarantined, want 3", have)
	}
}

// A delivery that cannot be kept aside is stored as any other: its worker finds
// out.
func TestQuarantineFails(t *testing.T) {
	store := buffertest.NewFaulty(&buffertest.Memory{}, 1)
	r := open(t, testConfig(store))
	status(r, request("1", "one"))
	store.Next(buffertest.Put, buffertest.Fail)
	if code, _ := status(r, request("1", "two")); code != 200 {
		t.Error(code)
	}
	if all := inOrder(t, store); len(all) != 2 || string(all[1].Body) != "two" {
		t.Errorf("stored %v", all)
	}
}

// Events that follow an acknowledged one stand after it, whatever the store
// does, and Arrived never falls.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &buffertest.Memory{}
		store := buffertest.NewFaulty(memory, 7)
		r := open(t, testConfig(store))
		store.Odds(buffertest.Put, buffertest.Odds{buffertest.Fail: .1, buffertest.Lost: .1, buffertest.Slow: .3})
		var shops sync.WaitGroup
		for shop := range 8 {
			shops.Go(func() {
				for i := range 30 {
					for {
						if code, _ := status(r, request(fmt.Sprintf("%d-%03d", shop, i), "{}")); code == 200 {
							break
						}
						time.Sleep(100 * time.Millisecond)
					}
				}
			})
		}
		shops.Wait()
		last, arrived := map[string]string{}, time.Time{}
		count := 0
		for _, e := range inOrder(t, memory) {
			shop, n, _ := strings.Cut(e.WebhookID, "-")
			if n < last[shop] {
				t.Errorf("%s after %s", e.WebhookID, last[shop])
			}
			if n > last[shop] || n == "000" && last[shop] == "" {
				count++
			}
			last[shop] = n
			if e.Arrived.Before(arrived) {
				t.Errorf("%s arrived %s before its predecessor", e.WebhookID, arrived.Sub(e.Arrived))
			}
			arrived = e.Arrived
		}
		if count != 8*30 {
			t.Errorf("%d events", count)
		}
	})
}

// A stream's object: there before the first segment, beating, and at the end
// with the number that will not come.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buffertest.Memory{}
		r := open(t, testConfig(store))
		look := func() *webhookv1.Receiver {
			o, err := store.Get(t.Context(), webhook.ReceiverKey(r.Stream()))
			var have webhookv1.Receiver
			if err = errors.Join(err, proto.Unmarshal(o.Body, &have)); err != nil {
				t.Fatal(err)
			}
			return &have
		}
		if first := look(); first.GetName() != "rx" || first.GetBeat() != 0 || first.GetEnd() != 0 || !webhook.ValidStream(r.Stream()) {
			t.Errorf("%s: %v", r.Stream(), first)
		}
		time.Sleep(25 * time.Second)
		if beat := look().GetBeat(); beat != 2 {
			t.Errorf("beat %d after 25 s", beat)
		}
		for i := range 3 {
			status(r, request(fmt.Sprint(i), "{}"))
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if last := look(); last.GetEnd() != 3 || last.GetBeat() != 3 {
			t.Errorf("at the end: %v", last)
		}
		if code, _ := status(r, request("late", "{}")); code != 503 || !errors.Is(r.Ready(), ErrNotReady) {
			t.Error(code, r.Ready())
		}
	})
}

// foreign has another object under every segment's key.
type foreign struct{ *buffertest.Memory }

func (f foreign) Put(ctx context.Context, key string, body []byte, c buffer.Condition) (buffer.Tag, error) {
	if strings.HasPrefix(key, webhook.PrefixSegments) {
		if _, err := f.Memory.Put(ctx, key, []byte("another"), c); err != nil {
			return "", err
		}
		return "", buffer.ErrCondition
	}
	return f.Memory.Put(ctx, key, body, c)
}

// That there is an object is no proof that it is ours.
func TestForeignObject(t *testing.T) {
	r := open(t, testConfig(foreign{&buffertest.Memory{}}))
	if code, _ := status(r, request("1", "{}")); code != http.StatusServiceUnavailable {
		t.Error(code)
	}
}

// What is remembered is bounded, and what is forgotten is stored again.
func TestRemembered(t *testing.T) {
	store := &buffertest.Memory{}
	c := testConfig(store)
	c.Remember = 3
	r := open(t, c)
	for i := range 10 {
		status(r, request(fmt.Sprint(i), "{}"))
	}
	for _, id := range []string{"9", "8", "7", "0"} {
		status(r, request(id, "{}"))
	}
	if n := len(r.seen.known); n != 3 {
		t.Errorf("%d are remembered", n)
	}
	if _, count := kept(t, store); count["9"] != 1 || count["7"] != 1 || count["0"] != 2 {
		t.Errorf("stored %v", count)
	}
}
