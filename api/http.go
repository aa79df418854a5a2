package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of the HTTP transport. Streams and long polls outlast them: there the
// gateway gives each write a deadline of its own.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second // of a whole request
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHTTPHeaders = 16 << 10 // bytes of a request's header
)

// NewHTTPServer makes an HTTP server with bounds, which serves Handler.
func (s *Server) NewHTTPServer() *http.Server {
	return &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHTTPHeaders - readAhead,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// readAhead is what net/http reads beyond MaxHeaderBytes before it refuses.
const readAhead = 4 << 10

// Handler serves the contract as JSON, and what probes and Prometheus ask for:
//
//	/v1/      every method of the contract; /v1/openapi.json describes it
//	/livez    200 while the process answers
//	/readyz   200 when this node can serve; 503 with the reasons. ?verbose lists every check
//	/leader   200 on the leader alone; 503 elsewhere, naming the leader
//	/metrics  the registry
//
// A leader that was paused may answer /leader with 200 for up to one lease time.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /leader", s.leader)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry, MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Past the mux, which would redirect a path that it takes for unclean.
		if r.URL.Path+"/" == prefix || strings.HasPrefix(r.URL.Path, prefix) {
			s.gateway.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// How a check went.
const (
	passed = '+'
	warned = '!' // serves, with less in reserve than it should have
	failed = '-' // makes the node not ready
)

// check is one line of /readyz.
type check struct {
	sign         rune
	name, detail string
}

// checks says whether this node can serve. A node that is not fit to lead
// still serves and forwards, so that warns and does not fail.
func (s *Server) checks() []check {
	state, _ := s.cfg.Log.Watch()
	st := s.cfg.Log.Status()
	leader := check{passed, "leader", fmt.Sprintf("%s, term %d", st.Leader, st.Term)}
	if st.Leader == "" {
		leader.sign, leader.detail = failed, fmt.Sprintf("none known for %s, term %d", st.LastContact.Round(time.Millisecond), st.Term)
	}
	cluster := check{passed, "state", fmt.Sprintf("cluster %s, index %d", state.Cluster(), state.Index())}
	if state.Cluster() == "" {
		cluster.sign, cluster.detail = failed, "the log has not told this node its cluster yet"
	}
	lead := check{passed, "fit-to-lead", "yes"}
	if len(st.Degraded) > 0 {
		lead.sign, lead.detail = warned, strings.Join(st.Degraded, "; ")
	}
	running := check{passed, "running", "yes"}
	select {
	case <-s.done:
		running.sign, running.detail = failed, "this node stops"
	default:
	}
	return []check{leader, cluster, lead, running}
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	verbose := r.URL.Query().Has("verbose")
	code, text := http.StatusOK, ""
	for _, c := range s.checks() {
		if c.sign == failed {
			code = http.StatusServiceUnavailable
		}
		if verbose || c.sign == failed {
			text += fmt.Sprintf("[%c] %s: %s\n", c.sign, c.name, c.detail)
		}
	}
	if code == http.StatusOK {
		text += "ready\n"
	}
	answer(w, code, text)
}

func (s *Server) leader(w http.ResponseWriter, _ *http.Request) {
	st := s.cfg.Log.Status()
	switch {
	case st.Leads():
		answer(w, http.StatusOK, fmt.Sprintf("%s leads in term %d\n", st.Node, st.Term))
	case st.Leader == "":
		answer(w, http.StatusServiceUnavailable, "no leader is known\n")
	default:
		answer(w, http.StatusServiceUnavailable, fmt.Sprintf("%s at %s leads\n", st.Leader, st.LeaderAddress))
	}
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text))
}
