package ovh

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	goovh "github.com/ovh/go-ovh/ovh"
)

// plainClient is the provider's own Go client, which shares no line with the simulator or our actuator.
func plainClient(t *testing.T, s *Sim, ck string) *goovh.Client {
	t.Helper()
	url, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := goovh.NewClient(url, testAK, testAS, ck)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Client.CloseIdleConnections)
	return c
}

func fast() Config {
	return knobs(func(k *Knobs) { k.TaskTodo, k.TaskDoing = 10*time.Millisecond, 20*time.Millisecond })
}

// TestPlainClientSwings does the whole sequence: look, put, look again, refresh, wait for the task, look at
// pendingChanges, and compares with what the simulator applied.
func TestPlainClientSwings(t *testing.T) {
	s := seeded(t, fast())
	c := plainClient(t, s, testCK)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lookAround(t, c)
	check(c.PutWithContext(ctx, frontURL, map[string]any{"defaultFarmId": farmB, "displayName": "cache [pm 1a2b3c4d cache/1]"}, nil))
	var front Frontend
	check(c.GetWithContext(ctx, frontURL, &front))
	if value(front.DefaultFarmID) != farmB || len(front.AllowedSource) != 1 {
		t.Fatalf("staged %+v", front)
	}
	if got := appliedFarm(t, s, "gra"); got != farmA {
		t.Fatalf("applied %d before the refresh", got)
	}
	var pending []PendingChanges
	check(c.GetWithContext(ctx, base+"/pendingChanges", &pending))
	if len(pending) != 2 || pending[0].Number != 1 {
		t.Fatalf("pending %+v", pending)
	}
	var task Task
	check(c.PostWithContext(ctx, base+"/refresh", nil, &task))
	for task.Status != TaskDone {
		if task.Status != TaskTodo && task.Status != TaskDoing {
			t.Fatalf("task %+v", task)
		}
		time.Sleep(5 * time.Millisecond)
		check(c.GetWithContext(ctx, fmt.Sprintf("%s/task/%d", base, task.ID), &task))
	}
	check(c.GetWithContext(ctx, base+"/pendingChanges", &pending))
	if len(pending) != 0 {
		t.Fatalf("pending after the refresh %+v", pending)
	}
	for _, zone := range []string{"gra", "sbg"} {
		if got := appliedFarm(t, s, zone); got != farmB {
			t.Errorf("zone %s has farm %d", zone, got)
		}
	}
	got := s.Prove([]LoggedAction{lb(1, farmB, "changed"), refreshed(1)})
	if got.FrontendChanges != 1 || got.Refreshes != 1 || len(got.Details) != 0 {
		t.Errorf("proof %+v", got)
	}
}

// lookAround reads what a client wants to know before it changes anything.
func lookAround(t *testing.T, c *goovh.Client) {
	t.Helper()
	var rights struct {
		Status string
		Rules  []struct{ Method, Path string }
	}
	if err := c.Get("/auth/currentCredential", &rights); err != nil || rights.Status != "validated" || len(rights.Rules) == 0 {
		t.Fatalf("rights %+v %v", rights, err)
	}
	var servers []int64
	err := c.Get(fmt.Sprintf("%s/tcp/farm/%d/server?status=active", base, farmB), &servers)
	if err != nil || len(servers) != 1 || servers[0] != 22 {
		t.Fatalf("servers %v %v", servers, err)
	}
}

