package boot

import (
	"runtime"
	"testing"
	"time"
)

// TestTime: it goes on at least as the monotonic clock does.
func TestTime(t *testing.T) {
	was, began := Time(), time.Now()
	for time.Since(began) < 5*time.Millisecond {
		runtime.Gosched()
	}
	if went := Time() - was; was <= 0 || went < 5*time.Millisecond {
		t.Errorf("from %s it went on by %s", was, went)
	}
}
