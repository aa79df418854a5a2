package api

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// metrics counts what calls do, and reads everything else from the state and
// the status at each scrape, so that no gauge can drift from the truth.
type metrics struct {
	server       *Server
	requests     *prometheus.CounterVec
	seconds      *prometheus.HistogramVec
	streams      *prometheus.GaugeVec
	forwarded    *prometheus.CounterVec
	checkpoints  *prometheus.CounterVec
	httpRequests *prometheus.CounterVec
	httpStreams  *prometheus.GaugeVec
	gauges       map[string]described
}

// described is a gauge as the registry knows it.
type described struct {
	desc *prometheus.Desc
	sort prometheus.ValueType
}

func newMetrics(s *Server) (*metrics, error) {
	m := &metrics{
		server: s,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pointsman_grpc_requests_total", Help: "Calls answered, streams included when they end.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pointsman_grpc_request_seconds", Help: "Time from a call's arrival to its answer, or a stream's life.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method"}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pointsman_grpc_streams", Help: "Streams open now.",
		}, []string{"method"}),
		forwarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pointsman_grpc_forwarded_total", Help: "Calls that this node passed on to the leader.",
		}, []string{"method"}),
		checkpoints: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pointsman_lease_checkpoints_total", Help: "Checkpoints that workers had this node save, by what became of them.",
		}, []string{"result"}),
		httpRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pointsman_http_requests_total", Help: "Requests under /v1 answered, streams included when they end.",
		}, []string{"method", "route", "code"}),
		httpStreams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pointsman_http_streams", Help: "Streams and long polls under /v1 open now.",
		}, []string{"sort"}),
		gauges: map[string]described{},
	}
	for _, g := range stateGauges() {
		m.gauges[g.name] = described{prometheus.NewDesc(g.name, g.help, g.labels, nil), g.sort}
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.streams, m.forwarded, m.checkpoints, m.httpRequests, m.httpStreams, m} {
		if err := s.registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) finished(method string, code codes.Code, took time.Duration) {
	m.requests.WithLabelValues(method, code.String()).Inc()
	m.seconds.WithLabelValues(method).Observe(took.Seconds())
}

// saved counts a checkpoint that somebody asked to save.
func (m *metrics) saved(err error) {
	result := "saved"
	switch {
	case errors.Is(err, fsm.ErrFenced):
		result = "fenced"
	case errors.Is(err, fsm.ErrVersion):
		result = "version"
	case err != nil:
		result = "failed"
	}
	m.checkpoints.WithLabelValues(result).Inc()
}

// httpDone counts a request by its route, not its path, and by a known method:
// a caller must not make series.
func (m *metrics) httpDone(c *call, w *countedWriter) {
	route, method, code := c.route, c.method, w.code
	if route == "" {
		route, method = "none", "any"
	}
	if code == 0 {
		code = httpGone
	}
	m.httpRequests.WithLabelValues(method, route, strconv.Itoa(code)).Inc()
}

// httpGone stands for a caller that left before its answer.
const httpGone = 499

// gauge is one metric that is read from the state or the status.
type gauge struct {
	name, help string
	sort       prometheus.ValueType
	labels     []string
}

