package wire

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
)

// Decode reads the JSON of a good answer into out. What cannot be read is
// ErrAnswer; in doubt where the call could have changed something, since the
// status says that it did.
func (c *Client) Decode(call Call, a *Answer, out any) error {
	err := a.Broken
	if trimmed := bytes.TrimSpace(a.Body); err == nil && (len(trimmed) == 0 || string(trimmed) == "null") {
		err = errors.New("empty body")
	}
	if err == nil {
		err = json.Unmarshal(a.Body, out)
	}
	if err == nil {
		return nil
	}
	e := actuators.Explain(fmt.Errorf("%s: %w: %s", call, ErrAnswer, c.Quote(err.Error())))
	e.Doubt, e.Requests = call.Mutates(), a.IDs()
	return &e
}

// Refusal says what a status that is no success means for the object, as HTTP
// has it; err says it in words. Own tells that the body is an error as this
// provider writes them: any other may be a proxy's passing trouble.
//
//	409, 423, 429     not carried out: later, after Retry-After or RefusedDelay
//	408, 5xx          a front proxy's, what lies behind it may go on: in doubt
//	other 4xx, own    for good
//	other 4xx         in doubt
//	1xx, 3xx          something in between; the API never saw it: later
//
// Doubt is only of calls that could change something.
func (a *Answer) Refusal(call Call, err error, own bool) *actuators.Error {
	e := &actuators.Error{Err: err, After: RetryAfter(a.Header), Requests: a.IDs()}
	switch status := a.Status; {
	case status == http.StatusConflict, status == http.StatusLocked, status == http.StatusTooManyRequests:
		e.After = max(e.After, RefusedDelay)
	case status == http.StatusRequestTimeout, status >= 500:
		e.Doubt = call.Mutates()
	case status >= 400:
		e.Permanent, e.Doubt = own, !own && call.Mutates()
	}
	return e
}

// RetryAfter reads seconds, or a date, which is held against the answer's own
// Date: this machine's clock has no say in it. Zero when nothing is said, or
// nothing that makes sense; at most MaxRetryAfter.
func RetryAfter(h http.Header) time.Duration {
	given := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(given, 10, 32); err == nil {
		return min(max(0, time.Duration(seconds)*time.Second), MaxRetryAfter)
	}
	until, err := http.ParseTime(given)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return RefusedDelay
	}
	return min(max(0, until.Sub(now)), MaxRetryAfter)
}

// Quote makes somebody else's words fit for a log: short, one line, no secret.
func (c *Client) Quote(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, c.hidden.Replace(text))
	return Cut(strings.TrimSpace(text), MaxMessage)
}

// Cut shortens text to a number of bytes, at a rune's start.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
