package shopify

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// Names of the kind in the spec.
const (
	// Name is the step's.
	Name = "shopify_metafields"
	// TargetName is the target's.
	TargetName = "shopify"
)

// Bounds.
const (
	// RequestTimeout bounds one request, its answer included.
	RequestTimeout = 5 * time.Second
	// DialTimeout bounds making a connection.
	DialTimeout = 2 * time.Second
	// MaxBody bounds an answer's body, in bytes: 25 values of 128 KB fit, as Shopify bounds them, with their escapes.
	MaxBody = 8 << 20
	// MaxRetryAfter bounds how long the provider may tell us to stay away.
	MaxRetryAfter = 10 * time.Minute
	// MaxMessage bounds what an error quotes of an answer, in bytes.
	MaxMessage = 300
	// MaxSecret bounds a token or a client secret, in bytes.
	MaxSecret = 4 << 10
	// MaxDigest bounds a digest, in bytes. Shopify publishes no length; what has been seen is 64 characters.
	MaxDigest = 256
	// MaxValues is the most metafields of one call.
	MaxValues = 25
	// MaxValue bounds one metafield's value with all that is around it, in bytes, as Shopify bounds those of type json.
	MaxValue = 128_000
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
	// notRead is waited for when there is nothing to judge.
	notRead = 100 * time.Millisecond
)

// Life of a token from the client-credentials grant.
const (
	// tokenLife is believed where the answer names none: short, since a refusal costs an attempt.
	tokenLife = time.Hour
	// refreshBefore is how long before its end a token is replaced by a read or a probe; a write uses what is there.
	refreshBefore = 30 * time.Minute
	// minLife is the least that a token must have left to be used.
	minLife = 10 * time.Second
)

// Errors.
var (
	// ErrReference is returned when a secret reference does not resolve.
	ErrReference = errors.New("secret does not resolve")
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
	// ErrAnswer is returned when an answer is not what the API describes.
	ErrAnswer = errors.New("answer not understood")
	// ErrBody is returned when an answer's body exceeds MaxBody.
	ErrBody = errors.New("answer too large")
	// ErrValue is returned when an action's value or version cannot be read.
	ErrValue = errors.New("value not understood")
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
