package sim

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// story is what happened, line by line: time since the start, who, what.
type story struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

const maxStory = 4000 // lines; later ones are counted only

func newStory() *story { return &story{began: time.Now()} }

func (s *story) add(who, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) < maxStory {
		s.lines = append(s.lines, fmt.Sprintf("%9.3fs %-8s %s", time.Since(s.began).Seconds(), who, fmt.Sprintf(format, args...)))
	}
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// logger tells the warnings and settlements of one node.
func (s *story) logger(who string) *slog.Logger { return slog.New(teller{s: s, who: who}) }

type teller struct {
	s   *story
	who string
}

func (t teller) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (t teller) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	if r.Level >= slog.LevelWarn || r.Message == "settled" || strings.HasPrefix(r.Message, "log refused") {
		t.s.add(t.who, "%s", b.String())
	}
	return nil
}

func (t teller) WithAttrs([]slog.Attr) slog.Handler { return t }
func (t teller) WithGroup(string) slog.Handler      { return t }
