package wire_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "canary-token"

// server answers as a test says and keeps what it got.
type server struct {
	*httptest.Server

	mu     sync.Mutex // guards what follows: a handler may still run when its client has gone
	got    []*http.Request
	bodies []string
}

// requests counts what came through.
func (s *server) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

func serve(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.got, s.bodies = append(s.got, r), append(s.bodies, string(body))
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) client(t *testing.T, turn ...func(*wire.Config)) *wire.Client {
	t.Helper()
	c := wire.Config{Base: s.URL, Secrets: []string{"canary", secret}}
	for _, f := range turn {
		f(&c)
	}
	client := wire.New(c)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestSend: what goes out, what comes back, and who is told when it leaves.
func TestSend(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "id-1")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	c := s.client(t, func(c *wire.Config) {
		c.Sign = func(_ context.Context, r *http.Request, body []byte) error {
			r.Header.Set("Signature", string(body)+secret)
			return nil
		}
	})
	left := 0
	ctx := actuators.WithSending(t.Context(), func() { left++ })
	for i, call := range []wire.Call{
		{Method: http.MethodPut, Path: "/x?y=1", Body: map[string]int{"a": 1}},
		{Method: http.MethodPost, Path: "/x", Body: "text", Header: http.Header{"content-type": {"text/plain"}}},
		{Method: http.MethodPost, Path: "/x", Body: []byte("query"), ReadOnly: true},
		{Method: http.MethodGet, Path: "/x"},
	} {
		a, err := c.Send(ctx, call)
		if err != nil || a.Status != http.StatusTeapot || a.OK() || string(a.Body) != "short and stout" || a.ID != "id-1" || a.Broken != nil {
			t.Errorf("%s: %+v, %v", call, a, err)
		}
		want := []string{`{"a":1}`, "text", "query", ""}[i]
		if s.bodies[i] != want || s.got[i].Header.Get("Signature") != want+secret {
			t.Errorf("%s: body %q, signature %q", call, s.bodies[i], s.got[i].Header.Get("Signature"))
		}
		kind := []string{"application/json", "text/plain", "application/json", ""}[i]
		if got := s.got[i].Header.Get("Content-Type"); got != kind {
			t.Errorf("%s: content type %q, want %q", call, got, kind)
		}
	}
	if left != 2 {
		t.Errorf("said %d times that a change leaves, want 2", left)
	}
}

// TestNotSent: without budget, signature or connection nothing leaves, and
// nothing is in doubt.
func TestNotSent(t *testing.T) {
	broken := errors.New("broken")
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		want error
		turn func(*wire.Config)
	}{
		"context": {gone, context.Canceled, func(*wire.Config) {}},
		"budget":  {t.Context(), broken, func(c *wire.Config) { c.Budget = budget{broken} }},
		"sign": {t.Context(), broken, func(c *wire.Config) {
			c.Sign = func(context.Context, *http.Request, []byte) error { return broken }
		}},
		"dial": {t.Context(), broken, func(c *wire.Config) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, broken }
		}},
	} {
		left := false
		ctx := actuators.WithSending(c.ctx, func() { left = true })
		_, err := s.client(t, c.turn).Send(ctx, wire.Call{Method: http.MethodPut, Path: "/x"})
		if x := actuators.Explain(err); !errors.Is(err, c.want) || x.Doubt || x.Permanent || left || strings.Contains(err.Error(), s.URL) {
			t.Errorf("%s: %v, doubt %t, left %t", name, err, x.Doubt, left)
		}
	}
}

type budget struct{ err error }

func (b budget) Wait(context.Context) error { return b.err }

// TestLost: a connection that ends after the request left is doubt, of a write.
func TestLost(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for method, doubt := range map[string]bool{http.MethodPut: true, http.MethodGet: false} {
		_, err := s.client(t).Send(t.Context(), wire.Call{Method: method, Path: "/x"})
		if x := actuators.Explain(err); err == nil || x.Doubt != doubt || x.Permanent || strings.Contains(err.Error(), s.URL) {
			t.Errorf("%s: %v, doubt %t", method, err, x.Doubt)
		}
	}
	if n := s.requests(); n != 2 {
		t.Errorf("%d requests for two calls", n)
	}
}

