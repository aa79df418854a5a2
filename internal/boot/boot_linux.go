package boot

import (
	"time"

	"golang.org/x/sys/unix"
)

// Time is CLOCK_BOOTTIME, which also counts while the machine is suspended
// (clock_gettime(2)); Go's own monotonic clock does not. Only the difference of
// two readings of one machine's life means anything. It may be called
// concurrently.
func Time() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
