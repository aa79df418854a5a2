package httpcall_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/httpcall"
	"github.com/pointsman/pointsman/actuators/wire"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestSuccessThatIsNone: a status of success with something against it inside is
// in doubt, never done.
func TestSuccessThatIsNone(t *testing.T) {
	const mega = 1 << 20
	for name, c := range map[string]struct {
		status     int
		kind, body string
		megabytes  int // written before body
		says       string
	}{
		"nothing":            {status: 204},
		"accepted":           {status: 202, kind: "text/plain", body: "ok"},
		"a word of PHP's":    {status: 200, kind: "text/html; charset=UTF-8", body: "ok\n"},
		"JSON":               {status: 200, kind: "application/json", body: `{"ok":true,"error":null,"errors":[]}`},
		"JSON of no object":  {status: 200, kind: "application/json", body: `"done"`},
		"a page":             {status: 200, kind: "text/html", body: "<!doctype html><title>Sign in</title>", says: "a page"},
		"a page as text":     {status: 200, kind: "text/plain", body: "\n <html>", says: "a page"},
		"an error inside":    {status: 200, kind: "application/json", body: `{"error":"no such shop"}`, says: "no such shop"},
		"errors inside":      {status: 200, kind: "application/json", body: `{"data":null,"errors":[{"message":"throttled"}]}`, says: "throttled"},
		"not ok":             {status: 200, kind: "application/json", body: `{"ok":false}`, says: "an error"},
		"no success":         {status: 201, kind: "text/plain", body: `{"Success": false, "why": "` + secret + `"}`, says: "***"},
		"half of it":         {status: 200, kind: "application/json", body: `{"ok":tr`, says: "no JSON"},
		"no JSON":            {status: 200, kind: "application/json", body: "done", says: "no JSON"},
		"a body of 100 MB":   {status: 200, kind: "text/plain", megabytes: 100, says: "answer too large"},
		"an error of 100 MB": {status: 500, kind: "text/plain", megabytes: 100, says: "500"},
	} {
		t.Run(name, func(t *testing.T) {
			e, conf, target := piped(t)
			r := newRig(t, conf, target, &pb.HttpStep{})
			e.answer = func(w http.ResponseWriter) {
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				for range c.megabytes {
					if _, err := w.Write(make([]byte, mega)); err != nil {
						return // it has heard enough
					}
				}
				fmt.Fprint(w, c.body)
			}
			out, err := r.act(t.Context(), r.work(t))
			if c.says == "" {
				if err != nil || !out.Waiting || len(out.Checkpoint) == 0 || out.Requests[0] != "req-1" {
					t.Errorf("%+v, %v", out, err)
				}
				return
			}
			x := actuators.Explain(err)
			if err == nil || !x.Doubt || x.Permanent || !strings.Contains(err.Error(), c.says) || len(x.Requests) != 1 {
				t.Errorf("%v: doubt %t, permanent %t, requests %q", err, x.Doubt, x.Permanent, x.Requests)
			}
			if len(err.Error()) > 500 || strings.Contains(err.Error(), secret) {
				t.Errorf("says %q", err)
			}
		})
	}
}

// TestNotReached: nothing left, so nothing is in doubt, and it is tried again.
func TestNotReached(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	noNames := func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server answers")
	}
	lookup := &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: noNames}}
	for name, c := range map[string]struct {
		url  string
		dial wire.Dialer
		says string
	}{
		"no such name":       {"https://hooks.example.net/redis", lookup.DialContext, "no name server answers"},
		"nobody listens":     {closed.URL, nil, "connection refused"},
		"a port without TLS": {strings.Replace(plain(t), "http:", "https:", 1), nil, "HTTP response to HTTPS client"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, httpcall.Config{Dial: c.dial}, &pb.HttpTarget{Url: c.url, Secret: "env:HOOK", Allow: []string{"127.0.0.0/8"}}, &pb.HttpStep{})
			_, err := r.act(t.Context(), r.work(t))
			if x := actuators.Explain(err); err == nil || x.Doubt || x.Permanent || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: doubt %t, permanent %t", err, x.Doubt, x.Permanent)
			}
			if probe := r.tool.(actuators.Prober).Probe(t.Context()); probe == nil {
				t.Error("a probe came through")
			}
		})
	}
}

