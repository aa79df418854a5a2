package work

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestHTTPAnswers(t *testing.T) {
	var seen *http.Request
	var body []byte
	var reply func(w http.ResponseWriter)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		body, _ = io.ReadAll(r.Body)
		reply(w)
	}))
	defer server.Close()
	h, err := NewHTTP(server.URL, http.Header{"Authorization": {"Bearer x"}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	d := Delivery{Event: ev("s.example.com", "1", "\xff{}"), Token: 7, Partition: 3, Attempt: 2, Key: "k"}
	for _, c := range []struct {
		code   int
		header map[string]string
		ok     bool
		kind   kind
		after  time.Duration
	}{
		{code: 204, ok: true},
		{code: 302, header: map[string]string{"Location": "/"}},
		{code: 400, kind: kindPermanent},
		{code: 402, header: map[string]string{"Retry-After": "90"}, kind: kindPause, after: 90 * time.Second},
		{code: 408},
		{code: 409, kind: kindPermanent},
		{code: 409, header: map[string]string{HeaderFenced: "9"}, kind: kindFenced},
		{code: 423, kind: kindPause},
		{code: 425},
		{code: 429, header: map[string]string{"Retry-After": "2.5"}, after: 2500 * time.Millisecond},
		{code: 503, header: map[string]string{"Retry-After": "Tue, 24 Nov 2026 04:01:00 GMT", "Date": "Tue, 24 Nov 2026 04:00:00 GMT"}, after: time.Minute},
		{code: 503, header: map[string]string{"Retry-After": "999999999999"}, after: maxRetryAfter},
	} {
		reply = func(w http.ResponseWriter) {
			for name, value := range c.header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(c.code)
		}
		err := h.Handle(t.Context(), d)
		if c.ok {
			if err != nil {
				t.Errorf("%d: %v", c.code, err)
			}
			continue
		}
		if a := judge(err); err == nil || a.kind != c.kind || a.after != c.after {
			t.Errorf("%d %v: %v, %+v", c.code, c.header, err, a)
		}
	}
	for name, want := range map[string]string{"Idempotency-Key": "k", "Pointsman-Token": "7", "Pointsman-Partition": "3", "Pointsman-Attempt": "2",
		"X-Shopify-Topic": "orders/create", "X-Shopify-Shop-Domain": "s.example.com", "X-Shopify-Webhook-Id": "1", "Authorization": "Bearer x"} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if string(body) != "\xff{}" {
		t.Errorf("body %q", body)
	}
	server.Close()
	if err := h.Handle(t.Context(), d); judge(err).kind != kindUnavailable {
		t.Errorf("nobody there: %v", err)
	}
	d.Event.Topic = "a\nb"
	if err := h.Handle(t.Context(), d); judge(err).kind != kindPermanent {
		t.Errorf("control character: %v", err)
	}
	if _, err := NewHTTP("ftp://x", nil, 1); err == nil {
		t.Error("ftp is taken")
	}
}

func TestCommandAnswers(t *testing.T) {
	d := Delivery{Event: ev("s.example.com", "1", "body"), Token: 7, Key: "k", Attempt: 1}
	run := func(script string) error {
		return Command{Args: []string{"sh", "-c", script}, Grace: 50 * time.Millisecond}.Handle(t.Context(), d)
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := run(`cat > ` + out + `; echo " $POINTSMAN_WEBHOOK_KEY $POINTSMAN_WEBHOOK_TOKEN $POINTSMAN_WEBHOOK_SHOP" >> ` + out); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(out); string(got) != "body k 7 s.example.com\n" {
		t.Errorf("command saw %q", got)
	}
	for script, want := range map[string]kind{"exit 75": kindAgain, "echo no >&2; exit 65": kindPermanent, "kill -9 $$": kindAgain} {
		if err := run(script); err == nil || judge(err).kind != want {
			t.Errorf("%s: %v", script, err)
		}
	}
	if err := (Command{Args: []string{"/no/such/program"}}).Handle(t.Context(), d); judge(err).kind != kindUnavailable {
		t.Errorf("no program: %v", err)
	}
}
