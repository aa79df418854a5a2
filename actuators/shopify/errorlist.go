package shopify

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators/wire"
)

// answer is the frame of every answer. errors is a list where GraphQL answered,
// and text or an object where something before it did.
type answer struct {
	Data       json.RawMessage `json:"data"`
	Errors     json.RawMessage `json:"errors"`
	Extensions struct {
		Cost cost `json:"cost"`
	} `json:"extensions"`
}

// UnmarshalJSON takes each field by itself: one that is not as described must
// not spoil the others.
func (a *answer) UnmarshalJSON(body []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return err
	}
	a.Data, a.Errors = fields["data"], fields["errors"]
	if string(a.Errors) == "null" {
		a.Errors = nil
	}
	_ = json.Unmarshal(fields["extensions"], &a.Extensions) // not as described: not said
	return nil
}

// graphError is one error of a list.
type graphError struct {
	Message    string `json:"message"`
	Extensions struct {
		Code      string `json:"code"`
		Required  string `json:"requiredAccess"`
		RequestID string `json:"requestId"`
	} `json:"extensions"`
}

type errorList []graphError

// list reads errors in whichever form they came.
func (a answer) list() errorList {
	if len(a.Errors) == 0 {
		return nil
	}
	var each []json.RawMessage
	if json.Unmarshal(a.Errors, &each) != nil {
		return errorList{{Message: plain(a.Errors)}}
	}
	var out errorList
	for _, raw := range each[:min(len(each), MaxErrors)] {
		var e graphError
		if json.Unmarshal(raw, &e) != nil {
			e.Message = plain(raw)
		}
		out = append(out, e)
	}
	return out
}

// text is what errors say, for people.
func (a answer) text() string { return a.list().String() }

// plain is JSON for people: text without quotes, the rest as it is.
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func (l errorList) String() string {
	var parts []string
	for _, e := range l {
		parts = append(parts, strings.TrimSpace(e.Extensions.Code+" "+e.Message))
	}
	return strings.Join(parts, "; ")
}

func (l errorList) has(code string) bool {
	return slices.ContainsFunc(l, func(e graphError) bool { return e.Extensions.Code == code })
}

func (l errorList) all(of func(code string) bool) bool {
	return !slices.ContainsFunc(l, func(e graphError) bool { return !of(e.Extensions.Code) })
}

// required is the access that Shopify says is missing.
func (l errorList) required() string {
	var parts []string
	for _, e := range l {
		if e.Extensions.Required != "" {
			parts = append(parts, e.Extensions.Required)
		}
	}
	if len(parts) == 0 {
		return "not named"
	}
	return strings.Join(parts, ", ")
}

func (l errorList) requestIDs(c *client) (out []string) {
	for _, e := range l {
		out = append(out, nonempty(c.quote(e.Extensions.RequestID))...)
	}
	return out
}

// rejected are the codes of queries that do not fit the schema. They begin with
// a small letter, those of execution are in capitals; of those two are about the
// query too.
func rejected(code string) bool {
	return code != "" && code[0] >= 'a' && code[0] <= 'z' || code == "MAX_COST_EXCEEDED" || code == "INVALID_VARIABLE"
}

// cost is what an answer says of the rate. The numbers are the shop's plan's,
// and never assumed.
type cost struct {
	Requested float64 `json:"requestedQueryCost"`
	Throttle  struct {
		Most      float64 `json:"maximumAvailable"`
		Available float64 `json:"currentlyAvailable"`
		Restore   float64 `json:"restoreRate"` // points per second
	} `json:"throttleStatus"`
}

// low is the problem of an app whose points in this shop are nearly used up;
// none where the answer does not tell them.
func (c cost) low() []string {
	t := c.Throttle
	if t.Most <= 0 || t.Available >= t.Most/lowShare {
		return nil
	}
	return []string{fmt.Sprintf("%.0f of the app's %.0f points in this shop are left (%.0f come back a second): something else of the app uses them up, and a step waits for what it needs", t.Available, t.Most, t.Restore)}
}

// wait is when the request would pass; 0: not known. before is the cost of what
// will be sent before it: waiting for the write alone, the read that comes first
// would take its points each time, for ever.
func (c cost) wait(before float64) time.Duration {
	needs := min(c.Requested+before, max(c.Throttle.Most, c.Requested))
	if c.Throttle.Restore <= 0 || needs <= c.Throttle.Available {
		return 0
	}
	return seconds((needs - c.Throttle.Available) / c.Throttle.Restore)
}

// seconds rounds up to a millisecond, within wire.MaxRetryAfter.
func seconds(s float64) time.Duration {
	if math.IsNaN(s) || s <= 0 {
		return 0
	}
	if s > wire.MaxRetryAfter.Seconds() {
		return wire.MaxRetryAfter
	}
	return time.Duration(math.Ceil(s*1000)) * time.Millisecond
}

// retryAfter reads seconds, which may have a fraction here; else what HTTP says.
func retryAfter(h http.Header) time.Duration {
	if s, err := strconv.ParseFloat(strings.TrimSpace(h.Get("Retry-After")), 64); err == nil {
		return seconds(s)
	}
	return wire.RetryAfter(h)
}
