package shopify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxProofDetails bounds the lines that explain a proof.
const MaxProofDetails = 100

// Words are what the coordinators put into a metafield.
type Words struct {
	Cluster  string `json:"cluster"`
	Failover string `json:"failover"`
	Action   string `json:"action"`
	Value    string `json:"value"`
}

// ParseWords reads them; false when the text is not the coordinators'.
func ParseWords(text string) (Words, bool) {
	var w Words
	err := json.Unmarshal([]byte(text), &w)
	return w, err == nil && w.Cluster != "" && w.Failover != "" && w.Action != ""
}

func (w Words) master() string { return w.Failover[:max(0, strings.LastIndexByte(w.Failover, '/'))] }

func (w Words) number() int64 {
	n, err := strconv.ParseInt(w.Failover[strings.LastIndexByte(w.Failover, '/')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// LoggedAction is one action as the coordinators' log tells it.
type LoggedAction struct {
	ID     string // "cache/7/shopify"
	State  string // "done" is what counts here
	Effect string // "changed" or "already"
	Claims int    // claims committed for it
}

// Proof counts what the shop saw against what the log says. Calls of others are
// in no count. Everything from Duplicates on is 0 in a sound run.
type Proof struct {
	// Changes are accepted writes that changed a value or whose it is.
	Changes int
	// Refused are writes that Shopify refused because of a digest.
	Refused int
	// Repeats are accepted writes that left every value as it was.
	Repeats int

	// Duplicates are accepted changes beyond the first of one action.
	Duplicates int
	// Stale are accepted writes of a failover below one that was accepted before.
	Stale int
	// Torn are accepted writes whose values are not all of one action.
	Torn int
	// Unfenced are writes that compared nothing.
	Unfenced int
	// Lost are actions done with effect changed while no write of their failover was accepted.
	Lost int
	// Orphans are writes of actions that the log has no claim of.
	Orphans int

	// Dropped is how many writes the journal no longer holds: above 0 the counts are of a part only.
	Dropped int64
	Details []string
}

// Sound reports whether everything that must be 0 is.
func (p Proof) Sound() bool {
	return p.Duplicates+p.Stale+p.Torn+p.Unfenced+p.Lost+p.Orphans == 0
}

type series struct{ namespace, cluster, master string }

type prover struct {
	Proof
	claims  map[string]int
	changes map[string]int  // by action
	written map[string]bool // failovers of which a write was accepted
	highest map[series]int64
}

// Prove counts the journal against the actions of the log; those of kinds other
// than this one must not be among them.
func (s *Sim) Prove(log []LoggedAction) Proof {
	j := s.Journal(0)
	p := prover{Proof: Proof{Dropped: j.Dropped}, claims: map[string]int{}, changes: map[string]int{}, written: map[string]bool{}, highest: map[series]int64{}}
	for _, a := range log {
		p.claims[a.ID] = a.Claims
	}
	// The order of effects is what counts, and the sequence is that of arrival.
	slices.SortStableFunc(j.Calls, func(a, b Call) int { return cmp.Compare(a.Order, b.Order) })
	for _, c := range j.Calls {
		if c.Write() && !c.Foreign {
			p.write(c)
		}
	}
	for _, a := range log {
		of := a.ID[:max(0, strings.LastIndexByte(a.ID, '/'))]
		if a.State == "done" && a.Effect == "changed" && !p.written[of] {
			p.count(&p.Lost, "%s is done and changed nothing here", a.ID)
		}
	}
	return p.Proof
}

func (p *prover) count(n *int, format string, args ...any) {
	*n++
	if len(p.Details) < MaxProofDetails {
		p.Details = append(p.Details, fmt.Sprintf(format, args...))
	}
}

func (p *prover) write(c Call) {
	if len(c.Sets) == 0 {
		return // it came to nothing
	}
	first, ours := ParseWords(c.Sets[0].After)
	changed := false
	for _, set := range c.Sets {
		if set.Compare == CompareAbsent {
			p.count(&p.Unfenced, "call %d writes %s without a digest", c.Seq, set.Key)
		}
		if w, ok := ParseWords(set.After); !ok || w.Action != first.Action {
			p.count(&p.Torn, "call %d writes %q beside %q", c.Seq, set.After, first.Action)
		}
		changed = changed || set.Before != set.After
	}
	if ours && p.claims[first.Action] == 0 {
		p.count(&p.Orphans, "call %d is of %s, of which the log has no claim", c.Seq, first.Action)
	}
	switch {
	case !c.Accepted:
		if c.Refused == "STALE_OBJECT" {
			p.Refused++
		}
		return
	case !changed:
		p.Repeats++
		return
	}
	p.Changes++
	p.written[first.Failover] = true
	if p.changes[first.Action]++; p.changes[first.Action] > 1 {
		p.count(&p.Duplicates, "call %d is change %d of %s", c.Seq, p.changes[first.Action], first.Action)
	}
	of := series{c.Sets[0].Namespace, first.Cluster, first.master()}
	if first.number() < p.highest[of] {
		p.count(&p.Stale, "call %d of %s lands after number %d", c.Seq, first.Action, p.highest[of])
	}
	p.highest[of] = max(p.highest[of], first.number())
}
