package linode

import (
	"context"
	"net/http"
	"time"
)

// Call is one request, or one change that somebody else made, in the journal.
type Call struct {
	Seq       int64
	Method    string
	Path      string // below /v4
	Query     string
	Foreign   bool // of a foreign token, or made by a fault
	RequestID string

	Received time.Time
	Effect   time.Time // when a write was carried out; zero: not
	Answered time.Time // when the answer had left, or its connection was closed
	Status   int       // sent; 0: none
	Fault    string
	Order    int64 // of effects, from 1; 0: none

	Node *NodeWrite // of a node changed by PUT
}

// Write says whether the call is one that may change something.
func (c Call) Write() bool { return c.Method != http.MethodGet }

// NodeWrite is what a PUT did to a node.
type NodeWrite struct {
	ID            int64
	Before, After Node
}

// Journal is a copy of all calls, by sequence.
func (s *Sim) Journal() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Call, 0, len(s.calls))
	for _, c := range s.calls {
		out = append(out, c.copy())
	}
	return out
}

func (c *Call) copy() Call {
	out := *c
	if c.Node != nil {
		out.Node = new(*c.Node)
	}
	return out
}

// open journals a new call. The caller holds mu.
func (s *Sim) open(c *Call) {
	if len(s.calls) >= MaxCalls {
		panic("the journal is full: a test that runs hot")
	}
	c.Seq, c.Received = int64(len(s.calls)+1), time.Now()
	s.calls = append(s.calls, c)
}

// took journals the effect of a write. The caller holds mu.
func (s *Sim) took(c *Call) {
	s.order++
	c.Effect, c.Order = time.Now(), s.order
}

func (s *Sim) answered(c *Call, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Answered, c.Status = time.Now(), status
}

// poll is how often WaitEffect looks.
const poll = time.Millisecond

// WaitEffect returns when a call has had its effect, or with ctx's error.
func (s *Sim) WaitEffect(ctx context.Context, seq int64) error {
	for {
		s.mu.Lock()
		had := seq > 0 && seq <= int64(len(s.calls)) && !s.calls[seq-1].Effect.IsZero()
		s.mu.Unlock()
		if had {
			return nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.done:
			return ErrClosed
		}
	}
}