// TestNoAnswer ends with the caller's context.
func TestNoAnswer(t *testing.T) {
	stop := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-stop })
	defer close(stop)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.client(t).Send(ctx, wire.Call{Method: http.MethodPut, Path: "/x"})
	if !errors.Is(err, context.DeadlineExceeded) || !actuators.Explain(err).Doubt {
		t.Errorf("%v, want the deadline and doubt", err)
	}
}

// TestRedirect: none is followed, a credential is for one place.
func TestRedirect(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	call := wire.Call{Method: http.MethodPut, Path: "/x"}
	a, err := s.client(t).Send(t.Context(), call)
	if err != nil || a.Status != http.StatusTemporaryRedirect || s.requests() != 1 {
		t.Fatalf("%+v, %v after %d requests", a, err, s.requests())
	}
	if e := a.Refusal(call, errors.New("moved"), false); e.Permanent || e.Doubt {
		t.Errorf("%+v, want later", e)
	}
}

// TestRedirectIsFollowedOnTheKindsWord: and the same request is what goes there.
func TestRedirectIsFollowedOnTheKindsWord(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/there" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		}
	})
	for _, follow := range []bool{false, true} {
		before := s.requests()
		client := s.client(t, func(c *wire.Config) { c.Follow = func(*http.Request, []*http.Request) bool { return follow } })
		answer, err := client.Send(t.Context(), wire.Call{Method: http.MethodPost, Path: "/here", Body: "event"})
		if err != nil || answer.OK() != follow || s.requests()-before != map[bool]int{false: 1, true: 2}[follow] {
			t.Errorf("follow %t: %+v, %v, %d requests", follow, answer, err, s.requests()-before)
		}
	}
	if last := len(s.bodies) - 1; s.got[last].Method != http.MethodPost || s.bodies[last] != "event" {
		t.Errorf("%s with %q", s.got[last].Method, s.bodies[last])
	}
}

// TestIdempotencyKeyIsSentOnce: net/http repeats a POST with such a key by itself
// when a kept connection ends under it. One call is one request here.
func TestIdempotencyKeyIsSentOnce(t *testing.T) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				panic(http.ErrAbortHandler)
			}
		})
		client := s.client(t)
		if _, err := client.Send(t.Context(), wire.Call{Method: http.MethodGet}); err != nil { // the connection is kept
			t.Fatal(err)
		}
		_, err := client.Send(t.Context(), wire.Call{Method: http.MethodPost, Header: http.Header{name: {"key"}}, Body: "event"})
		if !actuators.Explain(err).Doubt {
			t.Errorf("%s: %v, want doubt", name, err)
		}
		if n := s.requests(); n != 2 || s.got[1].Header.Get(name) != "key" {
			t.Errorf("%s: %d requests, key %q", name, n, s.got[1].Header.Get(name))
		}
	}
}

