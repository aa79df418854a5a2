package octavia_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/test/clouds/octavia"
)

// world is a simulator with one load balancer, spoken to without a network.
type world struct {
	t     *testing.T
	sim   *octavia.Sim
	token string
}

func inBubble(t *testing.T, knobs octavia.Knobs, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim, err := octavia.New(octavia.Config{Knobs: knobs, Endpoint: "http://octavia.example"})
		if err != nil {
			t.Fatal(err)
		}
		sim.AddLoadBalancer(octavia.LoadBalancer{ID: "lb"})
		for _, err := range []error{
			sim.AddPool(octavia.Pool{ID: "p1", Balancer: "lb", Members: []octavia.Member{{ID: "a", Address: "10.0.0.1", Port: 6379, Name: "one"}}}),
			sim.AddPool(octavia.Pool{ID: "p2", Balancer: "lb"}),
			sim.AddListener(octavia.Listener{ID: "l", Balancer: "lb", Pool: "p1", Description: "mine", Port: 6379}),
			sim.AddPool(octavia.Pool{ID: "p3", Balancer: "none"}),
		} {
			if err != nil && !strings.Contains(err.Error(), "none") {
				t.Fatal(err)
			}
		}
		sim.AddUser(octavia.User{CredentialID: "id", Secret: "s"})
		w := &world{t: t, sim: sim}
		f(w)
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (w *world) send(method, path, body string) *http.Response {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", w.token)
	rec := httptest.NewRecorder()
	w.sim.Handler().ServeHTTP(rec, r)
	return rec.Result()
}

func (w *world) login() {
	w.t.Helper()
	resp := w.send(http.MethodPost, "/v3/auth/tokens", `{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"id","secret":"s"}}}}`)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		w.t.Fatalf("log in: %s", resp.Status)
	}
	w.token = resp.Header.Get("X-Subject-Token")
}

// call wants a status, and gives the body.
func (w *world) call(want int, method, path, body string) string {
	w.t.Helper()
	resp := w.send(method, "/v2.0/lbaas"+path, body)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		w.t.Errorf("%s %s: %s %s %v, want %d", method, path, resp.Status, text, err, want)
	}
	return string(text)
}

// status reads the provisioning status of something.
func (w *world) status(path string) string {
	w.t.Helper()
	var body map[string]struct {
		Status string `json:"provisioning_status"`
	}
	if err := json.Unmarshal([]byte(w.call(http.StatusOK, http.MethodGet, path, "")), &body); err != nil {
		w.t.Fatal(err)
	}
	for _, o := range body {
		return o.Status
	}
	return ""
}

func (w *world) effect() (pool string, addresses []string) {
	l, members := w.sim.Effect("l")
	for _, m := range members {
		addresses = append(addresses, fmt.Sprintf("%s:%d %s %d", m.Address, m.Port, m.Name, m.Weight))
	}
	slices.Sort(addresses)
	return l.Pool, addresses
}

// TestWholeTreeLock: one change at a time, whatever it is about, in the words
// of the provider.
func TestWholeTreeLock(t *testing.T) {
	inBubble(t, octavia.Knobs{Provision: 10 * time.Second}, func(w *world) {
		w.login()
		w.call(http.StatusOK, http.MethodPut, "/listeners/l", `{"listener":{"default_pool_id":"p2"}}`)
		for _, path := range []string{"/loadbalancers/lb", "/listeners/l", "/pools/p1"} {
			if got := w.status(path); got != "PENDING_UPDATE" {
				t.Errorf("%s is %s", path, got)
			}
		}
		if pool, _ := w.effect(); pool != "p1" {
			t.Errorf("in effect at once: %s", pool)
		}
		body := w.call(http.StatusConflict, http.MethodPut, "/pools/p2/members", `{"members":[{"address":"10.0.0.9","protocol_port":1}]}`)
		if want := `{"debuginfo":null,"faultcode":"Client","faultstring":"Load Balancer lb is immutable and cannot be updated."}`; body != want {
			t.Errorf("%s, want %s", body, want)
		}
		time.Sleep(11 * time.Second)
		if pool, _ := w.effect(); pool != "p2" || w.status("/loadbalancers/lb") != "ACTIVE" || w.status("/listeners/l") != "ACTIVE" {
			t.Errorf("after the change: %s", pool)
		}
	})
}

