package shopify

import (
	"errors"
	"os"
	"time"

	"github.com/pointsman/pointsman/actuators/wire"
)

// Names of the kind in the spec.
const (
	// Name is that of a step that writes metafields.
	Name = "shopify_metafields"
	// HooksName is that of a step that has webhook subscriptions stand.
	HooksName = "shopify_webhooks"
	// TargetName is the target's.
	TargetName = "shopify"
)

// Bounds.
const (
	// MaxToken bounds a granted token, in bytes.
	MaxToken = 4 << 10
	// MaxDigest bounds a digest, in bytes. Shopify publishes no length; what has been seen is 64 characters.
	MaxDigest = 256
	// MaxValues is the most metafields of one call.
	MaxValues = 25
	// MaxValue bounds one metafield's value with all that is around it, in bytes, as Shopify bounds those of type json.
	MaxValue = 128_000
	// MaxHooks is the most webhook subscriptions of one step: they are created in one request, at about 10 points each.
	MaxHooks = 25
	// MaxListed is the most webhook subscriptions of an app in a shop that are read.
	MaxListed = 2000
	// hooksPage is how many are asked for at once.
	hooksPage = 100
	// MaxErrors is how many errors of one answer are read.
	MaxErrors = 25
)

// Delays.
const (
	// FrozenDelay is how long a shop that is frozen, locked or closed is left alone.
	FrozenDelay = 5 * time.Minute
	// throttledDelay is waited for where an answer is throttled and names no time.
	throttledDelay = 2 * time.Second
	// staleDelay is waited for after STALE_OBJECT: the next read may come from a replica that lags.
	staleDelay = 200 * time.Millisecond
	// vaultDelay is waited for when the leader has to replace the token, or nobody can.
	vaultDelay = time.Second
	// takenDelay is waited for where Shopify says that it has a subscription which it does not list.
	takenDelay = 5 * time.Second
	// madeFor is how long a subscription that Shopify has clearly answered for may be missing from its list.
	madeFor = 30 * time.Second
	// doubtFor is how long one may that was asked for without a clear answer.
	doubtFor = 3 * time.Second
	// madeDelay is waited for until such a list is read again.
	madeDelay = time.Second
	// countFor is how long a count of subscriptions is shown after the look that made it.
	countFor = 15 * time.Minute
	// notRead is waited for when there is nothing to judge.
	notRead = 100 * time.Millisecond
)

// Life of a token from the client-credentials grant.
const (
	// tokenLife is believed where the answer names none: short, since a refusal costs an attempt.
	tokenLife = time.Hour
	// refreshBefore is how long before its end, at most in its last quarter, a token is replaced by a read or a probe; a write uses what is there.
	refreshBefore = 30 * time.Minute
	// minLife is the least that a token must have left to be used.
	minLife = 10 * time.Second
)

// Errors.
var (
	// ErrToken is returned when what a reference holds is no access token.
	ErrToken = errors.New("not an access token")
	// ErrNotDue is returned by Act when what was seen does not call for a write.
	ErrNotDue = errors.New("no write is due")
	// ErrChanged is returned by Act when the metafields are no longer those that the claim names.
	ErrChanged = errors.New("changed since the claim's read; a new claim is needed")
	// ErrStale is returned when Shopify refused the digests.
	ErrStale = errors.New("changed before the write arrived (STALE_OBJECT); nothing was stored")
	// ErrOverwrite is returned for a comparison that would compare nothing.
	ErrOverwrite = errors.New("a write without comparison is never sent")
	// ErrValue is returned when an action's value or version cannot be read.
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
