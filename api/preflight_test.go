package api

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestCheckSpec: whoever is asked, the leader looks.
func TestCheckSpec(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	ctx, c := context.Background(), w.at("n2").Specs()
	none, err := c.CheckSpec(ctx, &pointsmanv1.CheckSpecRequest{})
	if err != nil || len(none.GetPreflight().GetChecks()) != 0 {
		t.Fatalf("without a spec: %v, %v", none, err)
	}
	applyNamed(t, c, "# one", "begin", "cache")
	for name, req := range map[string]*pointsmanv1.CheckSpecRequest{
		"cache": {},
		"queue": {Spec: specMessage("queue")},
	} {
		got, err := c.CheckSpec(ctx, req)
		checks := got.GetPreflight().GetChecks()
		if err != nil || len(checks) == 0 || checks[0].GetMaster() != name || checks[0].GetFound() != "seen by n1" || got.GetHeader().GetNodeId() != "n1" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	now, err := c.GetSpec(ctx, &pointsmanv1.GetSpecRequest{})
	if err != nil || now.GetRevision().GetRevision() != 1 {
		t.Errorf("a check has changed the spec: %v, %v", now, err)
	}
	bad := specMessage("queue")
	bad.Masters[0].Id = "no id"
	_, err = c.CheckSpec(ctx, &pointsmanv1.CheckSpecRequest{Spec: bad})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	_, err = c.CheckSpec(ctx, &pointsmanv1.CheckSpecRequest{Read: &pointsmanv1.ReadOptions{Level: 77}})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	w.setLead("")
	_, err = c.CheckSpec(ctx, &pointsmanv1.CheckSpecRequest{})
	wantError(t, err, codes.Unavailable, ReasonNoQuorum)
}

// TestPreflightAlerts: what the leader found is told by every node, with one
// alert for each step that is not ready.
func TestPreflightAlerts(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	for _, id := range []string{"n1", "n2"} {
		got, err := w.at(w.ids[slices.Index([]string{"n1", "n2"}, id)]).Cluster().GetCluster(context.Background(), &pointsmanv1.GetClusterRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, a := range got.GetCluster().GetAlerts() {
			if a.GetCode() == AlertPreflight {
				found = append(found, a.GetSubject()+" "+a.GetMessage())
			}
		}
		if !slices.Equal(found, []string{"cache/url looked at lb/y: gone; no right"}) || len(got.GetCluster().GetPreflight().GetChecks()) != 2 {
			t.Errorf("%s: %q, %v", id, found, got.GetCluster().GetPreflight())
		}
	}
}
