package receive

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
)

// MACs that another program made:
// printf BODY | openssl dgst -sha256 -hmac hush -binary | base64
func TestVectors(t *testing.T) {
	for body, want := range map[string]string{
		"":             "Knm8rWjeSXNIt2H0AOMT7DQ8/YSy8sQi/pEjbuUmGMs=",
		`{"id":1}`:     "VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY=",
		"\xff\xfe\x00": "FjH8cC5WwJK7dZkMTzozmM1h7VOaur4RzDzqqSM5NgY=",
	} {
		mac, ok := readMAC(want)
		if !ok || !newSigner(testSecret).made(mac, []byte(body)) || newSigner("other").made(mac, []byte(body)) {
			t.Errorf("%q: %s is not taken for its MAC", body, want)
		}
	}
}

func TestRefused(t *testing.T) {
	const body = `{"id":"?>~"}`
	raw := hmac.New(sha256.New, []byte(testSecret))
	raw.Write([]byte(body))
	mac := raw.Sum(nil)
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	drop := func(name string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(name) } }
	path := func(p string) func(*http.Request) {
		return func(r *http.Request) { r.URL.Path, r.URL.RawPath = p, "" }
	}
	const id = "X-Shopify-Webhook-Id"
	for name, row := range map[string]struct {
		change func(*http.Request)
		want   int
		says   string
	}{
		"no topic":            {drop("X-Shopify-Topic"), 400, `"header":"X-Shopify-Topic"`},
		"no shop":             {drop("X-Shopify-Shop-Domain"), 400, `"header":"X-Shopify-Shop-Domain"`},
		"no version":          {drop("X-Shopify-Api-Version"), 400, `"header":"X-Shopify-Api-Version"`},
		"no id":               {drop(id), 400, `header X-Shopify-Webhook-Id is missing`},
		"empty id":            {set(id, ""), 400, "is missing"},
		"no MAC":              {drop("X-Shopify-Hmac-Sha256"), 400, `"header":"X-Shopify-Hmac-Sha256"`},
		"id with a line feed": {set(id, "a\nb"), 400, "U+000A"},
		"id with a zero":      {set(id, "a\x00b"), 400, "U+0000"},
		"id with a delete":    {set(id, "a\x7fb"), 400, "U+007F"},
		"id not UTF-8":        {set(id, "a\xffb"), 400, "UTF-8"},
		"id too long":         {set(id, strings.Repeat("a", maxHeader+1)), 400, "at most"},
		"two ids":             {func(r *http.Request) { r.Header.Add(id, "other") }, 400, "twice"},
		"name with a control": {set("X-Shopify-Name", "\x01"), 400, "U+0001"},
		"another body":        {set("X-Shopify-Hmac-Sha256", sign(testSecret, body+" ")), 401, "MAC"},
		"another secret":      {set("X-Shopify-Hmac-Sha256", sign("other", body)), 401, "MAC"},
		"empty secret":        {set("X-Shopify-Hmac-Sha256", sign("", body)), 401, "MAC"},
		"hex":                 {set("X-Shopify-Hmac-Sha256", hex.EncodeToString(mac)), 401, "MAC"},
		"base64url":           {set("X-Shopify-Hmac-Sha256", "_"+base64.URLEncoding.EncodeToString(mac)[1:]), 401, "MAC"},
		"base64 without end":  {set("X-Shopify-Hmac-Sha256", base64.RawStdEncoding.EncodeToString(mac)), 401, "MAC"},
		"base64 of hex":       {set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(mac)))), 401, "MAC"},
		"half a MAC":          {set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac[:16])), 401, "MAC"},
		"two MACs":            {func(r *http.Request) { r.Header.Add("X-Shopify-Hmac-Sha256", sign("other", body)) }, 400, "twice"},
		"MAC of the other one": {func(r *http.Request) {
			dress(r.Header, "", "1", body)
			r.Header.Set("X-Shopify-Hmac-Sha256", sign("other", body))
		}, 401, "MAC"},
		"another app":  {path("/webhooks/invoices"), 404, "no such app"},
		"no app":       {path("/webhooks/"), 404, "no such app"},
		"another path": {path("/"), 404, "no such app"},
		"path upwards": {path("/webhooks/../webhooks/orders"), 404, "no such app"},
		"path below":   {path("/webhooks/orders/"), 404, "no such app"},
		"GET":          {func(r *http.Request) { r.Method = http.MethodGet }, 405, "POST"},
		"too large":    {func(r *http.Request) { r.ContentLength = 1 << 40 }, 413, "too large"},
		"too large, unsaid": {func(r *http.Request) {
			*r = *httptest.NewRequest(http.MethodPost, "/webhooks/orders", http.MaxBytesReader(nil, http.NoBody, 0))
			large := request("1", strings.Repeat("x", 8<<20+1))
			r.Header, r.Body, r.ContentLength = large.Header, large.Body, -1
		}, 413, "too large"},
		"cut short": {func(r *http.Request) { r.ContentLength = 100 }, 400, "broke off"},
	} {
		t.Run(name, func(t *testing.T) {
			store := &buffertest.Memory{}
			r := open(t, testConfig(store))
			req := request("1", body)
			row.change(req)
			code, text := status(r, req)
			if code != row.want || !strings.Contains(text, row.says) || !strings.HasPrefix(text, `{"error":"`) {
				t.Errorf("%d %s, want %d %q", code, text, row.want, row.says)
			}
			if all := inOrder(t, store); len(all) > 0 {
				t.Errorf("stored %v", all)
			}
			if r.memory.used() != 0 || r.slots.used() != 0 {
				t.Errorf("in flight: %d bytes, %d requests", r.memory.used(), r.slots.used())
			}
		})
	}
}

