package tend_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
	"github.com/pointsman/pointsman/webhook/ledger"
	"github.com/pointsman/pointsman/webhook/tend"
)

const (
	stream = "recv-0123456789ab-0123456789abcdef"
	day    = 24 * time.Hour
)

func event(shop, topic, id, body string) webhook.Event {
	return webhook.Event{
		ID: webhook.IDOf("app", shop, id), Sum: sha256.Sum256([]byte(body)), App: "app", Shop: shop, Topic: topic, WebhookID: id, Body: []byte(body),
	}
}

func put(t *testing.T, store buffer.Store, number uint64, events ...webhook.Event) string {
	t.Helper()
	s := webhook.Segment{Stream: stream, Number: number}
	for _, e := range events {
		s.Slots.Add(e.Slot())
	}
	b, err := webhook.EncodeSegment(events)
	if err == nil {
		_, err = store.Put(t.Context(), s.Key(), b, buffer.Condition{Absent: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.Key()
}

func TestRetain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buffertest.Memory{}
		if _, err := store.Put(t.Context(), webhook.ReceiverKey(stream), nil, buffer.Condition{}); err != nil {
			t.Fatal(err)
		}
		const partitions = 4
		at := make([]map[string]ledger.Position, partitions)
		retain := func() tend.Removed {
			t.Helper()
			removed, err := tend.Retain(t.Context(), tend.Retention{Store: store, Partitions: partitions, Keep: 8 * day,
				Positions: func(_ context.Context, p uint32) (map[string]ledger.Position, error) { return at[p], nil }})
			if err != nil {
				t.Fatal(err)
			}
			return removed
		}
		a := event("a.myshopify.com", "orders/create", "1", "{}")
		var keys []string
		for n := range uint64(5) {
			keys = append(keys, put(t, store, n, a))
		}
		time.Sleep(9 * day)
		keys = append(keys, put(t, store, 5, a)) // young
		if got := retain(); got.Segments != 0 {
			t.Fatalf("%d segments went that nobody had finished", got.Segments)
		}
		mine := a.Slot() % partitions
		for p := range at { // all others are far ahead, which says nothing of this one's
			at[p] = map[string]ledger.Position{stream: {Stream: stream, Next: 100}}
		}
		at[mine] = map[string]ledger.Position{stream: {Stream: stream, Next: 4, Missing: []uint64{1}}}
		if got := retain(); got.Segments != 3 || !slices.Equal(store.Keys(webhook.PrefixSegments), []string{keys[1], keys[4], keys[5]}) {
			t.Fatalf("removed %+v, left %q", got, store.Keys(webhook.PrefixSegments))
		}
		at[mine] = map[string]ledger.Position{stream: {Stream: stream, Next: 6}}
		if got := retain(); got.Segments != 2 || got.Streams != 0 {
			t.Fatalf("removed %+v", got)
		}
		time.Sleep(9 * day)
		if got := retain(); got.Segments != 1 || got.Streams != 1 || len(store.Keys("")) != 0 {
			t.Fatalf("removed %+v, left %q", got, store.Keys(""))
		}
	})
}

// TestRetainKeepsAStreamThatIsHeardOf: its receiver may write again.
func TestRetainKeepsAStreamThatIsHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &buffertest.Memory{}
		if _, err := store.Put(t.Context(), webhook.ReceiverKey(stream), nil, buffer.Condition{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * day)
		removed, err := tend.Retain(t.Context(), tend.Retention{Store: store, Partitions: 1, Keep: 8 * day,
			Positions: func(context.Context, uint32) (map[string]ledger.Position, error) { return nil, nil }})
		if err != nil || removed.Streams != 0 {
			t.Errorf("%+v %v", removed, err)
		}
	})
}

// bodies reads every body that the buffer still has.
func bodies(t *testing.T, store *buffertest.Memory) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, key := range store.Keys("") {
		o, err := store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := webhook.ParseSegment(key); err == nil {
			events, err := webhook.DecodeSegment(o.Body)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				found[string(e.Body)] = true
			}
			continue
		}
		var l webhookv1.Letter
		if proto.Unmarshal(o.Body, &l) == nil {
			found[string(l.GetBody())] = true
		}
	}
	return found
}

