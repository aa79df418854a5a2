package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Any node takes the request, the leader alone acts on it, and the log keeps who
// asked and why, also with the failover that comes of it.
func TestSwitchover(t *testing.T) {
	w := newWorld(t, 3, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	ctx := client.AsActor(context.Background(), "ann@host")
	c := w.at("n2").Masters()
	dry, err := c.Switchover(ctx, &pointsmanv1.SwitchoverRequest{Master: "cache", ValidateOnly: true})
	if err != nil || dry.GetSwitchover().GetState() != pointsmanv1.SwitchoverState_SWITCHOVER_STATE_CHECKED || len(dry.GetPlan()) != 1 || len(dry.GetNotes()) != 1 {
		t.Fatalf("%v, %v", dry, err)
	}
	lag := int64(5)
	resp, err := c.Switchover(ctx, &pointsmanv1.SwitchoverRequest{Master: "cache", Reason: "kernel update", RequestId: "one", MaxLagBytes: &lag})
	if err != nil {
		t.Fatal(err)
	}
	got := resp.GetSwitchover()
	if got.GetState() != pointsmanv1.SwitchoverState_SWITCHOVER_STATE_STARTED || got.GetActor() != "ann@host" || got.GetFailover() != "cache/1" ||
		got.GetLeft().AsDuration() <= 0 || !got.GetCertain() || resp.GetHeader().GetNodeId() != "n1" {
		t.Fatalf("answer %v of %s", got, resp.GetHeader().GetNodeId())
	}
	if n := w.nodes["n1"]; len(n.asks) != 2 || *n.asks[1].MaxLag != 5 || n.asks[1].Reason != "kernel update" || n.asks[0].DryRun == n.asks[1].DryRun {
		t.Fatalf("the leader was asked %+v", n.asks)
	}
	if n := w.nodes["n2"]; len(n.asks) != 0 {
		t.Fatal("a follower acted")
	}
	_, err = c.Switchover(ctx, &pointsmanv1.SwitchoverRequest{Master: "cache", RequestId: "two"})
	wantError(t, err, codes.FailedPrecondition, "SWITCHOVER_RUNNING")
	// Our client gives every change an id. Others repeat calls by themselves, too.
	_, err = masterService{Server: w.nodes["n1"].server}.Switchover(ctx, &pointsmanv1.SwitchoverRequest{Master: "cache", Reason: "again"})
	if bad := (*fault)(nil); !errors.As(err, &bad) || bad.reason != ReasonInvalid || bad.fields[0].GetField() != "request_id" {
		t.Fatalf("without an id: %v", err)
	}
	if n := len(w.nodes["n1"].asks); n != 3 {
		t.Fatalf("the leader was asked %d times", n)
	}

	w.failover("cache")
	f, err := w.at("n3").Failovers().GetFailover(ctx, &pointsmanv1.GetFailoverRequest{Id: "cache/1"})
	if a := f.GetFailover().GetAsked(); err != nil || a.GetActor() != "ann@host" || a.GetReason() != "kernel update" || a.GetAskedIndex() != got.GetAskedIndex() {
		t.Fatalf("failover says %v, %v", a, err)
	}
	m, err := c.GetMaster(ctx, &pointsmanv1.GetMasterRequest{Id: "cache"})
	if s := m.GetMaster().GetSwitchover(); err != nil || s.GetState() != pointsmanv1.SwitchoverState_SWITCHOVER_STATE_LED || s.GetLeft() != nil {
		t.Fatalf("master says %v, %v", s, err)
	}
	_, err = c.Switchover(ctx, &pointsmanv1.SwitchoverRequest{Master: "cache", RequestId: "three"})
	wantError(t, err, codes.FailedPrecondition, "OPEN_ACTIONS")
}

func TestSwitchoverErrors(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	ask := func(err error) error {
		w.mu.Lock()
		w.nodes["n1"].switched = err
		w.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, got := w.at("n1").Masters().Switchover(ctx, &pointsmanv1.SwitchoverRequest{Master: "cache", RequestId: "two"})
		return got
	}
	err := ask(&ObjectionsError{Master: "cache", Objections: []Objection{{"REPLICA_LAGS", "b is 7 bytes behind"}, {"SENTINEL_TILT", "s3 is in tilt"}}})
	wantError(t, err, codes.FailedPrecondition, "REPLICA_LAGS")
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetMetadata()["objection_2"] != "SENTINEL_TILT: s3 is in tilt" {
			t.Errorf("metadata %v", info.GetMetadata())
		}
	}
	wantError(t, ask(fmt.Errorf("%w: NOGOODSLAVE", ErrDeclined)), codes.FailedPrecondition, ReasonDeclined)
	wantError(t, ask(fmt.Errorf("%w: user lacks it", ErrDenied)), codes.FailedPrecondition, ReasonDenied)
	wantError(t, ask(fmt.Errorf("%w: node n2", ErrOldMember)), codes.FailedPrecondition, ReasonOldMember)
	wantError(t, ask(fmt.Errorf("%w: leadership lost", ErrOutcomeUnknown)), codes.Unavailable, ReasonOutcomeUnknown)
	wantError(t, ask(errors.New("bug")), codes.Internal, ReasonInternal)
	w.setLead("")
	_, err = masterService{Server: w.nodes["n1"].server}.ListMasters(context.Background(), &pointsmanv1.ListMastersRequest{})
	if !errors.Is(err, ErrNoQuorum) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := w.at("n1").Masters().Switchover(ctx, &pointsmanv1.SwitchoverRequest{Master: "cache", RequestId: "two"}); err == nil {
		t.Fatal("asked without a leader")
	}
	_, err = w.at("n1").Masters().Switchover(context.Background(), &pointsmanv1.SwitchoverRequest{Master: "cache", To: "no port"})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
}
