package ovh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// remote speaks to the control endpoint over TCP.
type remote struct {
	t   *testing.T
	url string
}

func controlled(t *testing.T, s *Sim) remote {
	t.Helper()
	url, err := s.StartControl("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return remote{t, url}
}

func (r remote) call(want int, method, path, body string, into any) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		r.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, b, err)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			r.t.Fatalf("%s: %v", b, err)
		}
	}
	return string(b)
}

func TestControlKnobs(t *testing.T) {
	s := seeded(t, Config{})
	r := controlled(t, s)
	r.call(200, "PUT", "/knobs", `{"task_doing":"2.5s","zone_delay":{"sbg":"1s"},"second_refresh":"merge","pending_lag":1000}`, nil)
	var k Knobs
	r.call(200, "GET", "/knobs", "", &k)
	want := DefaultKnobs()
	want.TaskDoing, want.SecondRefresh, want.PendingLag = 2500*time.Millisecond, SecondMerge, 1000
	want.ZoneDelay = map[string]time.Duration{"sbg": time.Second}
	if fmt.Sprint(k) != fmt.Sprint(want) {
		t.Errorf("knobs %+v, want %+v", k, want)
	}
	for _, bad := range []string{`{"second_refresh":"both"}`, `{"task_doing":"-1s"}`, `{`, `{"task_doing":"soon"}`, `{"task_dong":"1s"}`} {
		r.call(400, "PUT", "/knobs", bad, nil)
	}
	if fmt.Sprint(s.Knobs()) != fmt.Sprint(want) {
		t.Error("a refused change changed something")
	}
}

// TestControlRunsTheDemo holds a refresh's answer, sees it applied, drops it, edits as a human and asks for the proof.
func TestControlRunsTheDemo(t *testing.T) {
	s := seeded(t, fast())
	r := controlled(t, s)
	c := plainClient(t, s, testCK)
	var added struct{ ID int64 }
	r.call(200, "POST", "/faults", `{"method":"POST","path":"*/refresh","when":"after","do":"hold"}`, &added)
	r.call(400, "POST", "/faults", `{"do":"explode"}`, nil)
	if err := c.Put(frontURL, map[string]any{"defaultFarmId": farmB, "displayName": "[pm 1a2b3c4d cache/1]"}, nil); err != nil {
		t.Fatal(err)
	}
	posted := make(chan error, 1)
	go func() { posted <- c.Post(base+"/refresh", nil, nil) }()
	var call Call
	r.call(200, "GET", "/wait?method=POST&path=*/refresh&phase=held&timeout=10s", "", &call)
	if !call.Accepted || call.Refresh == nil {
		t.Errorf("held %+v", call)
	}
	var rules []FaultState
	r.call(200, "GET", "/faults", "", &rules)
	if len(rules) != 1 || rules[0].ID != added.ID || rules[0].Hits != 1 || rules[0].Fault.Do != DoHold {
		t.Errorf("rules %+v", rules)
	}
	var held []int64
	r.call(200, "GET", "/held", "", &held)
	if len(held) != 1 || held[0] != call.Seq {
		t.Errorf("held %v", held)
	}
	var dropped struct{ Calls int }
	r.call(200, "POST", fmt.Sprintf("/drop?seq=%d", call.Seq), "", &dropped)
	if err := <-posted; err == nil || dropped.Calls != 1 {
		t.Errorf("dropped %d, %v", dropped.Calls, err)
	}
	eventually(t, "applied", func() bool {
		var state State
		r.call(200, "GET", "/state", "", &state)
		f := state.Services[testService].Applied["sbg"].Frontends
		return len(f) == 1 && value(f[0].DefaultFarmID) == farmB
	})
	humanEdits(r, s)
	var p Proof
	raw := r.call(200, "POST", "/proof", `[{"id":"cache/1/lb","state":"done","effect":"changed","object":"lb-par/frontend/4711","farm":12,"claims":1},
		{"id":"lb-par/refresh/1","state":"done","effect":"changed","claims":2}]`, &p)
	if p.FrontendChanges != 1 || p.Refreshes != 1 || len(p.Details) != 0 {
		t.Errorf("proof %s", raw)
	}
	for _, name := range []string{"frontend_changes", "refreshes", "duplicates", "repeats", "stale", "lost", "orphans"} {
		if !strings.Contains(raw, `"`+name+`"`) {
			t.Errorf("the proof lacks %s", name)
		}
	}
	var j Journal
	r.call(200, "GET", fmt.Sprintf("/journal?after=%d", call.Seq-1), "", &j)
	if len(j.Calls) < 3 || j.Calls[0].Seq != call.Seq || j.Started.IsZero() {
		t.Errorf("journal %+v", j)
	}
	if got := r.call(200, "GET", "/metrics", "", nil); !strings.Contains(got, "ovh_sim_journal_dropped_writes_total 0\n") {
		t.Errorf("metrics %s", got)
	}
}

