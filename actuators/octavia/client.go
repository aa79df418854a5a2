package octavia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// client sends requests to Octavia under a token. It may be used concurrently.
type client struct {
	http  *wire.Client
	login *login
}

func newClient(config Config, c cloud, budget actuators.Budget) *client {
	h := wire.New(wire.Config{
		Dial: config.Dial, TLS: c.tls, Budget: budget, Secrets: c.secrets(),
		ID: func(h http.Header) string { return h.Get("X-Openstack-Request-Id") },
	})
	return &client{http: h, login: &login{cloud: c, http: h, lock: make(chan struct{}, 1)}}
}

// apiError is a refusal.
type apiError struct {
	call    string
	status  int
	message string
	id      string
	own     bool // the body was an error as OpenStack writes it
	session *session
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("%s: %d", e.call, e.status)
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// statusRate is answered instead of 429 by some front ends.
const statusRate = 498

// do sends a call and returns the ids of its answers. A refused token is
// dropped; a read is then sent once more under a new one, a write is left to
// its next attempt, so that no Act sends two.
func (c *client) do(ctx context.Context, method, path string, body, out any) ([]string, error) {
	s, ids, err := c.login.session(ctx)
	if err != nil {
		return ids, fmt.Errorf("log in: %w", err)
	}
	more, err := c.once(ctx, s, method, path, body, out)
	ids = append(ids, more...)
	if !c.stale(err) || actuators.Explain(err).Permanent || method != http.MethodGet {
		return ids, err
	}
	s, more, err = c.login.session(ctx)
	ids = append(ids, more...)
	if err != nil {
		return ids, fmt.Errorf("log in: %w", err)
	}
	more, err = c.once(ctx, s, method, path, body, out)
	_ = c.stale(err)
	return append(ids, more...), err
}

// stale reports whether a token was refused, and drops it.
func (c *client) stale(err error) bool {
	refused, ok := errors.AsType[*apiError](err)
	if !ok || refused.status != http.StatusUnauthorized {
		return false
	}
	c.login.forget(refused.session)
	return true
}

// once sends a call. Its error says what it means for the object.
func (c *client) once(ctx context.Context, s *session, method, path string, body, out any) ([]string, error) {
	call := wire.Call{Method: method, Path: s.base + path, Header: http.Header{"X-Auth-Token": {s.token}}, Body: body}
	a, err := c.http.Send(ctx, call)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusUnauthorized {
		s.answered.Store(true)
	}
	if a.OK() {
		if e := refusalOf(c.http, call, a, s.token); e.own { // of a write it says nothing for certain
			x := actuators.Explain(fmt.Errorf("%w: an error inside: %w", wire.ErrAnswer, e))
			x.Doubt, x.Requests = call.Mutates(), a.IDs()
			return a.IDs(), &x
		}
		if call.Mutates() && len(bytes.TrimSpace(a.Body)) == 0 && a.Broken == nil {
			return a.IDs(), nil // 202: the status has said it all
		}
		return a.IDs(), c.http.Decode(call, a, out)
	}
	return a.IDs(), c.refuse(call, a, s)
}

// refuse says what a refusal means, beyond what HTTP does.
func (c *client) refuse(call wire.Call, a *wire.Answer, s *session) error {
	e := refusalOf(c.http, call, a, s.token)
	e.session = s
	x := a.Refusal(call, e, e.own)
	switch a.Status {
	case http.StatusUnauthorized: // before any effect; a new token may be taken, unless this is one
		x.Doubt = false
		x.Permanent = s.refusedForGood() && (e.own || a.Header.Get("WWW-Authenticate") != "")
	case statusRate:
		x.Permanent, x.Doubt, x.After = false, false, max(x.After, wire.RefusedDelay)
	}
	return x
}

// refusalOf takes words out of a body in either of OpenStack's forms, field by
// field: one that is not as described must not spoil the others.
func refusalOf(h *wire.Client, call wire.Call, a *wire.Answer, token string) *apiError {
	e := &apiError{call: call.String(), status: a.Status, id: a.ID}
	var fields map[string]json.RawMessage
	if json.Unmarshal(a.Body, &fields) != nil {
		e.message = http.StatusText(a.Status)
		return e
	}
	var inner map[string]json.RawMessage
	_ = json.Unmarshal(fields["error"], &inner) // not an object: not said
	for _, raw := range []json.RawMessage{fields["faultstring"], inner["message"], fields["message"]} {
		var text string
		if json.Unmarshal(raw, &text) == nil && text != "" {
			if token != "" {
				text = strings.ReplaceAll(text, token, "***")
			}
			e.message, e.own = h.Quote(text), true
			return e
		}
	}
	return e
}
