package octavia_test

import (
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	cloud "github.com/pointsman/pointsman/test/clouds/octavia"
)

// TestConformance runs the suite over the behaviours that a whole life of an
// action can be seen under. The others are in the table of knobs.
func TestConformance(t *testing.T) {
	for name, turn := range map[string]func(*cloud.Knobs){
		"default":           func(*cloud.Knobs) {},
		"instant":           func(k *cloud.Knobs) { k.Provision = 0 },
		"slow":              func(k *cloud.Knobs) { k.Provision = 5 * time.Minute },
		"shown late":        func(k *cloud.Knobs) { k.Shows = cloud.ShowsActive },
		"no body":           func(k *cloud.Knobs) { k.PutAnswer = cloud.PutEmpty },
		"outdated body":     func(k *cloud.Knobs) { k.PutAnswer = cloud.PutOld },
		"short tokens":      func(k *cloud.Knobs) { k.TokenTTL = 8 * time.Second }, // a held write does not outlive a shorter one
		"errors as objects": func(k *cloud.Knobs) { k.ErrorForm = cloud.FormError },
		"texts may be null": func(k *cloud.Knobs) { k.NullText = true },
		"clock a day off":   func(k *cloud.Knobs) { k.ClockSkew = -24 * time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			actuatortest.Run(t, func(t *testing.T) actuatortest.World { return newLab(t, turn).world() })
		})
	}
}
