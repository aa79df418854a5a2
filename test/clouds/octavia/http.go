package octavia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// answer is what is sent.
type answer struct {
	status     int
	kind       string // Content-Type
	body       []byte
	token      string // X-Subject-Token
	challenge  bool   // WWW-Authenticate
	retryAfter string
	location   string
	size       int64 // bytes sent instead of body; 0: body
	gone       bool  // the connection is closed without an answer
	cut        bool  // half the body under the full length, then closed
}

const jsonKind = "application/json"

// refusal is an error answer of the provider.
type refusal struct {
	status  int
	message string
	answer  *answer // instead of all that
}

func (r *refusal) Error() string { return fmt.Sprintf("%d: %s", r.status, r.message) }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, message: fmt.Sprintf(format, args...)}
}

func (s *Sim) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.work.Done()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	c := s.receive(r)
	if err != nil { // the request never came in whole
		s.send(w, c, answer{gone: true})
		return
	}
	fault := s.matchFault(c)
	if fault != nil && fault.When == Before {
		if a, final := s.interfere(r.Context(), c, *fault, answer{}); final {
			s.send(w, c, a)
			return
		}
	}
	s.linger(r.Context(), c)
	a := s.carryOut(c, r, body)
	if fault != nil && fault.When == After {
		a, _ = s.interfere(r.Context(), c, *fault, a)
	}
	s.send(w, c, a)
}

// receive enters a call. Keystone's begin with /v3; Octavia's with a folder, if the endpoint has one, and a version.
func (s *Sim) receive(r *http.Request) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Call{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery}
	if rest, ok := strings.CutPrefix(c.Path, "/v3"); ok {
		c.Path, c.Keystone = rest, true
	} else {
		path := c.Path
		if s.knobs.EndpointForm == EndpointBelow {
			path = strings.TrimPrefix(path, string(EndpointBelow))
		}
		for _, version := range []string{"/v2.0/", "/v2/"} {
			if rest, ok := strings.CutPrefix(path, version); ok {
				c.Path = "/" + rest
				break
			}
		}
	}
	s.open(c)
	if !s.knobs.NoRequestID {
		c.RequestID = fmt.Sprintf("req-%08x-0000-4000-8000-%012x", c.Seq, c.Received.UnixNano()&0xffffffffffff)
	}
	return c
}

// linger is how long a call takes before it is carried out.
func (s *Sim) linger(ctx context.Context, c *Call) {
	s.mu.Lock()
	d := s.knobs.TokenDelay
	s.mu.Unlock()
	if c.Keystone && d > 0 {
		s.wait(ctx, d)
	}
}

// carryOut authenticates and serves a request: from here on it may have an effect.
func (s *Sim) carryOut(c *Call, r *http.Request, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return answer{gone: true}
	}
	if c.Keystone {
		a, err := s.keystone(c, r, body)
		if err != nil {
			return s.refused(err, FormError)
		}
		return a
	}
	switch s.knobs.Maintenance {
	case MaintenanceHTML:
		return pageAnswer(http.StatusServiceUnavailable)
	case MaintenanceJSON:
		return errorAnswer(s.knobs.ErrorForm, http.StatusServiceUnavailable, "Service under maintenance")
	}
	a, err := s.route(c, r, body)
	if err != nil {
		return s.refused(err, s.knobs.ErrorForm)
	}
	return a
}

func (s *Sim) refused(err error, form ErrorForm) answer {
	if errors.Is(err, ErrImmutable) {
		err = refuse(http.StatusConflict, "%s", err.Error())
	}
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		r = &refusal{status: http.StatusInternalServerError, message: err.Error()}
	}
	if r.answer != nil {
		return *r.answer
	}
	return errorAnswer(form, r.status, r.message)
}

func errorAnswer(form ErrorForm, status int, message string) answer {
	var body any
	switch form {
	case FormText:
		return answer{status: status, kind: "text/plain", body: []byte(message)}
	case FormError:
		body = object{"error": object{"code": status, "title": http.StatusText(status), "message": message}}
	default:
		side := "Client"
		if status >= 500 {
			side = "Server"
		}
		body = object{"faultcode": side, "faultstring": message, "debuginfo": nil}
	}
	return jsonAnswer(status, body)
}

func jsonAnswer(status int, v any) answer {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and lists of them
	}
	return answer{status: status, kind: jsonKind, body: b}
}

func pageAnswer(status int) answer {
	return answer{
		status: status, kind: "text/html",
		body: fmt.Appendf(nil, "<html><body><h1>%d %s</h1>\nNo server is available to handle this request.\n</body></html>\n", status, http.StatusText(status)),
	}
}

func (s *Sim) send(w http.ResponseWriter, c *Call, a answer) {
	if a.gone {
		s.phase(c, PhaseDropped, 0)
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	for name, value := range map[string]string{
		"Content-Type": a.kind, "X-Openstack-Request-Id": c.RequestID, "X-Subject-Token": a.token, "Retry-After": a.retryAfter, "Location": a.location,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	if a.challenge {
		h.Set("WWW-Authenticate", `Keystone uri="`+s.config.Endpoint+`/v3"`)
	}
	if a.cut {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if a.cut {
		s.phase(c, PhaseDropped, a.status)
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
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		s.phase(c, PhaseDropped, a.status)
		return
	}
	s.phase(c, PhaseAnswered, a.status)
}

// filler is a body without end.
type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
