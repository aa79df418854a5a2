package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func putSetting(key, value string) fsm.Command { return fsm.PutSetting{Key: key, Value: value} }

func TestReadLevels(t *testing.T) {
	w := newWorld(t, 3, Limits{})
	w.freeze("n3", true)
	w.must(putSetting("a", "new"))
	ctx, lagging := context.Background(), plain(t, w, "n3").Settings()

	linear, err := lagging.GetSetting(ctx, &pointsmanv1.GetSettingRequest{Key: "a"})
	if err != nil || linear.GetSetting().GetValue() != "new" || linear.GetHeader().GetStale() {
		t.Errorf("linearizable: %v, %v", linear, err)
	}
	_, err = lagging.GetSetting(ctx, &pointsmanv1.GetSettingRequest{Key: "a", Read: stale()})
	wantError(t, err, codes.NotFound, ReasonNotFound)
	lead, err := lagging.GetSetting(ctx, &pointsmanv1.GetSettingRequest{Key: "a", Read: leaderRead()})
	if err != nil || lead.GetHeader().GetNodeId() != "n1" || lead.GetHeader().GetLeaderAddress() != "n1:7801" {
		t.Errorf("leader: %v, %v", lead, err)
	}
	list, err := lagging.ListSettings(ctx, &pointsmanv1.ListSettingsRequest{Read: stale()})
	if err != nil {
		t.Fatal(err)
	}
	h := list.GetHeader()
	if !h.GetStale() || h.GetAge().AsDuration() != 40*time.Millisecond || h.GetNodeId() != "n3" || h.GetLeaderId() != "n1" ||
		h.GetClusterId() != string(w.now().Cluster()) || h.GetAppliedIndex() != w.now().Index()-1 || h.GetTerm() != uint64(w.term) {
		t.Errorf("stale header %v", h)
	}
	old := stale()
	old.MaxAge = durationpb.New(time.Millisecond)
	_, err = lagging.ListSettings(ctx, &pointsmanv1.ListSettingsRequest{Read: old})
	wantError(t, err, codes.Unavailable, ReasonStale)
	_, err = lagging.ListSettings(ctx, &pointsmanv1.ListSettingsRequest{Read: &pointsmanv1.ReadOptions{Level: 9}})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
}

// G9: without a quorum nothing is done, and every surface says so.
func TestNoQuorum(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.must(putSetting("a", "1"))
	w.setLead("")
	c := plain(t, w, "n2")
	ctx := context.Background()
	for name, err := range map[string]error{
		"linearizable": second(c.Settings().GetSetting(ctx, &pointsmanv1.GetSettingRequest{Key: "a"})),
		"leader":       second(c.Settings().GetSetting(ctx, &pointsmanv1.GetSettingRequest{Key: "a", Read: leaderRead()})),
		"put":          second(c.Settings().PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "a", Value: "2"})),
		"transfer":     second(c.Cluster().TransferLeadership(ctx, &pointsmanv1.TransferLeadershipRequest{})),
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, err, codes.Unavailable, ReasonNoQuorum)
			if _, ok := client.RetryAfter(err); !ok {
				t.Error("no retry info")
			}
		})
	}
	resp, err := c.Cluster().GetCluster(ctx, &pointsmanv1.GetClusterRequest{Read: stale()})
	if err != nil {
		t.Fatal(err)
	}
	cluster := resp.GetCluster()
	if cluster.GetQuorum() || !resp.GetHeader().GetStale() || cluster.GetAlerts()[0].GetCode() != AlertNoLeader {
		t.Errorf("cluster without quorum: %v", resp)
	}
	if _, kept := w.now().Setting("a"); !kept || w.nodes["n2"].server == nil {
		t.Error("state changed")
	}
}

