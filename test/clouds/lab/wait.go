package lab

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Bounds of the waits. Each is several times what the step takes on a busy
// machine with two cores.
const (
	waitProgram  = 20 * time.Second // a coordinator answers and a leader is known
	waitAnswer   = 3 * time.Second  // one call
	waitReady    = 90 * time.Second // a replica in sync and three voters
	waitSwitch   = 90 * time.Second // from the kill to the promotion, two elections without a winner included
	waitAccepted = 20 * time.Second // from the promotion to the log
	waitSettled  = 60 * time.Second // from acceptance to the last final state
	waitHeld     = 20 * time.Second // from acceptance to the held refresh
	waitEqual    = 15 * time.Second // three equal state hashes at one index
	pollEvery    = 20 * time.Millisecond
)

// hopeless ends a wait at once.
type hopeless struct{ error }

func (h hopeless) Unwrap() error { return h.error }

// Until calls try each 20 ms until it returns nil, at most for limit. The error
// names what was awaited and what was missing at last.
func Until(ctx context.Context, limit time.Duration, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %s", limit))
	defer cancel()
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	var missing error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || missing == nil { // what fails for want of time says nothing
			missing = err
		}
		if h, ok := errors.AsType[hopeless](err); ok {
			return fmt.Errorf("wait for %s: %w", what, h.error)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w", what, context.Cause(ctx), missing)
		case <-t.C:
		}
	}
}
