package ovh

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAuthentication(t *testing.T) {
	type row struct {
		name    string
		edit    func(*http.Request)
		setup   func(*Sim, *caller)
		status  int
		message string
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	key := func(change func(*Credential)) func(*Sim, *caller) {
		return func(s *Sim, _ *caller) {
			c := Credential{ApplicationKey: testAK, ApplicationSecret: testAS, ConsumerKey: testCK}
			change(&c)
			s.AddCredential(c)
		}
	}
	rules := func(rules ...AccessRule) func(*Sim, *caller) { return key(func(c *Credential) { c.Rules = rules }) }
	for _, row := range []row{
		{name: "good", status: 200},
		{name: "unsigned", edit: func(r *http.Request) { r.Header.Del("X-Ovh-Signature") }, status: 401, message: `"class":"Client::Unauthorized"`}, //nolint:misspell // the provider's word
		{name: "nothing at all", edit: func(r *http.Request) { r.Header = http.Header{} }, status: 401, message: "You must login first"},
		{name: "unknown application", edit: header("X-Ovh-Application", "other"), status: 403, message: "This application key is invalid"},
		{name: "unknown consumer", edit: header("X-Ovh-Consumer", "other"), status: 403, message: `"errorCode":"INVALID_CREDENTIAL"`},
		{name: "wrong signature", edit: header("X-Ovh-Signature", "$1$00"), status: 400, message: `"errorCode":"INVALID_SIGNATURE","httpCode":"400 Bad Request"`},
		{name: "URL rewritten", edit: func(r *http.Request) { r.URL.RawQuery = "port=6379" }, status: 400, message: "INVALID_SIGNATURE"},
		{name: "other host", edit: func(r *http.Request) { r.Host = "proxy.example" }, status: 400, message: "INVALID_SIGNATURE"},
		{name: "no timestamp", edit: header("X-Ovh-Timestamp", "soon"), status: 400, message: "INVALID_SIGNATURE"},
		{name: "clock behind", setup: func(_ *Sim, c *caller) { c.skew = -2 * time.Minute }, status: 400, message: "QUERY_TIME_OUT"},
		{name: "clock ahead", setup: func(_ *Sim, c *caller) { c.skew = 2 * time.Minute }, status: 400, message: "QUERY_TIME_OUT"},
		{name: "clock a little off", setup: func(_ *Sim, c *caller) { c.skew = 30 * time.Second }, status: 200},
		{name: "expired", setup: key(func(c *Credential) { c.Status = KeyExpired }), status: 403, message: "INVALID_CREDENTIAL"},
		{name: "not validated", setup: key(func(c *Credential) { c.Status = KeyPending }), status: 403, message: "This credential is not valid"},
		{name: "refused", setup: key(func(c *Credential) { c.Status = KeyRefused }), status: 403, message: "INVALID_CREDENTIAL"},
		{name: "address not allowed", setup: key(func(c *Credential) { c.AllowedIPs = []string{"192.0.2.1"} }), status: 403, message: "FORBIDDEN"},
		{name: "exact rule", setup: rules(AccessRule{"GET", frontURL}), status: 200},
		{name: "star rule", setup: rules(AccessRule{"GET", base + "/*"}), status: 200},
		{name: "rule of another method", setup: rules(AccessRule{"PUT", "/*"}), status: 403, message: "NOT_GRANTED_CALL"},
		{name: "rule of another path", setup: rules(AccessRule{"GET", base + "/tcp/farm/*"}), status: 403, message: "This call has not been granted"},
		{name: "rule is no prefix", setup: rules(AccessRule{"GET", base}), status: 403, message: "NOT_GRANTED_CALL"},
		{name: "bearer unknown", edit: header("Authorization", "Bearer x"), status: 401, message: "INVALID_CREDENTIAL"},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
				c.edit = row.edit
				if row.setup != nil {
					row.setup(s, c)
				}
				got := c.want(row.status, "GET", frontURL, "")
				if !strings.Contains(string(got.body), row.message) {
					t.Errorf("%s, want %s", got.body, row.message)
				}
			})
		})
	}
}

