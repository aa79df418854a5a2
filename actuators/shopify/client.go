package shopify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/actuators"
)

// client sends GraphQL requests to one shop. It may be used concurrently.
type client struct {
	http     *http.Client
	base     string // without slash at the end
	version  string // of the API that is asked for
	login    login
	budget   actuators.Budget
	answered func(version string) // told which version has answered
}

// call is one request.
type call struct {
	name      string // for people
	query     string
	variables any
	out       any // of data
	mutates   bool
}

// said is what an answer holds besides data.
type said struct {
	ids     []string
	warning string
}

func newClient(config Config, base, version string, budget actuators.Budget) *client {
	return &client{
		base: base, version: version, budget: budget, answered: func(string) {},
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for one place
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: config.Dial, TLSHandshakeTimeout: DialTimeout,
				// HTTP/1.1 only: there the transport never sends a POST a second
				// time once a byte of it left.
				IdleConnTimeout: 30 * time.Second, Protocols: http1(), MaxResponseHeaderBytes: 64 << 10,
			},
		},
	}
}

func http1() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

func (c *client) pace(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.budget == nil {
		return nil
	}
	return c.budget.Wait(ctx)
}

// do sends a call. A refusal because of a token that may be too old drops it; a
// read is then sent once more, a write is left to its next attempt, so that no
// Act sends two.
func (c *client) do(ctx context.Context, r call) (said, error) {
	first, err := c.once(ctx, r, !r.mutates)
	if !unauthorized(err) || !c.login.forget() {
		return first, err
	}
	if r.mutates {
		e := actuators.Explain(fmt.Errorf("%w; the next attempt gets a new token", err))
		e.Permanent = false
		return first, &e
	}
	second, err := c.once(ctx, r, true)
	second.ids = append(first.ids, second.ids...)
	return second, err
}

// once sends a call. Its error says what it means for the object.
func (c *client) once(ctx context.Context, r call, early bool) (said, error) {
	if err := c.pace(ctx); err != nil {
		return said{}, fmt.Errorf("%s: not sent: %w", r.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	token, err := c.login.token(ctx, early)
	if err != nil {
		return said{}, fmt.Errorf("%s: not sent: %w", r.name, err)
	}
	body, err := encode(struct {
		Query     string `json:"query"`
		Variables any    `json:"variables,omitempty"`
	}{r.query, r.variables})
	if err != nil {
		return said{}, fmt.Errorf("%s: not sent: %w", r.name, err)
	}
	header := http.Header{"Content-Type": {"application/json"}, "X-Shopify-Access-Token": {token}}
	path := "/admin/api/" + c.version + "/graphql.json"
	resp, text, sent, err := c.post(ctx, path, header, body, r.mutates)
	switch {
	case err == nil:
		return c.understand(r, resp, text, nil)
	case resp != nil:
		return c.understand(r, resp, text, err)
	}
	err = fmt.Errorf("%s: %w", r.name, c.hideIn(err))
	if sent && r.mutates {
		return said{}, actuators.InDoubt(err)
	}
	return said{}, err
}

// post sends one body and reads the answer's, at most MaxBody. Before a
// connection was there, nothing was sent. An answer whose body broke is told
// with its error.
func (c *client) post(ctx context.Context, path string, header http.Header, body []byte, mutates bool) (resp *http.Response, text []byte, sent bool, err error) {
	var left atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		left.Store(true)
		if mutates {
			actuators.Sending(ctx)
		}
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, false, err
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "pointsman")
	resp, err = c.http.Do(req)
	if err != nil {
		return nil, nil, left.Load(), plainCause(err)
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err == nil && len(text) > MaxBody {
		err = ErrBody
	}
	return resp, text, true, err
}

// plainCause takes off the method and URL that net/http puts before an error.
func plainCause(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // it is the outermost, or there is none
		return u.Err
	}
	return err
}
