package linode_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/linode"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
	cloud "github.com/pointsman/pointsman/test/clouds/linode"
	"github.com/pointsman/pointsman/test/clouds/pipe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	balancer, configID, nodeID = 301, 401, 501
	addressA, addressB         = "10.0.1.20:6379", "192.168.140.21:6379"
	backendA, backendB         = "192.168.133.20:6379", addressB
	ownLabel                   = "redis-master"
	token                      = "canarytoken0123456789abcdef"

	subnet         = 601
	vpcA, vpcB     = "10.8.0.20:6379", "10.8.0.21:6379"
	labelOfSeven   = "pm.1f2e3d4c.cache.7"
	labelOfOne     = "pm.1f2e3d4c.cache.1"
	pathOfNodes    = "/nodebalancers/301/configs/401/nodes"
	pathOfNode     = pathOfNodes + "/501"
	clusterOfOther = "ffffffff000000000000000000000000"
)

// lab is a simulated Linode with one NodeBalancer, and the kind that knows how
// to reach it.
type lab struct {
	sim    *cloud.Sim
	net    *pipe.Net
	kind   *linode.Kind
	target fsm.TargetSpec
	spec   *pb.LinodeNodebalancerTarget
	step   *pb.LinodeNodebalancerStep
	at     map[string]fsm.Address // candidate of each backend
}

// in is where a lab's backends stand.
type in bool

const (
	privateNetwork in = false
	vpc            in = true
)

func newLab(t *testing.T, where in, turn ...func(*cloud.Knobs)) *lab {
	t.Helper()
	knobs := cloud.DefaultKnobs()
	for _, f := range turn {
		f(&knobs)
	}
	sim, err := cloud.New(cloud.Config{Knobs: &knobs})
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{sim: sim, net: pipe.New(), at: map[string]fsm.Address{backendA: addressA, backendB: addressB}}
	l.spec = &pb.LinodeNodebalancerTarget{Endpoint: "http://api.example/v4", Nodebalancer: balancer, Token: "env:TOKEN"}
	l.step = &pb.LinodeNodebalancerStep{Config: configID, Node: nodeID, Backends: map[string]string{addressA: backendA}, Foreign: pb.Foreign_FOREIGN_ADOPT}
	b, first := cloud.NodeBalancer{ID: balancer, Label: "lb-ldn"}, backendA
	if where == vpc {
		b.VPC, first = subnet, vpcA
		l.step.Subnet, l.step.Backends = subnet, map[string]string{addressA: vpcA, addressB: vpcB}
		l.at = map[string]fsm.Address{vpcA: addressA, vpcB: addressB}
	}
	sim.Seed(b, []cloud.ConfigOf{{ID: configID, SSLCert: "cert", SSLKey: "key"}}, []cloud.Node{
		{ID: nodeID, Config: configID, Label: ownLabel, Address: first, Subnet: b.VPC},
		{ID: 502, Config: configID, Label: "off", Address: first, Subnet: b.VPC, Mode: "reject"},
		{ID: 499, Config: configID, Label: "ending", Address: first, Subnet: b.VPC, Mode: "drain"},
	})
	sim.AddToken(cloud.Token{Value: token, Scopes: "linodes:read_only nodebalancers:read_write"})
	l.kind = linode.New(linode.Config{Dial: l.net.Dial, Getenv: func(name string) string { return map[string]string{"TOKEN": token}[name] }})
	params, err := proto.Marshal(l.spec)
	if err != nil {
		t.Fatal(err)
	}
	l.target = fsm.TargetSpec{ID: "lb-ldn", Kind: linode.Name, Params: params, Hold: 10 * time.Second}
	if err := sim.Serve(l.net); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *lab) world() actuatortest.World {
	return actuatortest.World{
		Kind: l.kind, Name: linode.Name, Target: l.target, Message: l.step, TargetOf: l.spec, A: addressA, B: addressB,
		Secrets: []string{token}, Outside: l, Late: l,
	}
}

// Value is where new connections go, once the balancer has followed; empty when
// that is not one place.
func (l *lab) Value() fsm.Address {
	time.Sleep(l.sim.Knobs().Propagation)
	serving := l.sim.InEffect(configID)
	if len(serving) != 1 {
		return ""
	}
	return l.at[serving[0]]
}

