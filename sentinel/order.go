package sentinel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// What may come of an Order.
var (
	// ErrDenied is returned when the Sentinel's ACL does not allow the command.
	ErrDenied = errors.New("not allowed by the Sentinel's ACL")
	// ErrDeclined is returned when the Sentinel answered and did not begin.
	ErrDeclined = errors.New("the Sentinel declined")
	// ErrUnanswered is returned when the command may have reached the Sentinel
	// and no answer came.
	ErrUnanswered = errors.New("no answer of the Sentinel")
	// ErrSent is returned by a second Send.
	ErrSent = errors.New("sent before")
	// ErrNotSent is returned when the time was up before anything was written.
	ErrNotSent = errors.New("not sent: its time was up")
)

// Order is one SENTINEL FAILOVER, the only command of this package that changes
// anything. It is made before the request is in the log, so that a connection
// or a login that fails is known to have sent nothing, and sent after.
type Order struct {
	s       *session
	name    string
	address string
	user    string
	sent    atomic.Bool
}

// Prepare connects to one Sentinel of a master with the switchover's credential
// and logs in, within Config.Timeout for each. It sends nothing that changes
// anything. The connection outlives ctx, since what was logged is sent though
// its asker goes away; the caller closes it.
func (w *Watcher) Prepare(ctx context.Context, id, address string) (*Order, error) {
	w.mu.Lock()
	m, ok := w.masters[id]
	w.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("master %q is not watched from this node", id)
	}
	access := m.spec.ordering()
	own := context.WithoutCancel(ctx)
	s, err := w.open(own, address, access, roleBuffer)
	if err != nil {
		return nil, worded(own, err)
	}
	if err := s.conn.Ping(own).Err(); err != nil {
		s.close()
		return nil, worded(own, err)
	}
	return &Order{s: s, name: m.spec.Name, address: address, user: access.User}, nil
}

// Send sends the command, at most once in the Order's life and on the one
// connection that it has: nothing here redials or repeats. Nil means that the
// Sentinel has begun. The error is ErrDenied or ErrDeclined with the Sentinel's
// words, or ErrNotSent when ctx is over: nothing was begun; ErrUnanswered: not
// known; ErrSent. The deadline of ctx is also that of the write: a process that
// was paused until after it sends nothing. May be called concurrently.
func (o *Order) Send(ctx context.Context) error {
	if o.sent.Swap(true) {
		return ErrSent
	}
	if at, ok := ctx.Deadline(); ctx.Err() != nil || ok && !time.Now().Before(at) { // Err may come a little later than its time
		return ErrNotSent
	}
	defer context.AfterFunc(ctx, func() { o.s.raw.Close() })()
	cmd := redis.NewStatusCmd(ctx, "SENTINEL", "FAILOVER", o.name)
	switch err := o.s.conn.Process(ctx, cmd); {
	case err == nil && cmd.Val() == "OK":
		return nil
	case err == nil:
		return fmt.Errorf("%w: %q", ErrUnanswered, cmd.Val())
	case replied(err) && strings.HasPrefix(err.Error(), "NOPERM"):
		return fmt.Errorf("%w: %s at %s", ErrDenied, Permission(o.user), o.address)
	case replied(err):
		return fmt.Errorf("%w: %s", ErrDeclined, err.Error())
	default:
		return fmt.Errorf("%w: %s", ErrUnanswered, plain(err))
	}
}

// Close ends the connection.
func (o *Order) Close() { o.s.close() }

// Permission says what a Sentinel's user lacks, and what gives it.
func Permission(user string) string {
	if user == "" {
		user = "default"
	}
	return fmt.Sprintf("user %q lacks +sentinel|failover (ACL SETUSER %s +sentinel|failover, then SENTINEL FLUSHCONFIG)", user, user)
}
