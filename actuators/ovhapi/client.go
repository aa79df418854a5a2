package ovhapi

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

// Client sends signed requests to one endpoint. It may be used concurrently.
//
// It stands in for go-ovh v1.9.0's Client, which writes to its shared
// http.Client in every request (a data race), ignores the context on its first
// call, lets a numeric "code" in a body overwrite the HTTP status, and drops
// Retry-After. A test compares the signatures of both.
type Client struct {
	http   *http.Client
	base   string // without slash at the end
	login  login
	budget actuators.Budget
	hidden *strings.Replacer // of secrets in what others say
}

// Call is one request. A mutating one is any but GET.
type Call struct {
	Method, Path string // the path below the endpoint, escaped, with its query
	Body         any    // sent as JSON; nil: none
	Out          any    // what the answer's JSON is read into; nil: the status says all

	open bool // without signature
}

func (c Call) mutates() bool { return c.Method != http.MethodGet }

func (c Call) String() string { return c.Method + " " + c.Path }

// New makes a client for an endpoint. It sends nothing. ErrCredentials when the
// endpoint does not take this way to log in.
func New(config Config, base string, creds Credentials, budget actuators.Budget) (*Client, error) {
	config = config.withDefaults()
	hidden := []string{}
	for _, s := range creds.secrets() {
		hidden = append(hidden, s, "***")
	}
	c := &Client{
		base: strings.TrimSuffix(base, "/"), budget: budget, hidden: strings.NewReplacer(hidden...),
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a signature is for one URL
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: config.Dial, TLSHandshakeTimeout: DialTimeout,
				MaxIdleConnsPerHost: MaxIdle, IdleConnTimeout: 30 * time.Second,
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

// Close drops idle connections. The client stays usable.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Keyed reports whether requests are signed with a consumer key, which has rules
// of its own.
func (c *Client) Keyed() bool {
	_, keyed := c.login.(*signature)
	return keyed
}

func (c *Client) hide(text string) string { return c.hidden.Replace(text) }

func (c *Client) pace(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.budget == nil {
		return nil
	}
	return c.budget.Wait(ctx)
}

// Do sends a call and returns the ids of its answers. A refusal because of a
// stale clock or token drops it; a read is then sent once more, a mutating call
// is left to its next attempt, so that no Act sends two.
func (c *Client) Do(ctx context.Context, r Call) ([]string, error) {
	id, err := c.once(ctx, r)
	ids := nonempty(id)
	refused, ok := errors.AsType[*APIError](err)
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
func (c *Client) once(ctx context.Context, r Call) (string, error) {
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

// Probe gets a path once, and says whether OVH would serve this node there: an
// answer that it is busy or in trouble is one too. A clock that turns out stale is
// dropped, and left to the next probe.
func (c *Client) Probe(ctx context.Context, path string) error {
	id, err := c.once(ctx, Call{Method: http.MethodGet, Path: path})
	refused, ok := errors.AsType[*APIError](err)
	switch {
	case !ok: // answered, or not at all
		return err
	case c.login.stale(refused):
		c.login.forget()
		return err
	case id != "" && (refused.Status == http.StatusTooManyRequests || refused.Status >= http.StatusInternalServerError):
		return nil // the API's own word, by its id, and not a proxy's on the way
	default:
		return err
	}
}

// lost explains a request without an answer. Before a connection was there,
// nothing left.
func (c *Client) lost(r Call, err error, sent bool) error {
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

func (c *Client) request(ctx context.Context, r Call) (*http.Request, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = json.Marshal(r.Body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.base+r.Path, bytes.NewReader(body))
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
