package work

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the metrics of a worker; docs/metrics.md tells what they mean.
type meters struct {
	handled                       *prometheus.CounterVec
	calls                         *prometheus.HistogramVec
	retries                       prometheus.Counter
	skipped                       *prometheus.CounterVec
	fenced                        prometheus.Counter
	given                         prometheus.Counter
	lag                           prometheus.Histogram
	oldest                        *prometheus.GaugeVec
	waiting                       *prometheus.GaugeVec
	held                          *prometheus.GaugeVec
	full                          *prometheus.GaugeVec
	unread                        *prometheus.GaugeVec
	absent                        *prometheus.GaugeVec
	damaged                       *prometheus.GaugeVec
	abandoned                     prometheus.Counter
	breaker                       prometheus.Gauge
	commits                       *prometheus.HistogramVec
	errors                        *prometheus.CounterVec
	redacted, unredacted, removed prometheus.Counter
}

func newMeters(r prometheus.Registerer) *meters {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "pointsman_webhook_work_" + name, Help: help}
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "pointsman_webhook_work_" + name, Help: help}, []string{"partition"})
	}
	seconds := prometheus.ExponentialBuckets(0.001, 2.5, 14)
	m := &meters{
		handled: prometheus.NewCounterVec(counter("handled_total", "Events finished, by outcome: done, dead, redacted."), []string{"outcome"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pointsman_webhook_work_call_seconds",
			Help: "Length of the handler's calls, by what they answered.", Buckets: seconds}, []string{"result"}),
		retries: prometheus.NewCounter(counter("retries_total", "Calls that failed and are made again.")),
		skipped: prometheus.NewCounterVec(counter("skipped_total", "Events that were not handed out, by reason: duplicate of a finished one, quarantine for another body under the same id."), []string{"reason"}),
		fenced:  prometheus.NewCounter(counter("fenced_total", "Completions that were refused since the partition is another's by now.")),
		given:   prometheus.NewCounter(counter("uncommitted_total", "Completions that were given up, uncommitted, when a lease was lost.")),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "pointsman_webhook_work_lag_seconds",
			Help: "From an event's arrival, by the receiver's clock, to its completion.", Buckets: prometheus.ExponentialBuckets(0.01, 3, 14)}),
		oldest:    gauge("oldest_seconds", "Age of the oldest event that is read and not finished."),
		waiting:   gauge("waiting", "Events that are read and not finished."),
		held:      gauge("shops_waiting", "Shops that are paused, back off, or have used up their rate."),
		full:      gauge("full", "1 when no more is read since too many events wait."),
		unread:    gauge("unread_segments", "Segments of all partitions that lie ahead and are listed."),
		absent:    gauge("missing_segments", "Numbers of segments that were not seen and are looked for again."),
		damaged:   gauge("damaged_segments", "Segments that cannot be decoded, and are tried again."),
		abandoned: prometheus.NewCounter(counter("abandoned_segments_total", "Missing numbers that are looked for no more, after a day or since there are too many.")),
		breaker:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "pointsman_webhook_work_breaker_open", Help: "1 while the handler is not called since it fails everything."}),
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pointsman_webhook_work_commit_seconds",
			Help: "Length of commits, by result.", Buckets: seconds}, []string{"result"}),
		redacted:   prometheus.NewCounter(counter("redacted_bodies_total", "Bodies that were taken out of the buffer on request.")),
		unredacted: prometheus.NewCounter(counter("redact_failures_total", "Redact requests that cannot be carried out in the buffer.")),
		removed:    prometheus.NewCounter(counter("removed_segments_total", "Segments that were removed, finished and old.")),
		errors:     prometheus.NewCounterVec(counter("store_errors_total", "Failed requests to the buffer's store, by operation."), []string{"operation"}),
	}
	if r != nil {
		r.MustRegister(m.handled, m.calls, m.retries, m.skipped, m.fenced, m.given, m.lag, m.oldest, m.waiting, m.held, m.full,
			m.unread, m.absent, m.damaged, m.abandoned, m.breaker, m.commits, m.errors, m.redacted, m.unredacted, m.removed)
	}
	return m
}

func (m *meters) failed(operation string) { m.errors.WithLabelValues(operation).Inc() }

func (m *meters) called(result string, took time.Duration) {
	m.calls.WithLabelValues(result).Observe(took.Seconds())
}

func (m *meters) finished(outcome string, arrived time.Time) {
	m.handled.WithLabelValues(outcome).Inc()
	m.lag.Observe(max(time.Since(arrived), 0).Seconds())
}

// standing is how a partition stands.
type standing struct {
	oldest                         time.Duration
	waiting, held, absent, damaged int
	unread                         uint64
	full                           bool
}

func (m *meters) stand(partition uint32, s standing) {
	p := strconv.FormatUint(uint64(partition), 10)
	full := 0.0
	if s.full {
		full = 1
	}
	m.oldest.WithLabelValues(p).Set(s.oldest.Seconds())
	m.waiting.WithLabelValues(p).Set(float64(s.waiting))
	m.held.WithLabelValues(p).Set(float64(s.held))
	m.full.WithLabelValues(p).Set(full)
	m.unread.WithLabelValues(p).Set(float64(s.unread))
	m.absent.WithLabelValues(p).Set(float64(s.absent))
	m.damaged.WithLabelValues(p).Set(float64(s.damaged))
}

// leave takes back what only the holder knows.
func (m *meters) leave(partition uint32) {
	p := strconv.FormatUint(uint64(partition), 10)
	for _, g := range []*prometheus.GaugeVec{m.oldest, m.waiting, m.held, m.full, m.unread, m.absent, m.damaged} {
		g.DeleteLabelValues(p)
	}
}

func (m *meters) broken(open bool) {
	if open {
		m.breaker.Set(1)
	} else {
		m.breaker.Set(0)
	}
}
