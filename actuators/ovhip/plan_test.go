package ovhip_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhip"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

func paths(problems []actuators.Problem) (out []string) {
	for _, p := range problems {
		out = append(out, p.Path)
	}
	slices.Sort(out)
	return out
}

// TestPlan finds every problem of a step at once, and names the object.
func TestPlan(t *testing.T) {
	k := ovhip.New(ovhip.Config{})
	both := map[string]string{addressA: serviceA, addressB: serviceB}
	for name, c := range map[string]struct {
		msg    *pb.OvhIpStep
		object fsm.ObjectID
		want   []string
	}{
		"an address":      {&pb.OvhIpStep{Ip: "203.0.113.9", Services: both}, "ovh/ip/203.0.113.9/32", nil},
		"a block":         {&pb.OvhIpStep{Ip: "203.0.113.8/30", Services: both}, "ovh/ip/203.0.113.8/30", nil},
		"IPv6":            {&pb.OvhIpStep{Ip: "2001:DB8:0::/56", Services: both}, "ovh/ip/2001:db8::/56", nil},
		"on one machine":  {&pb.OvhIpStep{Ip: "203.0.113.9", Services: map[string]string{addressA: serviceA, addressB: serviceA}}, "ovh/ip/203.0.113.9/32", nil},
		"bits beyond":     {&pb.OvhIpStep{Ip: "203.0.113.9/30", Services: both}, "", []string{"ip"}},
		"all that can be": {&pb.OvhIpStep{Services: map[string]string{addressA: "a/b", "10.9.9.9:1": serviceA}, Foreign: 9}, "", []string{"foreign", "ip", `services["10.0.1.20:6379"]`, `services["10.0.2.20:6379"]`, `services["10.9.9.9:1"]`}},
	} {
		planned, problems := k.Plan(actuators.StepInput{
			Master: "cache", Step: "ip", Target: "ovh", Message: c.msg, TargetMsg: &pb.OvhIpTarget{},
			Candidates: []fsm.Candidate{{Address: addressA}, {Address: addressB}},
		})
		if got := paths(problems); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, problems)
		}
		if c.object != "" && (planned.Object != c.object || planned.Class != fsm.Readable) {
			t.Errorf("%s: %+v", name, planned)
		}
	}
	if got := paths(k.CheckTarget(&pb.OvhIpTarget{Endpoint: "ovh-mars", Credentials: "hunter2"})); !slices.Equal(got, []string{"credentials", "endpoint"}) {
		t.Errorf("target: %v", got)
	}
	for _, target := range []*pb.OvhIplbTarget{nil, {}} {
		in := actuators.StepInput{Step: "ip", Target: "lb", Message: &pb.OvhIpStep{Ip: "203.0.113.9", Services: both}, Candidates: []fsm.Candidate{{Address: addressA}, {Address: addressB}}}
		if target != nil {
			in.TargetMsg = target
		}
		if _, problems := k.Plan(in); len(problems) != 1 || !strings.Contains(problems[0].Message, "ovh_ip") {
			t.Errorf("target %v: %v", target, problems)
		}
	}
}

// TestProbe: a key that OVH does not take is not reached by this node.
func TestProbe(t *testing.T) {
	for trouble, reached := range map[cloud.KeyTrouble]bool{cloud.KeyOwn: true, cloud.KeyOver: false, cloud.KeySignatureNo: false} {
		inBubble(t, func(r *rig) {
			knobs := r.sim.Knobs()
			knobs.KeyTrouble = trouble
			r.must(r.sim.SetKnobs(knobs))
			ctx, cancel := within()
			defer cancel()
			err := r.tool.(actuators.Prober).Probe(ctx)
			if (err == nil) != reached || r.Seen().Mutating != 0 {
				t.Errorf("%q: %v", trouble, err)
			}
		})
	}
}

// TestStuckPolicy leaves an IP alone that is somebody's.
func TestStuckPolicy(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.step.Foreign = pb.Foreign_FOREIGN_STUCK
		r.sees(r.work(1, addressB), actuators.Foreign)
		if s := r.sees(r.work(1, addressA), actuators.Applied); !s.Found {
			t.Error("it stands so without any write of ours, and that is not said")
		}
	})
}
