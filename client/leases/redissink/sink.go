package redissink

import (
	"cmp"
	"context"
	_ "embed" // fence.lua
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pointsman/pointsman/client/leases"
)

// DefaultKeep is how long the id of a piece of work is kept.
const DefaultKeep = 7 * 24 * time.Hour

// Errors of a sink.
var (
	// ErrFenced is returned when the sink has seen a newer token: another worker
	// holds the partition. Nothing was done; stop. It is a leases.ErrLost.
	ErrFenced = fmt.Errorf("the sink has seen a newer token: %w", leases.ErrLost)
	// ErrAnswer is returned when the script's answer cannot be read.
	ErrAnswer = errors.New("odd answer of the fence script")
	// ErrID is returned for a piece of work without an id. Nothing was sent.
	ErrID = errors.New("a piece of work needs an id")
)

//go:embed fence.lua
var source string

// Source is the script, for other clients than this one.
func Source() string { return source }

// Command is one command of Redis, a word each: "INCRBY", "orders", "1". Its
// second word is the key that it touches.
type Command []string

// Outcome is what came of a piece of work.
type Outcome string

// The outcomes.
const (
	// Applied: the commands have run.
	Applied Outcome = "applied"
	// Already: they ran before, under this id: by another holder, or by this one in a
	// call whose answer was lost.
	Already Outcome = "already"
)

// Config says where a sink keeps what it knows.
type Config struct {
	// Prefix of the sink's own keys. On a Redis Cluster it needs a hash tag, and the
	// commands' keys the same one.
	Prefix string
	// Keep is how long ids are kept, in whole seconds; longer than any piece of work
	// can come again. 0 means DefaultKeep.
	Keep time.Duration
}

// Sink writes for holders of leases. It may be used by any number at once.
type Sink struct {
	redis  redis.Scripter
	cfg    Config
	script *redis.Script
}

// New makes a sink. It sends nothing.
func New(client redis.Scripter, cfg Config) *Sink {
	cfg.Keep = max(cmp.Or(cfg.Keep, DefaultKeep), time.Second)
	return &Sink{redis: client, cfg: cfg, script: redis.NewScript(source)}
}

// Raise makes the sink refuse all older tokens of the partition from now on. A
// handler does it first. ErrFenced, or leases.ErrLost when the lease may not be
// believed in any more, or the client's error.
func (s *Sink) Raise(ctx context.Context, l *leases.Lease) error {
	if err := l.Check(); err != nil {
		return err
	}
	_, err := s.run(ctx, l.ID(), l.Token, "", nil)
	return err
}

// Apply runs the commands unless they ran under this id before. The errors are
// those of Raise, and ErrID, with which nothing was sent; after any other than these it is not known whether they
// ran: call again with the same id.
func (s *Sink) Apply(ctx context.Context, l *leases.Lease, id string, commands ...Command) (Outcome, error) {
	if id == "" { // the script would take the first command's key for the id's
		return "", ErrID
	}
	if err := l.Check(); err != nil {
		return "", err
	}
	return s.run(ctx, l.ID(), l.Token, id, commands)
}

// run is the script under any token: what refuses a late one is the sink, not
// this process's clock.
func (s *Sink) run(ctx context.Context, lease string, token uint64, id string, commands []Command) (Outcome, error) {
	keys := []string{s.cfg.Prefix + "fence:" + lease}
	args := []any{fmt.Sprint(token), int64(s.cfg.Keep / time.Second)}
	if id != "" {
		keys = append(keys, s.cfg.Prefix+"done:"+id)
	}
	for _, c := range commands {
		if len(c) > 1 {
			keys = append(keys, c[1])
		}
		args = append(args, len(c))
		for _, word := range c {
			args = append(args, word)
		}
	}
	answer, err := s.script.Run(ctx, s.redis, keys, args...).StringSlice()
	if err != nil {
		return "", fmt.Errorf("write under token %d of %s: %w", token, lease, err)
	}
	if len(answer) != 2 {
		return "", fmt.Errorf("%w: %q", ErrAnswer, answer)
	}
	if answer[0] == "fenced" {
		return "", fmt.Errorf("token %d of %s, the newest is %s: %w", token, lease, answer[1], ErrFenced)
	}
	return Outcome(answer[0]), nil
}
