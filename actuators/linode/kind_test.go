package linode_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/linode"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/linode"
)

func TestCheckTarget(t *testing.T) {
	kind := linode.New(linode.Config{})
	for _, c := range []struct {
		turn func(*pb.LinodeNodebalancerTarget)
		path string // "": none
	}{
		{func(*pb.LinodeNodebalancerTarget) {}, ""},
		{func(m *pb.LinodeNodebalancerTarget) { m.Endpoint = "" }, ""},
		{func(m *pb.LinodeNodebalancerTarget) { m.Endpoint = "ftp://x" }, "endpoint"},
		{func(m *pb.LinodeNodebalancerTarget) { m.Endpoint = "http://u:p@x/v4" }, "endpoint"},
		{func(m *pb.LinodeNodebalancerTarget) { m.Endpoint = "http://x/v4?a=b" }, "endpoint"},
		{func(m *pb.LinodeNodebalancerTarget) { m.Token = token }, "token"},
		{func(m *pb.LinodeNodebalancerTarget) { m.Token = "" }, "token"},
		{func(m *pb.LinodeNodebalancerTarget) { m.Nodebalancer = 0 }, "nodebalancer"},
	} {
		m := &pb.LinodeNodebalancerTarget{Endpoint: "https://api.example/v4", Token: "env:TOKEN", Nodebalancer: 1}
		c.turn(m)
		problems := kind.CheckTarget(m)
		if c.path == "" && len(problems) > 0 || c.path != "" && (len(problems) != 1 || problems[0].Path != c.path) {
			t.Errorf("%v: %v, want one at %q", m, problems, c.path)
		}
		for _, p := range problems {
			if strings.Contains(p.Message, token) {
				t.Errorf("a secret shows in %q", p.Message)
			}
		}
	}
}

func TestPlan(t *testing.T) {
	kind := linode.New(linode.Config{})
	const a, b = "192.168.133.20:6379", "192.168.140.21:6379"
	for _, c := range []struct {
		name string
		turn func(*pb.LinodeNodebalancerStep, *actuators.StepInput)
		want []string // path: text
	}{
		{"as it should be", func(*pb.LinodeNodebalancerStep, *actuators.StepInput) {}, nil},
		{"named", func(m *pb.LinodeNodebalancerStep, in *actuators.StepInput) {
			in.Candidates[0].Address = "203.0.113.5:6379"
			m.Backends = map[string]string{"203.0.113.5:6379": a}
		}, nil},
		{"in a VPC", func(m *pb.LinodeNodebalancerStep, _ *actuators.StepInput) {
			m.Subnet, m.Backends = 7, map[string]string{a: "10.8.0.1:6379"}
		}, nil},
		{"public", func(_ *pb.LinodeNodebalancerStep, in *actuators.StepInput) {
			in.Candidates[0].Address = "203.0.113.5:6379"
		}, []string{
			`backends["203.0.113.5:6379"]: 203.0.113.5:6379 is not a private address`,
		}},
		{"IPv6", func(_ *pb.LinodeNodebalancerStep, in *actuators.StepInput) {
			in.Candidates[0].Address = "[fd00::1]:6379"
		}, []string{
			`backends["[fd00::1]:6379"]: [fd00::1]:6379: a NodeBalancer takes private IPv4`,
		}},
		{"a name", func(_ *pb.LinodeNodebalancerStep, in *actuators.StepInput) { in.Candidates[0].Address = "redis-a:6379" }, []string{
			`backends["redis-a:6379"]: redis-a:6379: a NodeBalancer takes private IPv4`,
		}},
		{"a VPC without subnet", func(m *pb.LinodeNodebalancerStep, _ *actuators.StepInput) {
			m.Backends = map[string]string{a: "10.8.0.1:6379"}
		}, []string{
			`backends["` + a + `"]: 10.8.0.1:6379 is not in 192.168.128.0/17; a backend in a VPC needs subnet`,
		}},
		{"twice", func(m *pb.LinodeNodebalancerStep, _ *actuators.StepInput) { m.Backends = map[string]string{a: b} }, []string{
			`backends["` + b + `"]: ` + b + ` is the backend of ` + a + ` already`,
		}},
		{"no candidate", func(m *pb.LinodeNodebalancerStep, _ *actuators.StepInput) {
			m.Backends = map[string]string{"192.168.150.1:1": a}
		}, []string{
			`backends["192.168.150.1:1"]: not a candidate of cache`,
		}},
		{"ids", func(m *pb.LinodeNodebalancerStep, _ *actuators.StepInput) {
			m.Config, m.Node, m.Subnet, m.Foreign = 0, -1, -1, 9
		}, []string{
			"config: 0 is not", "node: -1 is not", "subnet: -1 is not", "foreign: unknown policy 9",
		}},
		{"no target", func(_ *pb.LinodeNodebalancerStep, in *actuators.StepInput) { in.TargetMsg = nil }, []string{": needs a target of kind linode_nodebalancer"}},
		{"another target", func(_ *pb.LinodeNodebalancerStep, in *actuators.StepInput) { in.TargetMsg = &pb.OvhIplbTarget{} }, []string{
			`: target "lb-ldn" is not of kind linode_nodebalancer`,
		}},
	} {
		msg := &pb.LinodeNodebalancerStep{Config: 401, Node: 501}
		in := actuators.StepInput{
			Master: "cache", Target: "lb-ldn", Message: msg, TargetMsg: &pb.LinodeNodebalancerTarget{},
			Candidates: []fsm.Candidate{{Address: a}, {Address: b}},
		}
		c.turn(msg, &in)
		planned, problems := kind.Plan(in)
		if len(problems) != len(c.want) {
			t.Errorf("%s: %v, want %q", c.name, problems, c.want)
			continue
		}
		for i, p := range problems {
			if got := p.Path + ": " + p.Message; !strings.HasPrefix(got, c.want[i]) {
				t.Errorf("%s: %q, want %q", c.name, got, c.want[i])
			}
		}
		if len(c.want) == 0 && (planned.Object != "lb-ldn/node/501" || planned.Class != fsm.Readable) {
			t.Errorf("%s: planned %+v", c.name, planned)
		}
	}
}

