package haproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Name is the kind's name in the spec, of step and target.
const Name = "haproxy"

// Bounds.
const (
	// RequestTimeout bounds one request, from the dial to the end of its answer.
	RequestTimeout = 5 * time.Second
	// DialTimeout bounds making a connection.
	DialTimeout = 2 * time.Second
	// MaxAnswer bounds an answer, in bytes.
	MaxAnswer = 1 << 20
	// MaxMessage bounds what an error or a detail quotes of an answer, in bytes.
	MaxMessage = 300
	// MaxListed bounds the servers that a detail names.
	MaxListed = 5
	// LookAgain is when a server is read again that was being written.
	LookAgain = time.Second
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
	// ErrTLS is returned by Open for a target with tls when the kind was made without TLS.
	ErrTLS = errors.New("this program speaks no TLS to HAProxy")
)

// Config is what a Kind is made with.
type Config struct {
	// TLS makes the client's side of a connection; nil: a target with tls cannot be opened.
	TLS  func(*pb.ClientTls) (*tls.Config, error)
	Dial func(ctx context.Context, network, address string) (net.Conn, error) // nil: with DialTimeout
}

func (c Config) withDefaults() Config {
	if c.TLS == nil {
		c.TLS = func(*pb.ClientTls) (*tls.Config, error) { return nil, ErrTLS }
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: DialTimeout}).DialContext
	}
	return c
}