// TestMembersInOnePut: the list is what is left, each known by address and port.
func TestMembersInOnePut(t *testing.T) {
	inBubble(t, octavia.Knobs{}, func(w *world) {
		w.login()
		if w.call(http.StatusAccepted, http.MethodPut, "/pools/p1/members", `{"members":[{"address":"10.0.0.1","protocol_port":6379,"weight":7},{"address":"10.0.0.2","protocol_port":6379}]}`) != "" {
			t.Error("202 with a body")
		}
		if _, got := w.effect(); !slices.Equal(got, []string{"10.0.0.1:6379 one 7", "10.0.0.2:6379  1"}) {
			t.Errorf("%q: one is changed, one is new", got)
		}
		w.call(http.StatusAccepted, http.MethodPut, "/pools/p1/members?additive_only=true", `{"members":[{"address":"10.0.0.3","protocol_port":6379}]}`)
		if _, got := w.effect(); len(got) != 3 {
			t.Errorf("%q: the others stay", got)
		}
		w.call(http.StatusAccepted, http.MethodPut, "/pools/p1/members", `{"members":[{"address":"10.0.0.3","protocol_port":6379}]}`)
		if _, got := w.effect(); !slices.Equal(got, []string{"10.0.0.3:6379  1"}) {
			t.Errorf("%q: the others are gone", got)
		}
		twice := `{"members":[{"address":"%[1]s","protocol_port":6379},{"address":"%[1]s","protocol_port":6379}]}`
		w.call(http.StatusBadRequest, http.MethodPut, "/pools/p1/members", fmt.Sprintf(twice, "10.0.0.3"))
		w.call(http.StatusConflict, http.MethodPut, "/pools/p1/members", fmt.Sprintf(twice, "10.0.0.4"))
		w.call(http.StatusBadRequest, http.MethodPut, "/pools/p1/members", `{"members":[{"address":"redis","protocol_port":6379}]}`)
		before := len(w.sim.Journal())
		w.call(http.StatusAccepted, http.MethodPut, "/pools/p2/members", `{"members":[]}`)
		if c := w.sim.Journal()[before]; c.Accepted {
			t.Error("nothing to nothing is a change")
		}
		w.call(http.StatusCreated, http.MethodPost, "/pools/p1/members", `{"member":{"address":"10.0.0.5","protocol_port":6379}}`)
		w.call(http.StatusConflict, http.MethodPost, "/pools/p1/members", `{"member":{"address":"10.0.0.5","protocol_port":6379}}`)
		w.call(http.StatusNotFound, http.MethodDelete, "/pools/p1/members/x", "")
		if err := w.sim.ForeignMembers("p1", `[{"address":"10.0.0.6","protocol_port":6379}]`, false); err != nil {
			t.Error(err)
		}
		if _, got := w.effect(); !slices.Equal(got, []string{"10.0.0.6:6379  1"}) {
			t.Errorf("%q after somebody else", got)
		}
	})
}

// TestErrorSticks: of the listener, until the next change; of the load
// balancer, until its operator acts.
func TestErrorSticks(t *testing.T) {
	inBubble(t, octavia.Knobs{Provision: time.Second, Outcome: octavia.OutcomeListener}, func(w *world) {
		w.login()
		w.call(http.StatusOK, http.MethodPut, "/listeners/l", `{"listener":{"default_pool_id":"p2"}}`)
		time.Sleep(2 * time.Second)
		if pool, _ := w.effect(); pool != "p1" || w.status("/listeners/l") != "ERROR" || w.status("/loadbalancers/lb") != "ACTIVE" {
			t.Errorf("a push that failed: %s", pool)
		}
		if err := w.sim.SetKnobs(octavia.Knobs{Outcome: octavia.OutcomeBalancer}); err != nil {
			t.Fatal(err)
		}
		w.call(http.StatusOK, http.MethodPut, "/listeners/l", `{"listener":{"default_pool_id":"p2"}}`)
		time.Sleep(30 * time.Minute)
		w.call(http.StatusConflict, http.MethodPut, "/listeners/l", `{"listener":{"default_pool_id":"p1"}}`)
		w.sim.Recover("lb")
		if pool, _ := w.effect(); pool != "p2" || w.status("/loadbalancers/lb") != "ACTIVE" {
			t.Errorf("recovered: %s", pool)
		}
	})
}

