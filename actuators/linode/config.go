package linode

import (
	"errors"
	"os"

	"github.com/pointsman/pointsman/actuators/wire"
)

// Name is the kind's name in the spec.
const Name = "linode_nodebalancer"

// DefaultEndpoint is the base URL of the API.
const DefaultEndpoint = "https://api.linode.com/v4"

// Scope is what the token must be granted.
const Scope = "nodebalancers:read_write"

// Bounds.
const (
	// MaxLabel bounds a node's label, in characters. Linode's API takes 3 to 32.
	MaxLabel = 32
	// PageSize is the number of nodes asked for at once. Today's API gives up to 500, older ones gave 100.
	PageSize = 100
	// MaxPages bounds the pages of one list.
	MaxPages = 20
	// MaxRemembered bounds the nodes that an actuator remembers.
	MaxRemembered = 256
)

// Errors.
var (
	// ErrNotDue is returned by Act when what was seen does not call for a write.
	ErrNotDue = errors.New("no write is due")
	// ErrValue is returned when an action's value cannot be read.
	ErrValue = errors.New("value not understood")
	// ErrLabel is returned when a marker does not fit a label.
	ErrLabel = errors.New("marker does not fit a label")
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