func TestPlainClientSeesErrors(t *testing.T) {
	s := seeded(t, fast())
	s.AddCredential(Credential{
		ApplicationKey: testAK, ApplicationSecret: testAS, ConsumerKey: "reader",
		Rules: []AccessRule{{Method: "GET", Path: base + "/*"}},
	})
	c := plainClient(t, s, "reader")
	code := func(err error) (int, string) {
		t.Helper()
		api, ok := errors.AsType[*goovh.APIError](err)
		if !ok {
			t.Fatalf("not an API error: %v", err)
		}
		if api.QueryID == "" {
			t.Errorf("no query id in %v", err)
		}
		return api.Code, api.Message
	}
	if got, message := code(c.Post(base+"/refresh", nil, nil)); got != 403 || message != "This call has not been granted" {
		t.Errorf("refresh: %d %q", got, message)
	}
	if got, _ := code(c.Get(base+"/tcp/frontend/1", nil)); got != 404 {
		t.Errorf("unknown frontend: %d", got)
	}
	if _, err := s.AddFault(Fault{Method: "GET", Path: frontURL, Status: 409, Code: new(7)}); err != nil {
		t.Fatal(err)
	}
	if got, _ := code(c.Get(frontURL, nil)); got != 7 {
		t.Errorf("numeric code in the body: the client saw %d, and it is known to see the body's 7", got)
	}
	c.AppSecret = "other"
	if got, message := code(c.Get(frontURL, nil)); got != 400 || message != "Invalid signature" {
		t.Errorf("wrong secret: %d %q", got, message)
	}
}

// TestPlainClientKnowsQueries signs a path with a query and an escape, where rewriting a URL would break it.
func TestPlainClientKnowsQueries(t *testing.T) {
	s := seeded(t, fast())
	c := plainClient(t, s, testCK)
	var ids []int64
	if err := c.Get(base+"/tcp/frontend?port=6379&zone=all", &ids); err != nil || len(ids) != 1 {
		t.Errorf("%v %v", ids, err)
	}
	if err := c.Get("/ipLoadbalancing/ip%2D203.0.113.7/task?creationDate.from=2026-01-01T00%3A00%3A00%2B00%3A00", &ids); err != nil || len(ids) != 0 {
		t.Errorf("%v %v", ids, err)
	}
	if err := c.Get("/v1"+base+"/tcp/frontend", &ids); err != nil || len(ids) != 1 {
		t.Errorf("under /v1: %v %v", ids, err)
	}
}

// TestPlainClientFollowsTheClock: the client asks for the time once, signs with it, and is lost when it jumps.
func TestPlainClientFollowsTheClock(t *testing.T) {
	s := seeded(t, knobs(func(k *Knobs) { k.ClockSkew = -time.Hour }))
	c := plainClient(t, s, testCK)
	if err := c.Get(frontURL, nil); err != nil {
		t.Fatalf("an hour behind: %v", err)
	}
	k := s.Knobs()
	k.ClockSkew = time.Hour
	if err := s.SetKnobs(k); err != nil {
		t.Fatal(err)
	}
	api, ok := errors.AsType[*goovh.APIError](c.Get(frontURL, nil))
	if !ok || api.Code != 400 || api.Message != "Query out of time" {
		t.Errorf("after the jump: %v", api)
	}
}

func TestPlainClientWithToken(t *testing.T) {
	s := seeded(t, fast())
	s.AddCredential(Credential{ConsumerKey: "iam", Token: "token"})
	url, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := goovh.NewAccessTokenClient(url, "token")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Client.CloseIdleConnections()
	var front Frontend
	if err := c.Get(frontURL, &front); err != nil || front.Port != "6379" {
		t.Errorf("%+v %v", front, err)
	}
}

func TestPlainClientFromAnAllowedAddress(t *testing.T) {
	s := seeded(t, fast())
	c := plainClient(t, s, "bound")
	for block, want := range map[string]bool{"127.0.0.1": true, "127.0.0.0/8": true, "192.0.2.0/24": false} {
		s.AddCredential(Credential{ApplicationKey: testAK, ApplicationSecret: testAS, ConsumerKey: "bound", AllowedIPs: []string{block}})
		if err := c.Get(frontURL, nil); (err == nil) != want {
			t.Errorf("%s: %v", block, err)
		}
	}
}

func TestBodyIsBounded(t *testing.T) {
	s := seeded(t, Config{MaxBody: 100})
	c := plainClient(t, s, testCK)
	if err := c.Put(frontURL, map[string]any{"defaultFarmId": farmB, "displayName": fmt.Sprintf("%200d", 1)}, nil); err == nil {
		t.Error("a body above the bound was answered")
	}
	if got := stagedFarm(t, s); got != farmA {
		t.Errorf("farm %d", got)
	}
}
