package sentinel

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Answer is what one Redis node says of itself.
type Answer struct {
	Role  string // RoleMaster, RoleSlave or RoleSentinel
	RunID string // drawn anew at each start of a Redis process
}

// maxRunID bounds a run id; Redis draws 40 hexadecimal digits.
const maxRunID = 64

// Ask opens one connection, asks PING, ROLE and INFO server, and closes it: an
// established connection would go on through a load balancer that has been
// repointed since. It never writes. All of it ends within timeout; a nil dial is
// plain TCP. The error is a few words without local ports or secrets. May be
// called concurrently.
func Ask(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), address string, a Access, timeout time.Duration) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	w := &Watcher{cfg: Config{Dial: dial, Timeout: timeout}.withDefaults()}
	s, err := w.open(ctx, address, a, roleBuffer)
	if err != nil {
		return Answer{}, worded(ctx, err)
	}
	defer s.close()
	if err := s.conn.Ping(ctx).Err(); err != nil {
		return Answer{}, worded(ctx, err)
	}
	role, err := roleOf(ctx, s.conn)
	if err != nil {
		return Answer{}, worded(ctx, err)
	}
	info, err := s.conn.Info(ctx, "server").Result()
	if replied(err) { // the role alone still tells a replica
		return Answer{Role: role.Role}, fmt.Errorf("INFO: %w", err)
	}
	if err != nil {
		return Answer{}, worded(ctx, err)
	}
	return Answer{Role: role.Role, RunID: runIDIn(info)}, nil
}

// worded is an error that reads the same each time.
func worded(ctx context.Context, err error) error {
	if ctx.Err() != nil || timedOut(err) {
		return fmt.Errorf("%w: no answer in time", errLost)
	}
	if _, ok := err.(redis.Error); ok { //nolint:errorlint // a reply is never wrapped
		return err
	}
	return fmt.Errorf("%w: %s", errLost, plain(err))
}

func runIDIn(info string) string {
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok && len(id) <= maxRunID {
			return id
		}
	}
	return ""
}
