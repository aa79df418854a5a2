package coordinator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// placeGauges reads its values at each scrape.
type placeGauges struct{ p *placer }

func reachedDesc() *prometheus.Desc {
	return prometheus.NewDesc("pointsman_target_reached", "1 when this node reaches a target, 0 when it does not; missing until three probes have agreed.", []string{"target"}, nil)
}

func alertsDesc() *prometheus.Desc {
	return prometheus.NewDesc("pointsman_leader_alerts", "1 when this node leads, stands badly, and nobody would be better.", nil, nil)
}

// Describe implements prometheus.Collector.
func (g placeGauges) Describe(out chan<- *prometheus.Desc) {
	out <- reachedDesc()
	out <- alertsDesc()
}

// Collect implements prometheus.Collector.
func (g placeGauges) Collect(out chan<- prometheus.Metric) {
	values := map[verdict]float64{reached: 1, lost: 0}
	for id, c := range g.p.c.prober.contacts() {
		if v, known := values[c.verdict]; known {
			out <- prometheus.MustNewConstMetric(reachedDesc(), prometheus.GaugeValue, v, string(id))
		}
	}
	g.p.mu.Lock()
	alerts := 0.0
	if g.p.decision.alert != "" {
		alerts = 1
	}
	g.p.mu.Unlock()
	out <- prometheus.MustNewConstMetric(alertsDesc(), prometheus.GaugeValue, alerts)
}

// preflightGauges reads its values at each scrape; they are the leader's.
type preflightGauges struct{ p *preflight }

func problemsDesc() *prometheus.Desc {
	return prometheus.NewDesc("pointsman_preflight_problems", "Problems that the leader's last look at a step's object found; missing on other nodes.", []string{"master", "step"}, nil)
}

func preflightAgeDesc() *prometheus.Desc {
	return prometheus.NewDesc("pointsman_preflight_age_seconds", "Time since the leader last looked at the objects of all steps; missing on other nodes.", nil, nil)
}

// Describe implements prometheus.Collector.
func (g preflightGauges) Describe(out chan<- *prometheus.Desc) {
	out <- problemsDesc()
	out <- preflightAgeDesc()
}

// Collect implements prometheus.Collector.
func (g preflightGauges) Collect(out chan<- prometheus.Metric) {
	g.p.mu.Lock()
	found, at := g.p.found, g.p.at
	g.p.mu.Unlock()
	if at.IsZero() {
		return
	}
	for _, f := range found {
		out <- prometheus.MustNewConstMetric(problemsDesc(), prometheus.GaugeValue, float64(len(f.Object)+len(f.Problems)), string(f.Master), f.Step.Name)
	}
	out <- prometheus.MustNewConstMetric(preflightAgeDesc(), prometheus.GaugeValue, time.Since(at).Seconds())
}
