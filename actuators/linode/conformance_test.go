package linode_test

import (
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators/actuatortest"
	cloud "github.com/pointsman/pointsman/test/clouds/linode"
)

// TestConformance runs the suite over behaviours that Linode's public material
// leaves open, and over the worst of them together. Reads that are old are left
// to the knobs' own test: the suite looks right after a write.
func TestConformance(t *testing.T) {
	for name, turn := range map[string]func(*cloud.Knobs){
		"default":          func(*cloud.Knobs) {},
		"slow to follow":   func(k *cloud.Knobs) { k.Propagation = time.Minute },
		"a node on a page": func(k *cloud.Knobs) { k.PageMost, k.Order = 1, cloud.OrderReverse },
		"the worst together": func(k *cloud.Knobs) {
			k.ContentType, k.ErrorField, k.RequestID, k.ExtraFields = cloud.TypeText, cloud.FieldNull, true, true
			k.PutReplaces, k.PutAnswer, k.LabelLower, k.NoSubnetPut = true, cloud.PutOld, true, true
			k.StatusWords, k.PageMost, k.Order = cloud.WordsNone, 2, cloud.OrderShuffled
		},
	} {
		for _, where := range []in{privateNetwork, vpc} {
			t.Run(name+map[in]string{vpc: ", in a VPC"}[where], func(t *testing.T) {
				actuatortest.Run(t, func(t *testing.T) actuatortest.World { return newLab(t, where, turn).world() })
			})
		}
	}
}
