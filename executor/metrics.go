package executor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/fsm"
)

type meters struct {
	running  prometheus.Gauge
	settles  *prometheus.CounterVec
	requests *prometheus.HistogramVec
	lookAge  *prometheus.GaugeVec
	notes    *prometheus.CounterVec
}

func newMeters(r prometheus.Registerer) *meters {
	m := &meters{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pointsman_executor_attempts_running", Help: "Attempts at actions that run now on this node.",
		}),
		settles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pointsman_executor_settled_total", Help: "Attempts that this node settled, by kind, phase and whether in doubt.",
		}, []string{"kind", "phase", "doubt"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pointsman_executor_act_seconds", Help: "Length of the calls that may change an object.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 13),
		}, []string{"kind"}),
		lookAge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pointsman_executor_drift_look_age_seconds",
			Help: "How long ago the object of the target that waits longest was looked at for drift; leader only.",
		}, []string{"target"}),
		notes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pointsman_executor_state_notes_total", Help: "Notes of masters' states that this node brought into the log, by what was seen: calm, coming, down, late.",
		}, []string{"sight"}),
	}
	if r != nil {
		r.MustRegister(m.running, m.settles, m.requests, m.lookAge, m.notes)
	}
	return m
}

func (m *meters) settled(a fsm.Action, c fsm.Settle) {
	doubt := "no"
	if c.Doubt {
		doubt = "yes"
	}
	m.settles.WithLabelValues(a.Step.Kind, c.To.String(), doubt).Inc()
}

func (m *meters) acted(a fsm.Action, d time.Duration) {
	m.requests.WithLabelValues(a.Step.Kind).Observe(d.Seconds())
}

// looked sets the ages of all targets; one that was there before and is not now
// goes. A scrape in between finds every target that stays.
func (m *meters) looked(before, now map[fsm.TargetID]time.Duration) {
	for target, age := range now {
		m.lookAge.WithLabelValues(string(target)).Set(age.Seconds())
	}
	for target := range before {
		if _, stays := now[target]; !stays {
			m.lookAge.DeleteLabelValues(string(target))
		}
	}
}
