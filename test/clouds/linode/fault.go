package linode

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"time"
)

// When says on which side of the effect a fault strikes.
type When string

// The two sides.
const (
	Before When = "before" // without effect, unless it is only held or delayed
	After  When = "after"  // the effect has happened, the answer suffers
)

// Do is what a fault does.
type Do string

// What a fault can do.
const (
	DoAnswer   Do = "answer"   // another answer: Status, and Reason, HTML or Body
	DoHang     Do = "hang"     // no answer until the client goes away
	DoHold     Do = "hold"     // stopped until Release
	DoDelay    Do = "delay"    // stopped for Delay
	DoDrop     Do = "drop"     // connection closed without answer
	DoReset    Do = "reset"    // connection reset without answer
	DoTruncate Do = "truncate" // half the JSON as if it were all (after only)
	DoCut      Do = "cut"      // half the JSON under the full length, then closed (after only)
	DoEmpty    Do = "empty"    // 200 without body

	// Somebody else acts at this instant; the call itself goes on.
	DoEdit    Do = "edit"    // PUTs Edit on the node Node
	DoDelete  Do = "delete"  // deletes the node Node
	DoRebuild Do = "rebuild" // rebuilds the configuration of Node without ids
	DoSecond  Do = "second"  // adds a node that takes traffic beside Node
)

// Unlimited as a Fault's Count never wears off.
const Unlimited = -1

// Fault is a rule. The first rule that matches a call strikes.
type Fault struct {
	Method string // empty: any
	Path   string // below /v4, path.Match's form, without query; empty: any
	Skip   int    // matching calls let through first
	Count  int    // calls struck; 0: one
	When   When   // empty: before
	Do     Do     // empty: answer

	Delay   time.Duration
	Status  int
	Reason  string            // of the error body; empty: after the status
	HTML    bool              // a page instead of JSON
	Body    string            // instead of both
	Size    int               // of answer: so many bytes of blanks; 0: as above
	Headers map[string]string // besides

	Node int64 // of what somebody else does
	Edit string
}

type rule struct {
	Fault
	seen, hits int
}

// AddFault adds a rule behind those that stand.
func (s *Sim) AddFault(f Fault) error {
	if f.When == "" {
		f.When = Before
	}
	if f.Do == "" {
		f.Do = DoAnswer
	}
	if f.Count == 0 {
		f.Count = 1
	}
	if err := f.validate(); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, &rule{Fault: f})
	return nil
}

func (f Fault) validate() error {
	if err := oneOf("when", f.When, Before, After); err != nil {
		return err
	}
	if err := oneOf("do", f.Do, DoAnswer, DoHang, DoHold, DoDelay, DoDrop, DoReset, DoTruncate, DoCut, DoEmpty,
		DoEdit, DoDelete, DoRebuild, DoSecond); err != nil {
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

// ClearFaults takes all rules away; calls that one holds stay held.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// Hits counts the calls that the rules that stand have struck.
func (s *Sim) Hits() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		n += r.hits
	}
	return n
}

// strike finds the rule for a call and counts it.
func (s *Sim) strike(c *Call) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		matched, _ := path.Match(r.Path, c.Path)
		if c.Foreign || r.Method != "" && r.Method != c.Method || r.Path != "" && !matched {
			continue
		}
		r.seen++
		if r.seen <= r.Skip || r.Count != Unlimited && r.hits >= r.Count {
			continue
		}
		r.hits++
		c.Fault = fmt.Sprintf("%s %s", r.Do, r.When)
		return &r.Fault
	}
	return nil
}

// interfere lets a fault strike. It returns what is to be sent, and true if the
// call ends here.
func (s *Sim) interfere(ctx context.Context, x *exchange, f Fault, a answer) (answer, bool) {
	switch f.Do {
	case DoAnswer:
		return s.spoiled(f), true
	case DoEmpty:
		return answer{status: http.StatusOK, header: http.Header{"Content-Type": {string(TypeExact)}}}, true
	case DoTruncate:
		a.body = a.body[:len(a.body)/2]
	case DoCut:
		a.manner = cutShort
	case DoDrop:
		return answer{manner: nothing}, true
	case DoReset:
		return answer{manner: reset}, true
	case DoHang:
		s.wait(ctx, MaxLag)
		return answer{manner: nothing}, true
	case DoDelay:
		s.wait(ctx, f.Delay)
	case DoHold:
		s.hold(x.call)
	default:
		s.intrude(f)
	}
	return a, false
}

func (s *Sim) spoiled(f Fault) answer {
	r := &refusal{status: f.Status, reason: f.Reason}
	if r.reason == "" {
		r.reason = http.StatusText(f.Status)
	}
	a := answer{status: f.Status, header: http.Header{"Content-Type": {string(TypeExact)}}, body: r.body(FieldAbsent)}
	if f.HTML {
		a = page(f.Status)
	}
	if f.Body != "" {
		a.body = []byte(f.Body)
	}
	if f.Size > 0 {
		a.body = slices.Repeat([]byte(" "), f.Size)
	}
	for name, value := range f.Headers {
		a.header.Set(name, value)
	}
	return a
}

// hold stops a call until it is released, whoever waits for it.
func (s *Sim) hold(c *Call) {
	released := make(chan struct{})
	s.mu.Lock()
	s.held[c.Seq] = released
	s.mu.Unlock()
	select {
	case <-released:
	case <-s.done:
	}
}

// Release lets all held calls go on and returns their sequences.
func (s *Sim) Release() (seqs []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq, released := range s.held {
		close(released)
		seqs = append(seqs, seq)
	}
	clear(s.held)
	slices.Sort(seqs)
	return seqs
}

// Put changes a node as somebody else would; fields as in the API's PUT.
func (s *Sim) Put(id int64, fields string) error {
	return s.byHand(id, http.MethodPut, func(t tree, n Node) error {
		var raw map[string]json.RawMessage
		if err := json.Unmarshal([]byte(fields), &raw); err != nil {
			return err
		}
		_, err := s.putNode(t, n, raw, false)
		return err
	})
}

// byHand makes and journals somebody else's change around a node.
func (s *Sim) byHand(id int64, method string, change func(tree, Node) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.stored().clone()
	n, ok := t.nodes[id]
	if !ok {
		return fmt.Errorf("node %d: %w", id, ErrUnknown)
	}
	if err := change(t, n); err != nil {
		return err
	}
	s.store(t)
	s.makeBusy(t.configs[n.Config].NodeBalancer)
	c := &Call{Method: method, Path: fmt.Sprintf("by hand/node/%d", id), Foreign: true}
	s.open(c)
	s.took(c)
	return nil
}

// intrude lets somebody else act. A node that is gone by then is left alone.
func (s *Sim) intrude(f Fault) {
	if f.Do == DoEdit {
		_ = s.Put(f.Node, f.Edit)
		return
	}
	_ = s.byHand(f.Node, http.MethodPost, func(t tree, n Node) error {
		again := n
		s.nextID++
		again.ID = s.nextID
		switch f.Do {
		case DoDelete:
			delete(t.nodes, n.ID)
			return nil
		case DoRebuild:
			delete(t.nodes, n.ID)
		case DoSecond:
			again.Label, again.Mode = "second", "accept"
		}
		t.nodes[again.ID] = again
		return nil
	})
}
