package ovh

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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
	DoAnswer   Do = "answer"   // another answer: Status, and Body or HTML or an error body
	DoHang     Do = "hang"     // no answer, until the client goes away
	DoHold     Do = "hold"     // stopped until ReleaseHeld or DropHeld
	DoDelay    Do = "delay"    // stopped for Delay
	DoDrop     Do = "drop"     // connection closed without answer
	DoReset    Do = "reset"    // connection reset without answer
	DoTruncate Do = "truncate" // half the JSON, as if it were all (after only)
	DoCut      Do = "cut"      // half the JSON under the full length, then closed (after only)
	DoEmpty    Do = "empty"    // 200 without body

	// A second writer at this instant; the call itself goes on as if nothing had happened.
	DoEdit      Do = "edit"      // somebody edits Frontend by Edit
	DoRefresh   Do = "refresh"   // somebody refreshes the service of Frontend
	DoTerraform Do = "terraform" // the two, one after the other
)

// Unlimited as a Fault's Count never wears off.
const Unlimited = -1

// Fault is a rule. The first rule that matches a call strikes; a call that a rule skips goes on to the next rule.
type Fault struct {
	Method string `json:"method"` // empty: any
	Path   string `json:"path"`   // below the version, "*" for anything, without query; empty: any
	Skip   int    `json:"skip"`   // matching calls let through first
	Count  int    `json:"count"`  // calls struck; 0: one; Unlimited: all
	When   When   `json:"when"`   // empty: before
	Do     Do     `json:"do"`     // empty: answer

	Delay      time.Duration `json:"delay"`       // of delay
	Status     int           `json:"status"`      // of answer
	Message    string        `json:"message"`     // of the error body; empty: after the status
	HTML       bool          `json:"html"`        // a page instead of JSON
	OldForm    bool          `json:"old_form"`    // of the error body
	Code       *int          `json:"code"`        // a numeric field code in the error body
	Body       string        `json:"body"`        // instead of all that
	RetryAfter string        `json:"retry_after"` // header; empty: none
	Location   string        `json:"location"`    // header of a redirect; empty: none
	Size       int64         `json:"size"`        // of answer: a body of so many bytes; 0: as said above

	Frontend int64  `json:"frontend"` // of edit, refresh and terraform
	Edit     string `json:"edit"`     // of edit and terraform: the body of a PUT, JSON
}

// UnmarshalJSON takes the delay as text ("1.5s") or nanoseconds.
func (f *Fault) UnmarshalJSON(b []byte) error {
	type plain Fault
	return decodeSpans(b, (*plain)(f), "delay")
}

// FaultState is a rule with its number and the calls it has struck.
type FaultState struct {
	ID    int64 `json:"id"`
	Hits  int   `json:"hits"`
	Fault Fault `json:"fault"`
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
	if f.Path == "" {
		f.Path = "*"
	}
	return f
}

// Validate refuses unknown words and combinations that mean nothing.
func (f Fault) Validate() error {
	f = f.withDefaults()
	if err := oneOf("when", f.When, Before, After); err != nil {
		return err
	}
	if err := oneOf("do", f.Do, DoAnswer, DoHang, DoHold, DoDelay, DoDrop, DoReset, DoTruncate, DoCut, DoEmpty,
		DoEdit, DoRefresh, DoTerraform); err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(f.Edit), &fields); (f.Do == DoEdit || f.Do == DoTerraform) && (err != nil || fields == nil) {
		return fmt.Errorf("edit %q: want a JSON object", f.Edit)
	}
	if f.Do == DoAnswer && (f.Status < 200 || f.Status > 599) {
		return fmt.Errorf("status %d: an answer needs one of 200 to 599", f.Status)
	}
	if f.When == Before && (f.Do == DoTruncate || f.Do == DoCut) {
		return fmt.Errorf("%s before the effect: there is no answer yet", f.Do)
	}
	if f.Skip < 0 || f.Count < Unlimited || f.Delay < 0 || f.Size < 0 {
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

// RemoveFault takes a rule away; calls that it holds stay held.
func (s *Sim) RemoveFault(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(r *rule) bool { return r.ID == id })
	if len(s.faults) == n {
		return fmt.Errorf("fault %d: %w", id, ErrUnknown)
	}
	return nil
}

// ClearFaults takes all rules away.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults lists the rules, worn-off ones included.
func (s *Sim) Faults() []FaultState {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []FaultState{}
	for _, r := range s.faults {
		out = append(out, r.FaultState)
	}
	return out
}

// matchFault finds the rule that strikes a call and counts it.
func (s *Sim) matchFault(x *exchange) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.faults {
		f := r.Fault
		if f.Method != "" && f.Method != x.call.Method || !wildcard(f.Path, x.call.Path) {
			continue
		}
		r.seen++
		if r.seen <= f.Skip || f.Count != Unlimited && r.Hits >= f.Count {
			continue
		}
		r.Hits++
		x.call.Fault = fmt.Sprintf("%d: %s %s", r.ID, f.Do, f.When)
		return &f
	}
	return nil
}

