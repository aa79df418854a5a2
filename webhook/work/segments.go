package work

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

const (
	readsAtOnce = 8                // segments that a process reads at a time
	storeTime   = 30 * time.Second // bounds one request to the store
)

// segments reads segments, each once for all that ask while it is in memory.
// Its methods may be called by any number at once.
type segments struct {
	store buffer.Store
	most  int64 // bytes kept
	turns chan struct{}

	mu     sync.Mutex
	size   int64
	held   map[string]*list.Element // of *segment
	order  *list.List               // the one used last is the first
	flying map[string]*flight
}

// segment is one in memory.
type segment struct {
	key    string
	size   int64
	events []webhook.Event
}

// flight is a read that others wait for.
type flight struct {
	done   chan struct{}
	events []webhook.Event
	err    error
}

func newSegments(store buffer.Store, most int64) *segments {
	return &segments{store: store, most: most, turns: make(chan struct{}, readsAtOnce),
		held: map[string]*list.Element{}, order: list.New(), flying: map[string]*flight{}}
}

// read answers a segment's events, which share memory with others' and must not
// be changed. Errors are those of the store and webhook.ErrDamaged.
func (s *segments) read(ctx context.Context, key string) ([]webhook.Event, error) {
	for {
		s.mu.Lock()
		if at, ok := s.held[key]; ok {
			s.order.MoveToFront(at)
			events := at.Value.(*segment).events
			s.mu.Unlock()
			return events, nil
		}
		f, flies := s.flying[key]
		if !flies {
			f = &flight{done: make(chan struct{})}
			s.flying[key] = f
		}
		s.mu.Unlock()
		if !flies {
			s.fly(ctx, key, f)
			return f.events, f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !errors.Is(f.err, errGone) {
			return f.events, f.err
		}
	}
}

// errGone says that whoever read for others has no use for it any more.
var errGone = errors.New("reader has gone")

func (s *segments) fly(ctx context.Context, key string, f *flight) {
	size := 0
	select {
	case s.turns <- struct{}{}:
		f.events, size, f.err = s.get(ctx, key)
		<-s.turns
	case <-ctx.Done():
		f.err = context.Cause(ctx)
	}
	if f.err != nil && ctx.Err() != nil {
		f.err = errors.Join(errGone, f.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flying, key)
	if f.err == nil {
		s.keep(&segment{key: key, size: int64(size), events: f.events})
	}
	close(f.done)
}

func (s *segments) get(ctx context.Context, key string) ([]webhook.Event, int, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	o, err := s.store.Get(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	events, err := webhook.DecodeSegment(o.Body)
	return events, len(o.Body), err
}

// keep is with mu held. What is larger than the whole bound is not kept.
func (s *segments) keep(g *segment) {
	if g.size > s.most {
		return
	}
	s.held[g.key] = s.order.PushFront(g)
	s.size += g.size
	for s.size > s.most {
		last := s.order.Back()
		old := s.order.Remove(last).(*segment)
		delete(s.held, old.key)
		s.size -= old.size
	}
}
