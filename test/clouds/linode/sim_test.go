package linode_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	cloud "github.com/pointsman/pointsman/test/clouds/linode"
	"github.com/pointsman/pointsman/test/clouds/pipe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const nodes = "/nodebalancers/301/configs/401/nodes"

// account is a simulator that a test asks in the API's own words.
type account struct {
	*cloud.Sim
	t     *testing.T
	token string
}

func open(t *testing.T, turn ...func(*cloud.Knobs)) *account {
	t.Helper()
	knobs := cloud.DefaultKnobs()
	for _, f := range turn {
		f(&knobs)
	}
	sim, err := cloud.New(cloud.Config{Knobs: &knobs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	sim.Seed(cloud.NodeBalancer{ID: 301, Label: "lb", VPC: 601},
		[]cloud.ConfigOf{{ID: 401, SSLCert: "cert", SSLKey: "key"}, {ID: 402}},
		[]cloud.Node{{ID: 501, Config: 401, Label: "one", Address: "192.168.133.20:6379"}, {ID: 502, Config: 401, Label: "two", Address: "192.168.133.21:6379", Mode: "reject"}})
	sim.AddToken(cloud.Token{Value: "rw", Scopes: "nodebalancers:read_write"})
	sim.AddToken(cloud.Token{Value: "ro", Scopes: "nodebalancers:read_only linodes:read_write"})
	sim.AddToken(cloud.Token{Value: "all", Scopes: "*"})
	return &account{sim, t, "rw"}
}

// ask sends a request and returns status, header and decoded body.
func (a *account) ask(method, path, body string) (int, http.Header, map[string]any) {
	a.t.Helper()
	r := httptest.NewRequest(method, "http://api.example/v4"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+a.token)
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	var out map[string]any
	if w.Body.Len() > 0 && strings.Contains(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			a.t.Errorf("%s %s: %v in %q", method, path, err, w.Body)
		}
	}
	return w.Code, w.Header(), out
}

// labels lists the nodes of a configuration, "id label".
func (a *account) labels(config int) (out []string) {
	a.t.Helper()
	_, _, list := a.ask(http.MethodGet, fmt.Sprintf("/nodebalancers/301/configs/%d/nodes", config), "")
	for _, n := range list["data"].([]any) {
		n := n.(map[string]any)
		out = append(out, fmt.Sprintf("%v %v", n["id"], n["label"]))
	}
	return out
}

// TestLimits: what the API refuses, and in which field.
func TestLimits(t *testing.T) {
	a := open(t)
	for body, want := range map[string]string{
		`{"label":"ab"}`: "label", `{"label":"` + strings.Repeat("x", 33) + `"}`: "label", `{"label":"a b c"}`: "label", `{"label":7}`: "label",
		`{"weight":0}`: "weight", `{"weight":256}`: "weight", `{"mode":"off"}`: "mode",
		`{"address":"203.0.113.5:80"}`: "address", `{"address":"192.168.133.20"}`: "address", `{"address":"10.8.0.1:80"}`: "address",
		`{"address":"[fd00::1]:80"}`: "address", `{"subnet_id":7}`: "subnet_id", `[]`: "",
	} {
		status, _, out := a.ask(http.MethodPut, nodes+"/501", body)
		field, _ := out["errors"].([]any)[0].(map[string]any)["field"].(string)
		if status != http.StatusBadRequest || field != want {
			t.Errorf("%s: %d, %v; want %q", body, status, out, want)
		}
	}
	for _, body := range []string{
		`{"label":"pm.1f2e3d4c.cache.7"}`, `{"label":"abc","weight":1,"mode":"drain"}`, `{"weight":255}`, `{"address":"10.8.0.1:80","subnet_id":601}`,
		`{"id":9,"status":"DOWN","config_id":1,"unheard_of":true}`, `{}`,
	} {
		if status, _, out := a.ask(http.MethodPut, nodes+"/501", body); status != http.StatusOK || out["id"] != 501.0 {
			t.Errorf("%s: %d, %v", body, status, out)
		}
	}
	for _, path := range []string{nodes + "/599", "/nodebalancers/301/configs/402/nodes/501", "/nodebalancers/302", "/nodebalancers/301/configs/499/nodes", "/linodes", nodes + "/501/x"} {
		if status, _, _ := a.ask(http.MethodGet, path, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestMerge: a field that is left out stays, unless that knob is turned.
func TestMerge(t *testing.T) {
	for replaces, want := range map[bool]string{false: "two2 9 reject", true: "two2 100 accept"} {
		a := open(t, func(k *cloud.Knobs) { k.PutReplaces = replaces })
		a.ask(http.MethodPut, nodes+"/502", `{"weight":9,"mode":"reject"}`)
		a.ask(http.MethodPut, nodes+"/502", `{"label":"two2"}`)
		n, err := a.Stored(502)
		if got := fmt.Sprint(n.Label, " ", n.Weight, " ", n.Mode); err != nil || got != want {
			t.Errorf("replaces %t: %s, %v; want %s", replaces, got, err, want)
		}
	}
}

// TestRebuild: known ids are updated, nodes without id made, those left out
// deleted; without ids every node is another.
func TestRebuild(t *testing.T) {
	a := open(t)
	const rebuild = "/nodebalancers/301/configs/401/rebuild"
	status, _, out := a.ask(http.MethodPost, rebuild, `{"nodes":[{"id":501,"label":"uno","address":"192.168.133.20:6379"},{"label":"new","address":"192.168.133.22:6379"}]}`)
	got := a.labels(401)
	if status != http.StatusOK || len(got) != 2 || got[0] != "501 uno" || !strings.HasSuffix(got[1], " new") || out["ssl_cert"] != "<REDACTED>" {
		t.Errorf("%d, %v, %v", status, out, got)
	}
	if _, err := a.Stored(502); !errors.Is(err, cloud.ErrUnknown) {
		t.Errorf("the node that was left out: %v", err)
	}
	a.ask(http.MethodPost, rebuild, `{"nodes":[{"label":"uno","address":"192.168.133.20:6379"}]}`)
	if again := a.labels(401); len(again) != 1 || again[0] == "501 uno" || !strings.HasSuffix(again[0], " uno") {
		t.Errorf("without ids: %v", again)
	}
	before := a.labels(401)
	for _, body := range []string{
		`{}`, `{"nodes":[{"id":501,"label":"uno"}]}`, `{"nodes":[{"label":"uno"}]}`, `{"nodes":[{"label":"u","address":"192.168.133.20:6379"}]}`,
		`{"nodes":[],"ssl_cert":"<REDACTED>"}`,
	} {
		if status, _, _ := a.ask(http.MethodPost, rebuild, body); status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, status)
		}
	}
	if after := a.labels(401); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("refused rebuilds left %v, want %v", after, before)
	}
	if status, _, _ := a.ask(http.MethodPost, rebuild, `{"nodes":[]}`); status != http.StatusOK || len(a.labels(401)) != 0 {
		t.Errorf("%d, %v", status, a.labels(401))
	}
}

// TestConfigs: a secret reads as <REDACTED>, and nodes named in a POST are not looked at.
func TestConfigs(t *testing.T) {
	a := open(t)
	_, _, out := a.ask(http.MethodGet, "/nodebalancers/301/configs/401", "")
	if out["ssl_cert"] != "<REDACTED>" || out["ssl_key"] != "<REDACTED>" {
		t.Errorf("%v", out)
	}
	if status, _, _ := a.ask(http.MethodPut, "/nodebalancers/301/configs/401", `{"ssl_cert":"<REDACTED>"}`); status != http.StatusBadRequest {
		t.Errorf("a certificate as it is read: %d", status)
	}
	status, _, out := a.ask(http.MethodPost, "/nodebalancers/301/configs", `{"port":6380,"nodes":[{"label":"one","address":"192.168.133.20:6379"}]}`)
	if id := int(out["id"].(float64)); status != http.StatusOK || len(a.labels(id)) != 0 {
		t.Errorf("%d, %v", status, out)
	}
	if status, _, _ := a.ask(http.MethodDelete, "/nodebalancers/301/configs/401", ""); status != http.StatusOK {
		t.Error(status)
	}
	if _, err := a.Stored(501); !errors.Is(err, cloud.ErrUnknown) {
		t.Errorf("a node of a configuration that is gone: %v", err)
	}
}

func TestNodesByHand(t *testing.T) {
	a := open(t)
	status, _, out := a.ask(http.MethodPost, nodes, `{"label":"new","address":"192.168.133.22:6379"}`)
	if status != http.StatusOK || out["weight"] != 100.0 || out["mode"] != "accept" || out["config_id"] != 401.0 || out["nodebalancer_id"] != 301.0 {
		t.Errorf("%d, %v", status, out)
	}
	if status, _, _ := a.ask(http.MethodPost, nodes, `{"label":"new"}`); status != http.StatusBadRequest {
		t.Errorf("without address: %d", status)
	}
	if status, _, _ := a.ask(http.MethodDelete, nodes+"/501", ""); status != http.StatusOK || len(a.labels(401)) != 2 {
		t.Errorf("%d, %v", status, a.labels(401))
	}
	if status, _, _ := a.ask(http.MethodPatch, nodes+"/502", "{}"); status != http.StatusMethodNotAllowed {
		t.Error(status)
	}
}

// TestPages: a list says how many there are, and takes pages of 25 to 500.
func TestPages(t *testing.T) {
	a := open(t, func(k *cloud.Knobs) { k.PageMost = 1 })
	_, _, one := a.ask(http.MethodGet, nodes+"?page_size=100", "")
	_, _, two := a.ask(http.MethodGet, nodes+"?page=2&page_size=100", "")
	if one["pages"] != 2.0 || one["results"] != 2.0 || two["page"] != 2.0 || len(one["data"].([]any)) != 1 || fmt.Sprint(one["data"]) == fmt.Sprint(two["data"]) {
		t.Errorf("%v, %v", one, two)
	}
	for query, want := range map[string]int{"?page=3": 404, "?page=0": 400, "?page_size=24": 400, "?page_size=501": 400, "?page_size=x": 400, "?page_size=500": 200} {
		if status, _, _ := a.ask(http.MethodGet, nodes+query, ""); status != want {
			t.Errorf("%s: %d, want %d", query, status, want)
		}
	}
	_, _, none := a.ask(http.MethodGet, "/nodebalancers/301/configs/402/nodes", "")
	if none["pages"] != 1.0 || len(none["data"].([]any)) != 0 {
		t.Errorf("%v", none)
	}
	_, _, all := a.ask(http.MethodGet, "/nodebalancers", "")
	if all["results"] != 1.0 {
		t.Errorf("%v", all)
	}
}

// TestScopes: to get one node takes the right to write.
func TestScopes(t *testing.T) {
	a := open(t)
	for _, c := range []struct {
		token, method, path string
		want                int
	}{
		{"ro", http.MethodGet, nodes, 200}, {"ro", http.MethodGet, "/nodebalancers/301", 200}, {"ro", http.MethodGet, nodes + "/501", 401},
		{"ro", http.MethodPut, nodes + "/501", 401}, {"rw", http.MethodGet, nodes + "/501", 200}, {"all", http.MethodPut, nodes + "/501", 200},
		{"nobody's", http.MethodGet, nodes, 401}, {"", http.MethodGet, nodes, 401},
	} {
		a.token = c.token
		if status, h, _ := a.ask(c.method, c.path, "{}"); status != c.want || c.token == "ro" && h.Get("X-OAuth-Scopes") == "" {
			t.Errorf("%s %s as %q: %d, want %d", c.method, c.path, c.token, status, c.want)
		}
	}
}

// TestRate: beyond it 429 until the minute is over, as the headers say.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, func(k *cloud.Knobs) { k.RatePerMinute, k.RateRetryAfter = 2, "30" })
		for i, want := range []int{200, 200, 429} {
			status, h, _ := a.ask(http.MethodGet, nodes, "")
			if status != want || h.Get("X-RateLimit-Limit") != "2" || h.Get("X-RateLimit-Remaining") != fmt.Sprint(max(0, 1-i)) || (h.Get("Retry-After") == "30") != (want == 429) {
				t.Errorf("request %d: %d, %v", i, status, h)
			}
		}
		time.Sleep(time.Minute)
		if status, _, _ := a.ask(http.MethodGet, nodes, ""); status != http.StatusOK {
			t.Errorf("a minute later: %d", status)
		}
	})
}

