package api

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Where a server-sent stream goes on: what a browser sends by itself.
const (
	lastEventHeader = "Last-Event-ID"
	resumeKey       = "resumeToken"
)

// stream answers a watch as lines of JSON, or as server-sent events.
func (g *jsonGateway) stream(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	c := callOf(r.Context())
	release, err := g.hold("watch")
	if err != nil {
		g.fail(w, r, c, err)
		return
	}
	defer release()
	kind := mimeLines
	if strings.Contains(c.accept, mimeEvents) {
		kind = mimeEvents
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	r = r.Clone(ctx)
	r.Header.Set("Accept", kind)
	if last := r.Header.Get(lastEventHeader); last != "" && !c.query.Has(resumeKey) && !c.query.Has("resume_token") {
		c.query.Set(resumeKey, last)
		r.URL.RawQuery = c.query.Encode()
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not keep lines back
	serve(&streamWriter{ResponseWriter: w, control: http.NewResponseController(w), limit: g.s.limits.SlowConsumer, cancel: cancel}, r)
}

// streamWriter gives each message a deadline of its own. A reader that lets it
// pass is cut off: the stream's context ends, and what is still written goes
// nowhere.
type streamWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	cancel  context.CancelFunc
	dead    bool
}

func (s *streamWriter) Write(p []byte) (int, error) {
	if !s.dead {
		_ = s.control.SetWriteDeadline(time.Now().Add(s.limit))
		_, err := s.ResponseWriter.Write(p)
		s.ended(err)
	}
	return len(p), nil
}

// FlushError is called by http.ResponseController after each message.
func (s *streamWriter) FlushError() error {
	if !s.dead {
		s.ended(s.control.Flush())
	}
	return nil
}

func (s *streamWriter) ended(err error) {
	if err != nil {
		s.dead = true
		s.cancel()
	}
}
