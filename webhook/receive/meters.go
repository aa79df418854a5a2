package receive

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome is what became of a request.
type outcome string

// Outcomes.
const (
	stored       outcome = "stored"       // 200, the store has it
	spilled      outcome = "spilled"      // 200, this machine's disk has it
	duplicate    outcome = "duplicate"    // 200, was there before
	quarantined  outcome = "quarantined"  // 200, kept aside: the id was there with another body
	badRequest   outcome = "bad_request"  // 400, a header is missing or wrong, or the body broke off
	unauthorized outcome = "unauthorized" // 401, no secret makes this MAC
	unknown      outcome = "unknown"      // 404 and 405
	slow         outcome = "slow"         // 408, the body came too slowly
	tooLarge     outcome = "too_large"    // 413
	busy         outcome = "busy"         // 503, a limit is reached
	unavailable  outcome = "unavailable"  // 503, it could not be kept in time
)

// noApp is the label of requests to no app of ours.
const noApp = "-"

// meters are the metrics of a receiver; docs/metrics.md tells what they mean.
type meters struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	events    prometheus.Histogram
	bytes     prometheus.Histogram
	puts      *prometheus.HistogramVec
	errors    *prometheus.CounterVec
	secrets   *prometheus.CounterVec
	unread    *prometheus.CounterVec
	refused   prometheus.Counter
	spillIn   prometheus.Counter
	shipped   prometheus.Counter
	unspilled *prometheus.CounterVec
	damaged   prometheus.Counter
	undeleted prometheus.Counter
}

func newMeters() *meters {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "pointsman_webhook_" + name, Help: help}
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: "pointsman_webhook_" + name, Help: help, Buckets: buckets}
	}
	times := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 3, 3.5, 5}
	return &meters{
		requests:  prometheus.NewCounterVec(counter("requests_total", "Requests answered, by app and outcome."), []string{"app", "outcome"}),
		seconds:   prometheus.NewHistogramVec(histogram("answer_seconds", "From the end of a request's headers to its answer, by app.", times), []string{"app"}),
		events:    prometheus.NewHistogram(histogram("batch_events", "Events of the segments that were written.", []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024})),
		bytes:     prometheus.NewHistogram(histogram("batch_bytes", "Bytes of the segments that were written.", prometheus.ExponentialBuckets(1024, 4, 9))),
		puts:      prometheus.NewHistogramVec(histogram("put_seconds", "Tries to write a segment, by result.", times), []string{"result"}),
		errors:    prometheus.NewCounterVec(counter("store_errors_total", "Requests to the store that went wrong, by operation."), []string{"operation"}),
		secrets:   prometheus.NewCounterVec(counter("secret_matches_total", "Deliveries verified, by app and the place of the secret in its list."), []string{"app", "secret"}),
		unread:    prometheus.NewCounterVec(counter("secret_read_errors_total", "Times that secrets of an app could not be read again; the last ones stay good."), []string{"app"}),
		refused:   prometheus.NewCounter(counter("connections_refused_total", "Connections closed at once since too many were open.")),
		spillIn:   prometheus.NewCounter(counter("spill_written_total", "Events that were put into the spill.")),
		shipped:   prometheus.NewCounter(counter("spill_shipped_total", "Events of the spill that the store has taken.")),
		unspilled: prometheus.NewCounterVec(counter("spill_refused_total", "Batches that the spill could not take, by reason."), []string{"reason"}),
		damaged:   prometheus.NewCounter(counter("spill_damaged_total", "Files of the spill that are damaged or gone; they are kept aside.")),
		undeleted: prometheus.NewCounter(counter("spill_undeleted_total", "Times that shipped files of the spill could not be deleted; the next start ships them again.")),
	}
}

// register makes the metrics known, and those that are read at each scrape.
func (m *meters) register(to prometheus.Registerer, r *Receiver) error {
	if to == nil {
		return nil
	}
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pointsman_webhook_" + name, Help: help}, read)
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.seconds, m.events, m.bytes, m.puts, m.errors, m.secrets, m.unread, m.refused, m.spillIn, m.shipped, m.unspilled, m.damaged, m.undeleted,
		gauge("requests_in_flight", "Requests that are read or wait for the store.", func() float64 { return float64(r.slots.used()) }),
		gauge("bytes_in_flight", "Bytes of bodies in memory.", func() float64 { return float64(r.memory.used()) }),
		gauge("connections", "Open connections.", func() float64 { return float64(r.connections.used()) }),
		gauge("store_up", "0 after three tries of a write went wrong one after another, until one succeeds; else 1.", func() float64 { return truth(r.breaker.closed()) }),
		gauge("spill_events", "Events in the spill.", func() float64 { return float64(r.spill.standing().events) }),
		gauge("spill_bytes", "Bytes of the spill.", func() float64 { return float64(r.spill.standing().bytes) }),
		gauge("spill_unreadable", "Files of the spill that cannot be read now; others go on, and these are read again every minute.", func() float64 { return float64(r.spill.unreadable()) }),
		gauge("spill_oldest_seconds", "Age of the oldest event in the spill, by this machine's clock; 0 when it is empty.", func() float64 {
			if oldest := r.spill.standing().oldest; !oldest.IsZero() {
				return max(0, time.Since(oldest).Seconds())
			}
			return 0
		}),
	} {
		if err := to.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// answered counts a request.
func (m *meters) answered(app string, o outcome, took time.Duration) {
	m.requests.WithLabelValues(app, string(o)).Inc()
	m.seconds.WithLabelValues(app).Observe(took.Seconds())
}
