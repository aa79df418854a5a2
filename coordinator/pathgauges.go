package coordinator

import (
	"github.com/prometheus/client_golang/prometheus"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// pathMeters counts looks through data paths, and reads what stands at each scrape.
type pathMeters struct {
	p     *paths
	looks *prometheus.CounterVec
}

func newPathMeters(r prometheus.Registerer, p *paths) *pathMeters {
	m := &pathMeters{p: p, looks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pointsman_probe_looks_total", Help: "Looks of this node through data paths, by what they met.",
	}, []string{"state"})}
	for _, s := range []pointsmanv1.ProbeState{pathUnknown, pathOK, pathOther, pathNotMaster, pathUnreachable} {
		m.looks.WithLabelValues(pathWord(s))
	}
	r.MustRegister(m.looks, m)
	return m
}

func (m *pathMeters) count(s pointsmanv1.ProbeState) { m.looks.WithLabelValues(pathWord(s)).Inc() }

func pathOKDesc() *prometheus.Desc {
	return prometheus.NewDesc("pointsman_probe_ok", "1 when this node reaches the master through a step's data path, 0 when it meets something else; missing while that is not known.", []string{"master", "step"}, nil)
}

func pathSinceDesc() *prometheus.Desc {
	return prometheus.NewDesc("pointsman_probe_state_seconds", "How long what this node meets on a data path has stood.", []string{"master", "step", "state"}, nil)
}

// Describe implements prometheus.Collector.
func (m *pathMeters) Describe(out chan<- *prometheus.Desc) {
	out <- pathOKDesc()
	out <- pathSinceDesc()
}

// Collect implements prometheus.Collector.
func (m *pathMeters) Collect(out chan<- prometheus.Metric) {
	for _, r := range m.p.own() {
		if r.GetSince() == nil {
			continue
		}
		out <- prometheus.MustNewConstMetric(pathSinceDesc(), prometheus.GaugeValue, span(r.GetSince()).Seconds(), r.GetMaster(), r.GetStep(), pathWord(r.GetState()))
		if r.GetState() == pathUnknown {
			continue
		}
		ok := 0.0
		if r.GetState() == pathOK {
			ok = 1
		}
		out <- prometheus.MustNewConstMetric(pathOKDesc(), prometheus.GaugeValue, ok, r.GetMaster(), r.GetStep())
	}
}
