package ovhip_test

import (
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	cloud "github.com/pointsman/pointsman/test/clouds/ovh"
)

// TestConformance runs the suite over every behaviour that OVH's public material
// leaves open and that a whole life of an action can be seen under, one at a
// time, and over the worst of them together. How tasks fail is in trouble_test.go.
func TestConformance(t *testing.T) {
	for name, turn := range map[string]func(*cloud.IPKnobs){
		"default":                    func(*cloud.IPKnobs) {},
		"instant":                    func(k *cloud.IPKnobs) { k.Todo, k.Doing = 0, 0 },
		"slow":                       func(k *cloud.IPKnobs) { k.Todo, k.Doing = time.Minute, 4*time.Minute },
		"moved when begun":           func(k *cloud.IPKnobs) { k.Early = true },
		"second move: 409":           func(k *cloud.IPKnobs) { k.Second = cloud.IPSecondConflict },
		"second move: 400":           func(k *cloud.IPKnobs) { k.Second = cloud.IPSecondRefuse },
		"same service refused":       func(k *cloud.IPKnobs) { k.Same = cloud.IPSameRefuse },
		"families are null":          func(k *cloud.IPKnobs) { k.Destinations = cloud.IPNulls },
		"no list of destinations":    func(k *cloud.IPKnobs) { k.Destinations = cloud.IPOff },
		"empty list of destinations": func(k *cloud.IPKnobs) { k.Destinations = cloud.IPForeseen },
		"tasks shown late":           func(k *cloud.IPKnobs) { k.TaskLag, k.ListLag = 5*time.Second, 5*time.Second },
		"tasks vanish":               func(k *cloud.IPKnobs) { k.TTL = time.Nanosecond },
		"the worst together": func(k *cloud.IPKnobs) {
			k.TaskLag, k.ListLag, k.TTL = 4*time.Second, 4*time.Second, time.Nanosecond
			k.Second, k.Same, k.Destinations = cloud.IPSecondRefuse, cloud.IPSameRefuse, cloud.IPNulls
		},
	} {
		t.Run(name, func(t *testing.T) {
			actuatortest.Run(t, func(t *testing.T) actuatortest.World { return newLab(t, turn).world() })
		})
	}
}
