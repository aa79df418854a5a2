package octavia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// When says on which side of the effect a fault strikes.
type When string

// The two sides.
const (
	Before When = ""
	After  When = "after"
)

// Do is what a fault does.
type Do string

// What a fault can do.
const (
	DoAnswer   Do = ""         // another answer: Status, and Body or HTML or an error body
	DoHang     Do = "hang"     // no answer, until the client goes away
	DoHold     Do = "hold"     // stopped until ReleaseHeld
	DoDelay    Do = "delay"    // stopped for Delay
	DoReset    Do = "reset"    // connection closed without answer
	DoTruncate Do = "truncate" // half the JSON, as if it were all (after only)
	DoCut      Do = "cut"      // half the JSON under the full length, then closed (after only)
	DoEmpty    Do = "empty"    // 200 without body

	// A second writer at this instant; the call itself goes on as if nothing had happened.
	DoEdit   Do = "edit"   // somebody edits Listener by Edit, if the tree takes it
	DoLock   Do = "lock"   // somebody's change holds the tree for Delay
	DoRevoke Do = "revoke" // all tokens end
)

// Unlimited as a Fault's Count never wears off.
const Unlimited = -1

// Fault is a rule. The first rule that matches a call strikes; a call that a rule skips goes on to the next rule.
type Fault struct {
	Method   string // empty: any
	Path     string // below the version, "*" for anything, without query; empty: any
	Keystone bool   // it is about Keystone's calls; else about Octavia's
	Skip     int    // matching calls let through first
	Count    int    // calls struck; 0: one; Unlimited: all
	When     When
	Do       Do

	Delay      time.Duration // of delay and lock
	Status     int           // of answer
	Message    string        // of the error body; empty: after the status
	HTML       bool          // a page instead of JSON
	Body       string        // instead of all that
	RetryAfter string        // header; empty: none
	Location   string        // header of a redirect; empty: none
	Size       int64         // of answer: a body of so many bytes; 0: as said above

	Listener string // of edit and lock
	Edit     string // the fields of a PUT, JSON
}

type rule struct {
	Fault
	seen, hits int
}

// AddFault adds a rule behind those that stand.
func (s *Sim) AddFault(f Fault) error {
	switch {
	case f.Do == DoAnswer && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d: an answer needs one of 200 to 599", f.Status)
	case f.When == Before && (f.Do == DoTruncate || f.Do == DoCut):
		return fmt.Errorf("%s before the effect: there is no answer yet", f.Do)
	case f.Do == DoEdit && !json.Valid([]byte(f.Edit)):
		return fmt.Errorf("edit %q: want a JSON object", f.Edit)
	}
	if f.Count == 0 {
		f.Count = 1
	}
	if f.Path == "" {
		f.Path = "*"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &rule{Fault: f})
	return nil
}

// ClearFaults removes all rules.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Hits is how many calls the rules that stand have struck.
func (s *Sim) Hits() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.faults {
		n += r.hits
	}
	return n
}

// matchFault finds the rule that strikes a call and counts it.
func (s *Sim) matchFault(c *Call) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.faults {
		if r.Keystone != c.Keystone || r.Method != "" && r.Method != c.Method || !wildcard(r.Path, c.Path) {
			continue
		}
		r.seen++
		if r.seen <= r.Skip || r.Count != Unlimited && r.hits >= r.Count {
			continue
		}
		r.hits++
		c.Fault = string(r.Do) + " " + string(r.When)
		f := r.Fault
		return &f
	}
	return nil
}

// interfere lets a fault strike. It returns what is to be sent, and true if the call ends here.
func (s *Sim) interfere(ctx context.Context, c *Call, f Fault, a answer) (answer, bool) {
	switch f.Do {
	case DoAnswer:
		return s.spoiled(f), true
	case DoEmpty:
		return answer{status: http.StatusOK, kind: jsonKind}, true
	case DoTruncate:
		a.body = a.body[:len(a.body)/2]
		return a, true
	case DoCut:
		a.cut = true
		return a, true
	case DoEdit, DoLock, DoRevoke:
		s.intrude(f)
		return a, false
	case DoHang:
		s.phase(c, PhaseHeld, 0)
		select {
		case <-ctx.Done():
		case <-s.done:
		}
	case DoDelay:
		s.phase(c, PhaseHeld, 0)
		if f.When == Before {
			ctx = context.WithoutCancel(ctx) // late delivery: it arrives though its sender may be gone
		}
		s.wait(ctx, f.Delay)
		return a, false
	case DoHold:
		if s.hold(c) {
			return a, false
		}
	}
	return answer{gone: true}, true
}

func (s *Sim) spoiled(f Fault) answer {
	s.mu.Lock()
	form := s.knobs.ErrorForm
	s.mu.Unlock()
	message := f.Message
	if message == "" {
		message = http.StatusText(f.Status)
	}
	a := errorAnswer(form, f.Status, message)
	if f.HTML {
		a = pageAnswer(f.Status)
	}
	if f.Body != "" {
		a.body = []byte(f.Body)
	}
	a.retryAfter, a.location, a.size = f.RetryAfter, f.Location, f.Size
	return a
}

// intrude lets somebody else act. What the tree does not take is their trouble.
func (s *Sim) intrude(f Fault) {
	s.mu.Lock()
	b := s.ofListener(f.Listener)
	if f.Do == DoRevoke {
		clear(s.tokens)
	}
	s.mu.Unlock()
	switch {
	case f.Do == DoEdit:
		if err := s.ForeignEdit(f.Listener, f.Edit); err != nil && !errors.Is(err, ErrImmutable) {
			panic(err) // a fault that a test spells wrong
		}
	case f.Do == DoLock && b != nil:
		if err := s.Lock(b.stored.balancer.ID, f.Delay); err != nil && !errors.Is(err, ErrImmutable) {
			panic(err)
		}
	}
}

// ForeignEdit is a PUT of a listener by somebody else: the fields as JSON. It passes the lock as anybody's does.
func (s *Sim) ForeignEdit(listener, fields string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Call{Method: http.MethodPut, Path: "/lbaas/listeners/" + listener, Foreign: true}
	s.open(c)
	_, err := s.putListener(c, listener, []byte(`{"listener":`+fields+`}`))
	return err
}

// ForeignMembers is a PUT of a pool's members by somebody else: the list as JSON.
func (s *Sim) ForeignMembers(pool, members string, additive bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Call{Method: http.MethodPut, Path: "/lbaas/pools/" + pool + "/members", Foreign: true}
	s.open(c)
	return s.putMembers(c, pool, []byte(`{"members":`+members+`}`), additive)
}

// hold stops a call until it is released (true) or the simulator ends. It outlives its sender.
func (s *Sim) hold(c *Call) bool {
	verdict := make(chan bool, 1)
	s.mu.Lock()
	s.held[c.Seq] = verdict
	s.mu.Unlock()
	s.phase(c, PhaseHeld, 0)
	select {
	case ok := <-verdict:
		return ok
	case <-s.done:
	}
	return false
}

// ReleaseHeld lets all held calls go on and returns their sequences.
func (s *Sim) ReleaseHeld() (out []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq, verdict := range s.held {
		verdict <- true
		delete(s.held, seq)
		out = append(out, seq)
	}
	slices.Sort(out)
	return out
}

// wait sleeps for d, or less if the context or the simulator ends.
func (s *Sim) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-s.done:
	}
}