func (l *lab) Seen() (n actuatortest.Requests) {
	for _, c := range l.sim.Journal() {
		if c.Foreign {
			continue
		}
		n.All++
		if c.Write() {
			n.Mutating++
		}
		if c.Node != nil && c.Node.Before.Address != c.Node.After.Address {
			n.Changes++
		}
	}
	return n
}

func (l *lab) Break(f actuatortest.Fault) {
	if f == actuatortest.Unreachable {
		l.net.SetDown(true)
		return
	}
	fault := map[actuatortest.Fault]cloud.Fault{
		actuatortest.FailBefore: {Status: http.StatusBadGateway, HTML: true},
		actuatortest.FailAfter:  {When: cloud.After, Status: http.StatusInternalServerError},
		actuatortest.LoseBefore: {Do: cloud.DoReset},
		actuatortest.LoseAfter:  {Do: cloud.DoDrop, When: cloud.After},
		actuatortest.Hang:       {Do: cloud.DoHang},
		actuatortest.HangAfter:  {Do: cloud.DoHang, When: cloud.After},
		actuatortest.Garble:     {Do: cloud.DoTruncate, When: cloud.After},
		actuatortest.Refuse:     {Status: http.StatusForbidden, Reason: "token " + token + " may not do that"},
		actuatortest.TooMany: {Status: http.StatusTooManyRequests, Headers: map[string]string{
			"Retry-After": fmt.Sprint(int(actuatortest.RetryAfter.Seconds())),
		}},
		actuatortest.FailRead: {Status: http.StatusServiceUnavailable, HTML: true, Method: http.MethodGet},
	}[f]
	if fault.Method == "" {
		fault.Method = http.MethodPut
	}
	l.add(fault)
}

func (l *lab) add(f cloud.Fault) {
	if err := l.sim.AddFault(f); err != nil {
		panic(err) // a fault that a test spells wrong
	}
}

func (l *lab) Mend() {
	l.net.SetDown(false)
	l.sim.ClearFaults()
}

func (l *lab) HoldNext() { l.add(cloud.Fault{Method: http.MethodPut, Do: cloud.DoHold}) }

func (l *lab) Deliver() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, seq := range l.sim.Release() {
		if err := l.sim.WaitEffect(ctx, seq); err != nil {
			panic(err) // nothing was held
		}
	}
}

// rig is a lab with an open actuator, in a bubble.
type rig struct {
	*lab
	t    *testing.T
	tool actuators.Actuator
	pace *actuatortest.Pace
}

// inBubble runs a test of a new rig in a bubble of time.
func inBubble(t *testing.T, where in, run func(*rig), turn ...func(*cloud.Knobs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{lab: newLab(t, where, turn...), t: t, pace: actuatortest.NewPace()}
		tool, err := r.kind.Open(r.target, r.pace)
		r.must(err)
		t.Cleanup(func() { r.must(tool.(interface{ Close() error }).Close()) })
		r.tool = tool
		run(r)
	})
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// work is the step's action of failover cache/n.
func (r *rig) work(n fsm.Number, to fsm.Address) actuators.Work {
	r.t.Helper()
	planned, problems := r.kind.Plan(actuators.StepInput{
		Master: "cache", Step: "lb", Target: r.target.ID, Message: r.step, TargetMsg: r.spec,
		Candidates: []fsm.Candidate{{Address: addressA, Zone: "a"}, {Address: addressB, Zone: "b"}},
	})
	if len(problems) > 0 {
		r.t.Fatal(problems)
	}
	params, err := proto.Marshal(r.step)
	r.must(err)
	step := fsm.Step{Name: "lb", Target: r.target.ID, Kind: linode.Name, Object: planned.Object, Class: planned.Class, Params: params, Act: actSpan}
	id := fsm.FailoverID{Master: "cache", Number: n}
	v, err := r.kind.Render(step, actuators.Facts{Failover: id, To: to, Epoch: fsm.Epoch(n)})
	r.must(err)
	return actuators.Work{Cluster: actuatortest.Cluster, Action: fsm.Action{
		ID: id.Action("lb"), For: id, Phase: fsm.Claimed, Step: step, Target: r.target, Value: v.Value, Wanted: v.Wanted, Attempts: 1, Term: 1,
	}}
}

func (r *rig) look(w actuators.Work) actuators.Sight {
	r.t.Helper()
	reading, err := r.tool.Read(context.Background(), actuators.Subject{Step: w.Action.Step})
	r.must(err)
	return r.tool.Judge(reading, w)
}