func TestRefusal(t *testing.T) {
	type want struct {
		permanent, doubt bool
		after            time.Duration
	}
	asked := http.Header{"Retry-After": {"9"}}
	for _, c := range []struct {
		status      int
		header      http.Header
		own         bool
		read, write want
	}{
		{400, nil, true, want{permanent: true}, want{permanent: true}},
		{400, nil, false, want{}, want{doubt: true}},
		{403, asked, true, want{permanent: true, after: 9 * time.Second}, want{permanent: true, after: 9 * time.Second}},
		{408, nil, true, want{}, want{doubt: true}},
		{409, nil, true, want{after: time.Second}, want{after: time.Second}},
		{423, asked, false, want{after: 9 * time.Second}, want{after: 9 * time.Second}},
		{429, nil, false, want{after: time.Second}, want{after: time.Second}},
		{500, nil, true, want{}, want{doubt: true}},
		{503, asked, false, want{after: 9 * time.Second}, want{doubt: true, after: 9 * time.Second}},
		{302, nil, false, want{}, want{}},
	} {
		a := &wire.Answer{Status: c.status, Header: c.header, ID: "id-1"}
		for method, want := range map[string]want{http.MethodGet: c.read, http.MethodPut: c.write} {
			e := a.Refusal(wire.Call{Method: method}, errors.New("no"), c.own)
			if e.Permanent != want.permanent || e.Doubt != want.doubt || e.After != want.after || len(e.Requests) != 1 {
				t.Errorf("%s %d own %t: %+v, want %+v", method, c.status, c.own, e, want)
			}
		}
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ body, wrong string }{
		{`{"id":7}`, ""}, {``, "empty"}, {` null `, "empty"}, {`{"id":`, "unexpected"}, {`<html>`, "invalid character"},
		{`[1]`, "cannot unmarshal"}, {strings.Repeat(" ", wire.MaxBody+1), "too large"},
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.body) })
		client := s.client(t)
		for method, doubt := range map[string]bool{http.MethodGet: false, http.MethodPut: true} {
			call := wire.Call{Method: method, Path: "/x"}
			a, err := client.Send(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			var out struct{ ID int }
			err = client.Decode(call, a, &out)
			switch {
			case c.wrong == "":
				if err != nil || out.ID != 7 {
					t.Errorf("%q: %v, %+v", c.body, err, out)
				}
			case !errors.Is(err, wire.ErrAnswer) || !strings.Contains(err.Error(), c.wrong) || actuators.Explain(err).Doubt != doubt:
				t.Errorf("%s %.20q: %v, want %q", method, c.body, err, c.wrong)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	const date = "Fri, 13 Nov 2026 10:00:00 GMT"
	for _, c := range []struct {
		given, date string
		want        time.Duration
	}{
		{"", "", 0}, {"0", "", 0}, {"7", "", 7 * time.Second}, {" 7 ", "", 7 * time.Second}, {"-3", "", 0}, {"soon", date, 0},
		{"99999999", "", wire.MaxRetryAfter}, {"99999999999999", "", 0}, {"Fri, 13 Nov 2026 10:00:30 GMT", date, 30 * time.Second},
		{"Fri, 13 Nov 2026 09:00:30 GMT", date, 0}, {"Fri, 13 Nov 2026 10:00:30 GMT", "", wire.RefusedDelay},
		{"Fri, 13 Nov 2036 10:00:30 GMT", date, wire.MaxRetryAfter},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.given)
		h.Set("Date", c.date)
		if got := wire.RetryAfter(h); got != c.want {
			t.Errorf("%q at %q: %s, want %s", c.given, c.date, got, c.want)
		}
	}
}

// TestQuote: short, one line, nothing secret, whichever secret begins another.
func TestQuote(t *testing.T) {
	c := wire.New(wire.Config{Secrets: []string{"canary", "", secret}})
	for text, want := range map[string]string{
		" no\nline\x00 ": "no line", "key " + secret + "!": "key ***!", "canary bird": "*** bird",
		strings.Repeat("é", 200): strings.Repeat("é", wire.MaxMessage/2),
	} {
		if got := c.Quote(text); got != want {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
	if got := wire.Cut("aé", 2); got != "a" {
		t.Errorf("cut to %q", got)
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"token": secret + "\n", "empty": "\n", "large": strings.Repeat("x", wire.MaxSecret+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"TOKEN": " " + secret, "CREDENTIALS_DIRECTORY": dir}
	for ref, ok := range map[string]bool{
		"env:TOKEN": true, "file:" + dir + "/token": true, "credential:token": true,
		"env:OTHER": false, "file:" + dir + "/empty": false, "credential:large": false, "credential:other": false, secret: false, "": false, "env:" + secret: false,
	} {
		got, err := wire.Secret(ref, func(name string) string { return env[name] })
		if ok != (err == nil) || ok && got != secret || err != nil && (!errors.Is(err, wire.ErrReference) || got != "") {
			t.Errorf("%q: %q, %v", ref, got, err)
		}
		if err != nil && !wire.IsReference(ref) && strings.Contains(err.Error(), secret) {
			t.Errorf("%q shows in %v", ref, err)
		}
	}
	if _, err := wire.Secret("credential:token", func(string) string { return "" }); !errors.Is(err, wire.ErrReference) {
		t.Errorf("without a folder of credentials: %v", err)
	}
}
