package httpcall_test

import (
	"testing"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/actuatortest"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestConformance runs the suite for every class that a step can declare.
func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		repeat pb.Repeat
		check  string
		class  fsm.Class
	}{
		"keyed":              {pb.Repeat_REPEAT_UNSPECIFIED, "", fsm.Keyed},
		"keyed with a check": {pb.Repeat_REPEAT_KEYED, "/current", fsm.Keyed},
		"readable":           {pb.Repeat_REPEAT_READABLE, "/current", fsm.Readable},
		"blind":              {pb.Repeat_REPEAT_BLIND, "", fsm.Blind},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t, c.repeat, c.check)
			planned, problems := w.Kind.Plan(actuators.StepInput{Master: "cache", Target: "hook", Message: w.Message, TargetMsg: w.TargetOf})
			if planned.Class != c.class || planned.Object != "hook/cache" || len(problems) > 0 {
				t.Fatalf("planned %+v, %v", planned, problems)
			}
			actuatortest.Run(t, func(t *testing.T) actuatortest.World { return world(t, c.repeat, c.check) })
		})
	}
}
