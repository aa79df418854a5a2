package ovh

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// exchange is one request on its way through the simulator.
type exchange struct {
	call   *Call
	target string // the URL as the client signed it
	header http.Header
	remote string
	path   []string // segments below the version, unescaped
	query  url.Values
	body   []byte
	args   []string // what the route's placeholders stand for
	svc    *service // of routes below a service
}

// manner is how an answer leaves.
type manner int

const (
	whole    manner = iota
	nothing         // the connection is closed
	reset           // the connection is reset
	cutShort        // half the body under the full length, then closed
	stalled         // held for StallTime, then answered
)

type answer struct {
	status int
	header http.Header
	body   []byte
	manner manner
	size   int64 // bytes sent instead of body; 0: body
}

// void is the result of a call without one.
type void struct{}

func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.work.Done()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.config.MaxBody))
	x := s.receive(r, body)
	if err != nil { // the request never came in whole
		s.send(w, x, answer{manner: nothing})
		return
	}
	fault := s.matchFault(x)
	if fault != nil && fault.When == Before {
		if a, final := s.interfere(r.Context(), x, *fault, answer{}); final {
			s.send(w, x, a)
			return
		}
	}
	s.linger(r.Context(), x)
	a := s.carryOut(x)
	if fault != nil && fault.When == After {
		a, _ = s.interfere(r.Context(), x, *fault, a)
	}
	if a.manner == stalled {
		s.phase(x.call, PhaseHeld, 0)
		s.wait(r.Context(), StallTime)
		a.manner = whole
	}
	s.send(w, x, a)
}

func (s *Sim) receive(r *http.Request, body []byte) *exchange {
	target := r.RequestURI
	if !strings.HasPrefix(target, "http://") && !strings.HasPrefix(target, "https://") {
		target = s.config.Scheme + "://" + r.Host + r.RequestURI
	}
	path, versioned := unversioned(r.URL.EscapedPath())
	x := &exchange{target: target, header: r.Header, remote: r.RemoteAddr, query: r.URL.Query(), body: body}
	if versioned {
		for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
			if plain, err := url.PathUnescape(part); err == nil {
				part = plain
			}
			x.path = append(x.path, part)
		}
	}
	x.call = &Call{Method: r.Method, Path: path, Query: r.URL.RawQuery, Consumer: r.Header.Get("X-Ovh-Consumer")}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open(x.call)
	return x
}

// unversioned takes the API version off a path.
func unversioned(path string) (string, bool) {
	for _, version := range []string{"/1.0", "/v1"} {
		if rest, ok := strings.CutPrefix(path, version); ok && strings.HasPrefix(rest, "/") {
			return rest, true
		}
	}
	return path, false
}

// carryOut authenticates and serves a request: from here on it may have an effect.
func (s *Sim) carryOut(x *exchange) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return answer{manner: nothing}
	}
	if s.knobs.Maintenance == MaintenanceHTML {
		return htmlAnswer(http.StatusServiceUnavailable)
	}
	result, err := s.dispatch(x)
	if err != nil {
		return s.refused(err)
	}
	if special, ok := result.(answer); ok {
		return special
	}
	a := answer{status: http.StatusOK, header: jsonHeader()}
	if _, none := result.(void); none {
		if s.knobs.VoidBody == VoidNull {
			a.body = []byte("null")
		}
		return a
	}
	if a.body, err = json.Marshal(result); err != nil {
		return s.refused(err)
	}
	return a
}

// refused turns an error into its answer. The caller holds mu.
func (s *Sim) refused(err error) answer {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		s.log.Error("simulator failed", "error", err)
		r = &refusal{status: http.StatusInternalServerError, class: classOf(500), message: "Internal server error"}
	}
	switch r.first {
	case RateStall:
		a := htmlAnswer(http.StatusRequestTimeout)
		a.manner = stalled
		return a
	case RateReset:
		return answer{manner: reset}
	}
	if s.knobs.NumericCode != 0 && r.number == nil {
		r.number = new(s.knobs.NumericCode)
	}
	a := answer{status: r.status, header: jsonHeader(), body: r.body(s.knobs.ErrorForm, s.knobs.Details)}
	switch r.form {
	case RateHTML:
		a = htmlAnswer(r.status)
	case RateEmpty:
		a.body = nil
	}
	if r.retryAfter != "" {
		a.header.Set("Retry-After", r.retryAfter)
	}
	return a
}

