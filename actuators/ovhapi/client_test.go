package ovhapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	goovh "github.com/ovh/go-ovh/ovh"
	"go.uber.org/goleak"

	"github.com/pointsman/pointsman/actuators"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is a provider that answers what a test says, and notes what it got.
type api struct {
	*httptest.Server
	got    []*http.Request
	bodies []string
	answer http.HandlerFunc
}

func newAPI(t *testing.T, answer http.HandlerFunc) *api {
	t.Helper()
	a := &api{answer: answer}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a.got, a.bodies = append(a.got, r), append(a.bodies, string(body))
		if strings.HasSuffix(r.URL.Path, "/auth/time") {
			fmt.Fprint(w, time.Now().Unix()+1000)
			return
		}
		a.answer(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

var signedCreds = Credentials{ApplicationKey: "canary-ak", ApplicationSecret: "canary-as", ConsumerKey: "canary-ck"}

func (a *api) client(t *testing.T, creds Credentials) *Client {
	t.Helper()
	c, err := New(Config{}, a.URL+"/1.0", creds, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// TestSignatureIsGoOvhs sends the same calls through OVH's own client and ours
// and compares what arrives, until both signed in the same second.
func TestSignatureIsGoOvhs(t *testing.T) {
	a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "null") })
	theirs, err := goovh.NewClient(a.URL+"/1.0", signedCreds.ApplicationKey, signedCreds.ApplicationSecret, signedCreds.ConsumerKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(theirs.Client.CloseIdleConnections)
	ours := a.client(t, signedCreds)
	body := map[string]any{"defaultFarmId": 12, "displayName": "Redis <é> [pm 1f2e3d4c cache/7]"}
	for _, c := range []Call{
		{Method: http.MethodGet, Path: "/ipLoadbalancing/ip-203.0.113.7/task?action=refreshIplb&status=todo"},
		{Method: http.MethodPut, Path: "/ipLoadbalancing/ip-203.0.113.7/tcp/frontend/4711", Body: body},
		{Method: http.MethodPost, Path: "/ipLoadbalancing/ip-203.0.113.7/refresh", Body: struct{}{}},
	} {
		same := false
		for try := 0; try < 20 && !same; try++ {
			if err := theirs.CallAPI(c.Method, c.Path, c.Body, nil, true); err != nil {
				t.Fatal(err)
			}
			if _, err := ours.Do(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			n := len(a.got)
			one, two := a.got[n-2].Header, a.got[n-1].Header
			if a.bodies[n-2] != a.bodies[n-1] {
				t.Fatalf("%s: bodies %q and %q", c, a.bodies[n-2], a.bodies[n-1])
			}
			if one.Get("X-Ovh-Timestamp") != two.Get("X-Ovh-Timestamp") {
				continue
			}
			same = true
			for _, name := range []string{"X-Ovh-Application", "X-Ovh-Consumer", "X-Ovh-Signature", "Content-Type", "Accept"} {
				if one.Get(name) != two.Get(name) {
					t.Errorf("%s: %s is %q from go-ovh, %q from us", c, name, one.Get(name), two.Get(name))
				}
			}
		}
		if !same {
			t.Errorf("%s: never signed within the same second", c)
		}
	}
}

func TestAnswers(t *testing.T) {
	type want struct {
		permanent, doubt bool
		after            time.Duration
	}
	html := "<html><body>canary-ck 502 Bad Gateway</body></html>"
	date := http.Header{"Date": {"Fri, 13 Nov 2026 10:00:00 GMT"}, "Retry-After": {"Fri, 13 Nov 2026 10:00:30 GMT"}}
	for _, c := range []struct {
		status      int
		header      http.Header
		body        string
		read, write want
		text        string // in both errors
	}{
		{400, nil, `{"class":"Client::BadRequest","message":"no"}`, want{permanent: true}, want{permanent: true}, "400 Client::BadRequest: no"},
		{400, nil, `{"errorCode":"INVALID_SIGNATURE","httpCode":"400 Bad Request","message":"Invalid signature"}`, want{permanent: true}, want{permanent: true}, "INVALID_SIGNATURE"},
		{400, nil, `{"errorCode":"QUERY_TIME_OUT","message":"Query out of time"}`, want{}, want{}, "QUERY_TIME_OUT"},
		{401, nil, `{"message":"You must login first"}`, want{permanent: true}, want{permanent: true}, "401: You must login first"},
		{403, nil, `{"errorCode":"NOT_GRANTED_CALL","message":"key canary-ck"}`, want{permanent: true}, want{permanent: true}, "key ***"},
		{404, nil, `{"class":"Client::NotFound","message":"gone"}`, want{permanent: true}, want{permanent: true}, "404"},
		{405, nil, ``, want{}, want{doubt: true}, "405"},
		{403, nil, html, want{}, want{doubt: true}, "403: Forbidden"},
		{400, nil, `{"errorCode":"QUERY_TI`, want{}, want{doubt: true}, "400: Bad Request"},
		{404, nil, `{"message":"gone"}`, want{permanent: true}, want{permanent: true}, "404: gone"},
		{460, nil, html, want{permanent: true}, want{permanent: true}, "460"},
		{460, nil, `{"message":"This Service is expired"}`, want{permanent: true}, want{permanent: true}, "460: This Service is expired"},
		{408, nil, html, want{}, want{doubt: true}, "408"},
		{409, nil, `{"class":"Client::Conflict","message":"busy","code":7}`, want{after: time.Second}, want{after: time.Second}, "409 Client::Conflict: busy"},
		{429, http.Header{"Retry-After": {"9"}}, `{}`, want{after: 9 * time.Second}, want{after: 9 * time.Second}, "429"},
		{429, date, `{}`, want{after: 30 * time.Second}, want{after: 30 * time.Second}, "429"},
		{429, http.Header{"Retry-After": {"99999999"}}, `{}`, want{after: MaxRetryAfter}, want{after: MaxRetryAfter}, "429"},
		{429, http.Header{"Retry-After": {"-3"}}, `{}`, want{after: time.Second}, want{after: time.Second}, "429"},
		{429, http.Header{"Retry-After": {"soon"}}, `{}`, want{after: time.Second}, want{after: time.Second}, "429"},
		{500, nil, `{"class":"Server::InternalServerError","message":"Internal server error","code":404}`, want{}, want{doubt: true}, "500 Server::InternalServerError"},
		{502, nil, html, want{}, want{doubt: true}, "502: Bad Gateway"},
		{503, http.Header{"Retry-After": {"5"}}, `{"message":17}`, want{after: 5 * time.Second}, want{doubt: true, after: 5 * time.Second}, "503"},
		{302, http.Header{"Location": {"/elsewhere"}}, ``, want{}, want{}, "302"},
		{200, nil, ``, want{}, want{doubt: true}, "not understood"},
		{200, nil, `null`, want{}, want{doubt: true}, "not understood"},
		{200, nil, html, want{}, want{doubt: true}, "not understood"},
		{200, nil, `{"id":`, want{}, want{doubt: true}, "not understood"},
		{200, nil, `[1]`, want{}, want{doubt: true}, "not understood"},
		{200, nil, strings.Repeat(" ", MaxBody+1), want{}, want{doubt: true}, "too large"},
	} {
		a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range c.header {
				w.Header()[name] = values
			}
			w.Header().Set("X-Ovh-Queryid", "EU.ext-4.1")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		client := a.client(t, signedCreds)
		for method, want := range map[string]want{http.MethodGet: c.read, http.MethodPost: c.write} {
			var out struct{ ID int64 }
			ids, err := client.Do(t.Context(), Call{Method: method, Path: "/x", Out: &out})
			x := actuators.Explain(err)
			if err == nil || x.Permanent != want.permanent || x.Doubt != want.doubt || x.After != want.after {
				t.Errorf("%s %d %.60q: %v (permanent %t, doubt %t, after %s), want %+v", method, c.status, c.body, err, x.Permanent, x.Doubt, x.After, want)
				continue
			}
			if !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "canary") || len(err.Error()) > 2*MaxMessage {
				t.Errorf("%s %d %.60q: error %q, want %q in it", method, c.status, c.body, err, c.text)
			}
			if len(ids) == 0 || ids[0] != "EU.ext-4.1" {
				t.Errorf("%s %d: ids %q", method, c.status, ids)
			}
		}
	}
}

// TestVoidAnswers: a call without result is answered by its status alone.
func TestVoidAnswers(t *testing.T) {
	for _, body := range []string{"", "null", "<html></html>", `{"a":1}`} {
		a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		if _, err := a.client(t, signedCreds).Do(t.Context(), Call{Method: http.MethodPut, Path: "/x", Body: 1}); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// TestRefusedClock: a read is signed anew, a write is left to its next attempt.
func TestRefusedClock(t *testing.T) {
	refuse := true
	a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		if refuse {
			refuse = false
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"errorCode":"QUERY_TIME_OUT","httpCode":"400 Bad Request","message":"Query out of time"}`)
			return
		}
		_, _ = io.WriteString(w, `{"id":1}`)
	})
	c := a.client(t, signedCreds)
	var out struct{ ID int64 }
	if _, err := c.Do(t.Context(), Call{Method: http.MethodGet, Path: "/x", Out: &out}); err != nil || out.ID != 1 {
		t.Errorf("read: %v, %+v", err, out)
	}
	if n := len(a.got); n != 4 { // time, refused, time, answered
		t.Errorf("%d requests for a read, want 4", n)
	}
	refuse = true
	_, err := c.Do(t.Context(), Call{Method: http.MethodPost, Path: "/x", Out: &out})
	if x := actuators.Explain(err); err == nil || x.Doubt || x.Permanent {
		t.Errorf("write: %v, want for later", err)
	}
	if n := len(a.got); n != 5 {
		t.Errorf("%d requests, want one more for a write", n)
	}
	if _, err = c.Do(t.Context(), Call{Method: http.MethodPost, Path: "/x", Out: &out}); err != nil {
		t.Errorf("the next attempt: %v", err)
	}
}

func TestFirstCallObeysContext(t *testing.T) {
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(release)
	c, err := New(Config{}, slow.URL+"/1.0", signedCreds, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.http.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = c.Do(ctx, Call{Method: http.MethodPost, Path: "/x"})
	if !errors.Is(err, context.DeadlineExceeded) || actuators.Explain(err).Doubt {
		t.Errorf("%v, want the deadline and no doubt: only the time was asked for", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s of 50ms", took)
	}
}

// TestClockIsNotTheDeed: what the question for the time used of the network says
// nothing about the request after it.
func TestClockIsNotTheDeed(t *testing.T) {
	a := newAPI(t, func(http.ResponseWriter, *http.Request) { t.Error("the request came through") })
	a.Config.SetKeepAlivesEnabled(false)
	dials := 0
	config := Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials++; dials > 1 {
			return nil, errors.New("connection refused")
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	c, err := New(config, a.URL+"/1.0", signedCreds, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.http.CloseIdleConnections()
	_, err = c.Do(t.Context(), Call{Method: http.MethodPost, Path: "/x"})
	if err == nil || dials != 2 || actuators.Explain(err).Doubt {
		t.Errorf("%v after %d dials, doubt %t; want no doubt", err, dials, actuators.Explain(err).Doubt)
	}
}

func TestBearer(t *testing.T) {
	a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })
	c := a.client(t, Credentials{AccessToken: "canary-token"})
	if _, err := c.Do(t.Context(), Call{Method: http.MethodGet, Path: "/x"}); err != nil {
		t.Fatal(err)
	}
	if len(a.got) != 1 || a.got[0].Header.Get("Authorization") != "Bearer canary-token" || a.got[0].Header.Get("X-Ovh-Signature") != "" {
		t.Errorf("got %+v", a.got[0].Header)
	}
}

func TestOAuth2(t *testing.T) {
	given := 0
	refuse := false
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			given++
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":3600}`, given)
		case refuse:
			refuse = false
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprint(w, `{}`)
		}
	})
	creds := Credentials{ClientID: "canary-id", ClientSecret: "canary-secret"}
	if _, err := New(Config{}, a.URL+"/1.0", creds, nil); !errors.Is(err, ErrCredentials) {
		t.Errorf("a custom endpoint: %v, want %v", err, ErrCredentials)
	}
	c := a.client(t, Credentials{AccessToken: "unused"})
	c.login = newTokens(creds, a.URL+"/token", c)
	for range 2 {
		if _, err := c.Do(t.Context(), Call{Method: http.MethodGet, Path: "/x"}); err != nil {
			t.Fatal(err)
		}
	}
	refuse = true
	if _, err := c.Do(t.Context(), Call{Method: http.MethodGet, Path: "/x"}); err != nil {
		t.Errorf("after a refused token: %v", err)
	}
	if last := a.got[len(a.got)-1].Header.Get("Authorization"); given != 2 || last != "Bearer token-2" {
		t.Errorf("%d tokens asked for, the last call carries %q", given, last)
	}
}
