package octavia

import (
	"net/http"
	"strings"
	"time"
)

// Phase is where a call stands.
type Phase string

// The phases of a call.
const (
	PhaseReceived Phase = "received"
	PhaseHeld     Phase = "held"     // stopped by a fault, before or after its effect
	PhaseAnswered Phase = "answered" // the answer was written, as far as the server can tell
	PhaseDropped  Phase = "dropped"  // the connection was closed without a whole answer
)

// Call is one request in the journal, or an edit of somebody else (Foreign).
type Call struct {
	Seq       int64
	RequestID string
	Method    string
	Path      string // below the version of its API
	Query     string
	Keystone  bool
	Foreign   bool

	Received time.Time
	Effect   time.Time // when a write was carried out
	Answered time.Time

	Phase  Phase
	Status int // sent; 0: none
	Fault  string

	Order    int64          // of effects, from 1; 0: none
	Accepted bool           // a write that the provider took
	Listener *ListenerWrite // of an accepted PUT of a listener
}

// Write says whether the call is one that may change a tree.
func (c Call) Write() bool { return !c.Keystone && c.Method != http.MethodGet }

// ListenerWrite is what a write did to a listener.
type ListenerWrite struct {
	ID                      string
	PoolBefore, PoolAfter   string
	TextBefore, TextAfter   string
	StatusBefore, LBBefore  Status
	OthersBefore, OthersNow Listener // the fields that are nobody's business, with pool, text and status cleared
}

// Journal returns a copy of all calls, by sequence. It panics when calls were lost, since nothing could be proven by the rest.
func (s *Sim) Journal() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped > 0 {
		panic("the simulator's journal is full")
	}
	out := make([]Call, 0, len(s.calls))
	for _, c := range s.calls {
		call := *c
		if c.Listener != nil {
			call.Listener = new(*c.Listener)
		}
		out = append(out, call)
	}
	return out
}

// open enters a call. The caller holds mu.
func (s *Sim) open(c *Call) {
	s.seq++
	c.Seq, c.Received, c.Phase = s.seq, time.Now(), PhaseReceived
	if len(s.calls) >= MaxJournal {
		s.dropped++
		return
	}
	s.calls = append(s.calls, c)
}

// took notes an accepted write. The caller holds mu.
func (s *Sim) took(c *Call) {
	s.order++
	c.Order, c.Accepted, c.Effect = s.order, true, time.Now()
}

func (s *Sim) phase(c *Call, p Phase, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Phase, c.Status = p, status
	if p == PhaseAnswered || p == PhaseDropped {
		c.Answered = time.Now()
	}
}

// others are a listener's fields beside those that a swing is about.
func others(l Listener) Listener {
	l.Pool, l.Description, l.Status = "", "", ""
	return l
}

// wildcard matches a text against a pattern in which "*" stands for anything.
func wildcard(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, last)
}
