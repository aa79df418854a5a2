package shopify_test

import (
	"testing"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	cloud "github.com/pointsman/pointsman/test/clouds/shopify"
)

// TestConformance runs the suite, with that of class fenced, over both ways to
// log in and over every behaviour of Shopify's that changes what an answer
// looks like.
func TestConformance(t *testing.T) {
	for name, turn := range map[string]func(*cloud.Knobs){
		"default":                func(*cloud.Knobs) {},
		"fields of the future":   func(k *cloud.Knobs) { k.StrangerFields = true },
		"throttled by 429":       func(k *cloud.Knobs) { k.Throttle = cloud.ThrottleStatus },
		"costs nothing":          func(k *cloud.Knobs) { k.CostForm = cloud.CostNone },
		"digests new each time":  func(k *cloud.Knobs) { k.DigestForm = cloud.DigestWrite },
		"values told sorted":     func(k *cloud.Knobs) { k.ValueForm = cloud.ValueSorted },
		"values told spaced":     func(k *cloud.Knobs) { k.ValueForm = cloud.ValueSpaced },
		"errors as a list":       func(k *cloud.Knobs) { k.ErrorsForm = cloud.ErrorsList },
		"errors as an object":    func(k *cloud.Knobs) { k.ErrorsForm = cloud.ErrorsObject },
		"good errors are null":   func(k *cloud.Knobs) { k.GoodErrors = cloud.GoodErrorsNull },
		"good errors are empty":  func(k *cloud.Knobs) { k.GoodErrors = cloud.GoodErrorsEmpty },
		"a newer version serves": func(k *cloud.Knobs) { k.Oldest = "2027-01" },
	} {
		t.Run(name, func(t *testing.T) {
			actuatortest.Run(t, func(t *testing.T) actuatortest.World { return newLab(t, static, turn).world() })
		})
	}
	t.Run("granted", func(t *testing.T) {
		actuatortest.Run(t, func(t *testing.T) actuatortest.World { return newLab(t, granted).world() })
	})
	t.Run("refreshed", func(t *testing.T) {
		actuatortest.Run(t, func(t *testing.T) actuatortest.World { return newLab(t, refreshed).world() })
	})
}
