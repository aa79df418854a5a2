package haproxy

import (
	"context"
	"errors"
	"net"
	"time"
)

// Name is the kind's name in the spec.
const Name = "haproxy"

// Bounds.
const (
	// RequestTimeout bounds one request, its answer included.
	RequestTimeout = 5 * time.Second
	// DialTimeout bounds making a connection.
	DialTimeout = 2 * time.Second
	// MaxAnswer bounds an answer, in bytes.
	MaxAnswer = 1 << 20
	// MaxMessage bounds what an error quotes of an answer, in bytes.
	MaxMessage = 300
)

// Errors.
var (
	// ErrAnswer is returned when an answer is not one that is known.
	ErrAnswer = errors.New("answer not understood")
	// ErrRefused is returned when HAProxy refuses for good.
	ErrRefused = errors.New("haproxy refused")
	// ErrNotDue is returned by Act when what was seen does not call for a write.
	ErrNotDue = errors.New("no write is due")
	// ErrValue is returned when an action's value cannot be read.
	ErrValue = errors.New("value not understood")
)

// Config is what a Kind may be made with. The zero Config is what a server uses.
type Config struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error) // nil: with DialTimeout; a simulation without sockets sets it
}

func (c Config) withDefaults() Config {
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: DialTimeout}).DialContext
	}
	return c
}
