package guarded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Names of the environment variables that a command finds its lease in.
const (
	EnvLease   = "POINTSMAN_LEASE"         // pool and partition: webhooks/17
	EnvToken   = "POINTSMAN_LEASE_TOKEN"   //nolint:gosec // a name; the token is no secret
	EnvAddress = "POINTSMAN_LEASE_ADDRESS" // of the pool's master, host:port; empty when it has none
)

// Lease is what a command runs under.
type Lease struct {
	ID       string
	Token    uint64
	Address  string
	Draining <-chan struct{} // closed when the command has to come to an end
}

// Command is what to run, and with which streams. An In that is a terminal is
// replaced by an empty one.
type Command struct {
	Args     []string
	In       io.Reader
	Out, Err io.Writer
	Grace    time.Duration   // from SIGTERM to SIGKILL
	Hurry    <-chan struct{} // closed when it is not to be waited for after SIGTERM; nil: never
}

// End is how a command came to its end.
type End struct {
	Code int   // its exit code; 128 and the number of the signal that ended it
	Cut  error // why it was told to end: the lease's loss, or ErrHandover; nil when it ended by itself
}

// ErrHandover is the reason of an end that was asked for: the lease goes to
// another holder.
var ErrHandover = errors.New("the lease is to be handed over")

// Run runs the command under the lease and waits for its end. The error says why
// it was not started. ctx is that of the lease's handler: it ends with the lease,
// and its cause says why. The program must call Guard first of all.
func Run(ctx context.Context, l Lease, c Command) (End, error) {
	if ctx.Err() != nil {
		return End{}, context.Cause(ctx)
	}
	w, err := start(l, c)
	if err != nil {
		return End{}, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	cut := watch(ctx, l, c, w)
	w.end()
	return End{Code: w.code, Cut: cut}, nil
}

// watch waits until the command has ended or has had its time, and answers why
// it was told to end.
func watch(ctx context.Context, l Lease, c Command, w *ward) (cut error) {
	select {
	case <-w.ended:
		return nil
	case <-ctx.Done():
		cut = context.Cause(ctx)
	case <-l.Draining:
		cut = ErrHandover
	}
	w.order(orderTerm)
	patience := time.NewTimer(c.Grace)
	defer patience.Stop()
	select { // at least its grace, and as long as the lease is good
	case <-w.ended:
		return cut
	case <-c.Hurry:
		w.order(orderKill)
		return cut
	case <-patience.C:
	}
	select {
	case <-w.ended:
	case <-c.Hurry:
	case <-ctx.Done():
	}
	w.order(orderKill)
	return cut
}
