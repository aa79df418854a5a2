package coordinator_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/actuators/ovh"
	"github.com/pointsman/pointsman/coordinator"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// placed are three nodes whose ways to the provider can be cut one by one.
type placed struct {
	*trio
	provider [3]cut
	full     [3]atomic.Bool // disks
}

func newPlaced(t *testing.T, pace coordinator.Pace) *placed {
	t.Helper()
	p := &placed{}
	p.trio = threeOf(t, func(i int, o *coordinator.Options) {
		o.Pace = pace
		o.Kinds = kinds()
		o.Kinds[ovh.Name] = ovh.New(ovh.Config{Dial: p.provider[i].dial})
		o.DiskFree = func(string) (uint64, error) {
			if p.full[i].Load() {
				return 0, nil
			}
			return 1 << 40, nil
		}
	})
	return p
}

// quick is a pace at which a test need not wait; nobody moves by zone.
func quick() coordinator.Pace {
	return coordinator.Pace{Probe: 200 * time.Millisecond, Again: 50 * time.Millisecond, Calm: time.Hour, Reach: 3 * time.Second, Zone: time.Hour}
}

func (p *placed) cluster(what string, good func(*pointsmanv1.Cluster) error) {
	p.t.Helper()
	eventually(p.t, what, func(ctx context.Context) error {
		got, err := pointsmanv1.NewClusterServiceClient(p.dial(0)).GetCluster(ctx, &pointsmanv1.GetClusterRequest{})
		if err != nil {
			return err
		}
		if err := good(got.GetCluster()); err != nil {
			return fmt.Errorf("%w: leader %s, %v, %v", err, got.GetCluster().GetLeaderId(), got.GetCluster().GetPlacement(), reaches(got.GetCluster()))
		}
		return nil
	})
}

func reaches(c *pointsmanv1.Cluster) (out []string) {
	for _, n := range c.GetNodes() {
		out = append(out, fmt.Sprintf("%s %v", n.GetId(), n.GetTargets()))
	}
	return out
}

// all waits until each node has a verdict about the provider.
func (p *placed) all(want pointsmanv1.Reach) {
	p.t.Helper()
	p.cluster("everybody's verdict", func(c *pointsmanv1.Cluster) error {
		for _, n := range c.GetNodes() {
			if len(n.GetTargets()) != 1 || n.GetTargets()[0].GetReach() != want {
				return fmt.Errorf("%s has none", n.GetId())
			}
		}
		return nil
	})
}

// TestLeaderWithoutProviderHandsOver cuts the leader from the provider alone,
// then replaces the master: the leadership moves to a node that reaches it, and
// never to the one whose disk is full, and the failover is carried out.
func TestLeaderWithoutProviderHandsOver(t *testing.T) {
	s, p := newSights(t), newPlaced(t, quick())
	spec := s.spec()
	sim := balance(t, s, spec)
	p.apply(spec)
	p.all(pointsmanv1.Reach_REACH_REACHED)
	old := p.leader()
	full, next := (old+1)%3, (old+2)%3
	p.full[full].Store(true)
	p.cluster("the full disk is seen", func(c *pointsmanv1.Cluster) error {
		for _, n := range c.GetNodes() {
			if n.GetId() == p.files[full].GetId() && len(n.GetDegraded()) == 0 {
				return fmt.Errorf("not degraded")
			}
		}
		return nil
	})
	p.provider[old].cutOff()
	s.promote(1, 2)
	p.cluster("the hand-over", func(c *pointsmanv1.Cluster) error {
		last := c.GetPlacement().GetLast()
		if c.GetLeaderId() != p.files[next].GetId() || last.GetCause() != pointsmanv1.HandoverCause_HANDOVER_CAUSE_REACH {
			return fmt.Errorf("not moved")
		}
		return nil
	})
	eventually(t, "the load balancer", func(context.Context) error {
		if farm, _ := stands(sim); farm != 12 {
			return fmt.Errorf("farm %d", farm)
		}
		return nil
	})
	_, err := pointsmanv1.NewClusterServiceClient(p.dial(next)).TransferLeadership(t.Context(),
		&pointsmanv1.TransferLeadershipRequest{To: p.files[old].GetId(), ValidateOnly: true})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "does not reach lb-par") {
		t.Errorf("by hand to the one that is cut off: %v", err)
	}
}

// TestProviderGoneForAllMovesNobody: the leader stays, says so, and carries the
// failover out when the provider is back; a provider that comes and goes faster
// than a verdict moves nobody either.
func TestProviderGoneForAllMovesNobody(t *testing.T) {
	s, p := newSights(t), newPlaced(t, quick())
	spec := s.spec()
	sim := balance(t, s, spec)
	p.apply(spec)
	p.all(pointsmanv1.Reach_REACH_REACHED)
	leader := p.files[p.leader()].GetId()
	for range 5 {
		p.provider[0].flap(20 * time.Millisecond)
		p.provider[1].flap(20 * time.Millisecond)
		p.provider[2].flap(20 * time.Millisecond)
	}
	for i := range p.provider {
		p.provider[i].cutOff()
	}
	s.promote(1, 2)
	p.all(pointsmanv1.Reach_REACH_LOST)
	p.cluster("the alert", func(c *pointsmanv1.Cluster) error {
		for _, a := range c.GetAlerts() {
			if a.GetCode() == coordinator.AlertLeaderCut && strings.Contains(a.GetMessage(), "nobody is better") {
				return nil
			}
		}
		return fmt.Errorf("no alert")
	})
	for i := range p.provider {
		p.provider[i].mend()
	}
	eventually(t, "the load balancer", func(context.Context) error {
		if farm, _ := stands(sim); farm != 12 {
			return fmt.Errorf("farm %d", farm)
		}
		return nil
	})
	p.cluster("nobody moved", func(c *pointsmanv1.Cluster) error {
		if c.GetLeaderId() != leader || c.GetPlacement().GetLast() != nil {
			return fmt.Errorf("moved from %s", leader)
		}
		return nil
	})
}

// TestLeaderLeavesTheMastersZone: when all is calm, and once only.
func TestLeaderLeavesTheMastersZone(t *testing.T) {
	pace := quick()
	pace.Calm, pace.Zone = time.Second, time.Hour
	s, p := newSights(t), newPlaced(t, pace)
	at := p.leader()
	spec := s.spec()
	spec.Masters[0].Candidates[0].Zone = p.files[at].GetZone()
	p.apply(spec)
	p.cluster("the move", func(c *pointsmanv1.Cluster) error {
		if c.GetLeaderId() == p.files[at].GetId() || c.GetPlacement().GetLast().GetCause() != pointsmanv1.HandoverCause_HANDOVER_CAUSE_ZONE {
			return fmt.Errorf("not moved")
		}
		return nil
	})
	now := p.leader()
	spec.Masters[0].Candidates[0].Zone = p.files[now].GetZone()
	p.apply(spec)
	p.cluster("it keeps its distance", func(c *pointsmanv1.Cluster) error {
		if got := c.GetPlacement(); c.GetLeaderId() != p.files[now].GetId() || got.GetNext() == "" || !strings.Contains(got.GetReason(), "after the last hand-over") {
			return fmt.Errorf("does not say so")
		}
		return nil
	})
}
