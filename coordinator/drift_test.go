package coordinator_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

const (
	frontend = 4711
	balancer = "ip-203.0.113.7"
)

// balance is a simulated load balancer whose farms are the nodes of sights.
func balance(t *testing.T, s *sights, spec *pointsmanv1.Spec) *cloud.Sim {
	t.Helper()
	return balanceOf(t, cloud.Config{}, s, spec)
}

func balanceOf(t *testing.T, conf cloud.Config, s *sights, spec *pointsmanv1.Spec) *cloud.Sim {
	t.Helper()
	sim, err := cloud.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	must := func(_ int64, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(0, sim.AddService(balancer, "gra"))
	farms := map[string]int64{}
	for i, f := range s.nodes {
		host, text, _ := net.SplitHostPort(f.Address())
		port, err := strconv.ParseInt(text, 10, 64)
		must(0, err)
		farm := int64(11 + i)
		must(sim.AddFarm(balancer, cloud.Farm{FarmID: farm}))
		must(sim.AddServer(farm, cloud.Server{Address: host, Port: &port}))
		farms[f.Address()] = farm
	}
	first := int64(11)
	must(sim.AddFrontend(balancer, cloud.Frontend{FrontendID: frontend, Port: "6379", DefaultFarmID: &first}))
	sim.AddCredential(cloud.Credential{ApplicationKey: "ak", ApplicationSecret: "as", ConsumerKey: "ck"})
	url, err := sim.Start("127.0.0.1:0")
	must(0, err)
	file := filepath.Join(t.TempDir(), "ovh.conf")
	text := fmt.Sprintf("[default]\nendpoint=%s\n\n[%s]\napplication_key=ak\napplication_secret=as\nconsumer_key=ck\n", url, url)
	must(0, os.WriteFile(file, []byte(text), 0o600))
	spec.Targets = map[string]*pointsmanv1.Target{"lb-par": {Rate: 6000, Kind: &pointsmanv1.Target_OvhIplb{
		OvhIplb: &pointsmanv1.OvhIplbTarget{Endpoint: url, Service: balancer, Credentials: "file:" + file},
	}}}
	spec.Masters[0].Plan[0].Steps = append(spec.Masters[0].Plan[0].Steps, &pointsmanv1.Step{
		Name: "lb", Target: "lb-par", Kind: &pointsmanv1.Step_OvhIplb{OvhIplb: &pointsmanv1.OvhIplbStep{Frontend: frontend, Farms: farms}},
	})
	return sim
}

// stands tells where the frontend points, and its name; 0 while what is staged
// and what is applied differ.
func stands(sim *cloud.Sim) (farm int64, name string) {
	staged, err1 := sim.Staged(frontend)
	f, err2 := sim.Applied(frontend, "gra")
	if err1 != nil || err2 != nil || f.DefaultFarmID == nil || f.DisplayName == nil ||
		*staged.DefaultFarmID != *f.DefaultFarmID || *staged.DisplayName != *f.DisplayName {
		return 0, ""
	}
	return *f.DefaultFarmID, *f.DisplayName
}

// TestDrift lets a late write of an older failover land on a newer one, which
// is repaired within a drift period, and then a human, who is reported.
func TestDrift(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	sim := balance(t, s, spec)
	tr.apply(spec)
	s.promote(1, 2)
	var name string
	repointed := func(what string) {
		t.Helper()
		eventually(t, what, func(context.Context) error {
			farm, text := stands(sim)
			if name = text; farm != 12 || !strings.HasSuffix(text, "cache/1]") {
				return fmt.Errorf("farm %d, %q", farm, text)
			}
			return nil
		})
		tr.master("settled", func(m *pointsmanv1.Master) bool { return m.GetOpenActions() == 0 })
	}
	repointed("the first write")

	late := map[string]any{"defaultFarmId": 11, "displayName": strings.Replace(name, "cache/1]", "cache/0]", 1)}
	if err := sim.ForeignPut(frontend, late); err != nil {
		t.Fatal(err)
	}
	repointed("the repair")
	got, err := pointsmanv1.NewActionServiceClient(tr.dial(0)).GetAction(t.Context(), &pointsmanv1.GetActionRequest{Id: "cache/1/lb~1"})
	if err != nil || got.GetAction().GetState() != pointsmanv1.ActionState_ACTION_STATE_DONE {
		t.Fatalf("repair %v, %v", got.GetAction(), err)
	}

	if err := sim.ForeignPut(frontend, map[string]any{"defaultFarmId": 11}); err != nil {
		t.Fatal(err)
	}
	tr.master("the edit is reported", func(m *pointsmanv1.Master) bool {
		for _, a := range m.GetAlerts() {
			if a.GetCode() == "OBJECT_DRIFTED" && strings.Contains(a.GetMessage(), "lb~1") {
				t.Log(a.GetMessage())
				return true
			}
		}
		return false
	})
	if f, err := sim.Staged(frontend); err != nil || *f.DefaultFarmID != 11 {
		t.Fatalf("a human's edit was written over: %v, %v", f, err)
	}
	if _, err := sim.ForeignRefresh(balancer, "gra"); err != nil {
		t.Fatal(err)
	}
}
