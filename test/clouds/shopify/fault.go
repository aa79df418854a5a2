package shopify

import (
	"fmt"
	"slices"
	"time"
)

// When says on which side of the effect a fault strikes.
type When string

// The two sides.
const (
	Before When = "before" // the request has no effect, except when it is only held or delayed
	After  When = "after"  // the effect has happened, the answer suffers
)

// Do is what a fault does.
type Do string

// What a fault can do.
const (
	DoAnswer    Do = "answer"     // another answer: Status, and Body or HTML or an error body
	DoError     Do = "error"      // a 200 with an error of Code beside no data
	DoUserError Do = "user error" // a 200 with a user error of Code (of a write)
	DoHang      Do = "hang"       // no answer, until the client goes away
	DoHold      Do = "hold"       // stopped until ReleaseHeld or DropHeld
	DoDelay     Do = "delay"      // stopped for Delay
	DoDrop      Do = "drop"       // connection closed without answer
	DoTruncate  Do = "truncate"   // half the JSON, as if it were all (after only)
	DoCut       Do = "cut"        // half the JSON under the full length, then closed (after only)
	DoEmpty     Do = "empty"      // 200 without body
	DoEdit      Do = "edit"       // somebody else writes Text at Namespace and Key; the call itself goes on
)

// Unlimited as a Fault's Count never wears off.
const Unlimited = -1

// Fault is a rule. The first rule that matches a call strikes.
type Fault struct {
	Op    Op   // empty: any
	Skip  int  // matching calls let through first
	Count int  // calls struck; 0: one; Unlimited: all
	When  When // empty: before
	Do    Do   // empty: answer

	Delay      time.Duration // of delay
	Status     int           // of answer
	Message    string        // of the error body; empty: after the status
	HTML       bool          // a page instead of JSON
	Body       string        // instead of all that
	RetryAfter string        // header; empty: none
	Location   string        // header of a redirect; empty: none
	Size       int64         // of answer: a body of so many bytes; 0: as said above
	Code       string        // of error and user error

	Namespace, Key, Text string // of edit
}

// FaultState is a rule with its number and the calls it has struck.
type FaultState struct {
	ID    int64
	Hits  int
	Fault Fault
}

type rule struct {
	FaultState
	seen int
}

func (f Fault) withDefaults() Fault {
	if f.When == "" {
		f.When = Before
	}
	if f.Do == "" {
		f.Do = DoAnswer
	}
	if f.Count == 0 {
		f.Count = 1
	}
	return f
}

// Validate refuses unknown words and combinations that mean nothing.
func (f Fault) Validate() error {
	f = f.withDefaults()
	if err := oneOf("when", f.When, Before, After); err != nil {
		return err
	}
	if err := oneOf("op", f.Op, "", OpRead, OpWrite, OpToken); err != nil {
		return err
	}
	if err := oneOf("do", f.Do, DoAnswer, DoError, DoUserError, DoHang, DoHold, DoDelay, DoDrop, DoTruncate, DoCut, DoEmpty, DoEdit); err != nil {
		return err
	}
	switch {
	case f.Do == DoAnswer && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d: an answer needs one of 200 to 599", f.Status)
	case f.When == Before && (f.Do == DoTruncate || f.Do == DoCut):
		return fmt.Errorf("%s before the effect: there is no answer yet", f.Do)
	case f.Skip < 0 || f.Count < Unlimited || f.Delay < 0 || f.Size < 0:
		return fmt.Errorf("skip %d, count %d, delay %s, size %d: want no negative number", f.Skip, f.Count, f.Delay, f.Size)
	}
	return nil
}

// AddFault adds a rule behind those that stand, and returns its number.
func (s *Sim) AddFault(f Fault) (int64, error) {
	if err := f.Validate(); err != nil {
		return 0, fmt.Errorf("fault: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextRule++
	s.faults = append(s.faults, &rule{FaultState: FaultState{ID: s.nextRule, Fault: f.withDefaults()}})
	return s.nextRule, nil
}

// ClearFaults removes every rule. What is held stays held.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults lists the rules that stand.
func (s *Sim) Faults() (out []FaultState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.faults {
		out = append(out, r.FaultState)
	}
	return out
}

// strikes finds the fault of a call on one side of its effect.
func (s *Sim) strikes(c *Call, when When) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.faults {
		if r.Fault.When != when || r.Fault.Op != "" && r.Fault.Op != c.Op || r.Fault.Count != Unlimited && r.Hits >= r.Fault.Count {
			continue
		}
		r.seen++
		if r.seen <= r.Fault.Skip {
			continue
		}
		r.Hits++
		c.Fault = string(r.Fault.When) + ": " + string(r.Fault.Do)
		s.tell(c)
		return r.Fault, true
	}
	return Fault{}, false
}

// Held lists the calls that are held, by sequence.
func (s *Sim) Held() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []int64
	for seq := range s.held {
		out = append(out, seq)
	}
	slices.Sort(out)
	return out
}

// ReleaseHeld lets held calls go on, though their senders may be gone.
func (s *Sim) ReleaseHeld(seqs ...int64) { s.let(true, seqs) }

// DropHeld ends held calls: what they had not done stays undone.
func (s *Sim) DropHeld(seqs ...int64) { s.let(false, seqs) }

func (s *Sim) let(on bool, seqs []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range seqs {
		if c, ok := s.held[seq]; ok {
			delete(s.held, seq)
			c <- on
		}
	}
}

// hold stops a call until somebody lets it go; false: it is dropped.
func (s *Sim) hold(c *Call) bool {
	gate := make(chan bool, 1)
	s.note(c, func() { s.held[c.Seq], c.Phase = gate, PhaseHeld })
	on := false
	select {
	case on = <-gate:
	case <-s.done:
	}
	s.note(c, func() {
		delete(s.held, c.Seq)
		if c.Phase = PhaseReceived; !on {
			c.Phase = PhaseDropped
		}
	})
	return on
}