// TestTimes: what is read and what is in effect may be older than what is stored.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, func(k *cloud.Knobs) {
			k.ReadLag, k.ListLag, k.Propagation = 2*time.Second, 3*time.Second, 4*time.Second
		})
		time.Sleep(time.Hour)
		a.ask(http.MethodPut, nodes+"/501", `{"label":"new","address":"192.168.133.99:6379"}`)
		seen := func() string {
			_, _, one := a.ask(http.MethodGet, nodes+"/501", "")
			return fmt.Sprint(one["label"], a.labels(401)[0], a.InEffect(401))
		}
		for _, c := range []struct {
			after time.Duration
			want  string
		}{
			{0, "one501 one[192.168.133.20:6379]"}, {2 * time.Second, "new501 one[192.168.133.20:6379]"},
			{2 * time.Second, "new501 one[192.168.133.99:6379]"}, {time.Second, "new501 new[192.168.133.99:6379]"},
		} {
			time.Sleep(c.after)
			if got := seen(); got != c.want {
				t.Errorf("%s later: %s, want %s", c.after, got, c.want)
			}
		}
	})
}

// TestBusy: after a write the next one is refused for a while.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, func(k *cloud.Knobs) { k.BusyFor = 5 * time.Second })
		for i, want := range []int{200, 400} {
			if status, _, out := a.ask(http.MethodPut, nodes+"/501", "{}"); status != want || want == 400 && !strings.Contains(fmt.Sprint(out), "Linode busy.") {
				t.Errorf("write %d: %d, %v", i, status, out)
			}
		}
		if status, _, _ := a.ask(http.MethodGet, nodes, ""); status != http.StatusOK {
			t.Errorf("a read: %d", status)
		}
		time.Sleep(5 * time.Second)
		if status, _, _ := a.ask(http.MethodPut, nodes+"/501", "{}"); status != http.StatusOK {
			t.Error(status)
		}
	})
}

