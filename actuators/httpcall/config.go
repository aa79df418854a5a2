package httpcall

import (
	"errors"
	"os"
	"time"

	"github.com/pointsman/pointsman/actuators/wire"
)

// Name is the kind's name in the spec.
const Name = "http"

// Version is the version of the event.
const Version = 1

// Headers of a request.
const (
	HeaderKey       = "Idempotency-Key"
	HeaderToken     = "Pointsman-Token"
	HeaderTimestamp = "Pointsman-Timestamp"
	HeaderSignature = "Pointsman-Signature"
)

// Bounds.
const (
	// MinSecret is the shortest secret that is taken, in bytes.
	MinSecret = 16
	// MaxNetworks bounds the networks that a target allows.
	MaxNetworks = 16
	// MaxRedirects bounds the redirects that are followed where the target allows it.
	MaxRedirects = 3
	// MaxClockOff is the difference of clocks from which a refusal names it: receivers of signed webhooks commonly take five minutes, some fewer.
	MaxClockOff = 2 * time.Minute
	// MaxShown bounds what is shown of a value, in bytes.
	MaxShown = 256
)

// Errors.
var (
	// ErrAddress is returned when a name resolves to an address that is not allowed.
	ErrAddress = errors.New("address is not allowed")
	// ErrSecret is returned for a secret shorter than MinSecret.
	ErrSecret = errors.New("secret too short")
	// ErrAuthority is returned when ca holds no certificate.
	ErrAuthority = errors.New("no certificate in ca")
	// ErrNotDue is returned by Act when what was seen does not call for an event.
	ErrNotDue = errors.New("no event is due")
	// ErrValue is returned when an action's value cannot be read.
	ErrValue = errors.New("value not understood")
	// ErrStatus is returned for an answer that is no success.
	ErrStatus = errors.New("endpoint answered")
)

// Config is what a Kind may be made with. The zero Config is what a server uses.
type Config struct {
	Getenv func(string) string // nil: os.Getenv
	Now    func() time.Time    // of the timestamp, and for telling a clock that is off; nil: time.Now
	Dial   wire.Dialer         // nil: TCP to allowed addresses; a simulation without sockets sets it
}

func (c Config) withDefaults() Config {
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
