package linode

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// bearer signs with the token.
func bearer(token string) func(context.Context, *http.Request, []byte) error {
	return func(_ context.Context, r *http.Request, _ []byte) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// apiError is a refusal.
type apiError struct {
	call   string
	status int
	reason string // in Linode's words, else the status in HTTP's
	busy   bool   // "Linode busy.", which has status 400
	own    bool   // the body was an error as Linode writes them
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("%s: %d", e.call, e.status)
	if e.reason != "" {
		text += ": " + e.reason
	}
	if e.status == http.StatusUnauthorized || e.status == http.StatusForbidden {
		text += " (the token needs the scope " + Scope + " and its user the right to this NodeBalancer)"
	}
	return text
}

// do sends a call, decodes its answer into out unless that is nil, and returns
// the ids of its answers. Its error says what it means for the object.
func (a *actuator) do(ctx context.Context, call wire.Call, out any) ([]string, error) {
	answer, err := a.client.Send(ctx, call)
	if err != nil {
		return nil, err
	}
	said := a.apiError(call, answer)
	switch {
	case !answer.OK():
		return answer.IDs(), a.refuse(call, answer, said)
	case said.own: // an error inside a success: of a write it says nothing for certain
		e := actuators.Explain(fmt.Errorf("%w: an error inside: %w", wire.ErrAnswer, said))
		e.Doubt = call.Mutates()
		return answer.IDs(), &e
	case out == nil: // the status has said it all, a read tells the rest
		return answer.IDs(), nil
	}
	return answer.IDs(), a.client.Decode(call, answer, out)
}

func (a *actuator) refuse(call wire.Call, answer *wire.Answer, e *apiError) error {
	out := answer.Refusal(call, e, e.own)
	if e.busy { // another job holds the object; this one was not begun
		out.Permanent, out.Doubt = false, false
		out.After = max(out.After, wire.RefusedDelay)
	}
	if answer.Status == http.StatusTooManyRequests && wire.RetryAfter(answer.Header) == 0 {
		out.After = max(out.After, limitEnds(answer.Header))
	}
	return out
}

// apiError takes the reasons out of {"errors":[{"reason","field"}]}, whatever the
// Content-Type says: linodego goes by that and takes a charset behind it for no
// error at all.
func (a *actuator) apiError(call wire.Call, answer *wire.Answer) *apiError {
	e := &apiError{call: call.String(), status: answer.Status, reason: http.StatusText(answer.Status)}
	var body struct {
		Errors []struct {
			Reason string  `json:"reason"`
			Field  *string `json:"field"`
		} `json:"errors"`
	}
	if answer.Broken == nil && json.Unmarshal(answer.Body, &body) == nil && len(body.Errors) > 0 {
		var reasons []string
		for _, one := range body.Errors {
			text := one.Reason
			e.busy = e.busy || answer.Status == http.StatusBadRequest && isBusy(text)
			if one.Field != nil && *one.Field != "" {
				text = *one.Field + ": " + text
			}
			reasons = append(reasons, text)
		}
		e.own, e.reason = true, a.client.Quote(strings.Join(reasons, "; "))
	}
	if mode := answer.Header.Get("X-Maintenance-Mode"); mode != "" {
		e.reason += " (Linode is in maintenance)"
	}
	return e
}

func isBusy(reason string) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimRight(strings.TrimSpace(reason), ".")), "busy")
}

// limitEnds reads X-RateLimit-Reset, seconds since 1970, against the answer's own Date.
func limitEnds(h http.Header) time.Duration {
	at, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(0, time.Unix(at, 0).Sub(now)), wire.MaxRetryAfter)
}

// errorIn adds what was done and the ids of all its answers.
func errorIn(ids []string, err error) error {
	e := actuators.Explain(err)
	e.Requests = ids
	return &e
}
