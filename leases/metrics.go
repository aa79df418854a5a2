package leases

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/fsm"
)

// meters are the metrics of the engine; docs/metrics.md tells what they mean.
type meters struct {
	renewals *prometheus.CounterVec
	fenced   prometheus.Counter
	barriers prometheus.Counter
	delay    prometheus.Histogram
	skew     prometheus.Histogram
	moves    *prometheus.CounterVec
	expired  prometheus.Counter
	drains   *prometheus.HistogramVec
	sessions *prometheus.GaugeVec
	parts    *prometheus.GaugeVec
}

func newMeters(r prometheus.Registerer) *meters {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "pointsman_lease_" + name, Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Name: "pointsman_lease_" + name, Help: help}
	}
	m := &meters{
		renewals: prometheus.NewCounterVec(counter("renewals_total", "Renewals by workers, by what became of them."), []string{"result"}),
		fenced:   prometheus.NewCounter(counter("fenced_total", "Grants that a worker named in a renewal and did not hold any more.")),
		barriers: prometheus.NewCounter(counter("barriers_total", "Barriers that confirmed renewals.")),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pointsman_lease_confirm_seconds", Help: "From the arrival of a renewal to the barrier that confirmed it.",
			Buckets: []float64{.005, .02, .05, .1, .2, .3, .4, .6, 1, 2, 5},
		}),
		skew: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pointsman_lease_clock_skew_ratio", Help: "How much faster or slower a worker's clock ran than this leader's, over a minute, of workers that tell.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2},
		}),
		moves:   prometheus.NewCounterVec(counter("moves_total", "Partitions that came to another state, by pool and state, whoever asked for it, as this leader saw it."), []string{"pool", "to"}),
		expired: prometheus.NewCounter(counter("expired_total", "Sessions whose ttl ran out.")),
		drains: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pointsman_lease_drain_seconds", Help: "How long partitions drained, by the state that ended it.",
			Buckets: []float64{.1, .25, .5, 1, 2, 5, 10, 20, 60, 300},
		}, []string{"to"}),
		sessions: prometheus.NewGaugeVec(gauge("sessions", "Open sessions, by pool. Of the leader; other nodes have none."), []string{"pool"}),
		parts:    prometheus.NewGaugeVec(gauge("partitions", "Partitions that were granted at least once, by pool and state. Of the leader; other nodes have none."), []string{"pool", "state"}),
	}
	if r != nil {
		r.MustRegister(m.renewals, m.fenced, m.barriers, m.delay, m.skew, m.moves, m.expired, m.drains, m.sessions, m.parts)
	}
	return m
}

// renewed counts a renewal that was answered.
func (m *meters) renewed(err error) {
	result := "ok"
	switch {
	case errors.Is(err, ErrNotLeading):
		result = "not_leader"
	case errors.Is(err, ErrNoSession):
		result = "no_session"
	case errors.Is(err, ErrFull):
		result = "full"
	}
	m.renewals.WithLabelValues(result).Inc()
}

// standing is where the partitions and sessions of pools stand.
type standing struct {
	pool  fsm.PoolID
	state fsm.LeaseState
}

func (m *meters) stand(sessions map[fsm.PoolID]int, parts map[standing]int) {
	m.stop()
	for id, n := range sessions {
		m.sessions.WithLabelValues(string(id)).Set(float64(n))
	}
	for at, n := range parts {
		m.parts.WithLabelValues(string(at.pool), at.state.String()).Set(float64(n))
	}
}

// stop takes back what only a leader knows.
func (m *meters) stop() {
	m.sessions.Reset()
	m.parts.Reset()
}
