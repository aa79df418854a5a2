package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/coordinator"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// TestPreflight: a right that the key lacks is an alert soon after the apply,
// on whatever node is asked, and goes once it is granted. A spec that is not
// applied is looked at when a follower is asked too. Nothing is written.
func TestPreflight(t *testing.T) {
	s := newSights(t)
	tr := threeOf(t, func(_ int, o *coordinator.Options) { o.Pace.Preflight = 200 * time.Millisecond })
	spec := s.spec()
	sim := balance(t, s, spec)
	key := cloud.Credential{ApplicationKey: "ak", ApplicationSecret: "as", ConsumerKey: "ck", Rules: []cloud.AccessRule{
		{Method: "GET", Path: "/*"}, {Method: "PUT", Path: "/*"},
	}}
	sim.AddCredential(key)
	tr.apply(spec)
	alerts := func(node int) (found []string, err error) {
		got, err := pointsmanv1.NewClusterServiceClient(tr.dial(node)).GetCluster(t.Context(), &pointsmanv1.GetClusterRequest{})
		for _, a := range got.GetCluster().GetAlerts() {
			if a.GetCode() == "STEP_NOT_READY" {
				found = append(found, a.GetSubject()+": "+a.GetMessage())
			}
		}
		return found, err
	}
	const missing = "not granted POST /ipLoadbalancing/" + balancer + "/refresh"
	for node := range 3 {
		eventually(t, "the alert", func(context.Context) error {
			found, err := alerts(node)
			if err != nil || len(found) != 1 || !strings.HasPrefix(found[0], "cache/lb: ") || !strings.Contains(found[0], missing) {
				return fmt.Errorf("node %d: %q, %w", node, found, errors.Join(err, errors.New("not yet")))
			}
			return nil
		})
	}

	for node := range 3 {
		got, err := pointsmanv1.NewSpecServiceClient(tr.dial(node)).CheckSpec(t.Context(), &pointsmanv1.CheckSpecRequest{Spec: spec})
		if err != nil {
			t.Fatal(err)
		}
		var lb *pointsmanv1.StepCheck
		for _, c := range got.GetPreflight().GetChecks() {
			if c.GetStep() == "lb" {
				lb = c
			}
		}
		if lb.GetFound() == "" || len(lb.GetProblems()) != 1 || !strings.Contains(lb.GetProblems()[0], missing) || len(lb.GetOutcomes()) == 0 {
			t.Errorf("node %d: %v", node, lb)
		}
	}

	key.Rules = nil
	sim.AddCredential(key)
	eventually(t, "no alert", func(context.Context) error {
		found, err := alerts(0)
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("%q", found)
		}
		return err
	})
	for _, c := range sim.Journal(0).Calls {
		if c.Method == http.MethodPut || c.Method == http.MethodPost || c.Method == http.MethodDelete {
			t.Errorf("%s %s was sent", c.Method, c.Path)
		}
	}
}

// TestPreflightEndsWithItsTerm: a leader that is asked to go while a provider
// keeps its look waiting goes, and can lead again.
func TestPreflightEndsWithItsTerm(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	sim := balance(t, s, spec)
	if _, err := sim.AddFault(cloud.Fault{Do: cloud.DoHang, Count: cloud.Unlimited}); err != nil {
		t.Fatal(err)
	}
	tr.apply(spec)
	eventually(t, "a look that waits", func(context.Context) error {
		if len(sim.Journal(0).Calls) == 0 {
			return errors.New("nothing was asked yet")
		}
		return nil
	})
	clusters := pointsmanv1.NewClusterServiceClient(tr.dial(0))
	now, err := clusters.GetCluster(t.Context(), &pointsmanv1.GetClusterRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first := now.GetCluster().GetLeaderId()
	for _, to := range []string{"", first} {
		eventually(t, "the leadership to move", func(ctx context.Context) error {
			_, err := clusters.TransferLeadership(ctx, &pointsmanv1.TransferLeadershipRequest{To: to, Force: to != ""})
			return err
		})
	}
	eventually(t, first+" to lead again", func(ctx context.Context) error {
		got, err := clusters.GetCluster(ctx, &pointsmanv1.GetClusterRequest{})
		for _, n := range got.GetCluster().GetNodes() {
			if n.GetId() == first && n.GetRole() == pointsmanv1.NodeRole_NODE_ROLE_LEADER {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("leader %s", got.GetCluster().GetLeaderId()))
	})
}
