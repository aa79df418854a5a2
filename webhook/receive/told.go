package receive

import (
	"log/slog"
	"sync"
	"time"
)

// sayEvery is the time between two lines of one sort.
const sayEvery = 5 * time.Second

// teller logs at most one line of a sort in five seconds, and how many were left
// out.
type teller struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[string]*said // by sort, of which the callers have a handful
}

type said struct {
	at   time.Time
	left int
}

func newTeller(log *slog.Logger) *teller { return &teller{log: log, last: map[string]*said{}} }

func (t *teller) warn(message, sort string, args ...any) {
	t.mu.Lock()
	s := t.last[sort]
	if s == nil {
		s = &said{}
		t.last[sort] = s
	}
	now := time.Now()
	if !s.at.IsZero() && now.Sub(s.at) < sayEvery {
		s.left++
		t.mu.Unlock()
		return
	}
	left := s.left
	s.at, s.left = now, 0
	t.mu.Unlock()
	if left > 0 {
		args = append(args, "left_out", left)
	}
	t.log.Warn(message, args...)
}