func TestRedact(t *testing.T) {
	const shop, other = "a.myshopify.com", "b.myshopify.com"
	customer := event(shop, "customers/update", "1", `{"id":7,"email":"x@example.com"}`)
	order := event(shop, "orders/create", "2", `{"id":70,"customer":{"id":7}}`)
	refund := event(shop, "refunds/create", "3", `{"id":1,"order_id":70}`)
	stranger := event(shop, "orders/create", "4", `{"id":71,"customer":{"id":8}}`)
	elsewhere := event(other, "customers/update", "5", `{"id":7}`)
	xml := event(shop, "orders/create", "6", `<order/>`)
	ask := event(shop, "customers/redact", "7", `{"shop_domain":"a.myshopify.com","customer":{"id":7,"email":"x@example.com"},"orders_to_redact":[70]}`)
	all := event(shop, "shop/redact", "8", `{"shop_id":1,"shop_domain":"a.myshopify.com"}`)
	for _, c := range []struct {
		name string
		ask  webhook.Event
		left []webhook.Event
	}{
		{"customer", ask, []webhook.Event{stranger, elsewhere}},
		{"shop", all, []webhook.Event{elsewhere}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &buffertest.Memory{}
				events := []webhook.Event{customer, order, refund, stranger, elsewhere, xml, c.ask}
				put(t, store, 0, events[:3]...)
				put(t, store, 1, events[3:]...)
				for _, key := range []string{webhook.DeadKey(order, 3), webhook.QuarantineKey(order)} {
					b, err := proto.Marshal(&webhookv1.Letter{Event: webhook.Envelope(order), Body: order.Body, Reason: `400: no such order {"id":70}`,
						Attempts: []*webhookv1.Attempt{{Outcome: `400: no such order {"id":70}`}}})
					if err == nil {
						_, err = store.Put(t.Context(), key, b, buffer.Condition{})
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if err := tend.Note(t.Context(), store, c.ask); err != nil {
					t.Fatal(err)
				}
				unfinished := customer.ID
				redact := func() tend.Redacted {
					t.Helper()
					got, err := tend.Redact(t.Context(), tend.Redaction{Store: store, Slots: webhook.SlotsOf(0, 1), Seen: func(e webhook.Event) ledger.Verdict {
						if e.ID == unfinished {
							return ledger.New
						}
						return ledger.WasDone
					}})
					if err != nil {
						t.Fatal(err)
					}
					return got
				}
				redact()
				if left := bodies(t, store); !left[string(customer.Body)] || left[string(order.Body)] {
					t.Fatalf("after the first pass: %v", left)
				}
				time.Sleep(2 * time.Hour)
				if got := redact(); got.Open != 1 {
					t.Errorf("a redaction ended though a body still stood: %+v", got)
				}
				unfinished = webhook.ID{}
				if got := redact(); got.Bodies != 1 || got.Open != 1 {
					t.Errorf("the body that was finished since: %+v", got)
				}
				if got := redact(); got.Bodies != 0 || got.Open != 0 || len(store.Keys(webhook.PrefixRedact)) != 0 {
					t.Errorf("the last pass: %+v, on record %q", got, store.Keys(webhook.PrefixRedact))
				}
				left := bodies(t, store)
				delete(left, "")
				for _, e := range c.left {
					if !left[string(e.Body)] {
						t.Errorf("the body %s is gone", e.Body)
					}
					delete(left, string(e.Body))
				}
				if len(left) != 0 {
					t.Errorf("bodies are left: %v", left)
				}
			})
		})
	}
}

func TestNoteRefuses(t *testing.T) {
	const shop = "a.myshopify.com"
	for i, body := range []string{``, `<x/>`, `{"shop_domain":"b.myshopify.com","customer":{"id":7}}`, `{"shop_domain":"a.myshopify.com"}`,
		`{"shop_domain":"a.myshopify.com","customer":{"id":7},"orders_requested":[1],"data_request":{"id":9}}`} {
		store := &buffertest.Memory{}
		if err := tend.Note(t.Context(), store, event(shop, "customers/redact", fmt.Sprint(i), body)); !errors.Is(err, tend.ErrNotRedacted) {
			t.Errorf("Note(%s): %v", body, err)
		}
		if len(store.Keys("")) != 0 {
			t.Errorf("Note(%s) left a record", body)
		}
	}
}

