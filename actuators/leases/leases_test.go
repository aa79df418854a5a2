package leases_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/actuators/leases"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestConformance(t *testing.T) {
	actuatortest.Run(t, func(*testing.T) actuatortest.World {
		return actuatortest.World{
			Kind: leases.Kind{}, Name: leases.Name, A: "10.0.1.20:6379", B: "10.0.2.20:6379",
			Message: &pb.LeasesStep{Pool: "webhooks"},
		}
	})
}

func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		in    actuators.StepInput
		paths string
	}{
		"fine":     {actuators.StepInput{Message: &pb.LeasesStep{Pool: "webhooks"}}, "-"},
		"no pool":  {actuators.StepInput{Message: &pb.LeasesStep{}}, "pool"},
		"a target": {actuators.StepInput{Target: "lb", Message: &pb.LeasesStep{Pool: "webhooks"}}, ""},
		"another":  {actuators.StepInput{Message: &pb.SettingStep{}}, ""},
	} {
		planned, problems := leases.Kind{}.Plan(c.in)
		paths := "-"
		for _, p := range problems {
			paths = strings.TrimPrefix(paths, "-") + p.Path
		}
		if paths != c.paths {
			t.Errorf("%s: problems %v", name, problems)
		}
		if c.paths == "-" && (planned.Object != fsm.PoolObject("webhooks") || planned.Class != fsm.InLog) {
			t.Errorf("%s: planned %+v", name, planned)
		}
	}
}

func TestRenderNamesTheNewAddress(t *testing.T) {
	params, err := proto.Marshal(&pb.LeasesStep{Pool: "webhooks"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := leases.Kind{}.Render(fsm.Step{Name: "workers", Params: params}, actuators.Facts{To: "10.0.2.20:6379"})
	if err != nil || v.Wanted != "pool webhooks is granted anew for 10.0.2.20:6379" {
		t.Errorf("%+v, %v", v, err)
	}
}
