//go:build !linux

package boot

import "time"

// Time has no portable source: only the monotonic clock counts.
func Time() time.Duration { return 0 }
