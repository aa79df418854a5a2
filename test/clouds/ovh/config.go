package ovh

import (
	"context"
	"fmt"
	"log/slog"
	"net"
)

// Bounds and their defaults.
const (
	// DefaultJournalWrites bounds the journalled writes; the proof is counted from them.
	DefaultJournalWrites = 100_000
	// DefaultJournalReads bounds the journalled reads, kept apart so that polling never displaces a write.
	DefaultJournalReads = 20_000
	// DefaultMaxBody bounds a request body, in bytes.
	DefaultMaxBody = 1 << 20
	// DefaultMaxConns bounds the connections open through all listeners at one time.
	DefaultMaxConns = 1024
	// DefaultMaxTasks bounds the tasks kept; the oldest finished ones go first.
	DefaultMaxTasks = 10_000
)

// Dial opens a connection to a farm server.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Config is what a simulator is made with. The zero value is usable: no data plane, default knobs and bounds.
type Config struct {
	Scheme string // of the URL that clients sign; default "http"
	Region string // first part of X-Ovh-Queryid; default "EU"

	JournalWrites int   // 0: DefaultJournalWrites
	JournalReads  int   // 0: DefaultJournalReads
	MaxBody       int64 // bytes; 0: DefaultMaxBody
	MaxConns      int   // 0: DefaultMaxConns
	MaxTasks      int   // 0: DefaultMaxTasks

	DataPlane bool   // open a TCP listener on 127.0.0.1 per frontend and zone
	Dial      Dial   // how listeners reach farm servers; nil: net.Dialer with DialTimeout
	Knobs     *Knobs // nil: DefaultKnobs
	Seed      uint64 // of the order in which lists are answered

	Logger *slog.Logger // nil: silent
}

func (c Config) withDefaults() Config {
	if c.Scheme == "" {
		c.Scheme = "http"
	}
	if c.Region == "" {
		c.Region = "EU"
	}
	if c.JournalWrites == 0 {
		c.JournalWrites = DefaultJournalWrites
	}
	if c.JournalReads == 0 {
		c.JournalReads = DefaultJournalReads
	}
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.MaxConns == 0 {
		c.MaxConns = DefaultMaxConns
	}
	if c.MaxTasks == 0 {
		c.MaxTasks = DefaultMaxTasks
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: DialTimeout}).DialContext
	}
	if c.Knobs == nil {
		c.Knobs = new(DefaultKnobs())
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate refuses negative bounds, a scheme that no client can sign, and bad knobs.
func (c Config) Validate() error {
	c = c.withDefaults()
	if c.Scheme != "http" && c.Scheme != "https" {
		return fmt.Errorf("scheme %q: want http or https", c.Scheme)
	}
	bounds := []struct {
		name  string
		value int64
	}{
		{"journal writes", int64(c.JournalWrites)},
		{"journal reads", int64(c.JournalReads)},
		{"max body", c.MaxBody},
		{"max conns", int64(c.MaxConns)},
		{"max tasks", int64(c.MaxTasks)},
	}
	for _, b := range bounds {
		if b.value < 0 {
			return fmt.Errorf("%s %d: want 0 or more", b.name, b.value)
		}
	}
	return c.Knobs.Validate()
}