// stateGauges lists them; docs/metrics.md must have each.
func stateGauges() []gauge {
	const up, total = prometheus.GaugeValue, prometheus.CounterValue
	return []gauge{
		{"pointsman_build_info", "1, with the program's version.", up, []string{"version"}},
		{"pointsman_uptime_seconds", "Time since this process began.", up, nil},
		{"pointsman_node_degraded", "Reasons why this node is not fit to lead; 0 when it is.", up, nil},
		{"pointsman_disk_free_bytes", "Free bytes of the data folder's file system.", up, nil},
		{"pointsman_disk_floor_bytes", "Free bytes below which this node takes on no leadership.", up, nil},
		{"pointsman_raft_leader", "1 when this node leads.", up, nil},
		{"pointsman_raft_role", "1 for the role that this node has.", up, []string{"role"}},
		{"pointsman_raft_term", "Raft term of this node.", up, nil},
		{"pointsman_raft_last_index", "Index of the last entry in this node's log.", up, nil},
		{"pointsman_raft_commit_index", "Index up to which this node's log is committed.", up, nil},
		{"pointsman_raft_snapshot_index", "Index of this node's newest snapshot.", up, nil},
		{"pointsman_raft_has_leader", "1 when this node knows a leader.", up, nil},
		{"pointsman_raft_last_contact_seconds", "Time since this node heard the leader; 0 on the leader.", up, nil},
		{"pointsman_raft_voters", "Voters in the configuration.", up, nil},
		{"pointsman_state_index", "Log index of the last command in this node's state.", up, nil},
		{"pointsman_log_clock_seconds", "Log clock of the last command.", up, nil},
		{"pointsman_spec_revision", "Revision of the spec; 0 before the first.", up, nil},
		{"pointsman_masters", "Masters in the spec.", up, nil},
		{"pointsman_master_failovers_total", "Failovers ever accepted for a master.", total, []string{"master"}},
		{"pointsman_master_epoch", "Sentinel config-epoch that was accepted last for a master.", up, []string{"master"}},
		{"pointsman_failovers", "Failovers kept, by how they stand.", up, []string{"state"}},
		{"pointsman_actions", "Actions kept, by how they stand.", up, []string{"state"}},
		{"pointsman_actions_in_doubt", "Actions of which a request got no clear answer yet.", up, nil},
		{"pointsman_action_oldest_open_seconds", "Log clock since the oldest open action was planned; 0 when none is open.", up, nil},
		{"pointsman_scores", "Observed actions whose scores are kept, by what became of their objects; only results that are.", up, []string{"master", "result"}},
		{"pointsman_objects_busy", "Objects that a claim keeps busy.", up, nil},
		{"pointsman_objects_drifted", "Objects found other than the last done action left them.", up, nil},
		{"pointsman_settings", "Settings kept.", up, nil},
		{"pointsman_settings_bytes", "Bytes of the keys and values of all settings.", up, nil},
		{"pointsman_settings_limit_bytes", "Bytes beyond which a put that makes the settings larger is refused.", up, nil},
		{"pointsman_master_state", "1 for the built-in state of a master: ok, failing_over or degraded; missing before it is first known.", up, []string{"master", "state"}},
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range m.gauges {
		out <- d.desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	state, _ := m.server.cfg.Log.Watch()
	st := m.server.cfg.Log.Status()
	values := sample{m: m, out: out}
	values.node(st)
	values.state(state)
	values.actions(state, max(st.Clock, state.Clock()))
}

// sample sends the values of one scrape.
type sample struct {
	m   *metrics
	out chan<- prometheus.Metric
}

func (s sample) put(name string, value float64, labels ...string) {
	g := s.m.gauges[name]
	s.out <- prometheus.MustNewConstMetric(g.desc, g.sort, value, labels...)
}

func (s sample) node(st Status) {
	s.put("pointsman_build_info", 1, st.Version)
	s.put("pointsman_uptime_seconds", st.Uptime.Seconds())
	s.put("pointsman_node_degraded", float64(len(st.Degraded)))
	s.put("pointsman_disk_free_bytes", float64(st.DiskFree))
	s.put("pointsman_disk_floor_bytes", float64(st.DiskFloor))
	s.put("pointsman_raft_leader", one(st.Leads()))
	for n := range pointsmanv1.NodeRole_name {
		if role := pointsmanv1.NodeRole(n); n != 0 {
			s.put("pointsman_raft_role", one(st.Role == role), word(role, "NODE_ROLE_"))
		}
	}
	s.put("pointsman_raft_term", float64(st.Term))
	s.put("pointsman_raft_last_index", float64(st.LastIndex))
	s.put("pointsman_raft_commit_index", float64(st.CommitIndex))
	s.put("pointsman_raft_snapshot_index", float64(st.SnapshotIndex))
	s.put("pointsman_raft_has_leader", one(st.Leader != ""))
	s.put("pointsman_raft_last_contact_seconds", st.LastContact.Seconds())
	s.put("pointsman_raft_voters", float64(len(st.Voters)))
}

func (s sample) state(state fsm.State) {
	s.put("pointsman_state_index", float64(state.Index()))
	s.put("pointsman_log_clock_seconds", time.Duration(state.Clock()).Seconds())
	s.put("pointsman_spec_revision", float64(state.Spec().Revision))
	s.put("pointsman_masters", float64(len(state.Spec().Masters)))
	s.put("pointsman_objects_busy", float64(len(state.Objects())))
	s.put("pointsman_objects_drifted", float64(len(state.Drifts())))
	s.put("pointsman_settings", float64(len(state.Settings(""))))
	s.put("pointsman_settings_bytes", float64(state.Stored()))
	s.put("pointsman_settings_limit_bytes", fsm.MaxStoredBytes)
	for _, c := range state.Conditions() {
		for _, w := range []fsm.Word{fsm.StateOK, fsm.StateFailingOver, fsm.StateDegraded} {
			s.put("pointsman_master_state", one(c.Word == w), string(c.Master), w.String())
		}
	}
	for _, m := range state.Masters() {
		s.put("pointsman_master_failovers_total", float64(m.Number), string(m.ID))
		s.put("pointsman_master_epoch", float64(m.Epoch), string(m.ID))
	}
	failovers := map[pointsmanv1.FailoverState]int{}
	for _, f := range state.Failovers("") {
		failovers[failoverState(state.Actions(f.ID))]++
	}
	for n := range pointsmanv1.FailoverState_name {
		if v := pointsmanv1.FailoverState(n); n != 0 {
			s.put("pointsman_failovers", float64(failovers[v]), word(v, "FAILOVER_STATE_"))
		}
	}
}

func (s sample) actions(state fsm.State, now fsm.Clock) {
	actions := map[pointsmanv1.ActionState]int{}
	doubt := 0
	oldest := now
	scores := map[[2]string]int{}
	for _, a := range state.AllActions() {
		actions[actionState(a.Phase)]++
		if w, ok := state.ScoreOf(a); ok {
			scores[[2]string{string(a.For.Master), w.String()}]++
		}
		if a.Doubt {
			doubt++
		}
		if !a.Phase.Final() {
			oldest = min(oldest, a.Created)
		}
	}
	for n := range pointsmanv1.ActionState_name {
		if v := pointsmanv1.ActionState(n); n != 0 {
			s.put("pointsman_actions", float64(actions[v]), word(v, "ACTION_STATE_"))
		}
	}
	for labels, n := range scores {
		s.put("pointsman_scores", float64(n), labels[:]...)
	}
	s.put("pointsman_actions_in_doubt", float64(doubt))
	s.put("pointsman_action_oldest_open_seconds", time.Duration(now-oldest).Seconds())
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
