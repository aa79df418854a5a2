package ovh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Bounds of the control endpoint.
const (
	// DefaultWait is how long GET /wait waits at most when no timeout is given.
	DefaultWait = 30 * time.Second
	// MaxControlBody bounds a body sent to the control endpoint, in bytes.
	MaxControlBody = 64 << 20
)

// ControlHandler is the simulator's own endpoint for people and scripts, JSON both ways:
//
//	GET  /journal?after=SEQ                           calls, drop counters
//	GET  /wait?method=&path=&phase=&after=&timeout=   the first call that matches; 408 at the timeout
//	POST /proof            [LoggedAction]             Proof
//	GET  /state                                       staged, applied, data addresses
//	GET  /knobs   PUT /knobs  {changed ones}          Knobs
//	GET  /faults  POST /faults {Fault}                rules; the new rule's id
//	DELETE /faults[/ID]                               one or all
//	GET  /held    POST /release[?seq=]  POST /drop[?seq=]
//	POST /foreign/put      {frontend, fields}
//	POST /foreign/refresh  {service, zone}            {task}
//	POST /tasks/plan       {service, plans}
//	POST /tasks/ID/finish  {status}
//	GET  /metrics                                     text, Prometheus format
func (s *Sim) ControlHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, MaxControlBody)
			result, err := f(r)
			reply(w, result, err)
		})
	}
	handle("GET /journal", s.controlJournal)
	handle("GET /wait", s.controlWait)
	handle("POST /proof", s.controlProof)
	handle("GET /state", func(*http.Request) (any, error) { return s.State(), nil })
	handle("GET /knobs", func(*http.Request) (any, error) { return s.Knobs(), nil })
	handle("PUT /knobs", s.controlKnobs)
	handle("GET /faults", func(*http.Request) (any, error) { return s.Faults(), nil })
	handle("POST /faults", s.controlAddFault)
	handle("DELETE /faults", func(*http.Request) (any, error) { s.ClearFaults(); return struct{}{}, nil })
	handle("DELETE /faults/{id}", s.controlRemoveFault)
	handle("GET /held", func(*http.Request) (any, error) { return s.Held(), nil })
	handle("POST /release", func(r *http.Request) (any, error) { return s.controlDecide(r, s.ReleaseHeld) })
	handle("POST /drop", func(r *http.Request) (any, error) { return s.controlDecide(r, s.DropHeld) })
	handle("POST /foreign/put", s.controlForeignPut)
	handle("POST /foreign/refresh", s.controlForeignRefresh)
	handle("POST /tasks/plan", s.controlPlan)
	handle("POST /tasks/{id}/finish", s.controlFinish)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { s.writeMetrics(w) })
	return mux
}

func reply(w http.ResponseWriter, result any, err error) {
	status := http.StatusOK
	if err != nil {
		status = http.StatusBadRequest
		switch {
		case errors.Is(err, ErrUnknown):
			status = http.StatusNotFound
		case errors.Is(err, context.DeadlineExceeded):
			status = http.StatusRequestTimeout
		}
		result = map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(result) // the reader may be gone
}

func read(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	return nil
}

func numberIn(r *http.Request, name string) (int64, error) {
	given := r.URL.Query().Get(name)
	if given == "" {
		given = r.PathValue(name)
	}
	if given == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

func (s *Sim) controlJournal(r *http.Request) (any, error) {
	after, err := numberIn(r, "after")
	if err != nil {
		return nil, err
	}
	return s.Journal(after), nil
}

func (s *Sim) controlWait(r *http.Request) (any, error) {
	after, err := numberIn(r, "after")
	if err != nil {
		return nil, err
	}
	q, limit := r.URL.Query(), DefaultWait
	if given := q.Get("timeout"); given != "" {
		if limit, err = time.ParseDuration(given); err != nil {
			return nil, fmt.Errorf("timeout: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	c, err := s.WaitFor(ctx, func(c Call) bool {
		return c.Seq > after && (q.Get("method") == "" || c.Method == q.Get("method")) &&
			(q.Get("path") == "" || wildcard(q.Get("path"), c.Path)) &&
			(q.Get("phase") == "" || string(c.Phase) == q.Get("phase"))
	})
	return c, err
}

func (s *Sim) controlProof(r *http.Request) (any, error) {
	var log []LoggedAction
	if err := read(r, &log); err != nil {
		return nil, err
	}
	return s.Prove(log), nil
}

func (s *Sim) controlKnobs(r *http.Request) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	k := s.Knobs()
	if err := json.Unmarshal(body, &k); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return k, s.SetKnobs(k)
}

func (s *Sim) controlAddFault(r *http.Request) (any, error) {
	var f Fault
	if err := read(r, &f); err != nil {
		return nil, err
	}
	id, err := s.AddFault(f)
	return map[string]int64{"id": id}, err
}

func (s *Sim) controlRemoveFault(r *http.Request) (any, error) {
	id, err := numberIn(r, "id")
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.RemoveFault(id)
}

func (s *Sim) controlDecide(r *http.Request, decide func(...int64) int) (any, error) {
	seq, err := numberIn(r, "seq")
	if err != nil {
		return nil, err
	}
	var seqs []int64
	if seq != 0 {
		seqs = []int64{seq}
	}
	return map[string]int{"calls": decide(seqs...)}, nil
}

func (s *Sim) controlForeignPut(r *http.Request) (any, error) {
	var body struct {
		Frontend int64          `json:"frontend"`
		Fields   map[string]any `json:"fields"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	return struct{}{}, s.ForeignPut(body.Frontend, body.Fields)
}

func (s *Sim) controlForeignRefresh(r *http.Request) (any, error) {
	var body struct {
		Service string `json:"service"`
		Zone    string `json:"zone"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	id, err := s.ForeignRefresh(body.Service, body.Zone)
	return map[string]int64{"task": id}, err
}

func (s *Sim) controlPlan(r *http.Request) (any, error) {
	var body struct {
		Service string     `json:"service"`
		Plans   []TaskPlan `json:"plans"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	return struct{}{}, s.PlanTasks(body.Service, body.Plans...)
}

func (s *Sim) controlFinish(r *http.Request) (any, error) {
	var body struct {
		Status TaskStatus `json:"status"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	id, err := numberIn(r, "id")
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.FinishTask(id, body.Status)
}
