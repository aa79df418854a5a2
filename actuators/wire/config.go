package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/pointsman/pointsman/actuators"
)

// Bounds.
const (
	// RequestTimeout bounds one request, its answer included.
	RequestTimeout = 5 * time.Second
	// DialTimeout bounds making a connection, and then its TLS.
	DialTimeout = 2 * time.Second
	// IdleTimeout is how long a connection is kept for the next request.
	IdleTimeout = 30 * time.Second
	// MaxBody bounds an answer's body, in bytes.
	MaxBody = 1 << 20
	// MaxIdle is the number of connections kept.
	MaxIdle = 6
	// MaxRetryAfter bounds how long a provider may tell us to stay away.
	MaxRetryAfter = 10 * time.Minute
	// RefusedDelay follows a refusal for now that names no delay.
	RefusedDelay = time.Second
	// MaxMessage bounds what is quoted of somebody else's words, in bytes.
	MaxMessage = 300
	// MaxSecret bounds what a reference may resolve to, in bytes.
	MaxSecret = 64 << 10
)

// Errors.
var (
	// ErrBody is in an Answer whose body exceeds MaxBody.
	ErrBody = errors.New("answer too large")
	// ErrAnswer is returned when an answer is not what the API describes.
	ErrAnswer = errors.New("answer not understood")
	// ErrReference is returned when a secret reference does not resolve. It
	// wraps no secret, nor what was written where a reference should stand.
	ErrReference = errors.New("secret does not resolve")
)

// Dialer makes a connection, as net.Dialer does.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Redirector reports whether a redirect is to be followed by next, which the
// budget does not pace; else the redirect is the answer. Via are the requests so
// far, oldest first.
type Redirector func(next *http.Request, via []*http.Request) bool

// Config of a Client. The zero value of each field is usable.
type Config struct {
	Base    string           // URL before each call's path, without slash at its end
	Dial    Dialer           // nil: TCP with DialTimeout; a simulation without sockets sets it
	Follow  Redirector       // nil: no redirect is followed
	Direct  bool             // no proxy of the environment: it would dial for us
	TLS     *tls.Config      // nil: the system's roots
	Budget  actuators.Budget // nil: none
	Secrets []string         // never to be shown, whoever says them

	// Sign adds what proves whose request it is; nil: nothing. It may ask the
	// provider first, under ctx. It may be called concurrently.
	Sign func(ctx context.Context, r *http.Request, body []byte) error
	// ID finds what the provider calls its answer; nil: X-Request-Id.
	ID func(http.Header) string
}

func (c Config) withDefaults() Config {
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: DialTimeout, KeepAlive: 15 * time.Second}).DialContext
	}
	if c.ID == nil {
		c.ID = func(h http.Header) string { return h.Get("X-Request-Id") }
	}
	return c
}