// plain is a server without TLS.
func plain(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.URL
}

// TestRedirects: none is followed unless the target says so, and then only one
// that asks for the same request, over a connection that proves as much.
func TestRedirects(t *testing.T) {
	var came atomic.Int32
	var got atomic.Pointer[http.Request]
	var body atomic.Pointer[string]
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		text := string(raw)
		came.Add(1)
		got.Store(r)
		body.Store(&text)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer open.Close()
	for name, c := range map[string]struct {
		follow, secure   bool // secure: the first place speaks TLS
		status           int
		to               string // empty: to itself, for ever
		came             int32
		permanent, doubt bool
		says             string
	}{
		"not allowed":              {status: 307, to: open.URL, says: "307"},
		"allowed":                  {follow: true, status: 307, to: open.URL + "/there", came: 1},
		"for good":                 {follow: true, status: 308, to: open.URL + "/there", came: 1},
		"by another method":        {follow: true, status: 303, to: open.URL, doubt: true, says: "303"},
		"found":                    {follow: true, status: 302, to: open.URL, doubt: true, says: "302"},
		"for ever":                 {follow: true, status: 307, says: "307"},
		"to a plain connection":    {follow: true, secure: true, status: 307, to: open.URL, says: "307"},
		"to the cloud's own place": {follow: true, status: 307, to: "http://169.254.169.254/latest/", permanent: true, says: "is no public address"},
	} {
		t.Run(name, func(t *testing.T) {
			came.Store(0)
			hops := 0
			first := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hops++
				to := c.to
				if to == "" {
					to = r.URL.Path
				}
				w.Header().Set("Location", to)
				w.WriteHeader(c.status)
			}))
			target := &pb.HttpTarget{Secret: "env:HOOK", Allow: []string{"127.0.0.0/8"}, Redirects: c.follow}
			if c.secure {
				first.StartTLS()
				file := filepath.Join(t.TempDir(), "ca.pem")
				if err := os.WriteFile(file, []byte(pemOf(first)), 0o600); err != nil {
					t.Fatal(err)
				}
				target.Ca = "file:" + file
			} else {
				first.Start()
			}
			defer first.Close()
			target.Url = first.URL + "/hook"
			r := newRig(t, httpcall.Config{}, target, &pb.HttpStep{})
			_, err := r.act(t.Context(), r.work(t))
			if x := actuators.Explain(err); (err == nil) != (c.says == "") || x.Permanent != c.permanent || x.Doubt != c.doubt || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: permanent %t, doubt %t", err, x.Permanent, x.Doubt)
			}
			if came.Load() != c.came || hops > httpcall.MaxRedirects+1 {
				t.Errorf("%d came through, %d hops", came.Load(), hops)
			}
			if c.came > 0 {
				theSame(t, got.Load(), *body.Load())
			}
		})
	}
}

// theSame wants the event as it was first posted.
func theSame(t *testing.T, r *http.Request, body string) {
	t.Helper()
	var event struct{ Action string }
	if err := json.Unmarshal([]byte(body), &event); err != nil || event.Action != "cache/7/hook" {
		t.Errorf("body %q, %v", body, err)
	}
	if r.Method != http.MethodPost || r.URL.Path != "/there" || r.Header.Get("Idempotency-Key") != "1f2e3d4c5b6a7988/cache/7/hook" || r.Header.Get("Pointsman-Signature") == "" {
		t.Errorf("%s %s with %v", r.Method, r.URL.Path, r.Header)
	}
}
