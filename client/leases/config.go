package leases

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pointsman/pointsman/internal/boot"
)

// Defaults and bounds.
const (
	// DefaultMargin is taken off each lease, for the time that a handler needs to
	// notice that its context has ended.
	DefaultMargin = 200 * time.Millisecond
	// DefaultStop is how long handlers may take to finish when the worker stops.
	DefaultStop = 10 * time.Second
	// MaxCapacity is the most partitions that a worker can ask for.
	MaxCapacity = 4096
)

// Errors of leases. They are found with errors.Is in what Check returns and in
// the cause of a handler's context.
var (
	// ErrLost is returned when the lease is not this worker's any more, or may not
	// be believed in.
	ErrLost = errors.New("lease is lost")
	// ErrStopped is the cause of a handler's context that ended because the worker
	// stops and the time to finish is over.
	ErrStopped = errors.New("worker stops")
	// ErrStuck is returned by Run when a handler did not return for Config.Stop and
	// 5 s after its lease was lost, though its partition was granted to this worker anew.
	ErrStuck = errors.New("handler does not return")
	// ErrConfig is returned by Run when a field of Config is missing or out of
	// bounds.
	ErrConfig = errors.New("config of a lease worker")
)

// Config says for which pool a worker works, and how.
type Config struct {
	// Pool is the name of the pool.
	Pool string
	// Worker is its name: 1 to 128 printable ASCII characters without blanks. A
	// stable one is likely to get a worker that restarts partitions that it had.
	Worker string
	// Zone is where it runs; partitions are spread over zones. May be empty.
	Zone string
	// Capacity is the most partitions that it takes, 0 to MaxCapacity; 0 is all.
	Capacity int
	// Margin is taken off each lease; 0 means DefaultMargin. Half the pool's ttl is
	// the most.
	Margin time.Duration
	// Stop is how long handlers may take to finish when the worker stops; 0 means
	// DefaultStop.
	Stop time.Duration
	// Log is told of what is gained and lost. Nil: nobody is.
	Log *slog.Logger

	boot func() time.Duration // stands for CLOCK_BOOTTIME in tests
}

// Validate says what is missing or out of bounds, as ErrConfig. Names are
// judged by the cluster.
func (c Config) Validate() error {
	switch {
	case c.Pool == "":
		return fmt.Errorf("%w: no pool is named", ErrConfig)
	case c.Worker == "":
		return fmt.Errorf("%w: the worker has no name", ErrConfig)
	case c.Capacity < 0 || c.Capacity > MaxCapacity:
		return fmt.Errorf("%w: capacity is %d, must be 0 to %d", ErrConfig, c.Capacity, MaxCapacity)
	case c.Margin < 0 || c.Stop < 0:
		return fmt.Errorf("%w: margin %s and stop %s must not be negative", ErrConfig, c.Margin, c.Stop)
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.Margin = cmp.Or(c.Margin, DefaultMargin)
	c.Stop = cmp.Or(c.Stop, DefaultStop)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("pool", c.Pool, "worker", c.Worker)
	if c.boot == nil {
		c.boot = boot.Time
	}
	return c
}
