package octavia_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/octavia"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func input(msg, target proto.Message) actuators.StepInput {
	return actuators.StepInput{
		Master: "cache", Step: "lb", Target: "lb-par", Message: msg, TargetMsg: target,
		Candidates: []fsm.Candidate{{Address: addressA, Zone: "a"}, {Address: addressB, Zone: "b"}},
	}
}

func pools(p map[string]string) *pb.OctaviaStep {
	return &pb.OctaviaStep{Listener: listenerID, Pools: p}
}

func paths(problems []actuators.Problem) (out []string) {
	for _, p := range problems {
		out = append(out, p.Path)
	}
	slices.Sort(out)
	return out
}

func TestPlan(t *testing.T) {
	target := &pb.OctaviaTarget{}
	const atA, atB = `pools["10.0.1.20:6379"]`, `pools["10.0.2.20:6379"]`
	for name, c := range map[string]struct {
		in   actuators.StepInput
		want []string
	}{
		"fine":               {input(pools(map[string]string{addressA: poolA, addressB: poolB}), target), nil},
		"no pool":            {input(pools(map[string]string{addressA: poolA}), target), []string{atB}},
		"pool of a stranger": {input(pools(map[string]string{addressA: poolA, addressB: poolB, "10.0.9.9:6379": lbID}), target), []string{`pools["10.0.9.9:6379"]`}},
		"one pool twice":     {input(pools(map[string]string{addressA: poolA, addressB: strings.ToUpper(poolA)}), target), []string{atB}},
		"no id":              {input(pools(map[string]string{addressA: poolA, addressB: "b"}), target), []string{atB}},
		"no target":          {input(pools(map[string]string{addressA: poolA, addressB: poolB}), nil), []string{""}},
		"target of a kind":   {input(pools(map[string]string{addressA: poolA, addressB: poolB}), &pb.SettingStep{}), []string{""}},
		"step of another":    {input(&pb.SettingStep{}, target), []string{""}},
		"all at once":        {input(&pb.OctaviaStep{Listener: "x", Pools: map[string]string{addressA: "y"}, Foreign: 9}, nil), []string{"", "foreign", "listener", atA, atB}},
	} {
		planned, problems := octavia.New(octavia.Config{}).Plan(c.in)
		if got := paths(problems); !slices.Equal(got, c.want) {
			t.Errorf("%s: problems %v, want at %q", name, problems, c.want)
		}
		if len(c.want) == 0 && (planned.Object != "lb-par/listener/"+listenerID || planned.Class != fsm.Readable) {
			t.Errorf("%s: planned %+v", name, planned)
		}
	}
}

func TestPlanWantsAddresses(t *testing.T) {
	for address, fine := range map[fsm.Address]bool{"10.0.1.20:6379": true, "[2001:db8::1]:6379": true, "redis-1.example:6379": false, "10.0.1.20": false, "10.0.1.20:0": false} {
		in := input(pools(map[string]string{string(address): poolA}), &pb.OctaviaTarget{})
		in.Candidates = []fsm.Candidate{{Address: address}}
		if _, problems := octavia.New(octavia.Config{}).Plan(in); (len(problems) == 0) != fine {
			t.Errorf("%s: problems %v", address, problems)
		}
	}
}

func TestCheckTarget(t *testing.T) {
	for name, c := range map[string]struct {
		msg  proto.Message
		want []string
	}{
		"fine":        {&pb.OctaviaTarget{Credentials: "file:/etc/pointsman/clouds.yaml", Loadbalancer: lbID}, nil},
		"all named":   {&pb.OctaviaTarget{Credentials: "env:OS", Cloud: "ovh", Region: "EU-WEST-PAR", Loadbalancer: lbID, Endpoint: "https://lb.example/v2"}, nil},
		"empty":       {&pb.OctaviaTarget{}, []string{"credentials", "loadbalancer"}},
		"all at once": {&pb.OctaviaTarget{Credentials: "hunter2", Cloud: "a b", Region: "a/b", Loadbalancer: "x", Endpoint: "https://me:pw@lb.example"}, []string{"cloud", "credentials", "endpoint", "loadbalancer", "region"}},
		"other url":   {&pb.OctaviaTarget{Credentials: "env:OS", Loadbalancer: lbID, Endpoint: "ftp://lb.example"}, []string{"endpoint"}},
		"other kind":  {&pb.SettingStep{}, []string{""}},
	} {
		problems := octavia.New(octavia.Config{}).CheckTarget(c.msg)
		if got := paths(problems); !slices.Equal(got, c.want) {
			t.Errorf("%s: problems %v, want at %q", name, problems, c.want)
		}
		for _, p := range problems {
			if strings.Contains(p.Message, "hunter2") || strings.Contains(p.Message, "pw") {
				t.Errorf("%s: %q shows what may be a secret", name, p.Message)
			}
		}
	}
}

func TestRender(t *testing.T) {
	params, err := proto.Marshal(pools(map[string]string{addressA: poolA, addressB: strings.ToUpper(poolB)}))
	if err != nil {
		t.Fatal(err)
	}
	kind, step := octavia.New(octavia.Config{}), fsm.Step{Name: "lb", Params: params}
	v, err := kind.Render(step, actuators.Facts{To: addressB})
	if err != nil || v.Wanted != "listener "+listenerID+" → pool "+poolB+" (10.0.2.20:6379)" || v.Step != "lb" {
		t.Errorf("rendered %+v, %v", v, err)
	}
	if _, err := kind.Render(step, actuators.Facts{To: "10.0.9.9:6379"}); !actuators.Explain(err).Permanent {
		t.Errorf("an address without pool: %v, want a permanent error", err)
	}
}

// TestOpen names what does not resolve, and no value.
func TestOpen(t *testing.T) {
	for name, c := range map[string]struct{ credentials, cloud, want string }{
		"no file":      {"file:/nowhere/clouds.yaml", "", "file:/nowhere/clouds.yaml"},
		"no variable":  {"env:CLOUDS", "", "neither CLOUDS nor CLOUDS_AUTH_URL is set"},
		"which cloud":  {"file:" + clouds(t), "", `holds the clouds ["other" "ovh"]`},
		"no cloud":     {"file:" + clouds(t), "gone", `want "gone"`},
		"not yaml":     {"file:" + write(t, "{"+secret), "", "not a clouds.yaml"},
		"not clouds":   {"file:" + write(t, "- "+secret), "", "not a clouds.yaml"},
		"other fields": {"file:" + write(t, "clouds: {a: {auth: {auth_url: x, password: "+secret+"}}}"), "", "auth_url: not an http(s) URL"},
	} {
		params, err := proto.Marshal(&pb.OctaviaTarget{Credentials: c.credentials, Cloud: c.cloud, Loadbalancer: lbID})
		if err != nil {
			t.Fatal(err)
		}
		kind := octavia.New(octavia.Config{Getenv: func(string) string { return "" }})
		_, err = kind.Open(fsm.TargetSpec{ID: "lb-par", Params: params}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "target lb-par") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := t.TempDir() + "/clouds.yaml"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
