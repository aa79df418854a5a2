//go:build !linux

package executor

import "time"

// bootTime has no portable source: only the monotonic clock counts.
func bootTime() time.Duration { return 0 }
