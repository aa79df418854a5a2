package receive

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

const testSecret = "hush"

func fixed(text string) Secret {
	return Secret{From: "test", Read: func() (string, error) { return text, nil }}
}

func testConfig(store buffer.Store) Config {
	c := DefaultConfig()
	c.Name, c.Store, c.Apps = "rx", store, map[string][]Secret{"orders": {fixed(testSecret)}}
	return c
}

// open starts a receiver that has made its stream known, and closes it with the
// test.
func open(t *testing.T, c Config) *Receiver {
	t.Helper()
	r := openOnly(t, c)
	<-r.announced
	return r
}

func openOnly(t *testing.T, c Config) *Receiver {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	r, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !r.closing.Load() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = r.Close(ctx)
		}
	})
	return r
}

func sign(secret, body string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// request is a delivery of shop a as Shopify makes them.
func request(id, body string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/webhooks/orders", strings.NewReader(body))
	dress(req.Header, "X-", id, body)
	return req
}

func dress(h http.Header, x, id, body string) {
	for name, value := range map[string]string{
		"Topic": "orders/create", "Shop-Domain": "a.myshopify.com", "Api-Version": "2026-10", "Webhook-Id": id, "Hmac-Sha256": sign(testSecret, body),
	} {
		h.Set(x+"Shopify-"+name, value)
	}
}

func serve(r *Receiver, req *http.Request) *http.Response {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Result()
}

// status serves a request and answers its status and body.
func status(r *Receiver, req *http.Request) (int, string) {
	resp := serve(r, req)
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// value is what a counter or a gauge has come to.
func value(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(families, err)
	}
	one := families[0].GetMetric()[0]
	return one.GetCounter().GetValue() + one.GetGauge().GetValue()
}

// kept are all events in the store, by webhook id, and how many there are of each.
func kept(t *testing.T, store buffer.Store) (map[string]webhook.Event, map[string]int) {
	t.Helper()
	events, count := map[string]webhook.Event{}, map[string]int{}
	for _, e := range inOrder(t, store) {
		events[e.WebhookID] = e
		count[e.WebhookID]++
	}
	return events, count
}

// inOrder are all events in the store: by stream, and in its order.
func inOrder(t *testing.T, store buffer.Store) (all []webhook.Event) {
	t.Helper()
	after := ""
	for {
		page, more, err := store.List(t.Context(), webhook.PrefixSegments, after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range page {
			s, err := webhook.ParseSegment(info.Key)
			if err != nil {
				t.Fatal(err)
			}
			o, err := store.Get(t.Context(), info.Key)
			if err != nil {
				t.Fatal(err)
			}
			events, err := webhook.DecodeSegment(o.Body)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if !s.Slots.Has(e.Slot()) {
					t.Errorf("%s: key does not name the slot of %s", info.Key, e.WebhookID)
				}
			}
			all = append(all, events...)
			after = info.Key
		}
		if !more {
			return all
		}
	}
}

func TestStored(t *testing.T) {
	store := &buffertest.Memory{}
	r := open(t, testConfig(store))
	for _, row := range []struct{ id, x, body string }{
		{"plain", "X-", `{"id":1}`}, {"events", "", `{"id":2}`}, {"empty", "X-", ""}, {"bytes", "X-", "\xff\xfe\x00"}, {"large", "X-", strings.Repeat("0123456789abcdef", 5<<16)},
	} {
		req := httptest.NewRequest(http.MethodPost, "/webhooks/orders", strings.NewReader(row.body))
		dress(req.Header, row.x, row.id, row.body)
		req.Header.Set("Content-Type", "application/json")
		if code, text := status(r, req); code != 200 || text != "" {
			t.Fatalf("%s: %d %s", row.id, code, text)
		}
		events, _ := kept(t, store)
		e := events[row.id]
		if string(e.Body) != row.body || e.Sum != sha256.Sum256([]byte(row.body)) || e.Shop != "a.myshopify.com" || e.Topic != "orders/create" ||
			e.App != "orders" || e.ContentType != "application/json" || (e.Family == webhook.FamilyEvents) != (row.x == "") {
			t.Errorf("%s was stored as %.300v", row.id, e)
		}
	}
	if code, _ := status(r, request("plain", `{"id":1}`)); code != http.StatusOK {
		t.Errorf("the same again: %d", code)
	}
	if r.memory.used() != 0 || r.slots.used() != 0 {
		t.Errorf("in flight: %d bytes, %d requests", r.memory.used(), r.slots.used())
	}
}

// Over a real connection, with a body in chunks, and through a clean end.
func TestServed(t *testing.T) {
	store := &buffertest.Memory{}
	r := open(t, testConfig(store))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.Serve(l, nil) }()
	for i, body := range []io.Reader{strings.NewReader("whole"), io.MultiReader(strings.NewReader("who"), strings.NewReader("le"))} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String()+"/webhooks/orders", body)
		dress(req.Header, "X-", fmt.Sprint(i), "whole")
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if _, count := kept(t, store); count["0"] != 1 || count["1"] != 1 {
		t.Errorf("stored %v", count)
	}
	o, err := store.Get(t.Context(), webhook.ReceiverKey(r.Stream()))
	if err != nil || !bytes.Contains(o.Body, []byte("rx")) {
		t.Errorf("the stream's object: %q %v", o.Body, err)
	}
	if _, err := net.DialTimeout("tcp", l.Addr().String(), time.Second); err == nil {
		t.Error("still listening")
	}
}
