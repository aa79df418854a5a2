package sentinel

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"time"
)

// Errors of this package.
var (
	// ErrRunning is returned by a second Run of one Watcher.
	ErrRunning = errors.New("watcher already runs")
	// ErrDuplicate is returned when two masters have one id.
	ErrDuplicate = errors.New("two masters have one id")

	errLost  = errors.New("connection lost")
	errMoved = errors.New("answers changed while being read")
	errReply = errors.New("unexpected reply")
)

// Config of a Watcher. A zero field means its default.
type Config struct {
	Logger *slog.Logger // default: discards
	// Dial opens TCP connections; names are resolved anew each time. Default: net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Lookup resolves a host name. Default: the system's resolver.
	Lookup func(ctx context.Context, host string) ([]string, error)

	Rest time.Duration // between two reads of a master at rest, 400 ms
	Fast time.Duration // the same in trouble, 20 ms
	Hot  time.Duration // trouble lasts this long after the last change or event, 10 s

	Batch     int // pairs in one write to a Sentinel, 64
	RestPairs int // pairs a second per Sentinel at rest, 1000: with more masters Rest stretches

	RoleRest  time.Duration // between two ROLE to a node at rest, 1 s
	RoleFast  time.Duration // the same in trouble, 100 ms
	RoleBurst int           // nodes in trouble that may be asked at RoleFast, 200: with more it stretches
	RoleRate  int           // ROLE a second at rest over all nodes, 2000: with more nodes RoleRest stretches

	Timeout    time.Duration // of a dial and of an answer, 1 s: a half-open connection is found within it
	RetryFirst time.Duration // first wait before a redial, 20 ms, with jitter
	RetryMost  time.Duration // longest wait, 1 s
}

// maxRest bounds the stretch of Rest and RoleRest: reports must stay fresh for Judge.
const maxRest = 4 * time.Second

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	if c.Lookup == nil {
		c.Lookup = net.DefaultResolver.LookupHost
	}
	c.Rest = cmp.Or(max(c.Rest, 0), 400*time.Millisecond)
	c.Fast = cmp.Or(max(c.Fast, 0), 20*time.Millisecond)
	c.Hot = cmp.Or(max(c.Hot, 0), 10*time.Second)
	c.Batch = cmp.Or(max(c.Batch, 0), 64)
	c.RestPairs = cmp.Or(max(c.RestPairs, 0), 1000)
	c.RoleRest = cmp.Or(max(c.RoleRest, 0), time.Second)
	c.RoleFast = cmp.Or(max(c.RoleFast, 0), 100*time.Millisecond)
	c.RoleBurst = cmp.Or(max(c.RoleBurst, 0), 200)
	c.RoleRate = cmp.Or(max(c.RoleRate, 0), 2000)
	c.Timeout = cmp.Or(max(c.Timeout, 0), time.Second)
	c.RetryFirst = cmp.Or(max(c.RetryFirst, 0), 20*time.Millisecond)
	c.RetryMost = cmp.Or(max(c.RetryMost, 0), time.Second)
	return c
}