// TestForgedTopic: the topic is not signed, so a body that asks for less must not
// do more under another one.
func TestForgedTopic(t *testing.T) {
	const shop = "a.myshopify.com"
	for _, body := range []string{
		`{"shop_domain":"a.myshopify.com","customer":{"id":7},"orders_to_redact":[]}`,
		`{"shop_domain":"a.myshopify.com","customer":{"id":7},"orders_requested":[1],"data_request":{"id":9}}`,
	} {
		if err := tend.Note(t.Context(), &buffertest.Memory{}, event(shop, "shop/redact", "1", body)); !errors.Is(err, tend.ErrNotRedacted) {
			t.Errorf("Note(%s) as shop/redact: %v", body, err)
		}
	}
}

// TestRedactLeavesOthers: ids of other forms are compared, not taken for a match,
// and a letter that is damaged keeps nothing back.
func TestRedactLeavesOthers(t *testing.T) {
	const shop = "a.myshopify.com"
	store := &buffertest.Memory{}
	cart := event(shop, "carts/update", "1", `{"id":"exam3ple","note":{"id":[1]}}`)
	mine := event(shop, "orders/create", "2", `{"id":1,"customer":{"id":"7"}}`)
	put(t, store, 0, cart, mine)
	if _, err := store.Put(t.Context(), webhook.DeadPrefix(cart.Slot())+"aa-0000000000000001", []byte("no letter"), buffer.Condition{}); err != nil {
		t.Fatal(err)
	}
	ask := event(shop, "customers/redact", "3", `{"shop_domain":"a.myshopify.com","customer":{"id":7},"orders_to_redact":[]}`)
	if err := tend.Note(t.Context(), store, ask); err != nil {
		t.Fatal(err)
	}
	got, err := tend.Redact(t.Context(), tend.Redaction{Store: store, Slots: webhook.SlotsOf(0, 1), Seen: func(webhook.Event) ledger.Verdict { return ledger.WasDone }})
	if err != nil || got.Bodies != 1 || got.Unread != 1 {
		t.Errorf("%+v %v", got, err)
	}
	if left := bodies(t, store); !left[string(cart.Body)] || left[string(mine.Body)] {
		t.Errorf("left: %v", left)
	}
}

// TestLostStreamIsFollowedAgain: a receiver that stood still for longer than its
// stream was kept has written into it since.
func TestLostStreamIsFollowedAgain(t *testing.T) {
	store := &buffertest.Memory{}
	put(t, store, 7, event("a", "orders/create", "1", "{}"))
	removed, err := tend.Retain(t.Context(), tend.Retention{Store: store, Partitions: 1, Keep: 8 * day,
		Positions: func(context.Context, uint32) (map[string]ledger.Position, error) { return nil, nil }})
	if err != nil || removed.Found != 1 || len(store.Keys(webhook.PrefixReceivers)) != 1 || len(store.Keys(webhook.PrefixSegments)) != 1 {
		t.Errorf("%+v %v, left %q", removed, err, store.Keys(""))
	}
}

func TestOrphans(t *testing.T) {
	store := &buffertest.Memory{}
	done, dead, open := event("a", "orders/create", "1", "{}"), event("a", "orders/create", "2", "{}"), event("a", "orders/create", "3", "{}")
	for _, c := range []struct {
		event webhook.Event
		token uint64
	}{{done, 4}, {done, 5}, {dead, 4}, {open, 4}} {
		b, err := proto.Marshal(&webhookv1.Letter{Event: webhook.Envelope(c.event), Token: c.token, Body: c.event.Body})
		if err == nil {
			_, err = store.Put(t.Context(), webhook.DeadKey(c.event, c.token), b, buffer.Condition{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := map[webhook.ID]ledger.Verdict{done.ID: ledger.WasDone, dead.ID: ledger.WasDead}
	r := tend.Redaction{Store: store, Slots: webhook.SlotsOf(0, 1), Seen: func(e webhook.Event) ledger.Verdict { return seen[e.ID] }}
	want := []string{webhook.DeadKey(done, 5), webhook.DeadKey(dead, 4), webhook.DeadKey(open, 4)}
	slices.Sort(want)
	if n, err := tend.Orphans(t.Context(), r, 5); n != 1 || err != nil || !slices.Equal(store.Keys("dead/"), want) {
		t.Errorf("%d %v, left %q, want %q", n, err, store.Keys("dead/"), want)
	}
}
