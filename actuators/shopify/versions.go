package shopify

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
)

// versions remembers which version of the API answers each target, and is a
// metric where that is not the one asked for.
type versions struct {
	mu sync.Mutex // guards differs
	// differs holds at most one entry for each target that this process has opened.
	differs map[fsm.TargetID]difference
}

type difference struct{ asked, answered string }

func newVersions() *versions { return &versions{differs: map[fsm.TargetID]difference{}} }

func (v *versions) note(t fsm.TargetID, asked, answered string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if asked == answered {
		delete(v.differs, t)
		return
	}
	v.differs[t] = difference{asked, wire.Cut(answered, 32)}
}

func (v *versions) desc() *prometheus.Desc {
	return prometheus.NewDesc("pointsman_shopify_version_differs",
		"1 for a shop that answers by another version of its API than the spec asks for; missing where it does not.",
		[]string{"target", "asked", "answered"}, nil)
}

var _ prometheus.Collector = (*Kind)(nil)

// Describe implements prometheus.Collector.
func (k *Kind) Describe(out chan<- *prometheus.Desc) {
	out <- k.versions.desc()
	out <- k.counts.desc()
}

// Collect implements prometheus.Collector.
func (k *Kind) Collect(out chan<- prometheus.Metric) {
	k.versions.collect(out)
	k.counts.collect(out)
}

func (v *versions) collect(out chan<- prometheus.Metric) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for t, d := range v.differs {
		out <- prometheus.MustNewConstMetric(v.desc(), prometheus.GaugeValue, 1, string(t), d.asked, d.answered)
	}
}
