package cluster

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// bridge lets raft's library log into slog, warnings and worse only: its other
// lines are ours in other words, and some repeat with every heartbeat.
func bridge(to *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Warn, Output: io.Discard})
	l.RegisterSink(sink{to.With("library", "raft")})
	return l
}

type sink struct{ to *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (s sink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	switch {
	case level >= hclog.Error:
		s.to.Log(context.Background(), slog.LevelError, msg, args...)
	case level == hclog.Warn:
		s.to.Log(context.Background(), slog.LevelWarn, msg, args...)
	}
}
