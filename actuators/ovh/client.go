package ovh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/actuators"
)

// client sends signed requests to one endpoint. It may be used concurrently.
//
// It stands in for go-ovh v1.9.0's Client, which writes to its shared
// http.Client in every request (a data race), ignores the context on its first
// call, lets a numeric "code" in a body overwrite the HTTP status, and drops
// Retry-After. A test compares the signatures of both.
type client struct {
	http   *http.Client
	base   string // without slash at the end
	login  login
	budget actuators.Budget
	hidden *strings.Replacer // of secrets in what others say
}

// call is one request. A mutating one is any but GET.
type call struct {
	method, path string
	body, out    any
	open         bool // without signature
}

func (c call) mutates() bool { return c.method != http.MethodGet }

func (c call) String() string { return c.method + " " + c.path }

func newClient(config Config, base string, creds credentials, budget actuators.Budget) (*client, error) {
	hidden := []string{}
	for _, s := range creds.secrets() {
		hidden = append(hidden, s, "***")
	}
	c := &client{
		base: strings.TrimSuffix(base, "/"), budget: budget, hidden: strings.NewReplacer(hidden...),
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a signature is for one URL
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: config.Dial, TLSHandshakeTimeout: DialTimeout,
				MaxIdleConnsPerHost: MaxReads, IdleConnTimeout: 30 * time.Second,
				// HTTP/1.1 only: there the transport never sends a PUT or POST a
				// second time once a byte of it left.
				Protocols: http1(),
			},
		},
	}
	var err error
	c.login, err = newLogin(creds, c.base, c)
	return c, err
}

func http1() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

func (c *client) hide(text string) string { return c.hidden.Replace(text) }

func (c *client) pace(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.budget == nil {
		return nil
	}
	return c.budget.Wait(ctx)
}

// do sends a call and returns the ids of its answers. A refusal because of a
// stale clock or token drops it; a read is then sent once more, a mutating call
// is left to its next attempt, so that no Act sends two.
func (c *client) do(ctx context.Context, r call) ([]string, error) {
	id, err := c.once(ctx, r)
	ids := nonempty(id)
	refused, ok := errors.AsType[*apiError](err)
	if !ok || !c.login.stale(refused) {
		return ids, err
	}
	c.login.forget()
	if r.mutates() {
		return ids, err
	}
	id, err = c.once(ctx, r)
	return append(ids, nonempty(id)...), err
}

func nonempty(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

// once sends a call. Its error says what it means for the object.
func (c *client) once(ctx context.Context, r call) (string, error) {
	if err := c.pace(ctx); err != nil {
		return "", fmt.Errorf("%s: not sent: %w", r, err)
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	var sent, signed atomic.Bool
	req, err := c.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			sent.Store(true)
			if signed.Load() && r.mutates() {
				actuators.Sending(ctx)
			}
		},
	}), r)
	if err != nil {
		return "", fmt.Errorf("%s: not sent: %w", r, err)
	}
	sent.Store(false) // signing may have used a connection of its own
	signed.Store(true)
	resp, err := c.http.Do(req)
	if err != nil {
		return "", c.lost(r, err, sent.Load())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err == nil && len(body) > MaxBody {
		err = ErrBody
	}
	id := resp.Header.Get("X-Ovh-Queryid")
	return id, c.understand(r, resp, body, err)
}

// lost explains a request without an answer. Before a connection was there,
// nothing left.
func (c *client) lost(r call, err error, sent bool) error {
	err = fmt.Errorf("%s: %w", r, plainCause(err))
	if sent && r.mutates() {
		return actuators.InDoubt(err)
	}
	return err
}

// plainCause takes off the method and URL that net/http puts before an error.
func plainCause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func (c *client) request(ctx context.Context, r call) (*http.Request, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "pointsman")
	if body != nil {
		req.Header.Set("Content-Type", "application/json;charset=utf-8")
	}
	if r.open {
		return req, nil
	}
	return req, c.login.sign(ctx, req, body)
}
