package shopify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Op is what a call is.
type Op string

// The calls.
const (
	OpRead  Op = "read"  // a query
	OpWrite Op = "write" // a mutation
	OpToken Op = "token" // a grant
	OpOther Op = "other" // anything else that came
)

// Phase is where a call stands.
type Phase string

// The phases of a call.
const (
	PhaseReceived Phase = "received" // read, nothing done yet
	PhaseHeld     Phase = "held"     // stopped by a fault, before or after its effect
	PhaseAnswered Phase = "answered" // the answer was written, as far as the server can tell
	PhaseDropped  Phase = "dropped"  // the connection was closed without a whole answer
)

// Compare is the form that compareDigest had on the wire.
type Compare string

// The three forms.
const (
	CompareAbsent Compare = "absent"
	CompareNull   Compare = "null"
	CompareDigest Compare = "digest"
)

// Set is what a write did, or would have done, to one metafield.
type Set struct {
	Namespace, Key string
	Before, After  string // text; empty: there is none
	Compare        Compare
}

// HookDeed is what a write did, or would have done, to one webhook subscription.
type HookDeed struct {
	ID, Topic, URI string // ID: empty where it was refused
	Deleted        bool
	Refused        string // the user error's message; empty: done
}

// Call is one request in the journal. Times carry a monotonic reading inside
// the process.
type Call struct {
	Seq       int64
	RequestID string
	Op        Op
	Foreign   bool // by somebody else

	Received, Effect, Answered time.Time // Effect: when a write was carried out

	Phase    Phase
	Status   int // sent; 0: none
	Fault    string
	Order    int64  // of effects, from 1; 0: none
	Accepted bool   // a write that was stored
	Refused  string // code of the first user error
	Sets     []Set
	Hooks    []HookDeed
}

// Write says whether the call is one that may change something.
func (c Call) Write() bool { return c.Op == OpWrite }

func (c *Call) copy() Call {
	out := *c
	out.Sets = slices.Clone(c.Sets)
	out.Hooks = slices.Clone(c.Hooks)
	return out
}

// ring keeps the newest calls up to its bound and counts what it let go.
type ring struct {
	calls   []*Call
	bound   int
	dropped int64
}

func (r *ring) add(c *Call) {
	if len(r.calls) >= r.bound {
		r.calls[0] = nil // the array behind lives on until append moves
		r.calls = r.calls[1:]
		r.dropped++
	}
	r.calls = append(r.calls, c)
}

type journal struct {
	writes, reads ring
	seq, order    int64
	waiters       map[*waiter]struct{}
}

type waiter struct {
	match func(Call) bool
	found chan Call // holds one
}

// Journal is a copy of what is kept.
type Journal struct {
	Dropped int64  // writes no longer kept: a proof over this journal misses them
	Calls   []Call // by sequence
}

// Journal returns the calls with a sequence above after.
func (s *Sim) Journal(after int64) Journal {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := Journal{Dropped: s.journal.writes.dropped}
	for _, r := range []ring{s.journal.writes, s.journal.reads} {
		for _, c := range r.calls {
			if c.Seq > after {
				j.Calls = append(j.Calls, c.copy())
			}
		}
	}
	slices.SortFunc(j.Calls, func(a, b Call) int { return cmp.Compare(a.Seq, b.Seq) })
	return j
}

// record begins a call. The caller holds mu.
func (s *Sim) record(op Op) *Call {
	s.journal.seq++
	c := &Call{Seq: s.journal.seq, Op: op, Received: time.Now(), Phase: PhaseReceived}
	c.RequestID = fmt.Sprintf("5f0c7a52-%08d", c.Seq)
	if op == OpWrite {
		s.journal.writes.add(c)
	} else {
		s.journal.reads.add(c)
	}
	s.tell(c)
	return c
}

// effect notes that a call is carried out now. The caller holds mu.
func (s *Sim) effect(c *Call) {
	s.journal.order++
	c.Order, c.Effect = s.journal.order, time.Now()
}

// tell wakes those who wait for what a call has become. The caller holds mu.
func (s *Sim) tell(c *Call) {
	for w := range s.journal.waiters {
		if w.match(c.copy()) {
			delete(s.journal.waiters, w)
			w.found <- c.copy()
		}
	}
}

// note changes a call and tells of it.
func (s *Sim) note(c *Call, change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.tell(c)
}

// WaitFor returns the first call that matches, of those that came and those to
// come, or ctx's error. match must not call the simulator.
func (s *Sim) WaitFor(ctx context.Context, match func(Call) bool) (Call, error) {
	w := &waiter{match: match, found: make(chan Call, 1)}
	s.mu.Lock()
	for _, r := range []ring{s.journal.writes, s.journal.reads} {
		for _, c := range r.calls {
			if found := c.copy(); match(found) {
				s.mu.Unlock()
				return found, nil
			}
		}
	}
	s.journal.waiters[w] = struct{}{}
	s.mu.Unlock()
	select {
	case c := <-w.found:
		return c, nil
	case <-ctx.Done():
	case <-s.done:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.journal.waiters, w)
	if ctx.Err() == nil {
		return Call{}, ErrClosed
	}
	return Call{}, context.Cause(ctx)
}
