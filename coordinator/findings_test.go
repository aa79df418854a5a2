package coordinator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/coordinator"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestFirstView: what another cluster has written is told by every node before
// any failover, nothing is written, and the failover is stuck at it as foretold.
func TestFirstView(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	sim := balance(t, s, spec)
	const theirs = "Redis [pm 0badcafe cache/3]"
	if err := sim.ForeignPut(frontend, map[string]any{"displayName": theirs}); err != nil {
		t.Fatal(err)
	}
	tr.apply(spec)
	for i := range tr.files {
		masters := pointsmanv1.NewMasterServiceClient(tr.dial(i))
		eventually(t, "the alert on node "+tr.files[i].GetId(), func(ctx context.Context) error {
			said, err := masters.GetMaster(ctx, &pointsmanv1.GetMasterRequest{Id: "cache"})
			if err != nil {
				return err
			}
			for _, a := range said.GetMaster().GetAlerts() {
				if a.GetCode() == coordinator.AlertNotOurs && a.GetSubject() == fmt.Sprintf("lb-par/frontend/%d", frontend) &&
					a.GetSeverity() == pointsmanv1.AlertSeverity_ALERT_SEVERITY_CRITICAL && strings.Contains(a.GetMessage(), theirs) {
					return nil
				}
			}
			return fmt.Errorf("alerts %v", said.GetMaster().GetAlerts())
		})
	}
	all, err := pointsmanv1.NewClusterServiceClient(tr.dial(0)).GetCluster(t.Context(), &pointsmanv1.GetClusterRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all.GetCluster().GetAlerts() {
		if a.GetCode() == "STEP_NOT_READY" {
			t.Errorf("told twice: %v", a)
		}
	}
	if f, err := sim.Staged(frontend); err != nil || *f.DefaultFarmID != 11 || *f.DisplayName != theirs {
		t.Fatalf("written at the first view: %+v, %v", f, err)
	}
	s.promote(1, 2)
	tr.master("the failover stuck and the first view's alert gone", func(m *pointsmanv1.Master) bool {
		codes := map[string]bool{}
		for _, a := range m.GetAlerts() {
			codes[a.GetCode()] = true
		}
		return codes["ACTION_STUCK"] && !codes[coordinator.AlertNotOurs]
	})
}
