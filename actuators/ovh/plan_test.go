package ovh_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovh"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func input(msg, target proto.Message) actuators.StepInput {
	return actuators.StepInput{
		Master: "cache", Step: "lb", Target: "lb-par", Message: msg, TargetMsg: target,
		Candidates: []fsm.Candidate{{Address: addressA, Zone: "par-a"}, {Address: addressB, Zone: "par-b"}},
	}
}

func paths(problems []actuators.Problem) []string {
	out := []string{}
	for _, p := range problems {
		out = append(out, p.Path)
	}
	slices.Sort(out)
	return out
}

func TestPlan(t *testing.T) {
	target := &pb.OvhIplbTarget{}
	farms := func(f map[string]int64) *pb.OvhIplbStep { return &pb.OvhIplbStep{Frontend: 4711, Farms: f} }
	for name, c := range map[string]struct {
		in   actuators.StepInput
		want []string
	}{
		"fine":               {input(farms(map[string]int64{addressA: 11, addressB: 12}), target), nil},
		"no farm":            {input(farms(map[string]int64{addressA: 11}), target), []string{`farms["10.0.2.20:6379"]`}},
		"no farms":           {input(farms(nil), target), []string{`farms["10.0.1.20:6379"]`, `farms["10.0.2.20:6379"]`}},
		"farm of a stranger": {input(farms(map[string]int64{addressA: 11, addressB: 12, "10.0.9.9:6379": 13}), target), []string{`farms["10.0.9.9:6379"]`}},
		"one farm twice":     {input(farms(map[string]int64{addressA: 11, addressB: 11}), target), []string{`farms["10.0.2.20:6379"]`}},
		"farm 0":             {input(farms(map[string]int64{addressA: 11, addressB: 0}), target), []string{`farms["10.0.2.20:6379"]`}},
		"no target":          {input(farms(map[string]int64{addressA: 11, addressB: 12}), nil), []string{""}},
		"target of a kind":   {input(farms(map[string]int64{addressA: 11, addressB: 12}), &pb.SettingStep{}), []string{""}},
		"unknown policy":     {input(&pb.OvhIplbStep{Frontend: 1, Farms: map[string]int64{addressA: 11, addressB: 12}, Foreign: 9}, target), []string{"foreign"}},
		"step of another":    {input(&pb.SettingStep{}, target), []string{""}},
		"all at once":        {input(&pb.OvhIplbStep{Frontend: -1, Farms: map[string]int64{addressA: -11}, Foreign: 9}, nil), []string{"", `farms["10.0.1.20:6379"]`, `farms["10.0.2.20:6379"]`, "foreign", "frontend"}},
	} {
		planned, problems := ovh.New(ovh.Config{}).Plan(c.in)
		if got := paths(problems); !slices.Equal(got, c.want) {
			t.Errorf("%s: problems %v, want at %q", name, problems, c.want)
		}
		if len(c.want) == 0 && (planned.Object != "lb-par/frontend/4711" || planned.Class != fsm.Readable) {
			t.Errorf("%s: planned %+v", name, planned)
		}
	}
}

func TestPlanWantsIPv4(t *testing.T) {
	for _, address := range []string{"[2001:db8::1]:6379", "redis-1.example:6379", "10.0.1.20", "10.0.1.20:0", "[::ffff:10.0.1.20]:6379"} {
		in := input(&pb.OvhIplbStep{Frontend: 4711, Farms: map[string]int64{address: 11}}, &pb.OvhIplbTarget{})
		in.Candidates = []fsm.Candidate{{Address: fsm.Address(address)}}
		if _, problems := ovh.New(ovh.Config{}).Plan(in); len(problems) != 1 {
			t.Errorf("%s: problems %v, want one", address, problems)
		}
	}
}

func TestCheckTarget(t *testing.T) {
	for name, c := range map[string]struct {
		msg  proto.Message
		want []string
	}{
		"fine":        {&pb.OvhIplbTarget{Endpoint: "ovh-eu", Service: "ip-203.0.113.7", Credentials: "file:/etc/pointsman/ovh.conf"}, nil},
		"url":         {&pb.OvhIplbTarget{Endpoint: "http://127.0.0.1:7900/1.0", Service: "loadbalancer-0a1b", Credentials: "env:OVH"}, nil},
		"all at once": {&pb.OvhIplbTarget{Endpoint: "ovh-mars", Service: "a/b", Credentials: "hunter2"}, []string{"credentials", "endpoint", "service"}},
		"empty":       {&pb.OvhIplbTarget{}, []string{"credentials", "endpoint", "service"}},
		"user in url": {&pb.OvhIplbTarget{Endpoint: "https://me:pw@eu.api.ovh.com/1.0", Service: "ip-1", Credentials: "env:OVH"}, []string{"endpoint"}},
		"other url":   {&pb.OvhIplbTarget{Endpoint: "ftp://eu.api.ovh.com/1.0", Service: "ip-1", Credentials: "env:OVH"}, []string{"endpoint"}},
		"other kind":  {&pb.SettingStep{}, []string{""}},
	} {
		problems := ovh.New(ovh.Config{}).CheckTarget(c.msg)
		if got := paths(problems); !slices.Equal(got, c.want) {
			t.Errorf("%s: problems %v, want at %q", name, problems, c.want)
		}
	}
}

func TestRender(t *testing.T) {
	params, err := proto.Marshal(&pb.OvhIplbStep{Frontend: 4711, Farms: map[string]int64{addressA: 11, addressB: 12}})
	if err != nil {
		t.Fatal(err)
	}
	kind, step := ovh.New(ovh.Config{}), fsm.Step{Name: "lb", Params: params}
	v, err := kind.Render(step, actuators.Facts{To: addressB})
	if err != nil || v.Wanted != "frontend 4711 → farm 12 (10.0.2.20:6379)" || v.Step != "lb" {
		t.Errorf("rendered %+v, %v", v, err)
	}
	if _, err := kind.Render(step, actuators.Facts{To: "10.0.9.9:6379"}); !actuators.Explain(err).Permanent {
		t.Errorf("an address without farm: %v, want a permanent error", err)
	}
}