// interfere lets a fault strike. It returns what is to be sent, and true if the call ends here; before the
// effect false lets it be carried out.
func (s *Sim) interfere(ctx context.Context, x *exchange, f Fault, a answer) (answer, bool) {
	switch f.Do {
	case DoAnswer:
		return s.spoiled(f), true
	case DoEmpty:
		return answer{status: http.StatusOK, header: jsonHeader()}, true
	case DoTruncate:
		a.body = a.body[:len(a.body)/2]
		return a, true
	case DoCut:
		a.manner = cutShort
		return a, true
	case DoReset:
		return answer{manner: reset}, true
	case DoEdit, DoRefresh, DoTerraform:
		if err := s.intrude(f); err != nil {
			s.log.Warn("second writer was refused", "do", string(f.Do), "error", err)
		}
		return a, false
	case DoHang:
		s.phase(x.call, PhaseHeld, 0)
		select {
		case <-ctx.Done():
		case <-s.done:
		}
	case DoDelay:
		s.phase(x.call, PhaseHeld, 0)
		if f.When == Before {
			ctx = context.WithoutCancel(ctx) // late delivery: it arrives though its sender may be gone
		}
		s.wait(ctx, f.Delay)
		return a, false
	case DoHold:
		if s.hold(ctx, x, f.When) {
			return a, false
		}
	}
	return answer{manner: nothing}, true
}

func (s *Sim) spoiled(f Fault) answer {
	a := htmlAnswer(f.Status)
	if !f.HTML {
		r := refusal{status: f.Status, code: "SIMULATED", class: classOf(f.Status), message: f.Message, number: f.Code}
		if r.message == "" {
			r.message = statusText(f.Status)
		}
		form := FormNew
		if f.OldForm {
			form = FormOld
		}
		a.header, a.body = jsonHeader(), r.body(form, DetailsNone)
	}
	if f.Body != "" {
		a.body = []byte(f.Body)
	}
	if f.RetryAfter != "" {
		a.header.Set("Retry-After", f.RetryAfter)
	}
	if f.Location != "" {
		a.header.Set("Location", f.Location)
	}
	a.size = f.Size
	return a
}

// intrude lets somebody else edit or refresh.
func (s *Sim) intrude(f Fault) error {
	if f.Do != DoRefresh {
		var fields map[string]any
		if err := json.Unmarshal([]byte(f.Edit), &fields); err != nil {
			return err
		}
		if err := s.ForeignPut(f.Frontend, fields); err != nil || f.Do == DoEdit {
			return err
		}
	}
	s.mu.Lock()
	svc := s.ofFrontend(f.Frontend)
	s.mu.Unlock()
	if svc == nil {
		return fmt.Errorf("frontend %d: %w", f.Frontend, ErrUnknown)
	}
	_, err := s.ForeignRefresh(svc.name, "")
	return err
}

// hold stops a call until it is released (true) or dropped. A request held before its effect outlives its
// sender; an answer whose reader is gone has nowhere to go and counts as dropped.
func (s *Sim) hold(ctx context.Context, x *exchange, when When) bool {
	verdict := make(chan bool, 1)
	s.mu.Lock()
	s.held[x.call.Seq] = verdict
	s.mu.Unlock()
	s.phase(x.call, PhaseHeld, 0)
	defer func() {
		s.mu.Lock()
		delete(s.held, x.call.Seq)
		s.mu.Unlock()
	}()
	gone := ctx.Done()
	if when == Before {
		gone = nil
	}
	select {
	case ok := <-verdict:
		return ok
	case <-gone:
	case <-s.done:
	}
	return false
}

// ReleaseHeld lets held calls go on: those named by sequence, or all. It returns how many.
func (s *Sim) ReleaseHeld(seqs ...int64) int { return s.decide(true, seqs) }

// DropHeld closes the connections of held calls without an answer: those named by sequence, or all. A call held
// after its effect has had it; one held before has none. It returns how many.
func (s *Sim) DropHeld(seqs ...int64) int { return s.decide(false, seqs) }

func (s *Sim) decide(release bool, seqs []int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for seq, verdict := range s.held {
		if len(seqs) == 0 || slices.Contains(seqs, seq) {
			verdict <- release
			delete(s.held, seq)
			n++
		}
	}
	return n
}

// Held lists the sequences of the calls that wait for ReleaseHeld or DropHeld.
func (s *Sim) Held() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []int64{}
	for seq := range s.held {
		out = append(out, seq)
	}
	slices.Sort(out)
	return out
}