// Ids that look like paths are stored, and never as part of a key.
func TestIDsAreNoPaths(t *testing.T) {
	store := &buffertest.Memory{}
	r := open(t, testConfig(store))
	ids := []string{"../../etc/passwd", "/", ".", "a/b", `..\..`, "%2e%2e%2f", strings.Repeat("a", maxHeader), "é", "a b"}
	for _, id := range ids {
		if code, text := status(r, request(id, "{}")); code != 200 {
			t.Errorf("%q: %d %s", id, code, text)
		}
	}
	events, _ := kept(t, store) // reads every key by the law
	if len(events) != len(ids) {
		t.Errorf("stored %d of %d", len(events), len(ids))
	}
}

// The same header twice from a proxy, and both families in one delivery.
func TestTwoHeaders(t *testing.T) {
	store := &buffertest.Memory{}
	r := open(t, testConfig(store))
	req := request("1", "{}")
	req.Header.Add("X-Shopify-Hmac-Sha256", sign(testSecret, "{}"))
	dress(req.Header, "", "2", "{}")
	if code, text := status(r, req); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	if _, count := kept(t, store); count["1"] != 1 || len(count) != 1 {
		t.Errorf("stored %v", count)
	}
}

// A rotated secret is good beside the new one, a revoked one is not; neither
// takes a restart, and a place that cannot be read changes nothing.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		text, fail := "old\n", error(nil)
		c := testConfig(&buffertest.Memory{})
		c.Apps["orders"] = []Secret{{From: "file", Read: func() (string, error) {
			mu.Lock()
			defer mu.Unlock()
			return text, fail
		}}}
		r := open(t, c)
		n := 0
		try := func(secret string, want int) {
			t.Helper()
			n++
			req := request(strings.Repeat("i", n), "{}")
			req.Header.Set("X-Shopify-Hmac-Sha256", sign(secret, "{}"))
			if code, body := status(r, req); code != want {
				t.Errorf("secret %s: %d %s, want %d", secret, code, body, want)
			}
		}
		then := func(now string, err error) {
			mu.Lock()
			text, fail = now, err
			mu.Unlock()
			time.Sleep(secretsRead + time.Second)
			synctest.Wait()
		}
		try("old", 200)
		try("new", 401)
		then("new\r\n\n  old  \n", nil)
		try("old", 200)
		try("new", 200)
		then("", errors.New("being replaced"))
		try("old", 200)
		then("\n", nil)
		try("new", 200)
		then("new", nil)
		try("old", 401)
		try("new", 200)
		if have := value(t, r.meters.secrets.WithLabelValues("orders", "1")); have != 2 {
			t.Errorf("the second secret matched %v times, want 2", have)
		}
		if have := value(t, r.meters.unread.WithLabelValues("orders")); have < 2 {
			t.Errorf("not read %v times", have)
		}
	})
}
