package wire

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
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/actuators"
)

// Client sends requests to one provider. It may be used concurrently.
type Client struct {
	config Config
	http   *http.Client
	hidden *strings.Replacer
}

// New makes a client. It sends nothing.
func New(c Config) *Client {
	c = c.withDefaults()
	var hidden []string
	longest := func(a, b string) int { return len(b) - len(a) } // one may begin with another
	for _, s := range slices.SortedFunc(slices.Values(c.Secrets), longest) {
		if s != "" {
			hidden = append(hidden, s, "***")
		}
	}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	proxy := http.ProxyFromEnvironment
	if c.Direct {
		proxy = nil
	}
	return &Client{
		config: c, hidden: strings.NewReplacer(hidden...),
		http: &http.Client{
			CheckRedirect: c.redirected,
			Transport: &http.Transport{
				Proxy: proxy, DialContext: c.Dial, TLSClientConfig: c.TLS, TLSHandshakeTimeout: DialTimeout,
				MaxIdleConnsPerHost: MaxIdle, IdleConnTimeout: IdleTimeout, Protocols: &http1,
			},
		},
	}
}

// redirected leaves a redirect as the answer unless it is let through.
func (c Config) redirected(next *http.Request, via []*http.Request) error {
	if c.Follow == nil || !c.Follow(next, via) {
		return http.ErrUseLastResponse
	}
	return nil
}

// Close drops idle connections. The client stays usable.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Call is one request.
type Call struct {
	Method, Path string
	Header       http.Header // besides what Send and Sign set; nil: none
	Body         any         // nil: none; []byte and string as they are, else as JSON
	ReadOnly     bool        // it changes nothing, whatever its method says
}

// Mutates reports whether the call could change something: any but GET and
// HEAD, unless it is said to be a read.
func (c Call) Mutates() bool {
	return !c.ReadOnly && c.Method != http.MethodGet && c.Method != http.MethodHead
}

func (c Call) String() string { return c.Method + " " + c.Path }

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Broken error  // the body did not come in full, or is too large; Body is what there is
	ID     string // as the provider calls it; may be empty

	Ends time.Time // of the server's certificate; zero: without TLS
}

// OK reports a status of success.
func (a *Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// IDs is the answer's id as a list; nil when there is none.
func (a *Answer) IDs() []string {
	if a == nil || a.ID == "" {
		return nil
	}
	return []string{a.ID}
}

// Send sends a call once and returns its answer, of any status. The error of a
// call without one says by its type what that means (see the package's doc);
// it holds neither the URL nor a secret. A mutating call tells actuators.Sending
// when it has its connection.
func (c *Client) Send(ctx context.Context, call Call) (*Answer, error) {
	if err := c.pace(ctx); err != nil {
		return nil, fmt.Errorf("%s: not sent: %w", call, err)
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	req, err := c.request(ctx, call)
	if err != nil {
		return nil, fmt.Errorf("%s: not sent: %w", call, err)
	}
	var left atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			left.Store(true)
			if call.Mutates() {
				actuators.Sending(ctx)
			}
		},
	}))
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, lost(call, err, left.Load())
	}
	defer resp.Body.Close()
	a := &Answer{Status: resp.StatusCode, Header: resp.Header, ID: c.config.ID(resp.Header)}
	if t := resp.TLS; t != nil && len(t.PeerCertificates) > 0 {
		a.Ends = t.PeerCertificates[0].NotAfter
	}
	a.Body, a.Broken = io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if a.Broken == nil && len(a.Body) > MaxBody {
		a.Body, a.Broken = a.Body[:MaxBody], fmt.Errorf("more than %d bytes: %w", MaxBody, ErrBody)
	}
	return a, nil
}

func (c *Client) pace(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.config.Budget == nil {
		return nil
	}
	return c.config.Budget.Wait(ctx)
}

func (c *Client) request(ctx context.Context, call Call) (*http.Request, error) {
	body, err := encode(call.Body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, c.config.Base+call.Path, bytes.NewReader(body))
	if err != nil {
		return nil, plainCause(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "pointsman")
	if call.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range call.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := req.Header[name]; ok { // net/http repeats a POST that carries it, and looks for this spelling only
			delete(req.Header, name)
			req.Header[strings.ToLower(name)] = values
		}
	}
	if c.config.Sign == nil {
		return req, nil
	}
	return req, c.config.Sign(ctx, req, body)
}

func encode(body any) ([]byte, error) {
	switch b := body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return b, nil
	case string:
		return []byte(b), nil
	}
	return json.Marshal(body)
}

// lost explains a request without an answer. Before a connection was there,
// nothing left.
func lost(call Call, err error, left bool) error {
	err = fmt.Errorf("%s: %w", call, plainCause(err))
	if left && call.Mutates() {
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
