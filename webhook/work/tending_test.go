package work

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// stored reports whether any object of the buffer still has a text.
func (w *world) stored(text string) bool {
	for _, key := range w.mem.Keys("") {
		if o, err := w.mem.Get(w.t.Context(), key); err == nil && strings.Contains(string(o.Body), text) {
			return true
		}
	}
	return false
}

// TestBufferIsTended: a worker that stands for days takes out what a shop wants
// redacted within minutes, and removes what is finished when it is old; neither
// runs a handler again.
func TestBufferIsTended(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cfg.Partitions, w.cfg.Poll = 4, 20*time.Second
		w.cfg.Positions = func(ctx context.Context, p uint32) (map[string]ledger.Position, error) {
			return ledger.Peek(ctx, ledger.Config{Store: w.mem, Commits: ledger.CAS{}, Partition: p})
		}
		const shop = "a.myshopify.com"
		r := w.receiver("a")
		k := w.start(1)
		order := ev(shop, "1", `{"id":70,"email":"buyer@example.com","customer":{"id":7}}`)
		r.add(order, ev("b.myshopify.com", "2", `{"note":"another shop's"}`))
		ask := ev(shop, "3", `{"shop_domain":"a.myshopify.com","customer":{"id":7,"email":"buyer@example.com"},"orders_to_redact":[]}`)
		ask.Topic = "customers/redact"
		r.add(ask)
		time.Sleep(10 * time.Minute)
		if w.stored("buyer@example.com") || !w.stored("another shop's") {
			t.Error("ten minutes after the request: the body stands, or another's is gone")
		}
		k.wants("redacted_bodies_total", 2)
		for range 6 * 24 * 6 {
			time.Sleep(10 * time.Minute)
			r.heard(0)
		}
		if n := len(w.mem.Keys(webhook.PrefixSegments)); n != 2 {
			t.Errorf("%d segments after six days", n)
		}
		for range 2 * 24 * 6 {
			time.Sleep(10 * time.Minute)
			r.heard(0)
		}
		if n := len(w.mem.Keys(webhook.PrefixSegments)); n != 0 {
			t.Errorf("%d segments after eight days", n)
		}
		k.wants("removed_segments_total", 2)
		if n := len(w.mem.Keys(webhook.PrefixRedact)); n != 0 {
			t.Errorf("%d redactions are still open", n)
		}
		r.add(order) // a duplicate within the ledger's memory is none of the handler's
		time.Sleep(time.Minute)
		if n := len(w.sink.bodies("")); n != 3 {
			t.Errorf("%d calls for 3 events", n)
		}
		k.crash()
	})
}

// TestTendingFails: a store that answers badly is asked again, and work goes on.
func TestTendingFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		faulty := buffertest.NewFaulty(w.mem, 1)
		w.store, w.cfg.Poll = faulty, 20*time.Second
		faulty.Odds(buffertest.Delete, buffertest.Odds{buffertest.Fail: 1})
		k := w.start(1)
		r := w.receiver("a")
		ask := ev("a.myshopify.com", "3", `{"shop_domain":"a.myshopify.com"}`)
		ask.Topic = "shop/redact"
		r.add(ask)
		time.Sleep(5 * time.Hour)
		if k.count("store_errors_total", "tend") < 3 {
			t.Error("failures are not counted")
		}
		faulty.Mend()
		time.Sleep(3 * time.Hour)
		if n := len(w.mem.Keys(webhook.PrefixRedact)); n != 0 {
			t.Errorf("%d redactions are still open", n)
		}
		k.crash()
	})
}

// TestRedactSoon: a request is carried out within minutes also between two hours.
func TestRedactSoon(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.receiver("a")
		k := w.start(1)
		r.add(ev("a.myshopify.com", "1", `{"email":"buyer@example.com"}`))
		time.Sleep(90 * time.Second) // the first one has been
		ask := ev("a.myshopify.com", "3", `{"shop_domain":"a.myshopify.com"}`)
		ask.Topic = "shop/redact"
		r.add(ask)
		time.Sleep(redactSoon + time.Minute)
		if w.stored("buyer@example.com") {
			t.Error("the body stands")
		}
		k.crash()
	})
}