func TestSignatureCoversTheBody(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		c.edit = func(r *http.Request) {
			r.Header.Set("X-Ovh-Signature", sign(testAS, testCK, "PUT", r.URL.String(), []byte(`{"defaultFarmId":11}`), time.Now().Unix()))
		}
		c.want(400, "PUT", frontURL, `{"defaultFarmId":12}`)
		c.want(200, "PUT", frontURL, `{"defaultFarmId":11}`)
		if f, _ := s.Staged(testFrontend); value(f.DefaultFarmID) != farmA {
			t.Error("an unsigned body had an effect")
		}
	})
}

func TestProviderClock(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.ClockSkew = time.Hour }), func(t *testing.T, _ *Sim, c *caller) {
		c.edit = func(r *http.Request) { r.Header = http.Header{} }
		var at int64
		c.want(200, "GET", "/auth/time", "").decode(t, &at)
		if want := time.Now().Add(time.Hour).Unix(); at != want {
			t.Errorf("time %d, want %d", at, want)
		}
		c.edit = nil
		c.want(400, "GET", frontURL, "")
		c.skew = time.Hour
		c.want(200, "GET", frontURL, "")
	})
}

func TestKeyExpiresMidRun(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		s.AddCredential(Credential{
			ApplicationKey: testAK, ApplicationSecret: testAS, ConsumerKey: testCK, Expires: time.Now().Add(time.Minute),
		})
		c.want(200, "GET", frontURL, "")
		time.Sleep(time.Minute)
		c.want(403, "GET", frontURL, "")
	})
}

func TestRateLimit(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.RatePerMinute = 2 }), func(t *testing.T, _ *Sim, c *caller) {
		c.want(200, "GET", frontURL, "")
		c.want(200, "GET", frontURL, "")
		c.want(429, "GET", frontURL, "")
		time.Sleep(time.Minute)
		c.want(200, "GET", frontURL, "")
	})
}

func TestQueryIDs(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		seen := map[string]bool{}
		for _, path := range []string{frontURL, "/nowhere", "/auth/time", frontURL} {
			id := c.send("GET", path, "").header.Get("X-Ovh-Queryid")
			if parts := strings.Split(id, "."); len(parts) != 5 || parts[0] != "EU" || parts[1] != "ext-4" || seen[id] {
				t.Errorf("%s: query id %q", path, id)
			}
			seen[id] = true
		}
		for _, call := range s.Journal(0).Calls {
			if call.Method != MethodSeed && !seen[call.QueryID] {
				t.Errorf("journalled query id %q was not answered", call.QueryID)
			}
		}
	})
}

func TestBothErrorForms(t *testing.T) {
	for form, want := range map[ErrorForm]string{
		FormMixed: `{"class":"Client::NotFound","message":`,
		FormNew:   `{"class":"Client::NotFound","message":`,
		FormOld:   `{"errorCode":"NOT_FOUND","httpCode":"404 Not Found","message":`,
	} {
		bubble(t, knobs(func(k *Knobs) { k.ErrorForm = form }), func(t *testing.T, _ *Sim, c *caller) {
			got := c.want(404, "GET", base+"/tcp/frontend/1", "")
			if !strings.HasPrefix(string(got.body), want) {
				t.Errorf("%s: %s", form, got.body)
			}
		})
	}
}

func TestUnknownPaths(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, _ *Sim, c *caller) {
		c.want(404, "GET", "/ipLoadbalancing/other", "")
		c.want(404, "GET", base+"/zone/rbx", "")
		c.want(404, "GET", "/nowhere", "")
		c.want(405, "POST", base+"/pendingChanges", "")
		c.want(400, "GET", base+"/tcp/frontend/x", "")
	})
}
