package redisfence

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Name is the kind's name in the spec, of step and target.
const Name = "redis_fence"

// Bounds.
const (
	// DefaultWait is how long an old master that does not answer is asked again.
	DefaultWait = time.Second
	// MinWait and MaxWait bound the step's own.
	MinWait = 100 * time.Millisecond
	MaxWait = time.Minute
	// CallTimeout bounds a connection, and each answer on it.
	CallTimeout = 300 * time.Millisecond
	// AskAgain is the pause between two questions to a node that did not answer.
	AskAgain = 50 * time.Millisecond
	// BusyAfter is when a new master is asked again that does not say so yet.
	BusyAfter = 200 * time.Millisecond
	// MaxTaken bounds what is read on one connection, in bytes; INFO replication
	// has less than a hundred for each replica.
	MaxTaken = 1 << 20
	// MaxReply bounds what is shown of a server's words, in bytes.
	MaxReply = 256
)

// Errors.
var (
	// ErrNotDue is returned by Act when what was seen does not call for a write.
	ErrNotDue = errors.New("no write is due")
	// ErrValue is returned when an action's value cannot be read.
	ErrValue = errors.New("value not understood")
	// ErrMoved is returned by Act when the old master is not what the claim says.
	ErrMoved = errors.New("another replication id than the claim's")
	// ErrTLS is returned by Open for a target with tls when the kind was made without TLS.
	ErrTLS = errors.New("this program speaks no TLS to Redis")
	// ErrTooMuch is returned for more than MaxTaken bytes on one connection.
	ErrTooMuch = errors.New("too large an answer")
	// ErrReply is returned for an answer that is none of Redis.
	ErrReply = errors.New("answer not understood")
)

// Config is what a Kind is made with.
type Config struct {
	// TLS makes the client's side of a connection; nil: a target with tls cannot be opened.
	TLS    func(*pb.ClientTls) (*tls.Config, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error) // nil: TCP
	Getenv func(string) string                                                  // nil: os.Getenv
}

func (c Config) withDefaults() Config {
	if c.TLS == nil {
		c.TLS = func(*pb.ClientTls) (*tls.Config, error) { return nil, ErrTLS }
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: CallTimeout}).DialContext
	}
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	return c
}
