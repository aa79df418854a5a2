package hooks

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// How a shop repeats. Shopify waits 5 s for an answer, and repeats over hours; a
// playground has minutes.
// https://shopify.dev/docs/apps/build/webhooks/subscribe/https
const (
	answerWithin = 5 * time.Second
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// Shop posts deliveries to receivers. Its methods may be called concurrently.
type Shop struct {
	receivers []string // host:port
	client    *http.Client
	turn      atomic.Uint64
	count     Counts

	mu    sync.Mutex
	acked map[string]Ack  // by ID, the first one
	took  []time.Duration // of each answer, 2xx or not
}

// Counts is what a shop has seen.
type Counts struct {
	Posts   atomic.Int64 // requests
	Retries atomic.Int64 // requests after one that was not answered 2xx
	Refused atomic.Int64 // answers other than 2xx
	Errors  atomic.Int64 // 5xx among them
	Silent  atomic.Int64 // no answer
	Lost    atomic.Int64 // given up without a 2xx
}

// Ack is the first 2xx for a delivery.
type Ack struct {
	At       time.Time
	Receiver int // which of them, from 0 on
}

// NewShop posts to receivers in turns, over at most so many connections to each.
func NewShop(connections int, receivers ...string) *Shop {
	t := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true}
	return &Shop{receivers: receivers, client: &http.Client{Transport: t}, acked: map[string]Ack{}}
}

// Counts is what was seen so far.
func (s *Shop) Counts() *Counts { return &s.count }

// Deliver posts until a receiver answers 2xx, each time at the next one. It
// reports whether one has; ctx ends it.
func (s *Shop) Deliver(ctx context.Context, p Post) bool {
	pause := firstPause
	for at := s.turn.Add(1); ; at++ {
		if s.post(ctx, p, int(at%uint64(len(s.receivers)))) {
			return true
		}
		if !sleep(ctx, pause) {
			s.count.Lost.Add(1)
			return false
		}
		s.count.Retries.Add(1)
		pause = min(2*pause, longestPause)
	}
}

func (s *Shop) post(ctx context.Context, p Post, receiver int) bool {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := p.Request(ctx, s.receivers[receiver])
	if err != nil {
		return false
	}
	s.count.Posts.Add(1)
	began := time.Now()
	a, err := s.client.Do(r)
	if err != nil {
		s.count.Silent.Add(1)
		return false
	}
	_, err = io.Copy(io.Discard, io.LimitReader(a.Body, 1<<16))
	a.Body.Close()
	now := time.Now()
	switch {
	case a.StatusCode/100 != 2:
		s.count.Refused.Add(1)
		if a.StatusCode >= http.StatusInternalServerError {
			s.count.Errors.Add(1)
		}
		return false
	case err != nil: // the status was whole, the rest is of no weight
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, now.Sub(began))
	if _, again := s.acked[p.ID]; !again {
		s.acked[p.ID] = Ack{At: now, Receiver: receiver}
	}
	return true
}

// Acked is what was acknowledged, by ID.
func (s *Shop) Acked() map[string]Ack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.acked)
}

// Done is how many were acknowledged.
func (s *Shop) Done() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acked)
}

// Took is how long each 2xx took.
func (s *Shop) Took() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.took)
}

// Close closes idle connections.
func (s *Shop) Close() { s.client.CloseIdleConnections() }

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
