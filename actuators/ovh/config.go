package ovh

import (
	"errors"
	"time"

	"github.com/pointsman/pointsman/actuators/ovhapi"
)

// Name is the kind's name in the spec.
const Name = "ovh_iplb"

// Bounds.
const (
	// MaxReads bounds the requests of one Read that run side by side. OVH answers bursts with time-outs, not with 429.
	MaxReads = 6
	// MaxName bounds a frontend's name with its marker, in bytes. OVH publishes no limit; the user's text is cut, never the marker.
	MaxName = 255
	// MaxRemembered bounds the tasks and frontends that an actuator remembers.
	MaxRemembered = 256
	// MaxWait is how long another's running refresh is waited for before ours is posted beside it. OVH's own provider gives up then too.
	MaxWait = 10 * time.Minute
	// MaxHidden is how long OVH may answer 404 for a task that it has just named, before that means that the task has ended. Its task lists have been seen to lag by more than 3 s.
	MaxHidden = 10 * time.Second
	// MaxMissing is how long a task that was shown has to be answered 404 before that counts as its end. It is
	// longer than pendingChanges may lag, which then tells whether it did its work.
	MaxMissing = 5 * time.Second
	// MaxMerged is the number of posts merged in a row after which the next one counts as ours.
	MaxMerged = 3
	// MaxUnproven is how many refreshes in a row may vanish and leave changes that are not applied, before the last one
	// is stuck.
	MaxUnproven = 20
)

// Delays between looks.
const (
	busyDelay   = time.Second            // at a refresh of somebody else
	firstPoll   = 100 * time.Millisecond // at a task of ours
	lastPoll    = 3 * time.Second        // the longest
	blockedPoll = 10 * time.Second       // only a human or OVH ends it
)

// Errors.
var (
	// ErrNotDue is returned by Act when what was seen does not call for a write.
	ErrNotDue = errors.New("no write is due")
	// ErrValue is returned when an action's value cannot be read.
	ErrValue = errors.New("value not understood")
	// ErrFarm is returned when a farm does not hold its candidate as only server.
	ErrFarm = errors.New("farm does not hold its candidate alone")
	// ErrUnproven is returned by Follow when refresh upon refresh vanished and what it covered is still not applied.
	ErrUnproven = errors.New("refreshes vanish and apply nothing")
)

// Config is what a Kind may be made with. The zero Config is what a server uses.
type Config = ovhapi.Config
