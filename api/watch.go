package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// event is one object that a watch tells of, with the index of its last change.
type event[R any] struct {
	index   uint64
	order   string // among those of one index
	message R
}

// watch is one kind of watch; R is its response.
type watch[R any] struct {
	// collect finds what differs from was, or has a later index than since.
	collect func(was, now fsm.State, since uint64) []event[R]
	// bookmark makes a message without an object.
	bookmark func(index uint64) R
	// stamp sets header and resume token of a message.
	stamp func(R, *pointsmanv1.ResponseHeader, string)
	// send is the stream's.
	send func(R) error
	// from finds the state at an index for collect's was. Nil when collect
	// needs none.
	from func(c cursor) (fsm.State, bool)
	// sent is told each state before what it changed is queued. May be nil.
	sent func(fsm.State)
}

// compacted is the answer to a token that cannot be resumed from.
func compacted(format string, args ...any) error {
	return &fault{
		code: codes.OutOfRange, reason: ReasonCompacted,
		message: "begin anew without a token: " + fmt.Sprintf(format, args...),
	}
}

// begin finds where a watch starts: from nothing, or from its token.
func (w watch[R]) begin(ctx context.Context, s *Server, token string) (was fsm.State, since uint64, err error) {
	was = fsm.New()
	if token == "" {
		return was, 0, nil
	}
	c, err := parseCursor(token)
	if err != nil {
		return was, 0, err
	}
	now, _ := s.cfg.Log.Watch()
	if now.Cluster() != "" && c.cluster != string(now.Cluster()) {
		return was, 0, compacted("the token is of cluster %q, this is %q", c.cluster, now.Cluster())
	}
	if now, err = s.reach(ctx, c.index); err != nil {
		return was, 0, err
	}
	if c.cluster != string(now.Cluster()) || c.generation != now.Generation() {
		return was, 0, compacted("the cluster was restored since, or is another one")
	}
	if w.from == nil {
		return was, c.index, nil
	}
	was, ok := w.from(c)
	if !ok {
		return was, 0, compacted("this node does not hold the state at index %d", c.index)
	}
	return was, c.index, nil
}

// run tells everything since the token, then every change, until the caller
// leaves, this server closes, or the watcher falls too far behind.
func (w watch[R]) run(ctx context.Context, s *Server, token string) error {
	if n := s.streams.Add(1); n > int64(s.limits.Streams) {
		s.streams.Add(-1)
		return &fault{
			code: codes.ResourceExhausted, reason: ReasonStreams, retry: retryAfter,
			message: fmt.Sprintf("this node serves %d watches already", s.limits.Streams),
		}
	}
	defer s.streams.Add(-1)
	was, since, err := w.begin(ctx, s, token)
	if err != nil {
		return err
	}
	out, err := newOutbox(s, w.send)
	if err != nil {
		return err
	}
	defer out.close()
	bookmark := time.NewTicker(s.limits.Bookmark)
	defer bookmark.Stop()
	for first := true; ; first = false {
		now, changed := s.cfg.Log.Watch()
		if !first && (now.Index() < since || now.Generation() != was.Generation()) {
			return compacted("the cluster was restored")
		}
		told, err := w.tell(ctx, s, out, was, now, since)
		if err != nil {
			return err
		}
		if first {
			err = w.mark(ctx, s, out, now)
		}
		if err != nil {
			return err
		}
		if told {
			bookmark.Reset(s.limits.Bookmark)
		}
		was, since = now, now.Index()
		if err := w.idle(ctx, s, out, now, changed, bookmark.C); err != nil {
			return err
		}
	}
}

// idle waits for the next state, with a bookmark whenever nothing happens for
// long, and then a moment more so that a burst is looked at once.
func (w watch[R]) idle(ctx context.Context, s *Server, out *outbox[R], now fsm.State, changed <-chan struct{}, bookmark <-chan time.Time) error {
	for {
		select {
		case <-bookmark:
			if err := w.mark(ctx, s, out, now); err != nil {
				return err
			}
			continue
		case err := <-out.failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.done:
			return s.closing()
		case <-changed:
		}
		break
	}
	pause := time.NewTimer(s.limits.Coalesce)
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.done:
		return s.closing()
	}
}

// tell queues the changes in index order. A message's token is the index up to
// which all was told once it is read: several objects may have one index, and
// only the last of them moves the token.
func (w watch[R]) tell(ctx context.Context, s *Server, out *outbox[R], was, now fsm.State, since uint64) (bool, error) {
	events := w.collect(was, now, since)
	slices.SortFunc(events, func(a, b event[R]) int {
		if a.index != b.index {
			if a.index < b.index {
				return -1
			}
			return 1
		}
		return strings.Compare(a.order, b.order)
	})
	if w.sent != nil { // before the last message: whoever has read it may come back with its token
		w.sent(now)
	}
	status := s.cfg.Log.Status()
	place := cursor{cluster: string(now.Cluster()), generation: now.Generation(), index: since}
	for i, e := range events {
		switch {
		case i == len(events)-1:
			place.index = now.Index()
		case events[i+1].index > e.index:
			place.index = e.index
		}
		w.stamp(e.message, streamHeader(now, status), place.token())
		if err := out.put(ctx, e.message); err != nil {
			return true, err
		}
	}
	return len(events) > 0, nil
}

func (w watch[R]) mark(ctx context.Context, s *Server, out *outbox[R], now fsm.State) error {
	m := w.bookmark(now.Index())
	place := cursor{cluster: string(now.Cluster()), generation: now.Generation(), index: now.Index()}
	w.stamp(m, streamHeader(now, s.cfg.Log.Status()), place.token())
	return out.put(ctx, m)
}

// outbox is the bounded queue between a watch and its watcher. A goroutine of
// its own sends, since a send blocks for as long as the watcher does not read.
type outbox[R any] struct {
	queue  chan R
	quit   chan struct{}
	failed chan error
	server *Server
}

func newOutbox[R any](s *Server, send func(R) error) (*outbox[R], error) {
	o := &outbox[R]{queue: make(chan R, s.limits.StreamBuffer), quit: make(chan struct{}), failed: make(chan error, 1), server: s}
	// A blocked send returns when the handler does: gRPC then ends the stream.
	// So the server waits for the sender, not the handler.
	started := s.start(func() {
		for {
			select {
			case <-o.quit:
				return
			case m := <-o.queue:
				if err := send(m); err != nil {
					o.failed <- err
					return
				}
			}
		}
	})
	if !started {
		return nil, s.closing()
	}
	return o, nil
}

func (o *outbox[R]) put(ctx context.Context, m R) error {
	select {
	case o.queue <- m:
		return nil
	default:
	}
	slow := time.NewTimer(o.server.limits.SlowConsumer)
	defer slow.Stop()
	select {
	case o.queue <- m:
		return nil
	case err := <-o.failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-o.server.done:
		return o.server.closing()
	case <-slow.C:
		return &fault{
			code: codes.ResourceExhausted, reason: ReasonSlow,
			message: fmt.Sprintf("no message taken for %s; resume from the last token", o.server.limits.SlowConsumer),
		}
	}
}

// close drops what was not sent: the watcher resumes before it.
func (o *outbox[R]) close() { close(o.quit) }
