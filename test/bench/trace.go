package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// trace keeps where a load balancer sent its traffic, from its start to its stop.
type trace struct {
	side   *side
	cancel context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex // guards what follows
	turns []turn     // oldest first; the first is where it stood at the start
}

// turn is traffic going to another address than before.
type turn struct {
	at    time.Time
	where string
}

func (s *side) trace(ctx context.Context) *trace {
	ctx, cancel := context.WithCancel(ctx)
	r := &trace{side: s, cancel: cancel, ended: make(chan struct{}), turns: []turn{{time.Now(), s.applied()}}}
	go r.run(ctx)
	return r
}

func (r *trace) run(ctx context.Context) {
	defer close(r.ended)
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := r.side.applied()
		r.mu.Lock()
		if now != r.turns[len(r.turns)-1].where {
			r.turns = append(r.turns, turn{time.Now(), now})
		}
		r.mu.Unlock()
	}
}

// since is the moment from which traffic has gone to an address without a
// break; false when it goes elsewhere now.
func (r *trace) since(address string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.turns[len(r.turns)-1]
	return last.at, last.where == address
}

// first is the first moment after from at which traffic went to one of these
// addresses; false when it never did.
func (r *trace) first(from time.Time, addresses ...string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.turns {
		if t.at.After(from) && slices.Contains(addresses, t.where) {
			return t.at, true
		}
	}
	return time.Time{}, false
}

func (r *trace) stop() {
	r.cancel()
	<-r.ended
}
