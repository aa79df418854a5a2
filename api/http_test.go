package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (n *node) get(path string) (int, string) {
	r := httptest.NewRecorder()
	n.server.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
	return r.Code, r.Body.String()
}

func TestProbes(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	n1, n2 := w.nodes["n1"], w.nodes["n2"]
	want := func(n *node, path string, code int, text string) {
		t.Helper()
		if got, body := n.get(path); got != code || !strings.Contains(body, text) {
			t.Errorf("%s%s: %d %q, want %d with %q", n.id, path, got, body, code, text)
		}
	}
	want(n1, "/livez", 200, "ok")
	want(n1, "/leader", 200, "n1 leads")
	want(n2, "/leader", 503, "n1:7801")
	want(n2, "/readyz", 200, "ready")
	n2.fail = errors.New("disk below its floor")
	want(n2, "/readyz?verbose", 200, "[!] fit-to-lead: disk below its floor")
	w.setLead("")
	want(n2, "/readyz", 503, "[-] leader: none known for 3s")
	want(n2, "/leader", 503, "no leader")
	want(n2, "/livez", 200, "ok")
	want(n2, "/nothing", 404, "")
	w.setLead("n2")
	n2.server.Close()
	want(n2, "/readyz", 503, "[-] running")
}

// What a node exports is what docs/metrics.md lists, no more and no less.
func TestMetricsAreDocumented(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	f := w.failover("cache")
	w.finish(f, "url")
	w.stick(f, "a")
	c := w.at("n2")
	if _, err := c.Masters().ListMasters(context.Background(), &pointsmanv1.ListMastersRequest{Read: leaderRead()}); err != nil {
		t.Fatal(err)
	}
	stream, cancel := watchActions(t, w, "n2", &pointsmanv1.WatchActionsRequest{})
	actionsUntil(t, stream)
	defer cancel()
	families, err := w.nodes["n2"].server.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, f := range families {
		exported = append(exported, f.GetName())
	}
	documented := documentedMetrics(t)
	for _, name := range exported {
		if !documented[name] {
			t.Errorf("%s is not in docs/metrics.md", name)
		}
	}
	_, body := w.nodes["n1"].get("/metrics")
	for _, line := range []string{
		`pointsman_actions{state="done"} 1`, `pointsman_actions{state="stuck"} 1`, `pointsman_actions{state="pending"} 1`,
		`pointsman_failovers{state="stuck"} 1`, `pointsman_master_failovers_total{master="cache"} 1`,
		`pointsman_raft_leader 1`, `pointsman_raft_role{role="leader"} 1`, `pointsman_raft_role{role="follower"} 0`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
}

func documentedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(pointsman_[a-z_]+)` \\|").FindAllSubmatch(text, -1) {
		documented[string(m[1])] = true
	}
	return documented
}

func TestHealth(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	check := func(id fsm.NodeID, service string) healthpb.HealthCheckResponse_ServingStatus {
		resp, err := healthpb.NewHealthClient(w.at(id).Conn()).Check(context.Background(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetStatus()
	}
	const up, down = healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING
	if check("n1", client.HealthLeader) != up || check("n2", client.HealthLeader) != down || check("n2", "") != up {
		t.Error("before")
	}
	w.setLead("n2")
	if check("n1", client.HealthLeader) != down || check("n2", client.HealthLeader) != up {
		t.Error("after the leader changed")
	}
}

// The leader-aware client finds the leader, follows it, and waits while there
// is none.
func TestLeaderAwareClient(t *testing.T) {
	w := newWorld(t, 3, Limits{})
	c, err := client.Dial([]string{"n1:7801", "n2:7801", "n3:7801"}, w.dialOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	asked := func() string {
		t.Helper()
		resp, err := c.Cluster().GetCluster(ctx, &pointsmanv1.GetClusterRequest{Read: stale()})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetHeader().GetNodeId()
	}
	for range 6 {
		if got := asked(); got != "n1" {
			t.Fatalf("answered by %s", got)
		}
	}
	w.setLead("")
	answered := make(chan string, 1)
	waitFor(t, func() bool { // the client has heard of it
		short, done := context.WithTimeout(ctx, patience/200)
		defer done()
		_, err := c.Cluster().GetCluster(short, &pointsmanv1.GetClusterRequest{Read: stale()})
		return err != nil
	})
	go func() { answered <- asked() }()
	w.setLead("n3")
	if got := <-answered; got != "n3" {
		t.Errorf("answered by %s", got)
	}
}

func TestBadConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a config without a log is taken")
	}
}

// panics stands in for a handler with a mistake.
type panics struct{ *node }

func (panics) See(fsm.MasterID) Sight { panic("a mistake") }

func TestPanicIsAnError(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	w.nodes["n1"].server.cfg.Sights = panics{w.nodes["n1"]}
	_, err := w.at("n1").Masters().GetMaster(context.Background(), &pointsmanv1.GetMasterRequest{Id: "cache"})
	wantError(t, err, codes.Internal, ReasonInternal)
	if strings.Contains(err.Error(), "a mistake of the program") == false || strings.Contains(err.Error(), "goroutine") {
		t.Errorf("error %v", err)
	}
}

func TestMasters(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache", "queue")
	c, ctx := w.at("n1").Masters(), context.Background()
	state := func() pointsmanv1.MasterState {
		t.Helper()
		resp, err := c.GetMaster(ctx, &pointsmanv1.GetMasterRequest{Id: "cache"})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetMaster().GetState()
	}
	if got := state(); got != pointsmanv1.MasterState_MASTER_STATE_UNKNOWN {
		t.Errorf("before its first view: %s", got)
	}
	w.seed("cache")
	if got := state(); got != pointsmanv1.MasterState_MASTER_STATE_STEADY {
		t.Errorf("seeded: %s", got)
	}
	w.failover("cache")
	if got := state(); got != pointsmanv1.MasterState_MASTER_STATE_CUTTING_OVER {
		t.Errorf("with open actions: %s", got)
	}
	w.nodes["n1"].sight = Sight{Standing: pointsmanv1.MasterState_MASTER_STATE_DISPUTED}
	list, err := c.ListMasters(ctx, &pointsmanv1.ListMastersRequest{Filter: "state=disputed"})
	if err != nil || len(list.GetMasters()) != 1 || list.GetMasters()[0].GetOpenActions() != 3 || len(list.GetMasters()[0].GetCandidates()) != 3 {
		t.Errorf("disputed: %v, %v", list, err)
	}
	_, err = c.GetMaster(ctx, &pointsmanv1.GetMasterRequest{Id: "nobody"})
	wantError(t, err, codes.NotFound, ReasonNotFound)
}
