package work

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// Defaults and bounds.
const (
	DefaultConcurrency = 16
	MaxConcurrency     = 1024
	DefaultTimeout     = 30 * time.Second
	DefaultAttempts    = 10
	MaxAttempts        = 1000
	DefaultRetryFor    = 24 * time.Hour
	DefaultBackoff     = time.Second
	DefaultMaxBackoff  = 5 * time.Minute
	DefaultPause       = 5 * time.Minute
	DefaultPoll        = 500 * time.Millisecond
	MinPoll            = 10 * time.Millisecond
	DefaultCacheBytes  = 64 << 20
	DefaultMaxWaiting  = 10_000
	DefaultBreakAfter  = 10
	DefaultBreakFor    = 5 * time.Second

	// MaxUncommitted is how many finished events of a partition wait for a commit
	// before no more are handed out.
	MaxUncommitted = 4096
)

// Config says how to work. Zero values mean the defaults.
type Config struct {
	// Store is the buffer. Handler does the work.
	Store   buffer.Store
	Handler Handler
	// Partitions of the pool, 1 to webhook.Slots. Every worker of a buffer has the
	// same number.
	Partitions int
	// Worker is a name for dead letters and heads; display only.
	Worker string
	// Concurrency is how many calls of the handler run at once in this process.
	Concurrency int
	// Timeout bounds one call of the handler.
	Timeout time.Duration
	// Attempts is how many failed calls make an event a dead letter; RetryFor how
	// long after its first call any further failure does.
	Attempts int
	RetryFor time.Duration
	// Backoff is the bound of the first random delay after a failure; it doubles
	// with each one of the shop up to MaxBackoff. Pause is how long a shop is left
	// alone that the handler calls closed.
	Backoff, MaxBackoff, Pause time.Duration
	// Rate is how many events of one shop are handed out per second, Burst how many
	// at once. Rate 0: no bound.
	Rate  float64
	Burst int
	// BreakAfter is how many calls in a row have to fail, over several shops, for
	// calls to stop; BreakFor is how long until one is tried.
	BreakAfter int
	BreakFor   time.Duration
	// Poll is how often a live stream is asked for new segments.
	Poll time.Duration
	// CacheBytes bounds the segments that are kept in memory; MaxWaiting the events
	// that wait in one partition, without their bodies, an eighth of them for one shop.
	CacheBytes int64
	MaxWaiting int
	// Keep is how long a finished event can be replayed: from then on the holder of
	// the first partition removes its segment, once every partition is past it by
	// Positions. Finished events are remembered a day longer. At least
	// ledger.MinKeep, which is the default. Nil Positions: nothing is removed.
	Keep      time.Duration
	Positions func(ctx context.Context, partition uint32) (map[string]ledger.Position, error)
	// Registerer is told the metrics, Log what goes wrong. Either may be nil.
	Registerer prometheus.Registerer
	Log        *slog.Logger
}

// Validate says what is missing or out of bounds, as ErrConfig.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Store == nil || c.Handler == nil:
		return fmt.Errorf("%w: store and handler must be given", ErrConfig)
	case c.Partitions < 1 || c.Partitions > webhook.Slots:
		return fmt.Errorf("%w: %d partitions, must be 1 to %d", ErrConfig, c.Partitions, webhook.Slots)
	case c.Concurrency < 1 || c.Concurrency > MaxConcurrency:
		return fmt.Errorf("%w: concurrency is %d, must be 1 to %d", ErrConfig, c.Concurrency, MaxConcurrency)
	case c.Attempts < 1 || c.Attempts > MaxAttempts:
		return fmt.Errorf("%w: %d attempts, must be 1 to %d", ErrConfig, c.Attempts, MaxAttempts)
	case c.Timeout < 0 || c.RetryFor < 0 || c.Backoff < 0 || c.Pause < 0 || c.BreakFor < 0:
		return fmt.Errorf("%w: a duration is negative", ErrConfig)
	case c.MaxBackoff < c.Backoff:
		return fmt.Errorf("%w: backoff %s is more than its bound %s", ErrConfig, c.Backoff, c.MaxBackoff)
	case c.Rate < 0 || c.Burst < 1:
		return fmt.Errorf("%w: rate %g and burst %d of a shop", ErrConfig, c.Rate, c.Burst)
	case c.Poll < MinPoll:
		return fmt.Errorf("%w: poll is %s, must be at least %s", ErrConfig, c.Poll, MinPoll)
	case c.Keep < ledger.MinKeep:
		return fmt.Errorf("%w: events are kept for %s, must be at least %s", ErrConfig, c.Keep, ledger.MinKeep)
	case c.CacheBytes < 1 || c.MaxWaiting < 1 || c.BreakAfter < 1:
		return fmt.Errorf("%w: cache of %d bytes, %d waiting, break after %d: each must be at least 1", ErrConfig, c.CacheBytes, c.MaxWaiting, c.BreakAfter)
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.Concurrency = cmp.Or(c.Concurrency, DefaultConcurrency)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Attempts = cmp.Or(c.Attempts, DefaultAttempts)
	c.RetryFor = cmp.Or(c.RetryFor, DefaultRetryFor)
	c.Backoff = cmp.Or(c.Backoff, DefaultBackoff)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, max(DefaultMaxBackoff, c.Backoff))
	c.Pause = cmp.Or(c.Pause, DefaultPause)
	c.Burst = cmp.Or(c.Burst, 1)
	c.Poll = cmp.Or(c.Poll, DefaultPoll)
	c.CacheBytes = cmp.Or(c.CacheBytes, DefaultCacheBytes)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, DefaultMaxWaiting)
	c.BreakAfter = cmp.Or(c.BreakAfter, DefaultBreakAfter)
	c.BreakFor = cmp.Or(c.BreakFor, DefaultBreakFor)
	c.Keep = cmp.Or(c.Keep, ledger.MinKeep)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
