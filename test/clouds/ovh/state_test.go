package ovh

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStagedServersAreNotApplied holds the two states of a farm's servers apart, over a refresh and after it.
func TestStagedServersAreNotApplied(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		status := func() (staged, applied string) {
			svc := s.State().Services[testService]
			return svc.Staged.Servers[0].Status, svc.Applied["gra"].Servers[0].Status
		}
		c.want(200, "PUT", base+"/tcp/farm/11/server/21", `{"status":"inactive"}`)
		if staged, applied := status(); staged != "inactive" || applied != "active" {
			t.Errorf("staged %s, applied %s", staged, applied)
		}
		c.refresh()
		time.Sleep(time.Second)
		c.want(200, "PUT", base+"/tcp/farm/11/server/21", `{"status":"active"}`)
		if staged, applied := status(); staged != "active" || applied != "inactive" {
			t.Errorf("after a refresh staged %s, applied %s", staged, applied)
		}
	})
}

func TestPutMerges(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		if got := c.want(200, "PUT", frontURL, `{"defaultFarmId":12}`); string(got.body) != "null" {
			t.Errorf("body %q", got.body)
		}
		f, _ := s.Staged(testFrontend)
		if value(f.DefaultFarmID) != farmB || value(f.DisplayName) != "cache" || len(f.AllowedSource) != 1 || f.Port != "6379" {
			t.Errorf("omitted fields moved: %+v", f)
		}
		c.want(200, "PUT", frontURL, `{"allowedSource":null,"displayName":null,"disabled":null}`)
		f, _ = s.Staged(testFrontend)
		if f.AllowedSource != nil || f.DisplayName != nil || f.Disabled || value(f.DefaultFarmID) != farmB {
			t.Errorf("null did not reset: %+v", f)
		}
		c.want(200, "PUT", base+"/tcp/farm/11/server/21", `{"port":null,"weight":0}`)
		var server Server
		c.want(200, "GET", base+"/tcp/farm/11/server/21", "").decode(t, &server)
		if server.Port != nil || server.Weight == nil || *server.Weight != 0 || !server.Probe {
			t.Errorf("server %+v", server)
		}
	})
}

func TestVoidBodyKnob(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.VoidBody = VoidEmpty }), func(t *testing.T, _ *Sim, c *caller) {
		if got := c.want(200, "PUT", frontURL, `{"defaultFarmId":12}`); len(got.body) != 0 {
			t.Errorf("body %q", got.body)
		}
	})
}

func TestReadOnlyFields(t *testing.T) {
	server := base + "/tcp/farm/11/server/21"
	for strictness, status := range map[Strictness]int{Ignore: 200, Refuse: 400} {
		bubble(t, knobs(func(k *Knobs) { k.ReadOnly = strictness }), func(t *testing.T, _ *Sim, c *caller) {
			c.want(200, "PUT", server, `{"address":"10.0.1.20","serverId":21}`) // unchanged is always fine
			c.want(status, "PUT", server, `{"address":"10.9.9.9"}`)
			var got Server
			c.want(200, "GET", server, "").decode(t, &got)
			if got.Address != "10.0.1.20" {
				t.Errorf("%s: a server moved to %s", strictness, got.Address)
			}
		})
	}
}

func TestUnknownFields(t *testing.T) {
	for strictness, status := range map[Strictness]int{Ignore: 200, Refuse: 400} {
		bubble(t, knobs(func(k *Knobs) { k.Unknown = strictness }), func(t *testing.T, _ *Sim, c *caller) {
			c.want(status, "PUT", frontURL, `{"farm":12}`)
		})
	}
}

