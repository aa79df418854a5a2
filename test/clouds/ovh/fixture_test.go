package ovh

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

const (
	testService  = "ip-203.0.113.7"
	testFrontend = 4711
	farmA        = 11
	farmB        = 12
	testAK       = "application"
	testAS       = "secret"
	testCK       = "consumer"
	base         = "/ipLoadbalancing/" + testService
	frontURL     = base + "/tcp/frontend/4711"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seeded is a simulator with one service in two zones, two farms of one server, and a frontend at farm A.
func seeded(t *testing.T, c Config) *Sim {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	must := func(_ int64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddService(testService, "gra", "sbg"); err != nil {
		t.Fatal(err)
	}
	must(s.AddFarm(testService, Farm{FarmID: farmA, DisplayName: new("a")}))
	must(s.AddFarm(testService, Farm{FarmID: farmB, DisplayName: new("b")}))
	must(s.AddServer(farmA, Server{ServerID: 21, Address: "10.0.1.20", Port: new(int64(6379)), Probe: true}))
	must(s.AddServer(farmB, Server{ServerID: 22, Address: "10.0.2.20", Port: new(int64(6379)), Probe: true}))
	must(s.AddFrontend(testService, Frontend{
		FrontendID: testFrontend, Port: "6379", DefaultFarmID: new(int64(farmA)), DisplayName: new("cache"),
		AllowedSource: []string{"192.0.2.0/24"},
	}))
	s.AddCredential(Credential{ApplicationKey: testAK, ApplicationSecret: testAS, ConsumerKey: testCK})
	return s
}

// caller signs and sends requests with nothing of the simulator's own: the signature is written out here again
// only through sign, which the go-ovh tests check independently.
type caller struct {
	t      *testing.T
	client *http.Client
	base   string
	ck     string
	skew   time.Duration
	edit   func(*http.Request) // after signing
}

type result struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// inBubble returns a caller over net.Pipe; use it inside synctest.Test.
func inBubble(t *testing.T, s *Sim) *caller {
	t.Helper()
	transport := &http.Transport{DialContext: s.DialPipe}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{t: t, client: &http.Client{Transport: transport}, base: "http://api.example", ck: testCK}
}

// bubble runs a test with virtual time against a seeded simulator.
func bubble(t *testing.T, c Config, run func(*testing.T, *Sim, *caller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := seeded(t, c)
		run(t, s, inBubble(t, s))
	})
}

func (c *caller) do(ctx context.Context, method, path, body string) result {
	c.t.Helper()
	url := c.base + "/1.0" + path
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	at := time.Now().Add(c.skew).Unix()
	r.Header.Set("X-Ovh-Application", testAK)
	r.Header.Set("X-Ovh-Consumer", c.ck)
	r.Header.Set("X-Ovh-Timestamp", strconv.FormatInt(at, 10))
	r.Header.Set("X-Ovh-Signature", sign(testAS, c.ck, method, url, []byte(body), at))
	if c.edit != nil {
		c.edit(r)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return result{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return result{status: resp.StatusCode, header: resp.Header, body: b, err: err}
}

func (c *caller) send(method, path, body string) result {
	c.t.Helper()
	return c.do(c.t.Context(), method, path, body)
}

// want sends a request and fails unless the answer has the status.
func (c *caller) want(status int, method, path, body string) result {
	c.t.Helper()
	r := c.send(method, path, body)
	if r.err != nil || r.status != status {
		c.t.Fatalf("%s %s %s: %d %s (%v), want %d", method, path, body, r.status, r.body, r.err, status)
	}
	return r
}

func (r result) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(r.body, into); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
}

func (c *caller) swing(farm int64, name string) {
	c.t.Helper()
	c.want(200, "PUT", frontURL, fmt.Sprintf(`{"defaultFarmId":%d,"displayName":%q}`, farm, name))
}

func (c *caller) refresh() Task {
	c.t.Helper()
	var task Task
	c.want(200, "POST", base+"/refresh", "").decode(c.t, &task)
	return task
}

func (c *caller) task(id int64) Task {
	c.t.Helper()
	var task Task
	c.want(200, "GET", fmt.Sprintf("%s/task/%d", base, id), "").decode(c.t, &task)
	return task
}

func (c *caller) pending() map[string]int64 {
	c.t.Helper()
	var list []PendingChanges
	c.want(200, "GET", base+"/pendingChanges", "").decode(c.t, &list)
	out := map[string]int64{}
	for _, p := range list {
		out[p.Zone] = p.Number
	}
	return out
}

func appliedFarm(t *testing.T, s *Sim, zone string) int64 {
	t.Helper()
	f, err := s.Applied(testFrontend, zone)
	if err != nil {
		t.Fatal(err)
	}
	return value(f.DefaultFarmID)
}

func knobs(change func(*Knobs)) Config {
	k := DefaultKnobs()
	change(&k)
	return Config{Knobs: &k}
}