// TestFaults: each strikes where it says, and the journal tells effect from answer.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		fault  cloud.Fault
		status int // seen by the client; 0: none
		effect bool
		body   string
	}{
		{cloud.Fault{Status: 502, HTML: true}, 502, false, "nginx"},
		{cloud.Fault{Status: 500, When: cloud.After}, 500, true, "errors"},
		{cloud.Fault{Do: cloud.DoDrop}, 0, false, ""},
		{cloud.Fault{Do: cloud.DoReset, When: cloud.After}, 0, true, ""},
		{cloud.Fault{Do: cloud.DoTruncate, When: cloud.After}, 200, true, `{"`},
		{cloud.Fault{Do: cloud.DoCut, When: cloud.After}, 0, true, ""},
		{cloud.Fault{Do: cloud.DoEmpty}, 200, false, ""},
		{cloud.Fault{Do: cloud.DoDelay, Delay: time.Second}, 200, true, "id"},
		{cloud.Fault{Do: cloud.DoHang}, 0, false, ""},
		{cloud.Fault{Do: cloud.DoHang, When: cloud.After}, 0, true, ""},
		{cloud.Fault{Status: 200, Size: 3}, 200, false, "   "},
		{cloud.Fault{Status: 429, Headers: map[string]string{"Retry-After": "7"}}, 429, false, "Too Many"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := open(t)
			network := pipe.New()
			if err := a.Serve(network); err != nil {
				t.Fatal(err)
			}
			if err := a.AddFault(c.fault); err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: &http.Transport{DialContext: network.Dial, DisableKeepAlives: true}, Timeout: 10 * time.Second}
			r, err := http.NewRequest(http.MethodPut, "http://api.example/v4"+nodes+"/501", bytes.NewReader([]byte(`{"label":"new"}`)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer rw")
			status, body := 0, ""
			if resp, err := client.Do(r); err == nil {
				b, err := io.ReadAll(resp.Body)
				if status, body = resp.StatusCode, string(b); err != nil {
					status, body = 0, ""
				}
				_ = resp.Body.Close()
			}
			n, _ := a.Stored(501)
			call := a.Journal()[0]
			if status != c.status || !strings.Contains(body, c.body) || (n.Label == "new") != c.effect || call.Effect.IsZero() == c.effect || call.Fault == "" {
				t.Errorf("%+v: %d, %q, label %s, journal %+v", c.fault, status, body, n.Label, call)
			}
		})
	}
	for _, f := range []cloud.Fault{{Do: "x"}, {When: "x", Status: 500}, {}, {Do: cloud.DoCut}, {Status: 500, Skip: -1}} {
		if err := open(t).AddFault(f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

// TestHeld: a call held before its effect is carried out on release, whoever
// has left by then.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t)
		network := pipe.New()
		if err := errors.Join(a.Serve(network), a.AddFault(cloud.Fault{Method: http.MethodPut, Do: cloud.DoHold})); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://api.example/v4"+nodes+"/501", strings.NewReader(`{"label":"new"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer rw")
		client := &http.Client{Transport: &http.Transport{DialContext: network.Dial, DisableKeepAlives: true}}
		if resp, err := client.Do(r); err == nil {
			_ = resp.Body.Close()
			t.Fatal("answered")
		}
		if n, _ := a.Stored(501); n.Label != "one" {
			t.Errorf("held, and the label is %s", n.Label)
		}
		for _, seq := range a.Release() {
			if err := a.WaitEffect(t.Context(), seq); err != nil {
				t.Error(err)
			}
		}
		if n, _ := a.Stored(501); n.Label != "new" {
			t.Errorf("released, and the label is %s", n.Label)
		}
	})
}