// linger is how long a call takes before it is carried out.
func (s *Sim) linger(ctx context.Context, x *exchange) {
	s.mu.Lock()
	d := s.knobs.TimeDelay
	s.mu.Unlock()
	if d > 0 && x.call.Path == "/auth/time" {
		s.wait(ctx, d)
	}
}

func (s *Sim) dispatch(x *exchange) (any, error) {
	if s.knobs.Maintenance == MaintenanceJSON {
		return nil, &refusal{status: http.StatusServiceUnavailable, class: classOf(503), message: "Service under maintenance"}
	}
	found, known := s.find(x)
	if found == nil || !found.open {
		if err := s.authenticate(x); err != nil {
			return nil, err
		}
	}
	if found == nil {
		if known {
			return nil, &refusal{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", class: classOf(405), message: "Method not allowed"}
		}
		return nil, notFound("Got an invalid (or empty) URL")
	}
	if len(found.pattern) > 1 && found.pattern[0] == "ipLoadbalancing" {
		svc, ok := s.services[x.args[0]]
		if !ok {
			return nil, notFound("This service does not exist")
		}
		x.svc, x.args = svc, x.args[1:]
	}
	return found.serve(s, x)
}

// find returns the route of a request, and whether any method has that path.
func (s *Sim) find(x *exchange) (*route, bool) {
	known := false
	for i := range s.routes {
		r := &s.routes[i]
		args, ok := r.match(x.path)
		if !ok {
			continue
		}
		known = true
		if r.method == x.call.Method {
			x.args = args
			return r, true
		}
	}
	return nil, known
}

func (s *Sim) send(w http.ResponseWriter, x *exchange, a answer) {
	switch a.manner {
	case nothing, reset:
		s.phase(x.call, PhaseDropped, 0)
		disconnect(w, a.manner == reset)
		return
	case cutShort:
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if x.call.QueryID != "" {
		w.Header().Set("X-Ovh-Queryid", x.call.QueryID)
	}
	w.Header().Set("X-Iplb-Instance", "12345")
	w.Header().Set("X-Iplb-Request-Id", fmt.Sprintf("%016X:%04X", x.call.ReceivedNS, x.call.Seq))
	w.WriteHeader(a.status)
	if a.manner == cutShort {
		s.phase(x.call, PhaseDropped, a.status)
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	var err error
	if a.size > 0 {
		_, err = io.CopyN(w, filler{}, a.size)
	} else {
		_, err = w.Write(a.body)
	}
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.phase(x.call, PhaseDropped, a.status)
		return
	}
	s.phase(x.call, PhaseAnswered, a.status)
}

// disconnect closes the client's connection without an answer, with a TCP reset if asked and possible.
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

// filler is a body without end.
type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// queryID has the provider's form: region, front, hex seconds, a number and a UUID, unless the knob wants another.
func (s *Sim) queryID(at time.Time, seq int64) string {
	var b [16]byte
	switch s.knobs.QueryID {
	case QueryIDNone:
		return ""
	case QueryIDOld:
		return fmt.Sprintf("FR.ws-8.%x.%d.%04d", at.Unix(), seq, seq%10_000)
	}
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%s.ext-4.%x.%d.%x-%x-%x-%x-%x", s.config.Region, at.Unix(), seq, b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func jsonHeader() http.Header {
	return http.Header{"Content-Type": {"application/json; charset=utf-8"}}
}

func htmlAnswer(status int) answer {
	return answer{status: status, header: http.Header{"Content-Type": {"text/html"}}, body: page(status)}
}
