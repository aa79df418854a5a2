package ovh

import (
	"context"
	"net/http"
	"slices"
	"time"
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

// Call is one request in the journal. Times carry a monotonic reading inside the process; the nanoseconds count
// from the simulator's start and mean nothing while the time beside them is zero.
type Call struct {
	Seq      int64  `json:"seq"`
	QueryID  string `json:"query_id"`
	Method   string `json:"method"`
	Path     string `json:"path"` // below /1.0 or /v1
	Query    string `json:"query,omitempty"`
	Consumer string `json:"consumer_key,omitempty"`
	Foreign  bool   `json:"foreign,omitempty"` // by somebody else: a foreign credential or the control's foreign edits

	Received   time.Time `json:"received"`
	Effect     time.Time `json:"effect,omitzero"` // when a write was carried out
	Answered   time.Time `json:"answered,omitzero"`
	ReceivedNS int64     `json:"received_ns"`
	EffectNS   int64     `json:"effect_ns,omitempty"`
	AnsweredNS int64     `json:"answered_ns,omitempty"`

	Phase  Phase  `json:"phase"`
	Status int    `json:"status,omitempty"` // sent; 0: none
	Fault  string `json:"fault,omitempty"`

	Order    int64          `json:"order,omitempty"`    // of effects, from 1; 0: none
	Accepted bool           `json:"accepted,omitempty"` // a write that the provider took
	Changed  bool           `json:"changed,omitempty"`  // an accepted write that altered what is stored, or started a task
	Frontend *FrontendWrite `json:"frontend,omitempty"` // of a frontend seeded, created or changed by PUT
	Refresh  *RefreshWrite  `json:"refresh,omitempty"`  // of an accepted refresh
}

// Write says whether the call is one that may change something.
func (c Call) Write() bool { return c.Method != http.MethodGet }

// FrontendWrite is what a write did to a frontend.
type FrontendWrite struct {
	ID         int64  `json:"id"`
	FarmBefore int64  `json:"farm_before"` // 0: none
	FarmAfter  int64  `json:"farm_after"`
	NameBefore string `json:"name_before"`
	NameAfter  string `json:"name_after"`
}

// RefreshWrite is what a refresh did.
type RefreshWrite struct {
	Task    int64    `json:"task"`
	Zones   []string `json:"zones"`
	Merged  bool     `json:"merged,omitempty"` // answered with a task that was there before
	Taken   bool     `json:"taken"`            // its task has taken its snapshot
	Pending int      `json:"pending"`          // staged edits found by that snapshot in its zones
}

func (c *Call) copy() Call {
	out := *c
	if c.Frontend != nil {
		out.Frontend = new(*c.Frontend)
	}
	if c.Refresh != nil {
		out.Refresh = new(*c.Refresh)
		out.Refresh.Zones = slices.Clone(c.Refresh.Zones)
	}
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
	Started       time.Time `json:"started"`
	DroppedWrites int64     `json:"dropped_writes"` // no longer kept: a proof over this journal misses them
	DroppedReads  int64     `json:"dropped_reads"`
	Calls         []Call    `json:"calls"` // by sequence
}

// Journal returns the calls with a sequence above after. Safe for concurrent use, as every method of Sim.
func (s *Sim) Journal(after int64) Journal {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := Journal{Started: s.started, DroppedWrites: s.journal.writes.dropped, DroppedReads: s.journal.reads.dropped}
	for _, list := range [][]*Call{s.journal.writes.calls, s.journal.reads.calls} {
		for _, c := range list {
			if c.Seq > after {
				j.Calls = append(j.Calls, c.copy())
			}
		}
	}
	slices.SortFunc(j.Calls, func(a, b Call) int { return int(a.Seq - b.Seq) })
	return j
}

// WaitFor returns the first call that matches, in sequence among those already journalled, then in the order in
// which calls come to match: match sees a call again whenever its phase changes. It must not call the simulator.
func (s *Sim) WaitFor(ctx context.Context, match func(Call) bool) (Call, error) {
	w := &waiter{match: match, found: make(chan Call, 1)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return Call{}, ErrClosed
	}
	if c, ok := s.journal.first(match); ok {
		s.mu.Unlock()
		return c, nil
	}
	s.journal.waiters[w] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.journal.waiters, w)
		s.mu.Unlock()
	}()
	select {
	case c := <-w.found:
		return c, nil
	case <-ctx.Done():
		return Call{}, context.Cause(ctx)
	case <-s.done:
		return Call{}, ErrClosed
	}
}

func (j *journal) first(match func(Call) bool) (Call, bool) {
	w, r := j.writes.calls, j.reads.calls
	for len(w)+len(r) > 0 {
		var c *Call
		if len(r) == 0 || len(w) > 0 && w[0].Seq < r[0].Seq {
			c, w = w[0], w[1:]
		} else {
			c, r = r[0], r[1:]
		}
		if match(c.copy()) {
			return c.copy(), true
		}
	}
	return Call{}, false
}

// open journals a new call. The caller holds mu.
func (s *Sim) open(c *Call) {
	s.journal.seq++
	c.Seq = s.journal.seq
	c.Received, c.Phase = time.Now(), PhaseReceived
	c.ReceivedNS = int64(c.Received.Sub(s.started))
	c.QueryID = s.queryID(c.Received, c.Seq)
	if c.Write() {
		s.journal.writes.add(c)
	} else {
		s.journal.reads.add(c)
	}
	s.tell(c)
}

// accepted journals the effect of a write. The caller holds mu.
func (s *Sim) accepted(c *Call, changed bool) {
	c.Effect = time.Now()
	c.EffectNS = int64(c.Effect.Sub(s.started))
	s.journal.order++
	c.Order, c.Accepted, c.Changed = s.journal.order, true, changed
}

func (s *Sim) phase(c *Call, p Phase, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Phase = p
	if p == PhaseAnswered || p == PhaseDropped {
		c.Answered = time.Now()
		c.AnsweredNS = int64(c.Answered.Sub(s.started))
		c.Status = status
	}
	s.tell(c)
}

// tell wakes whoever waits for a call like this one. The caller holds mu.
func (s *Sim) tell(c *Call) {
	for w := range s.journal.waiters {
		if w.match(c.copy()) {
			w.found <- c.copy()
			delete(s.journal.waiters, w)
		}
	}
}