// TestTokens end, and are for one user.
func TestTokens(t *testing.T) {
	inBubble(t, octavia.Knobs{TokenTTL: time.Minute, TokenRate: 2}, func(w *world) {
		w.call(http.StatusUnauthorized, http.MethodGet, "/listeners/l", "")
		w.login()
		w.call(http.StatusOK, http.MethodGet, "/listeners/l", "")
		time.Sleep(59 * time.Second)
		w.login()
		resp := w.send(http.MethodPost, "/v3/auth/tokens", `{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"id","secret":"s"}}}}`)
		if resp.Body.Close(); resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("a third token in a minute: %s", resp.Status)
		}
		time.Sleep(time.Minute)
		w.call(http.StatusUnauthorized, http.MethodGet, "/listeners/l", "")
		resp = w.send(http.MethodPost, "/v3/auth/tokens", `{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"id","secret":"x"}}}}`)
		if resp.Body.Close(); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a wrong secret: %s", resp.Status)
		}
	})
}

// TestListenerFields: what is left out stays, null is the default, what is not
// known or not there is refused.
func TestListenerFields(t *testing.T) {
	inBubble(t, octavia.Knobs{}, func(w *world) {
		w.login()
		w.call(http.StatusOK, http.MethodPut, "/listeners/l", `{"listener":{"default_pool_id":null}}`)
		if l, _ := w.sim.Stored("l"); l.Pool != "" || l.Description != "mine" {
			t.Errorf("%+v", l)
		}
		w.call(http.StatusNotFound, http.MethodPut, "/listeners/l", `{"listener":{"default_pool_id":"p9"}}`)
		w.call(http.StatusNotFound, http.MethodPut, "/listeners/x", `{"listener":{"name":"x"}}`)
		w.call(http.StatusBadRequest, http.MethodPut, "/listeners/l", `{"listener":{"protocol_port":1}}`)
		w.call(http.StatusBadRequest, http.MethodPut, "/listeners/l", `{}`)
		w.call(http.StatusBadRequest, http.MethodPut, "/listeners/l", `{"listener":{"description":"`+strings.Repeat("x", 256)+`"}}`)
		for _, c := range w.sim.Journal() {
			if c.Listener != nil && (c.Listener.PoolBefore != "p1" || c.Listener.PoolAfter != "" || c.Order != 1) {
				t.Errorf("%+v", c)
			}
		}
	})
}

func TestKnobsAndFaultsAreChecked(t *testing.T) {
	for _, k := range []octavia.Knobs{
		{Outcome: "x"}, {Shows: "x"}, {PutAnswer: "x"}, {ErrorForm: "x"}, {Trouble: "x"}, {TokenForm: "x"}, {EndpointForm: "x"}, {RateForm: "x"},
		{Maintenance: "x"}, {Operating: "x"}, {Provision: -1}, {ReadLag: -1}, {TokenTTL: -1}, {TokenDelay: -1}, {RatePerMinute: -1}, {TokenRate: -1},
		{RateStatus: 200}, {NotGranted: "x"},
	} {
		if k.Validate() == nil {
			t.Errorf("%+v passed", k)
		}
	}
	inBubble(t, octavia.Knobs{}, func(w *world) {
		for _, f := range []octavia.Fault{{}, {Status: 99}, {Do: octavia.DoCut}, {Do: octavia.DoEdit, Edit: "{"}} {
			if w.sim.AddFault(f) == nil {
				t.Errorf("%+v passed", f)
			}
		}
	})
}
