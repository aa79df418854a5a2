package receive

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pathPrefix begins the path of every app.
const pathPrefix = "/webhooks/"

// retryAfter is what a shop is asked to wait after a 503, in seconds.
const retryAfter = "5"

// answer is what a request gets.
type answer struct {
	status int
	end    outcome
	why    string // for the sender; nothing of the request's body
	header string // the one that is wrong
}

// ServeHTTP answers
//
//	POST /webhooks/APP  a delivery
//	GET  /livez         200 while the process answers
//	GET  /readyz        200 while deliveries can be kept; else 503 and why not
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := req.URL.EscapedPath()
	app, ok := strings.CutPrefix(path, pathPrefix)
	if !ok && (path == "/livez" || path == "/readyz") {
		r.Health(w, req)
		return
	}
	began := time.Now()
	keys := r.apps[app]
	if keys == nil {
		app = noApp
	}
	a := r.delivery(w, req, app, keys, began)
	r.meters.answered(app, a.end, time.Since(began))
	a.write(w)
}

// delivery judges a request and keeps what it brings.
func (r *Receiver) delivery(w http.ResponseWriter, req *http.Request, app string, keys *keyring, began time.Time) answer {
	bodyUntil(w, began.Add(r.c.BodyTimeout))
	switch {
	case keys == nil:
		return answer{http.StatusNotFound, unknown, "no such app", ""}
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return answer{http.StatusMethodNotAllowed, unknown, "only POST", ""}
	case !r.slots.take(1):
		return answer{http.StatusServiceUnavailable, busy, "too many requests at once", ""}
	}
	defer r.slots.give(1)
	event, text, err := readHeaders(req.Header, app)
	if err != nil {
		return r.wrongHeader(req, app, err)
	}
	mac, ok := readMAC(text)
	if !ok {
		return r.unauthorized(req, app, "not 32 bytes in base64")
	}
	body, err := r.readBody(req)
	if err != nil {
		return unread(w, err)
	}
	bodyUntil(w, time.Time{})
	place, ok := keys.verify(mac, body)
	if !ok {
		r.memory.give(int64(cap(body)))
		return r.unauthorized(req, app, "no live secret makes this MAC")
	}
	r.meters.secrets.WithLabelValues(app, strconv.Itoa(place)).Inc()
	event.Body, event.Sum = body, sha256.Sum256(body)
	end := r.keep(&ticket{event: event, room: int64(cap(body)), until: began.Add(commitWithin), done: make(chan struct{})}, began.Add(answerWithin))
	if end == unavailable {
		return answer{http.StatusServiceUnavailable, end, "not kept; try again", ""}
	}
	return answer{status: http.StatusOK, end: end}
}

// keep stores an event once, and answers what came of it until then.
func (r *Receiver) keep(t *ticket, until time.Time) outcome {
	v, other := r.seen.begin(t)
	switch v {
	case again:
		r.memory.give(t.room)
		return duplicate
	case waiting:
		r.memory.give(t.room)
		if wait(other, until) == unavailable {
			return unavailable
		}
		return duplicate
	case differs:
		if r.quarantine(t) {
			r.memory.give(t.room)
			return quarantined
		} // else it is stored as any other: its worker finds out
	case fresh:
	}
	if !r.gatherer.add(t) {
		r.seen.end(t, false)
		r.memory.give(t.room)
		return unavailable
	}
	return wait(t, until)
}

// wait waits for what comes of a ticket.
func wait(t *ticket, until time.Time) outcome {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-t.done:
		return t.end
	case <-timer.C:
		return unavailable
	}
}

func (r *Receiver) wrongHeader(req *http.Request, app string, err error) answer {
	r.told.warn("delivery refused", "header", "app", app, "from", r.from(req), "error", err)
	a := answer{http.StatusBadRequest, badRequest, err.Error(), ""}
	if one := (headerError{}); errors.As(err, &one) {
		a.header = one.name
	}
	return a
}

func (r *Receiver) unauthorized(req *http.Request, app, why string) answer {
	r.told.warn("delivery refused", "mac", "app", app, "from", r.from(req), "reason", why)
	return answer{http.StatusUnauthorized, unauthorized, "the MAC does not fit", ""}
}

// unread answers a request whose body did not come. Its connection ends: what
// is left of the body is nobody's next request.
func unread(w http.ResponseWriter, err error) answer {
	w.Header().Set("Connection", "close")
	switch {
	case errors.Is(err, errTooLarge):
		return answer{http.StatusRequestEntityTooLarge, tooLarge, err.Error(), ""}
	case errors.Is(err, errBusy):
		return answer{http.StatusServiceUnavailable, busy, err.Error(), ""}
	case errors.Is(err, errSlow):
		return answer{http.StatusRequestTimeout, slow, err.Error(), ""}
	}
	return answer{http.StatusBadRequest, badRequest, "the body broke off", ""}
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	if a.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	if a.why == "" {
		h.Set("Content-Length", "0")
		w.WriteHeader(a.status)
		return
	}
	b, err := json.Marshal(struct {
		Error  string `json:"error"`
		Header string `json:"header,omitempty"`
	}{a.why, a.header})
	if err != nil { // two strings always have a form
		b = nil
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(a.status)
	_, _ = w.Write(b)
}

// Health answers /livez and /readyz.
func (r *Receiver) Health(w http.ResponseWriter, req *http.Request) {
	status, text := http.StatusOK, "ok\n"
	if err := r.Ready(); err != nil && req.URL.Path != "/livez" {
		status, text = http.StatusServiceUnavailable, err.Error()+"\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