func TestValidation(t *testing.T) {
	for _, row := range []struct{ method, path, body string }{
		{"PUT", frontURL, `{"port":6379}`},
		{"PUT", frontURL, `{"port":"99999"}`},
		{"PUT", frontURL, `{"port":null}`},
		{"PUT", frontURL, `{"zone":"rbx"}`},
		{"PUT", frontURL, `{"defaultFarmId":"12"}`},
		{"PUT", frontURL, `{"defaultFarmId":99}`},
		{"PUT", frontURL, `{"deniedSource":["198.51.100.0/24"]}`}, // an allowed list is set
		{"PUT", frontURL, `{"allowedSource":["nonsense"]}`},
		{"PUT", frontURL, `{"disabled":"no"}`},
		{"PUT", frontURL, `[]`},
		{"PUT", frontURL, `{`},
		{"PUT", frontURL, ``},
		{"PUT", base + "/tcp/farm/11", `{"balance":"random"}`},
		{"PUT", base + "/tcp/farm/11", `{"probe":{"type":"tcp","interval":5}}`},
		{"PUT", base + "/tcp/farm/11", `{"probe":{"type":"udp"}}`},
		{"PUT", base + "/tcp/farm/11/server/21", `{"status":"up"}`},
		{"PUT", base + "/tcp/farm/11/server/21", `{"onMarkedDown":"drop"}`},
		{"PUT", base + "/tcp/farm/11/server/21", `{"port":0}`},
		{"POST", base + "/tcp/farm", `{"balance":"first"}`},
		{"POST", base + "/tcp/farm", `{"zone":"rbx"}`},
		{"POST", base + "/tcp/farm/11/server", `{"address":"10.0.3.20"}`},
		{"POST", base + "/tcp/farm/11/server", `{"address":"2001:db8::1","status":"active"}`},
		{"POST", base + "/tcp/farm/11/server", `{"status":"active"}`},
		{"POST", base + "/tcp/frontend", `{"port":"6380"}`},
		{"POST", base + "/refresh", `{"zone":"rbx"}`},
		{"POST", base + "/refresh", `{`},
	} {
		bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
			before := fmt.Sprintf("%+v", s.State())
			c.want(400, row.method, row.path, row.body)
			if after := fmt.Sprintf("%+v", s.State()); after != before {
				t.Errorf("%s %s had an effect", row.path, row.body)
			}
		})
	}
}

func TestCreateAndDelete(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		var farm Farm
		c.want(200, "POST", base+"/tcp/farm", `{"zone":"all","displayName":"c"}`).decode(t, &farm)
		servers := fmt.Sprintf("%s/tcp/farm/%d/server", base, farm.FarmID)
		var server Server
		c.want(200, "POST", servers, `{"address":"10.0.3.20","status":"active","port":6379}`).decode(t, &server)
		if server.Address != "10.0.3.20" || server.BackendID != farm.FarmID {
			t.Errorf("server %+v", server)
		}
		var front Frontend
		c.want(200, "POST", base+"/tcp/frontend", fmt.Sprintf(`{"port":"6380","zone":"gra","defaultFarmId":%d}`, farm.FarmID)).decode(t, &front)
		if got := c.pending(); got["gra"] != 3 || got["sbg"] != 2 {
			t.Errorf("pending %v", got)
		}
		c.want(400, "DELETE", fmt.Sprintf("%s/tcp/farm/%d", base, farm.FarmID), "")
		c.want(200, "DELETE", fmt.Sprintf("%s/tcp/frontend/%d", base, front.FrontendID), "")
		c.want(200, "DELETE", fmt.Sprintf("%s/%d", servers, server.ServerID), "")
		c.want(404, "GET", fmt.Sprintf("%s/%d", servers, server.ServerID), "")
		c.want(200, "DELETE", fmt.Sprintf("%s/tcp/farm/%d", base, farm.FarmID), "")
		c.want(404, "GET", fmt.Sprintf("%s/tcp/farm/%d", base, farm.FarmID), "")
		if n := len(s.State().Services[testService].Staged.Farms); n != 2 {
			t.Errorf("%d farms left", n)
		}
	})
}

