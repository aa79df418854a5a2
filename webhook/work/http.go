package work

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pointsman/pointsman/webhook"
)

// Headers of a delivery by HTTP, besides those that the shop sent.
const (
	HeaderKey       = "Idempotency-Key"
	HeaderToken     = "Pointsman-Token"
	HeaderPartition = "Pointsman-Partition"
	HeaderAttempt   = "Pointsman-Attempt"
	// HeaderFenced stands in a 409 of a sink that has seen a newer token.
	HeaderFenced = "Pointsman-Fenced"
)

// Bounds of an answer.
const (
	answerBytes = 64 << 10 // read, so that the connection can be used again
	answerText  = 200      // told
)

// HTTP hands events out by POST: the raw body, the shop's own headers, and what a
// sink needs to do the work once.
//
//	2xx                             done
//	408, 425, 429, 5xx, 3xx         again, not before Retry-After
//	402, 423                        the shop is paused, for Retry-After
//	409 with Pointsman-Fenced       the lease is given up
//	other 4xx                       permanent
//	no connection                   unavailable
//	no answer                       again
//
// Redirects are not followed.
type HTTP struct {
	URL    string      // where to
	Header http.Header // in each request, such as Authorization; may be nil

	client *http.Client
}

// NewHTTP makes a handler for an endpoint. conns is how many connections are
// kept, Config.Concurrency at best.
func NewHTTP(endpoint string, header http.Header, conns int) (*HTTP, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%w: endpoint must be http://HOST or https://HOST without a user", ErrConfig)
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, ForceAttemptHTTP2: true,
		MaxIdleConns: conns, MaxIdleConnsPerHost: conns, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second,
		MaxResponseHeaderBytes: answerBytes,
	}
	return &HTTP{URL: endpoint, Header: header, client: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Close drops idle connections.
func (h *HTTP) Close() error {
	h.client.CloseIdleConnections()
	return nil
}

// Handle implements Handler.
func (h *HTTP) Handle(ctx context.Context, d Delivery) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(d.Event.Body))
	if err != nil {
		return err
	}
	for name, values := range h.Header {
		r.Header[name] = values
	}
	if err := describe(r.Header, d); err != nil {
		return Permanent(err)
	}
	resp, err := h.client.Do(r)
	if err != nil {
		return unreached(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	return verdict(resp, said)
}

// unreached tells whether a request can have arrived at all.
func unreached(err error) error {
	var op *net.OpError
	var url *url.Error
	if errors.As(err, &url) {
		err = url.Err // without the URL, which may hold a secret
	}
	err = saying{what: err}
	if errors.As(err, &op) && op.Op == "dial" {
		return Unavailable(err)
	}
	return err
}

// verdict is what an answer says.
func verdict(resp *http.Response, said []byte) error {
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	err := saying{fmt.Errorf("answered %d", code), cutText(strings.TrimSpace(string(said)), answerText)}
	after := retryAfter(resp.Header.Get("Retry-After"), resp.Header.Get("Date"))
	switch {
	case code == http.StatusPaymentRequired, code == http.StatusLocked:
		return PauseShop(err, after)
	case code == http.StatusConflict && resp.Header.Get(HeaderFenced) != "":
		return Fenced(err)
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500, code < 400:
		return RetryAfter(err, after)
	}
	return Permanent(err)
}

// retryAfter reads seconds, with a fraction too, or a date by the answer's own
// clock; 0 when it says nothing.
func retryAfter(text, date string) time.Duration {
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 {
		return time.Duration(min(s, maxPause.Seconds()) * float64(time.Second))
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(date)
	if err != nil {
		now = time.Now()
	}
	return max(until.Sub(now), 0)
}

// describe sets the headers of a delivery.
func describe(h http.Header, d Delivery) error {
	e := d.Event
	prefix := "X-Shopify-"
	if e.Family == webhook.FamilyEvents {
		prefix = "Shopify-"
	}
	for _, f := range []struct{ name, value string }{
		{"Content-Type", e.ContentType},
		{prefix + "Topic", e.Topic}, {prefix + "Shop-Domain", e.Shop}, {prefix + "Api-Version", e.APIVersion},
		{prefix + "Webhook-Id", e.WebhookID}, {prefix + "Event-Id", e.EventID}, {prefix + "Triggered-At", e.TriggeredAt}, {prefix + "Name", e.Name},
		{HeaderKey, d.Key}, {HeaderToken, strconv.FormatUint(d.Token, 10)}, {HeaderPartition, strconv.FormatUint(uint64(d.Partition), 10)},
		{HeaderAttempt, strconv.Itoa(d.Attempt)},
	} {
		if f.value == "" {
			continue
		}
		if control(f.value) {
			return fmt.Errorf("header %s holds a control character", f.name)
		}
		h.Set(f.name, f.value)
	}
	return nil
}

// control reports whether text cannot stand in a header or an environment.
func control(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f })
}
