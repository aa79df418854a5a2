package main

import (
	"context"
	"sync"
	"time"
)

// trace keeps where a load balancer sent its traffic, from its start to its stop.
type trace struct {
	side   *side
	cancel context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex // guards what follows
	at    time.Time  // of the last change
	where string
}

func (s *side) trace(ctx context.Context) *trace {
	ctx, cancel := context.WithCancel(ctx)
	r := &trace{side: s, cancel: cancel, ended: make(chan struct{}), at: time.Now(), where: s.applied()}
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
		if now != r.where {
			r.at, r.where = time.Now(), now
		}
		r.mu.Unlock()
	}
}

// since is the moment from which traffic has gone to an address without a
// break; false when it goes elsewhere now.
func (r *trace) since(address string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at, r.where == address
}

func (r *trace) stop() {
	r.cancel()
	<-r.ended
}