// plain dials without gRPC's own repeats, so that a test sees the first error.
func plain(t *testing.T, w *tape, id fsm.NodeID) *client.Client {
	t.Helper()
	c, err := client.DialNode(string(id)+":7801", append(w.dialOptions(), grpc.WithDisableRetry())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func second[T any](_ T, err error) error { return err }

func TestForwarding(t *testing.T) {
	w := newWorld(t, 3, Limits{})
	ctx := context.Background()
	resp, err := w.at("n3").Cluster().TransferLeadership(ctx, &pointsmanv1.TransferLeadershipRequest{To: "n2"})
	if err != nil || resp.GetLeaderId() != "n2" || resp.GetHeader().GetNodeId() != "n1" {
		t.Errorf("transfer by n3: %v, %v", resp, err)
	}
	again, err := w.at("n3").Cluster().TransferLeadership(ctx, &pointsmanv1.TransferLeadershipRequest{To: "n2"})
	if err != nil || again.GetLeaderId() != "n2" {
		t.Errorf("transfer to the leader: %v, %v", again, err)
	}
	dry, err := w.at("n1").Cluster().TransferLeadership(ctx, &pointsmanv1.TransferLeadershipRequest{To: "n3", ValidateOnly: true})
	if err != nil || dry.GetLeaderId() != "n3" || w.nodes["n1"].Status().Leader != "n2" {
		t.Errorf("validate only: %v, %v", dry, err)
	}
	_, err = w.at("n1").Cluster().TransferLeadership(ctx, &pointsmanv1.TransferLeadershipRequest{To: "n9"})
	wantError(t, err, codes.NotFound, ReasonNotFound)
	w.nodes["n2"].fail = ErrUnfit
	_, err = w.at("n1").Cluster().TransferLeadership(ctx, &pointsmanv1.TransferLeadershipRequest{To: "n3"})
	wantError(t, err, codes.FailedPrecondition, ReasonUnfit)
}

// Two nodes that each take the other for the leader do not send a call around.
func TestForwardingEnds(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.mu.Lock()
	w.nodes["n1"].thinks, w.nodes["n2"].thinks = "n2", "n1"
	w.mu.Unlock()
	_, err := plain(t, w, "n1").Masters().ListMasters(context.Background(), &pointsmanv1.ListMastersRequest{Read: leaderRead()})
	wantError(t, err, codes.Unavailable, ReasonNotLeader)
	if client.LeaderAddress(err) != "n1:7801" {
		t.Errorf("leader address %q", client.LeaderAddress(err))
	}
	w.mu.Lock()
	w.nodes["n1"].thinks = "n7"
	w.mu.Unlock()
	_, err = plain(t, w, "n1").Masters().ListMasters(context.Background(), &pointsmanv1.ListMastersRequest{Read: leaderRead()})
	wantError(t, err, codes.Unavailable, ReasonUnreachable)
}

// An answer that is larger than gRPC's default bound is forwarded all the same.
func TestForwardingLargeAnswers(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	value := strings.Repeat("v", fsm.MaxValueBytes)
	for i := range 100 {
		w.must(putSetting(fmt.Sprintf("k/%d", i), value))
	}
	resp, err := plain(t, w, "n2").Settings().ListSettings(context.Background(), &pointsmanv1.ListSettingsRequest{Read: leaderRead()})
	if err != nil || len(resp.GetSettings()) != 100 || resp.GetHeader().GetNodeId() != "n1" {
		t.Errorf("%d settings by %s, %v", len(resp.GetSettings()), resp.GetHeader().GetNodeId(), err)
	}
}

func TestReportView(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	ctx := client.AsPeer(context.Background())
	report := &pointsmanv1.ReportViewRequest{NodeId: "n2", RunId: "r1", Sequence: 1, Masters: []*pointsmanv1.MasterView{{Master: "cache"}}}
	resp, err := w.at("n1").Masters().ReportView(ctx, report)
	if err != nil || len(resp.GetUrgent()) != 1 || len(w.nodes["n1"].reports) != 1 {
		t.Errorf("report: %v, %v", resp, err)
	}
	_, err = w.at("n2").Masters().ReportView(ctx, report)
	wantError(t, err, codes.FailedPrecondition, ReasonNotLeader)
	if client.LeaderAddress(err) != "n1:7801" || len(w.nodes["n2"].reports) != 0 {
		t.Errorf("leader address %q", client.LeaderAddress(err))
	}
	_, err = w.at("n1").Masters().ReportView(context.Background(), report)
	wantError(t, err, codes.PermissionDenied, ReasonPeerOnly)
	_, err = w.at("n1").Masters().ReportView(ctx, &pointsmanv1.ReportViewRequest{})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	if len(client.Violations(err)) != 2 {
		t.Errorf("violations %v", client.Violations(err))
	}
}

// A hint is taken where it arrives and reaches the leader too, once.
func TestNotify(t *testing.T) {
	w := newWorld(t, 3, Limits{})
	req := &pointsmanv1.NotifyRequest{Kind: pointsmanv1.NotifyKind_NOTIFY_KIND_RECONFIG, Args: []string{"mymaster"}}
	resp, err := w.at("n2").Cluster().Notify(context.Background(), req)
	if err != nil || len(resp.GetMasters()) != 1 {
		t.Fatalf("notify: %v, %v", resp, err)
	}
	for id, want := range map[fsm.NodeID]int{"n1": 1, "n2": 1, "n3": 0} {
		if got := len(w.nodes[id].hints); got != want {
			t.Errorf("%s took %d hints, want %d", id, got, want)
		}
	}
	w.mu.Lock()
	w.nodes["n3"].thinks = "n7"
	w.mu.Unlock()
	if _, err := w.at("n3").Cluster().Notify(context.Background(), req); err != nil || len(w.nodes["n3"].hints) != 1 {
		t.Errorf("hint while the leader is away: %v", err)
	}
	_, err = w.at("n2").Cluster().Notify(context.Background(), &pointsmanv1.NotifyRequest{})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
}

func TestNodes(t *testing.T) {
	w := newWorld(t, 3, Limits{})
	w.must(fsm.PutMember{Member: fsm.Member{Node: "n4", Zone: "z", Store: "s4", GRPC: "n4:7801", Reads: []fsm.Kind{fsm.KindMember}}})
	w.ids = append(w.ids, "n4")
	resp, err := w.at("n2").Cluster().GetCluster(context.Background(), &pointsmanv1.GetClusterRequest{})
	if err != nil {
		t.Fatal(err)
	}
	c := resp.GetCluster()
	nodes := c.GetNodes()
	if len(nodes) != 4 || nodes[0].GetId() != "n2" || nodes[1].GetId() != "n1" || nodes[1].GetRole() != pointsmanv1.NodeRole_NODE_ROLE_LEADER {
		t.Fatalf("nodes %v", nodes)
	}
	for _, n := range nodes[:3] {
		if !n.GetReachable() || !n.GetVoter() || n.GetAppliedIndex() != w.now().Index() || len(n.GetStateHash()) == 0 || n.GetCommandVersion() == 0 {
			t.Errorf("node %v", n)
		}
	}
	if n := nodes[3]; n.GetReachable() || n.GetStoreId() != "s4" || n.GetRole() != 0 {
		t.Errorf("node that is away: %v", n)
	}
	if c.GetCommandVersion() != uint32(fsm.KindMember) || !c.GetQuorum() {
		t.Errorf("cluster %v", c)
	}
	list, err := w.at("n2").Cluster().ListNodes(context.Background(), &pointsmanv1.ListNodesRequest{Filter: "role=leader"})
	if err != nil || len(list.GetNodes()) != 1 || list.GetNodes()[0].GetId() != "n1" {
		t.Errorf("leaders %v, %v", list, err)
	}
	verified, err := w.at("n3").Cluster().VerifyNode(context.Background(), &pointsmanv1.VerifyNodeRequest{})
	if err != nil || string(verified.GetStateHash()) != "n3" || verified.GetEntries() != w.now().Index() {
		t.Errorf("verify %v, %v", verified, err)
	}
	w.nodes["n3"].fail = ErrCorrupt
	_, err = w.at("n3").Cluster().VerifyNode(context.Background(), &pointsmanv1.VerifyNodeRequest{})
	wantError(t, err, codes.DataLoss, ReasonCorrupt)
}

// A peer that asks about the nodes gets one: so asking around ends.
func TestNodesAskedByAPeer(t *testing.T) {
	w := newWorld(t, 3, Limits{})
	ctx := metadata.AppendToOutgoingContext(context.Background(), client.HopKey, "n1")
	resp, err := w.at("n2").Cluster().GetCluster(ctx, &pointsmanv1.GetClusterRequest{Read: stale()})
	if err != nil || len(resp.GetCluster().GetNodes()) != 1 {
		t.Errorf("nodes %v, %v", resp.GetCluster().GetNodes(), err)
	}
}