// TestOpen: a secret that does not resolve is named by its reference.
func TestOpen(t *testing.T) {
	kind := linode.New(linode.Config{Getenv: func(string) string { return "" }})
	params, err := proto.Marshal(&pb.LinodeNodebalancerTarget{Token: "env:TOKEN", Nodebalancer: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = kind.Open(fsm.TargetSpec{ID: "lb-ldn", Params: params}, nil)
	if !errors.Is(err, wire.ErrReference) || !strings.Contains(err.Error(), "lb-ldn") || !strings.Contains(err.Error(), "env:TOKEN") {
		t.Error(err)
	}
	if _, err = kind.Open(fsm.TargetSpec{ID: "lb-ldn", Params: []byte{0xff}}, nil); err == nil {
		t.Error("a target that cannot be read was opened")
	}
}

// TestSending: the one request that writes says so when it leaves.
func TestSending(t *testing.T) {
	inBubble(t, privateNetwork, func(r *rig) {
		left := 0
		ctx := actuators.WithSending(context.Background(), func() { left++ })
		w := r.work(1, addressB)
		reading, err := r.tool.Read(ctx, actuators.Subject{Step: w.Action.Step})
		r.must(err)
		s := r.tool.Judge(reading, w)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err = r.tool.Act(gone, w, s); err == nil || left != 0 {
			t.Errorf("not sent (%v), said %d times", err, left)
		}
		_, err = r.tool.Act(ctx, w, s)
		r.must(err)
		if left != 1 {
			t.Errorf("one write, said %d times", left)
		}
	})
}

// TestProbe: what Linode itself says counts as reached unless it refuses this
// node; a page of something on the way does not. Nothing but GET is sent.
func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		fault   cloud.Fault
		reached bool
	}{
		"served":          {cloud.Fault{Skip: 9, Status: 500}, true},
		"too many":        {cloud.Fault{Status: 429}, true},
		"its own trouble": {cloud.Fault{Status: 500}, true},
		"maintenance":     {cloud.Fault{Status: 503, Headers: map[string]string{"X-Maintenance-Mode": "down"}}, true},
		"busy":            {cloud.Fault{Status: 400, Reason: "Linode busy."}, true},
		"a front proxy":   {cloud.Fault{Status: 502, HTML: true}, false},
		"a page":          {cloud.Fault{Status: 200, HTML: true}, false},
		"no token":        {cloud.Fault{Status: 401, Reason: "Invalid Token " + token}, false},
		"no right":        {cloud.Fault{Status: 403}, false},
		"not there":       {cloud.Fault{Status: 404}, false},
		"a redirect":      {cloud.Fault{Status: 302, HTML: true}, false},
		"no answer":       {cloud.Fault{Do: cloud.DoHang}, false},
	} {
		inBubble(t, privateNetwork, func(r *rig) {
			r.add(c.fault)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			err := r.tool.(actuators.Prober).Probe(ctx)
			if (err == nil) != c.reached || err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("%s: %v", name, err)
			}
			for _, call := range r.sim.Journal() {
				if call.Method != http.MethodGet || call.Path != "/nodebalancers/301" {
					t.Errorf("%s: %s %s", name, call.Method, call.Path)
				}
			}
		})
	}
}
