package shopify

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reply is an answer before it is written.
type reply struct {
	status int
	header http.Header
	body   []byte
	size   int64 // a body of so many bytes instead; 0: body
	cut    bool  // half of the body under the full length
	none   bool  // no answer: the connection ends
}

func answer(status int, body []byte) *reply {
	return &reply{status: status, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, body: body}
}

func page(status int) *reply {
	text := fmt.Sprintf("<!DOCTYPE html><html><head><title>%d</title></head><body>%s</body></html>", status, http.StatusText(status))
	return &reply{status: status, header: http.Header{"Content-Type": {"text/html"}}, body: []byte(text)}
}

// request is one that came.
type request struct {
	*http.Request
	call *Call
	body []byte
	sent graphRequest
}

func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.work.Done()
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the client left before it had sent all
	}
	q := &request{Request: r, body: body}
	op := q.read()
	s.mu.Lock()
	q.call = s.record(op)
	s.mu.Unlock()
	s.write(w, q.call, s.pass(q))
}

// read finds out what a request is.
func (q *request) read() Op {
	switch {
	case q.Method != http.MethodPost:
		return OpOther
	case q.URL.Path == "/admin/oauth/access_token":
		return OpToken
	case !strings.HasSuffix(q.URL.Path, "/graphql.json"):
		return OpOther
	}
	_ = json.Unmarshal(q.body, &q.sent) // refused later
	if strings.HasPrefix(strings.TrimSpace(q.sent.Query), "mutation") {
		return OpWrite
	}
	return OpRead
}

// pass takes a request through faults, effect and delay to its answer.
func (s *Sim) pass(q *request) *reply {
	if f, struck := s.strikes(q.call, Before); struck {
		if out := s.fault(q, f, nil); out != nil {
			return out
		}
	}
	out := s.handle(q)
	if d := s.Knobs().Delay; d > 0 {
		s.wait(d)
	}
	if f, struck := s.strikes(q.call, After); struck {
		if other := s.fault(q, f, out); other != nil {
			return other
		}
	}
	return out
}

// wait sleeps, whether the client is still there or not.
func (s *Sim) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.done:
	}
}

// fault carries a fault out; nil: the request goes on. had is the answer that
// would be given, after the effect.
func (s *Sim) fault(q *request, f Fault, had *reply) *reply {
	none := &reply{none: true}
	switch f.Do {
	case DoHang:
		select {
		case <-q.Context().Done():
		case <-s.done:
		}
		return none
	case DoHold:
		if !s.hold(q.call) {
			return none
		}
	case DoDelay:
		s.wait(f.Delay)
	case DoDrop:
		return none
	case DoTruncate:
		had.body = had.body[:len(had.body)/2]
		return had
	case DoCut:
		had.cut = true
		return had
	case DoEmpty:
		return answer(http.StatusOK, nil)
	case DoEdit:
		s.Edit(f.Namespace, f.Key, f.Text)
	case DoError:
		return answer(http.StatusOK, encode(map[string]any{"errors": []any{graphError(f.Code, "Internal error. Looks like something went wrong on our end.", q.call)}}))
	case DoUserError:
		return answer(http.StatusOK, encode(map[string]any{"data": map[string]any{"metafieldsSet": map[string]any{
			"metafields": nil, "userErrors": []any{map[string]any{"field": []string{"metafields", "0"}, "message": "said by a fault", "code": f.Code, "elementIndex": 0}},
		}}}))
	default:
		return s.faulty(f)
	}
	return nil
}

func (s *Sim) faulty(f Fault) *reply {
	out := answer(f.Status, s.refusal(f.Status, f.Message))
	switch {
	case f.Body != "":
		out.body = []byte(f.Body)
	case f.HTML:
		out = page(f.Status)
	}
	out.size = f.Size
	if f.RetryAfter != "" {
		out.header.Set("Retry-After", f.RetryAfter)
	}
	if f.Location != "" {
		out.header.Set("Location", f.Location)
	}
	return out
}

// handle answers as the shop does.
func (s *Sim) handle(q *request) *reply {
	k := s.Knobs()
	switch k.Maintenance {
	case MaintenanceHTML:
		return page(http.StatusServiceUnavailable)
	case MaintenanceJSON:
		return s.refused(http.StatusServiceUnavailable, "")
	case MaintenanceOff:
	}
	if len(q.body) > MaxBody {
		return s.refused(http.StatusRequestEntityTooLarge, "")
	}
	switch q.call.Op {
	case OpToken:
		return s.grant(q)
	case OpRead, OpWrite:
		return s.graph(q)
	default:
		return s.refused(http.StatusNotFound, "Not Found")
	}
}

// refused is a refusal by status, in the words of the knob.
func (s *Sim) refused(status int, message string) *reply {
	if s.Knobs().ErrorsForm == ErrorsHTML {
		return page(status)
	}
	return answer(status, s.refusal(status, message))
}

func (s *Sim) refusal(status int, message string) []byte {
	if message == "" {
		message = http.StatusText(status)
	}
	var errors any = message
	switch s.Knobs().ErrorsForm {
	case ErrorsList:
		errors = []string{message}
	case ErrorsObject:
		errors = map[string]any{"base": []string{message}}
	case ErrorsText, ErrorsHTML:
	}
	return encode(map[string]any{"errors": errors})
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // made of maps and text by this package
	}
	return b
}

// write sends an answer, or ends the connection.
func (s *Sim) write(w http.ResponseWriter, c *Call, out *reply) {
	if out.none {
		s.note(c, func() { c.Phase, c.Answered = PhaseDropped, time.Now() })
		panic(http.ErrAbortHandler)
	}
	for name, values := range out.header {
		w.Header()[name] = values
	}
	if s.Knobs().RequestID == RequestIDHeader {
		w.Header().Set("X-Request-Id", c.RequestID)
	}
	length := int64(len(out.body))
	if out.size > 0 {
		length = out.size
	}
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	w.WriteHeader(out.status)
	var err error
	switch {
	case out.cut:
		_, err = w.Write(out.body[:len(out.body)/2])
	case out.size > 0:
		err = flood(w, out.size)
	default:
		_, err = w.Write(out.body)
	}
	s.note(c, func() {
		c.Status, c.Answered, c.Phase = out.status, time.Now(), PhaseAnswered
		if err != nil || out.cut {
			c.Phase = PhaseDropped
		}
	})
	if out.cut {
		panic(http.ErrAbortHandler)
	}
}

// flood writes a body without meaning, until the client has had enough.
func flood(w io.Writer, size int64) error {
	block := []byte(strings.Repeat(" ", 64<<10))
	for size > 0 {
		n, err := w.Write(block[:min(size, int64(len(block)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}
