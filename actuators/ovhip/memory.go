package ovhip

import (
	"sync"
	"time"
)

// memory is what this process knows beside what OVH answers. It only makes
// answers better: without it a look comes too early, or a move is asked for twice.
type memory struct {
	mu    sync.Mutex // guards what follows
	tasks map[int64]sighting
	moves map[string]moved // by block
}

// sighting is what is known of a task.
type sighting struct {
	at    time.Time // when this process first knew of it
	shown bool      // OVH has answered for it
	gone  time.Time // since when it is not found; zero: it was, or was not asked for
}

// moved is what is known of the last move of a block.
type moved struct {
	asked time.Time // a move left, whose task may not be listed yet; zero: none
	done  time.Time // a task was said to be done
	to    string    // the service that it moves to

	refused     time.Time // since when moves are refused; zero: the last one was not
	refusedLast time.Time
}

func newMemory() *memory { return &memory{tasks: map[int64]sighting{}, moves: map[string]moved{}} }

// know wants mu held.
func (m *memory) know(task int64) sighting {
	s, ok := m.tasks[task]
	if !ok {
		if len(m.tasks) >= MaxRemembered {
			clear(m.tasks)
		}
		s = sighting{at: time.Now()}
		m.tasks[task] = s
	}
	return s
}

// since says how long this process has known of a task.
func (m *memory) since(task int64) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.know(task).at)
}

// shown notes that OVH has answered for a task.
func (m *memory) shown(task int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.know(task)
	s.shown, s.gone = true, time.Time{}
	m.tasks[task] = s
}

// gone is asked when a task is not found, and reports whether that is its end.
func (m *memory) gone(task int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.know(task)
	if s.gone.IsZero() {
		s.gone = time.Now()
		m.tasks[task] = s
	}
	if !s.shown {
		return time.Since(s.at) >= MaxHidden
	}
	return time.Since(s.gone) >= MaxMissing
}

// change changes what is known of a block's last move.
func (m *memory) change(block string, f func(*moved)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.moves[block]; !ok && len(m.moves) >= MaxRemembered {
		clear(m.moves)
	}
	v := m.moves[block]
	f(&v)
	m.moves[block] = v
}

// last says how long ago a move was asked for, and one was done, as far as that
// still counts (zero: not): until the IP is seen at its new service.
func (m *memory) last(block, at string) (asked, done time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.moves[block]
	if sameService(at, v.to) {
		delete(m.moves, block)
		return 0, 0
	}
	if d := time.Since(v.asked); !v.asked.IsZero() && d < MaxHidden {
		asked = max(d, 1)
	}
	if d := time.Since(v.done); !v.done.IsZero() && d < MaxLag {
		done = max(d, 1)
	}
	return asked, done
}

// refusedLately notes a refusal and reports whether the refusals are so young
// that what the IP shows may be older than their reason.
func (m *memory) refusedLately(block string) (young bool) {
	m.change(block, func(v *moved) {
		now := time.Now()
		if now.Sub(v.refusedLast) > refusedAnew {
			v.refused = now
		}
		v.refusedLast = now
		young = now.Sub(v.refused) < refusedFor
	})
	return young
}
