package octavia

import (
	"errors"
	"os"
	"time"

	"github.com/pointsman/pointsman/actuators/wire"
)

// Name is the kind's name in the spec.
const Name = "octavia"

// Bounds.
const (
	// MaxText bounds a listener's description with its marker, in bytes. Octavia takes 255 characters; the user's text is cut, never the marker.
	MaxText = 255
	// MaxHidden is how long a GET may answer an older copy of a listener that we wrote, before that means that our write is gone.
	MaxHidden = 10 * time.Second
	// MaxLifetime bounds how long a token is used, whatever Keystone says.
	MaxLifetime = 24 * time.Hour
	// DefaultLifetime is how long a token is used whose lifetime Keystone does not say.
	DefaultLifetime = 5 * time.Minute
	// RenewBefore is how long before its end a token is renewed, or a quarter of its lifetime if that is less.
	RenewBefore = 2 * time.Minute
	// MaxFresh is how long after it was asked for a token counts as new.
	MaxFresh = 10 * time.Second
	// MaxFollowed bounds the writes that an actuator remembers.
	MaxFollowed = 256
)

// Delays between looks at a load balancer that is pending.
const (
	firstPoll = 250 * time.Millisecond
	lastPoll  = 5 * time.Second
)

// Errors.
var (
	// ErrCredentials is returned when credentials lack a part, or are for another cloud.
	ErrCredentials = errors.New("credentials not usable")
	// ErrCatalogue is returned when Keystone names no load balancer service for the region.
	ErrCatalogue = errors.New("no load balancer service")
	// ErrNotDue is returned by Act when what was seen does not call for a write.
	ErrNotDue = errors.New("no write is due")
	// ErrAnswer is returned when an answer is not what the API describes.
	ErrAnswer = errors.New("answer not understood")
	// ErrValue is returned when an action's value cannot be read.
	ErrValue = errors.New("value not understood")
)

// Config is what a Kind may be made with. The zero Config is what a server uses.
type Config struct {
	Dial   wire.Dialer         // nil: TCP; a simulation without sockets sets it
	Getenv func(string) string // nil: os.Getenv
}

func (c Config) withDefaults() Config {
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	return c
}
