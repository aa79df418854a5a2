package shopify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// statusError is a refusal by HTTP status.
type statusError struct {
	call    string
	status  int
	message string
	ours    bool // in JSON with errors, as Shopify writes it
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%s: %d", e.call, e.status)
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

func unauthorized(err error) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && e.status == http.StatusUnauthorized
}

// understand decodes an answer or says what it means for the object. A broken
// body counts only where the status has not said all.
func (c *client) understand(r call, resp *wire.Answer) (said, error) {
	var a answer
	malformed := json.Unmarshal(resp.Body, &a)
	s := said{ids: nonempty(c.quote(resp.ID)), cost: a.Extensions.Cost}
	if at := resp.Header.Get("X-Shopify-Api-Version"); at != "" {
		c.answered(at)
		if at != c.version {
			s.warning = fmt.Sprintf("Shopify answered by API version %s, asked was %s: name a version that it serves", c.quote(at), c.version)
		}
	}
	if !resp.OK() {
		return s, c.refuse(r, resp, a)
	}
	if spent := a.Extensions.Cost.Requested; !r.mutates && spent > 0 {
		c.readCost.Store(int64(math.Ceil(spent)))
	}
	list := a.list()
	if len(s.ids) == 0 {
		s.ids = list.requestIDs(c)
	}
	if len(list) > 0 {
		return s, c.explain(r, resp, a, list)
	}
	err := errors.Join(resp.Broken, malformed)
	if err == nil && (len(a.Data) == 0 || string(bytes.TrimSpace(a.Data)) == "null") {
		err = errors.New("no data")
	}
	if err == nil {
		err = json.Unmarshal(a.Data, r.out)
	}
	if err == nil {
		return s, nil
	}
	err = fmt.Errorf("%s: %w: %s", r.name, wire.ErrAnswer, c.quote(err.Error()))
	if r.mutates {
		return s, actuators.InDoubt(err)
	}
	return s, err
}

// refuse explains a status. What is not in Shopify's own form may be a proxy's
// passing trouble.
func (c *client) refuse(r call, resp *wire.Answer, a answer) error {
	e := &statusError{call: r.name, status: resp.Status, message: c.quote(a.text()), ours: len(a.Errors) > 0}
	out := &actuators.Error{Err: e, After: retryAfter(resp.Header)}
	switch status := resp.Status; {
	case status == http.StatusTooManyRequests: // not carried out
		out.After = max(out.After, c.untilPasses(r, a.Extensions.Cost))
		if out.After == 0 {
			out.After = throttledDelay
		}
	case status == http.StatusPaymentRequired, status == http.StatusLocked: // the whole shop, not this deed
		out.Err = fmt.Errorf("the shop is frozen or locked, nothing is carried out there; asked again every %s: %w", FrozenDelay, e)
		out.After = max(out.After, FrozenDelay)
		c.leave(out.Err, out.After)
	case status == http.StatusUnauthorized:
		out.Permanent = true
		out.Err = fmt.Errorf("%w (the token is not valid: expired, revoked, or the app was removed from the shop)", e)
	case status == http.StatusForbidden:
		out.Permanent = true
		out.Err = fmt.Errorf("%w (the app lacks a scope, or the shop's consent to it)", e)
	case status == http.StatusRequestTimeout, status >= 500:
		out.Doubt = r.mutates
	case status >= 400:
		out.Permanent, out.Doubt = e.ours, !e.ours && r.mutates
	default:
		out.Err = fmt.Errorf("%w (a redirect, which is not followed: is the shop's permanent name right?)", e)
	}
	return out
}

// explain tells what the errors inside a 200 mean: the gravest decides.
func (c *client) explain(r call, resp *wire.Answer, a answer, list errorList) error {
	text := fmt.Errorf("%s: %s", r.name, c.quote(list.String()))
	out := &actuators.Error{Err: text, After: retryAfter(resp.Header), Doubt: r.mutates}
	switch {
	case list.has("THROTTLED"): // not carried out
		out.Doubt = false
		out.After = max(out.After, c.untilPasses(r, a.Extensions.Cost))
		if out.After == 0 {
			out.After = throttledDelay
		}
	case list.has("ACCESS_DENIED"):
		out.Doubt, out.Permanent = false, true
		out.Err = fmt.Errorf("%w; required access: %s", text, c.quote(list.required()))
	case list.has("SHOP_INACTIVE"):
		out.Doubt = false
		out.Err = fmt.Errorf("the shop is not active, nothing is carried out there; asked again every %s: %w", FrozenDelay, text)
		out.After = max(out.After, FrozenDelay)
		c.leave(out.Err, out.After)
	case len(a.Data) == 0 && list.all(rejected): // the query was not taken, so nothing was executed
		out.Doubt, out.Permanent = false, true
		out.Err = fmt.Errorf("%w (Shopify does not take this query: does the API version fit this release?)", text)
	}
	return out
}

// untilPasses is how long a throttled call has to wait, together with the read
// that the next attempt at a write begins with.
func (c *client) untilPasses(r call, spent cost) time.Duration {
	if !r.mutates {
		return spent.wait(0)
	}
	return spent.wait(float64(c.readCost.Load()))
}

// userError is a MetafieldsSetUserError. Any of them means that nothing was stored.
type userError struct {
	Field   []string `json:"field"`
	Message string   `json:"message"`
	Code    *string  `json:"code"`
	Index   *int     `json:"elementIndex"`
}

func (e userError) code() string {
	if e.Code == nil {
		return ""
	}
	return *e.Code
}

// refusedBy tells what user errors mean. A code that is missing says nothing: a
// read decides.
func (c *client) refusedBy(list []userError) error {
	list = list[:min(len(list), MaxErrors)]
	var parts []string
	stale, unclear := false, false
	for _, e := range list {
		stale = stale || e.code() == "STALE_OBJECT"
		unclear = unclear || e.code() == "INTERNAL_ERROR" || e.code() == ""
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %s: %s", e.code(), strings.Join(e.Field, "."), e.Message)))
	}
	text := fmt.Errorf("write metafields: %s", c.quote(strings.Join(parts, "; ")))
	switch {
	case stale:
		return &actuators.Error{Err: fmt.Errorf("%w: %w", ErrStale, text), After: staleDelay}
	case unclear:
		return actuators.InDoubt(text)
	}
	return actuators.Permanent(text)
}

func nonempty(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

// quote makes somebody else's words fit for a log: short, one line, no secret,
// neither of this target nor anything that has the form of one of Shopify's.
func (c *client) quote(text string) string {
	for _, s := range c.login.secrets() {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return c.wire.Quote(regexp.MustCompile(`shp[a-z]{1,3}_[A-Za-z0-9_-]{6,}`).ReplaceAllString(text, "***"))
}
