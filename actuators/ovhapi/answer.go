package ovhapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// APIError is a refusal, in either generation of OVH's error bodies.
type APIError struct {
	Status int
	Own    bool // the body was an error as OVH writes it, or it is OVH's own status

	call    string
	code    string // errorCode of the old form, class of the new one
	message string
}

func (e *APIError) Error() string {
	text := fmt.Sprintf("%s: %d", e.call, e.Status)
	if e.code != "" {
		text += " " + e.code
	}
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// statusExpired is OVH's own: the service is expired, or suspended for billing.
const statusExpired = 460

// understand decodes an answer or says what it means for the object.
func (c *Client) understand(r Call, resp *http.Response, body []byte, broken error) error {
	if resp.StatusCode < 200 || resp.StatusCode >= 300 {
		return c.refuse(r, resp, body)
	}
	if err := c.inside(r, resp, body); err != nil {
		return err
	}
	return c.accept(r, body, broken)
}

// inside finds an error in an answer of success. Of a write it says nothing
// for certain.
func (c *Client) inside(r Call, resp *http.Response, body []byte) error {
	e := c.parse(r, resp, body)
	if e.code == "" || e.message == "" {
		return nil
	}
	err := fmt.Errorf("%w: an error inside: %w", ErrAnswer, e)
	if r.mutates() {
		return actuators.InDoubt(err)
	}
	return err
}

// accept reads a good answer. A call without result needs no body: OVH answers
// null, nothing, or what a proxy made of it, and the status has said it all.
func (c *Client) accept(r Call, body []byte, broken error) error {
	if r.Out == nil {
		return nil
	}
	err := broken
	if trimmed := bytes.TrimSpace(body); err == nil && (len(trimmed) == 0 || string(trimmed) == "null") {
		err = errors.New("empty body")
	}
	if err == nil {
		err = json.Unmarshal(body, r.Out)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w: %s", r, ErrAnswer, c.quote(err.Error()))
	if r.mutates() {
		return actuators.InDoubt(err)
	}
	return err
}

func (c *Client) refuse(r Call, resp *http.Response, body []byte) error {
	e := c.parse(r, resp, body)
	out := &actuators.Error{Err: e, After: retryAfter(resp.Header), Requests: nonempty(resp.Header.Get("X-Ovh-Queryid"))}
	switch status := resp.StatusCode; {
	case c.login.stale(e) && !r.open: // refused before any effect; signed anew it may pass
	case status == http.StatusConflict, status == http.StatusLocked:
		out.After = max(out.After, refusedDelay)
	case status == http.StatusTooManyRequests: // not carried out
		out.After = max(out.After, refusedDelay)
	case status == http.StatusRequestTimeout, status >= 500: // a front proxy's: what lies behind may go on
		out.Doubt = r.mutates()
	case status >= 400: // what is not OVH's own word may be a proxy's passing trouble
		out.Permanent, out.Doubt = e.Own, !e.Own && r.mutates()
	default: // a redirect of something in between; the API never saw it
	}
	return out
}

// parse takes words out of a body field by field: one that is not as
// described must not spoil the others, and a field "code" says nothing.
func (c *Client) parse(r Call, resp *http.Response, body []byte) *APIError {
	e := &APIError{call: r.String(), Status: resp.StatusCode, Own: resp.StatusCode == statusExpired}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		e.message = http.StatusText(resp.StatusCode)
		return e
	}
	text := func(name string) string {
		var s string
		_ = json.Unmarshal(fields[name], &s) // not text: not said
		return c.quote(s)
	}
	if e.code = text("errorCode"); e.code == "" {
		e.code = text("class")
	}
	e.message = text("message")
	e.Own = e.Own || e.code != "" || e.message != ""
	return e
}

// quote makes somebody else's words fit for a log: short, one line, no secret.
func (c *Client) quote(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, c.hide(text))
	return wire.Cut(strings.TrimSpace(text), MaxMessage)
}

// retryAfter reads seconds, or a date, which is held against the answer's own
// Date: this machine's clock has no say in it.
func retryAfter(h http.Header) time.Duration {
	given := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(given, 10, 32); err == nil {
		return min(max(0, time.Duration(seconds)*time.Second), MaxRetryAfter)
	}
	until, err := http.ParseTime(given)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return refusedDelay
	}
	return min(max(0, until.Sub(now)), MaxRetryAfter)
}