func TestDeleteFarmInUse(t *testing.T) {
	for policy, status := range map[InUse]int{InUseRefuse: 400, InUseConflict: 409, InUseAllow: 200} {
		bubble(t, knobs(func(k *Knobs) { k.DeleteInUse = policy }), func(t *testing.T, s *Sim, c *caller) {
			c.want(status, "DELETE", base+"/tcp/farm/11", "")
			if f, _ := s.Staged(testFrontend); (f.DefaultFarmID == nil) != (policy == InUseAllow) {
				t.Errorf("%s: frontend %+v", policy, f)
			}
		})
	}
}

func TestCreatedObjectsShowLate(t *testing.T) {
	bubble(t, knobs(func(k *Knobs) { k.CreateLag = 3 * time.Second }), func(t *testing.T, _ *Sim, c *caller) {
		var farm Farm
		c.want(200, "POST", base+"/tcp/farm", `{"zone":"all"}`).decode(t, &farm)
		path := fmt.Sprintf("%s/tcp/farm/%d", base, farm.FarmID)
		c.want(404, "GET", path, "")
		time.Sleep(3 * time.Second)
		c.want(200, "GET", path, "")
	})
}

func TestListsAreShuffledAndFiltered(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *Sim, c *caller) {
		for i := range 8 {
			if _, err := s.AddFrontend(testService, Frontend{FrontendID: int64(100 + i), Port: "7000", Zone: "gra"}); err != nil {
				t.Fatal(err)
			}
		}
		orders := map[string]bool{}
		for range 10 {
			var ids []int64
			c.want(200, "GET", base+"/tcp/frontend", "").decode(t, &ids)
			orders[fmt.Sprint(ids)] = true
			slices.Sort(ids)
			if len(ids) != 9 || ids[0] != 100 || ids[8] != testFrontend {
				t.Fatalf("ids %v", ids)
			}
		}
		if len(orders) < 2 {
			t.Error("ten lists in one order")
		}
		for query, want := range map[string]int{
			"?zone=gra": 8, "?zone=all": 1, "?port=6379": 1, "?defaultFarmId=11": 1, "?defaultFarmId=12": 0, "?port=7000&zone=all": 0,
		} {
			var ids []int64
			c.want(200, "GET", base+"/tcp/frontend"+query, "").decode(t, &ids)
			if len(ids) != want {
				t.Errorf("%s: %v", query, ids)
			}
		}
		var ids []int64
		c.want(200, "GET", base+"/tcp/farm/11/server?address=10.0.1.20&status=inactive", "").decode(t, &ids)
		if len(ids) != 0 {
			t.Errorf("servers %v", ids)
		}
		c.want(400, "GET", base+"/tcp/farm/11/server?status=up", "")
	})
}

