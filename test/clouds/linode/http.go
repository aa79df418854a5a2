package linode

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// exchange is one request on its way.
type exchange struct {
	call   *Call
	header http.Header
	path   []string // below /v4
	query  url.Values
	body   []byte
}

// manner is how an answer leaves.
type manner int

const (
	whole    manner = iota
	nothing         // the connection is closed
	reset           // the connection is reset
	cutShort        // half the body under the full length, then closed
)

type answer struct {
	status int
	header http.Header
	body   []byte
	manner manner
}

// object is any JSON object.
type object map[string]any

// refusal is an error as the API writes them.
type refusal struct {
	status        int
	reason, field string
	header        http.Header
	form          RateForm // of the body
}

func (r *refusal) Error() string { return r.reason }

func refuse(status int, field, format string, args ...any) error {
	return &refusal{status: status, field: field, reason: fmt.Sprintf(format, args...), form: RateJSON}
}

func notFound() error { return refuse(http.StatusNotFound, "", "Not found") }

func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	x, ok := s.receive(w, r)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	defer s.work.Done()
	if x.body == nil { // it never came in whole
		s.send(w, x, answer{manner: nothing})
		return
	}
	f := s.strike(x.call)
	if f != nil && f.When == Before {
		if a, final := s.interfere(r.Context(), x, *f, answer{}); final {
			s.send(w, x, a)
			return
		}
	}
	s.wait(r.Context(), s.Knobs().Latency)
	a := s.carryOut(x)
	if f != nil && f.When == After {
		a, _ = s.interfere(r.Context(), x, *f, a)
	}
	s.send(w, x, a)
}

// receive admits a request and journals it; false when the simulator is closed.
func (s *Sim) receive(w http.ResponseWriter, r *http.Request) (*exchange, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	x := &exchange{header: r.Header, query: r.URL.Query(), body: body}
	if err != nil {
		x.body = nil
	}
	rest, _ := strings.CutPrefix(r.URL.Path, "/v4")
	x.path = strings.Split(strings.Trim(rest, "/"), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	s.work.Add(1)
	x.call = &Call{Method: r.Method, Path: rest, Query: r.URL.RawQuery}
	x.call.Foreign = s.tokens[bearer(r.Header)].Foreign
	s.open(x.call)
	if s.knobs.RequestID {
		x.call.RequestID = fmt.Sprintf("%08x-linode", x.call.Seq)
	}
	return x, true
}

func bearer(h http.Header) string {
	token, _ := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	return token
}

// carryOut serves a request: from here on it may have an effect.
func (s *Sim) carryOut(x *exchange) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return answer{manner: nothing}
	}
	header := http.Header{"Content-Type": {string(s.knobs.ContentType)}}
	result, err := s.dispatch(x, header)
	if err != nil {
		return s.refused(err, header)
	}
	if special, ok := result.(answer); ok {
		return special
	}
	body, err := json.Marshal(result)
	if err != nil {
		return s.refused(err, header)
	}
	return answer{status: http.StatusOK, header: header, body: body}
}

// dispatch holds a request against maintenance, rate and token, and carries it
// out. The caller holds mu.
func (s *Sim) dispatch(x *exchange, header http.Header) (any, error) {
	switch m := s.knobs.Maintenance; {
	case m == MaintenancePage:
		return page(http.StatusBadGateway), nil
	case m == MaintenanceAll, m == MaintenanceWrites && x.call.Write():
		header.Set("X-Maintenance-Mode", "down,Scheduled maintenance")
		return nil, refuse(http.StatusServiceUnavailable, "", "API is down for maintenance")
	}
	if err := s.admit(x, header); err != nil {
		return nil, err
	}
	if err := s.authorize(x, header); err != nil {
		return nil, err
	}
	return s.route(x)
}

// refused turns an error into its answer. The caller holds mu.
func (s *Sim) refused(err error, header http.Header) answer {
	r, ok := err.(*refusal) //nolint:errorlint // made here and never wrapped
	if !ok {
		r = &refusal{status: http.StatusInternalServerError, reason: "Internal Server Error", form: RateJSON}
	}
	for name, values := range r.header {
		header[name] = values
	}
	if r.form == RateHTML {
		p := page(r.status)
		header.Set("Content-Type", "text/html")
		return answer{status: r.status, header: header, body: p.body}
	}
	a := answer{status: r.status, header: header}
	if r.form != RateEmpty {
		a.body = r.body(s.knobs.ErrorField)
	}
	return a
}

func (r *refusal) body(form ErrorField) []byte {
	one := object{"reason": r.reason}
	switch {
	case r.field != "":
		one["field"] = r.field
	case form == FieldNull:
		one["field"] = nil
	case form == FieldEmpty:
		one["field"] = ""
	}
	body, _ := json.Marshal(object{"errors": []object{one}}) // plain text only
	return body
}

// page is an answer of something in front of the API.
func page(status int) answer {
	return answer{
		status: status, header: http.Header{"Content-Type": {"text/html"}},
		body: fmt.Appendf(nil, "<html>\r\n<head><title>%d %s</title></head>\r\n<body><center><h1>%[1]d %[2]s</h1></center><hr><center>nginx</center></body>\r\n</html>\r\n",
			status, http.StatusText(status)),
	}
}

func (s *Sim) send(w http.ResponseWriter, x *exchange, a answer) {
	if a.manner == nothing || a.manner == reset {
		s.answered(x.call, 0)
		disconnect(w, a.manner == reset)
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if x.call.RequestID != "" {
		w.Header().Set("X-Request-Id", x.call.RequestID)
	}
	if s.Knobs().NoDate {
		w.Header()["Date"] = nil
	} else {
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if a.manner == cutShort {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		a.body = a.body[:len(a.body)/2]
	}
	w.WriteHeader(a.status)
	_, err := w.Write(a.body)
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if err != nil {
		s.answered(x.call, 0)
		return
	}
	s.answered(x.call, a.status)
	if a.manner == cutShort {
		panic(http.ErrAbortHandler)
	}
}

// disconnect closes the client's connection without an answer, with a TCP reset
// if asked and possible.
func disconnect(w http.ResponseWriter, hard bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && hard {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
