package ovh

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// Name is the kind's name in the spec.
const Name = "ovh_iplb"

// Bounds.
const (
	// RequestTimeout bounds one request, its answer included. go-ovh's default is 180 s.
	RequestTimeout = 5 * time.Second
	// DialTimeout bounds making a connection.
	DialTimeout = 2 * time.Second
	// MaxBody bounds an answer's body, in bytes.
	MaxBody = 1 << 20
	// MaxReads bounds the requests of one Read that run side by side. OVH answers bursts with time-outs, not with 429.
	MaxReads = 6
	// MaxRetryAfter bounds how long the provider may tell us to stay away.
	MaxRetryAfter = 10 * time.Minute
	// MaxMessage bounds what an error quotes of an answer, in bytes.
	MaxMessage = 300
	// MaxName bounds a frontend's name with its marker, in bytes. OVH publishes no limit; the user's text is cut, never the marker.
	MaxName = 255
	// MaxCredentials bounds an ovh.conf, in bytes.
	MaxCredentials = 64 << 10
	// MaxRemembered bounds the tasks and frontends that an actuator remembers.
	MaxRemembered = 256
	// MaxWait is how long another's running refresh is waited for before ours is posted beside it. OVH's own provider gives up then too.
	MaxWait = 10 * time.Minute
	// MaxHidden is how long OVH may answer 404 for a task that it has just named, before that means that the task has ended. Its task lists have been seen to lag by more than 3 s.
	MaxHidden = 10 * time.Second
	// MaxMissing is how long a task that was shown has to be answered 404 before that counts as its end.
	MaxMissing = 2 * time.Second
	// MaxMerged is the number of posts merged in a row after which the next one counts as ours.
	MaxMerged = 3
)

// Delays between looks.
const (
	busyDelay    = time.Second            // at a refresh of somebody else
	firstPoll    = 100 * time.Millisecond // at a task of ours
	lastPoll     = 3 * time.Second        // the longest
	blockedPoll  = 10 * time.Second       // only a human or OVH ends it
	refusedDelay = time.Second            // after 409, and 429 that names no delay
)

// Errors.
var (
	// ErrReference is returned when a secret reference does not resolve.
	ErrReference = errors.New("secret does not resolve")
	// ErrCredentials is returned when credentials lack a part, or have parts of two kinds.
	ErrCredentials = errors.New("credentials not usable")
	// ErrNotDue is returned by Act when what was seen does not call for a write.
	ErrNotDue = errors.New("no write is due")
	// ErrAnswer is returned when an answer is not what the API describes.
	ErrAnswer = errors.New("answer not understood")
	// ErrBody is returned when an answer's body exceeds MaxBody.
	ErrBody = errors.New("answer too large")
	// ErrValue is returned when an action's value cannot be read.
	ErrValue = errors.New("value not understood")
	// ErrFarm is returned when a farm does not hold its candidate as only server.
	ErrFarm = errors.New("farm does not hold its candidate alone")
)

// Config is what a Kind may be made with. The zero Config is what a server uses.
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
