package ovhip

import (
	"errors"
	"time"

	"github.com/pointsman/pointsman/actuators/ovhapi"
)

// Name is the kind's name in the spec.
const Name = "ovh_ip"

// Bounds.
const (
	// MaxWait is how long a move that is under way is waited for. OVH's own provider gives up after 5 min.
	MaxWait = 10 * time.Minute
	// MaxHidden is how long OVH may not show a task that it has just made. Its lists have been seen to lag by more than 3 s.
	MaxHidden = 10 * time.Second
	// MaxMissing is how long a task that was shown has to be answered 404 before that counts as its end.
	MaxMissing = 2 * time.Second
	// MaxLag is how long an IP may show its old service after its task is done.
	MaxLag = 30 * time.Second
	// MaxText bounds a description with its marker, in bytes. OVH publishes no limit; the user's text is cut, never the marker.
	MaxText = 255
	// MaxRemembered bounds the tasks and IPs that an actuator remembers.
	MaxRemembered = 256
	// MaxListed bounds the destinations that a detail names.
	MaxListed = 8
)

// Delays between looks. OVH's own provider polls every 10 s.
const (
	firstPoll   = time.Second
	lastPoll    = 10 * time.Second
	unknownPoll = 10 * time.Second // at a status that is not known here
	refusedLook = time.Second      // after a refusal that the IP does not bear out
	refusedFor  = 5 * time.Second  // longer than what is read may lag behind a refusal's reason
	refusedAnew = 5 * time.Minute  // longer than the pause between two attempts at one move
)

// Errors.
var (
	// ErrNotDue is returned by Act when what was seen does not call for a write.
	ErrNotDue = errors.New("no write is due")
	// ErrValue is returned when an action's value cannot be read.
	ErrValue = errors.New("value not understood")
)

// Config is what a Kind may be made with. The zero Config is what a server uses.
type Config = ovhapi.Config