// humanEdits changes and refreshes as somebody else through the control endpoint.
func humanEdits(r remote, s *Sim) {
	r.t.Helper()
	r.call(200, "POST", "/foreign/put", `{"frontend":4711,"fields":{"defaultFarmId":11,"displayName":null}}`, nil)
	r.call(404, "POST", "/foreign/put", `{"frontend":1,"fields":{}}`, nil)
	r.call(400, "POST", "/foreign/put", `{"frontend":4711,"fields":{"port":1}}`, nil)
	var task struct{ Task int64 }
	r.call(200, "POST", "/foreign/refresh", fmt.Sprintf(`{"service":%q,"zone":"gra"}`, testService), &task)
	eventually(r.t, "human applied", func() bool { return appliedFarm(r.t, s, "gra") == farmA })
}

func TestControlTasksAndFaults(t *testing.T) {
	s := seeded(t, fast())
	r := controlled(t, s)
	r.call(200, "POST", "/tasks/plan", fmt.Sprintf(`{"service":%q,"plans":[{"doing":"1ms","outcome":"blocked"}]}`, testService), nil)
	if err := s.ForeignPut(testFrontend, map[string]any{"defaultFarmId": farmB}); err != nil {
		t.Fatal(err)
	}
	id, err := s.ForeignRefresh(testService, "")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "blocked", func() bool { return s.State().Services[testService].Tasks[0].Status == TaskBlocked })
	r.call(200, "POST", fmt.Sprintf("/tasks/%d/finish", id), `{"status":"done"}`, nil)
	r.call(400, "POST", fmt.Sprintf("/tasks/%d/finish", id), `{"status":"done"}`, nil)
	r.call(404, "POST", "/tasks/1/finish", `{"status":"done"}`, nil)
	if got := appliedFarm(t, s, "gra"); got != farmB {
		t.Errorf("applied %d", got)
	}
	var added struct{ ID int64 }
	r.call(200, "POST", "/faults", `{"method":"GET","path":"*","do":"delay","delay":"1ms","count":-1}`, &added)
	if got := s.Faults()[0].Fault.Delay; got != time.Millisecond {
		t.Errorf("delay %s", got)
	}
	r.call(200, "DELETE", fmt.Sprintf("/faults/%d", added.ID), "", nil)
	r.call(404, "DELETE", fmt.Sprintf("/faults/%d", added.ID), "", nil)
	r.call(200, "DELETE", "/faults", "", nil)
	r.call(408, "GET", "/wait?method=PATCH&timeout=1ms", "", nil)
	r.call(400, "GET", "/wait?timeout=soon", "", nil)
	r.call(400, "GET", "/journal?after=x", "", nil)
	r.call(400, "POST", "/proof", `{}`, nil)
	var released struct{ Calls int }
	if r.call(200, "POST", "/release", "", &released); released.Calls != 0 {
		t.Errorf("released %d", released.Calls)
	}
}