func TestPendingCounts(t *testing.T) {
	type step struct {
		act  func(*caller)
		want map[string]int64
	}
	swing := func(farm int64, name string) func(*caller) { return func(c *caller) { c.swing(farm, name) } }
	for name, test := range map[string]struct {
		config Config
		steps  []step
	}{
		"by zone": {Config{}, []step{
			{func(*caller) {}, map[string]int64{}},
			{swing(farmB, "x"), map[string]int64{"gra": 1, "sbg": 1}},
			{swing(farmB, "x"), map[string]int64{"gra": 1, "sbg": 1}}, // changed nothing
			{swing(farmB, "y"), map[string]int64{"gra": 2, "sbg": 2}},
			{func(c *caller) { c.want(200, "POST", base+"/refresh", `{"zone":"gra"}`); time.Sleep(time.Second) }, map[string]int64{"sbg": 2}},
			{func(c *caller) { c.want(200, "POST", base+"/refresh", `{"zone":null}`); time.Sleep(time.Second) }, map[string]int64{}},
		}},
		"name hidden": {knobs(func(k *Knobs) { k.HideNameEdits = true }), []step{
			{swing(farmA, "x"), map[string]int64{}},
			{swing(farmB, "y"), map[string]int64{"gra": 1, "sbg": 1}},
		}},
		"lag both ways": {knobs(func(k *Knobs) { k.PendingLag = 5 * time.Second }), []step{
			{swing(farmB, "x"), map[string]int64{}},
			{func(*caller) { time.Sleep(5 * time.Second) }, map[string]int64{"gra": 1, "sbg": 1}},
			{func(c *caller) { c.refresh(); time.Sleep(time.Second) }, map[string]int64{"gra": 1, "sbg": 1}},
			{func(*caller) { time.Sleep(5 * time.Second) }, map[string]int64{}},
		}},
		"cleared when taken": {knobs(func(k *Knobs) { k.PendingClears = ClearsSnapshot; k.TaskDoing = time.Hour }), []step{
			{swing(farmB, "x"), map[string]int64{"gra": 1, "sbg": 1}},
			{func(c *caller) { c.refresh(); time.Sleep(time.Second) }, map[string]int64{}},
		}},
		"cleared when done": {knobs(func(k *Knobs) { k.TaskDoing = time.Hour }), []step{
			{swing(farmB, "x"), map[string]int64{"gra": 1, "sbg": 1}},
			{func(c *caller) { c.refresh(); time.Sleep(time.Second) }, map[string]int64{"gra": 1, "sbg": 1}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, test.config, func(t *testing.T, _ *Sim, c *caller) {
				for i, step := range test.steps {
					step.act(c)
					if got := c.pending(); !maps.Equal(got, step.want) {
						t.Errorf("step %d: pending %v, want %v", i, got, step.want)
					}
				}
			})
		})
	}
}

func TestMaintenance(t *testing.T) {
	for mode, want := range map[Maintenance]string{MaintenanceHTML: "<html>", MaintenanceJSON: `{"class":"Server::ServiceUnavailable"`} {
		bubble(t, knobs(func(k *Knobs) { k.Maintenance = mode }), func(t *testing.T, s *Sim, c *caller) {
			got := c.want(503, "PUT", frontURL, `{"defaultFarmId":12}`)
			if f, _ := s.Staged(testFrontend); !strings.HasPrefix(string(got.body), want) || value(f.DefaultFarmID) != farmA {
				t.Errorf("%s: %s, staged %+v", mode, got.body, f)
			}
		})
	}
}

func TestPutFarm(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, _ *Sim, c *caller) {
		path := base + "/tcp/farm/11"
		c.want(200, "PUT", path, `{"balance":"source","probe":{"type":"tcp","interval":30},"port":6379}`)
		c.want(200, "PUT", path, `{"port":null,"zone":"gra"}`) // zone is read only, and ignored
		var farm Farm
		c.want(200, "GET", path, "").decode(t, &farm)
		if value(farm.Balance) != "source" || farm.Probe == nil || value(farm.Probe.Interval) != 30 || farm.Port != nil || farm.Zone != AllZones {
			t.Errorf("farm %+v", farm)
		}
		if got := c.pending(); got["gra"] != 2 || got["sbg"] != 2 {
			t.Errorf("pending %v", got)
		}
	})
}

// TestServicesAreApart has two load balancers with zones of the same names.
func TestServicesAreApart(t *testing.T) {
	s := balanced(t, fast())
	const other = "ip-203.0.113.8"
	if err := s.AddService(other, "gra", "sbg"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddFrontend(other, Frontend{FrontendID: 1, Port: "6379"}); err != nil {
		t.Fatal(err)
	}
	c := plainClient(t, s, testCK)
	if err := c.Get("/ipLoadbalancing/"+other+"/tcp/frontend/4711", nil); err == nil {
		t.Error("a frontend shows in another service")
	}
	if err := s.ForeignPut(1, map[string]any{"defaultFarmId": farmA}); err == nil {
		t.Error("a frontend points at another service's farm")
	}
	if _, err := s.ForeignRefresh(other, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "done", func() bool { return s.State().Services[other].Tasks[0].Status == TaskDone })
	if got := who(t, dialZone(t, s, "gra")); got != "a\n" {
		t.Errorf("a refresh of the other service: traffic reaches %q", got)
	}
}