// TestDataPlane: new connections go where the node points in effect, those that
// exist stay.
func TestDataPlane(t *testing.T) {
	backends := map[string]net.Listener{}
	for _, address := range []string{"192.168.133.20:6379", "192.168.133.99:6379"} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		backends[address] = l
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, address+"\n")
				go func() {
					_, _ = io.Copy(c, c)
					_ = c.Close()
				}()
			}
		}()
	}
	knobs := cloud.DefaultKnobs()
	knobs.Propagation = 0
	sim, err := cloud.New(cloud.Config{Knobs: &knobs, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, backends[address].Addr().String())
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	sim.Seed(cloud.NodeBalancer{ID: 301}, []cloud.ConfigOf{{ID: 401}}, []cloud.Node{{ID: 501, Config: 401, Label: "one", Address: "192.168.133.20:6379"}})
	at, err := sim.Listen(401)
	if err != nil {
		t.Fatal(err)
	}
	dial := func() (net.Conn, string) {
		t.Helper()
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		greeting := make([]byte, len("192.168.133.20:6379\n"))
		if _, err := io.ReadFull(c, greeting); err != nil {
			t.Fatal(err)
		}
		return c, strings.TrimSpace(string(greeting))
	}
	old, first := dial()
	defer old.Close()
	if err := sim.Put(501, `{"address":"192.168.133.99:6379"}`); err != nil {
		t.Fatal(err)
	}
	next, second := dial()
	defer next.Close()
	if first != "192.168.133.20:6379" || second != "192.168.133.99:6379" {
		t.Errorf("%s, then %s", first, second)
	}
	if _, err := io.WriteString(old, "still"); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, 5)
	if _, err := io.ReadFull(old, echo); err != nil || string(echo) != "still" {
		t.Errorf("the old connection: %q, %v", echo, err)
	}
}
