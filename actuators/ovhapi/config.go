package ovhapi

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// Bounds.
const (
	// RequestTimeout bounds one request, its answer included. go-ovh's default is 180 s.
	RequestTimeout = 5 * time.Second
	// DialTimeout bounds making a connection.
	DialTimeout = 2 * time.Second
	// MaxBody bounds an answer's body, in bytes.
	MaxBody = 1 << 20
	// MaxIdle bounds the connections that are kept.
	MaxIdle = 6
	// MaxRetryAfter bounds how long the provider may tell us to stay away.
	MaxRetryAfter = 10 * time.Minute
	// MaxMessage bounds what an error quotes of an answer, in bytes.
	MaxMessage = 300
	// MaxCredentials bounds an ovh.conf, in bytes.
	MaxCredentials = 64 << 10
)

// refusedDelay follows 409, and 429 that names no delay.
const refusedDelay = time.Second

// Errors.
var (
	// ErrReference is returned when a secret reference does not resolve.
	ErrReference = errors.New("secret does not resolve")
	// ErrCredentials is returned when credentials lack a part, or have parts of two kinds.
	ErrCredentials = errors.New("credentials not usable")
	// ErrAnswer is returned when an answer is not what the API describes.
	ErrAnswer = errors.New("answer not understood")
	// ErrBody is returned when an answer's body exceeds MaxBody.
	ErrBody = errors.New("answer too large")
)

// Config is what a kind of OVH's may be made with. The zero Config is what a server uses.
type Config struct {
	Dial   func(ctx context.Context, network, address string) (net.Conn, error) // nil: TCP with DialTimeout; a simulation without sockets sets it
	Getenv func(string) string                                                  // nil: os.Getenv
}

func (c Config) withDefaults() Config {
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: DialTimeout, KeepAlive: 15 * time.Second}).DialContext
	}
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	return c
}
