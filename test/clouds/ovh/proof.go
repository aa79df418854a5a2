package ovh

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MaxProofDetails bounds the lines that explain a proof.
const MaxProofDetails = 100

// Marker is what the coordinator leaves at the end of a displayName: whose failover set the value.
type Marker struct {
	Cluster string // first 8 characters of the cluster's id
	Master  string
	Number  int64
}

func (m Marker) String() string { return fmt.Sprintf("[pm %s %s/%d]", m.Cluster, m.Master, m.Number) }

// ParseMarker reads the marker at the end of a displayName, "... [pm 1a2b3c4d cache/7]".
func ParseMarker(name string) (Marker, bool) {
	found := regexp.MustCompile(`\[pm (\S{8}) (\S+)/([0-9]+)\]$`).FindStringSubmatch(name)
	if found == nil {
		return Marker{}, false
	}
	n, err := strconv.ParseInt(found[3], 10, 64)
	return Marker{Cluster: found[1], Master: found[2], Number: n}, err == nil
}

// LoggedAction is one action as the coordinators' log tells it.
type LoggedAction struct {
	ID     string `json:"id"`     // "cache/7/lb" or "lb-par/refresh/19"
	Kind   string `json:"kind"`   // actuator's kind; "refresh" or an id with "/refresh/" makes it a refresh
	State  string `json:"state"`  // "done" is what counts here
	Effect string `json:"effect"` // "changed" or "already"
	Object string `json:"object"` // "lb-par/frontend/4711"
	Marker string `json:"marker"` // "[pm 1a2b3c4d cache/7]"; empty: any cluster's, master and number from the id
	Farm   int64  `json:"farm"`   // value wanted; 0 for a refresh
	Claims int    `json:"claims"` // claims committed for it
}

// Proof counts what the provider saw against what the log says. Calls of others (Call.Foreign) are in no count.
type Proof struct {
	// FrontendChanges are accepted PUTs that changed a frontend's defaultFarmId.
	FrontendChanges int `json:"frontend_changes"`
	// Refreshes are accepted refresh POSTs.
	Refreshes int `json:"refreshes"`
	// Duplicates are changes of a frontend beyond the first under one marker.
	Duplicates int `json:"duplicates"`
	// Repeats are accepted writes that changed nothing: a PUT that left every field as it was, a refresh whose
	// snapshot found no staged edit in its zones, or one that was answered with a task that ran already.
	Repeats int `json:"repeats"`
	// Stale are accepted PUTs that changed value or marker under a number lower than one already accepted on
	// that frontend for the same cluster and master.
	Stale int `json:"stale"`
	// Lost are actions done in the log without the deed: effect changed and no accepted change to the wanted
	// value under the marker, or effect already and the frontend never held the value. For refreshes it is how
	// many more are done with effect changed than POSTs were accepted.
	Lost int `json:"lost"`
	// Orphans are accepted PUTs on a frontend whose marker has no claimed action there, unmarked ones included,
	// and accepted refreshes beyond the claims of refresh actions.
	Orphans int `json:"orphans"`

	// Dropped is how many writes the journal no longer holds: above 0 the counts are of a part only.
	Dropped int64 `json:"dropped,omitempty"`
	// Details names what was counted in duplicates, repeats, stale, lost and orphans, at most MaxProofDetails lines.
	Details []string `json:"details,omitempty"`
}

// Prove counts the journal against the actions of the log.
func (s *Sim) Prove(log []LoggedAction) Proof {
	return prove(s.Journal(0), log)
}

// series is the frontend's writes under one master's markers.
type series struct {
	frontend        int64
	cluster, master string
}

type deed struct {
	frontend int64
	marker   Marker
}

type prover struct {
	Proof
	log     []LoggedAction
	changes map[deed]map[int64]int   // changes by the value they set
	total   map[deed]int             // changes of the value, whatever to
	highest map[series]int64         // number accepted so far
	held    map[int64]map[int64]bool // values that a frontend has had
}

func prove(j Journal, log []LoggedAction) Proof {
	p := prover{
		log: log, changes: map[deed]map[int64]int{}, total: map[deed]int{}, highest: map[series]int64{},
		held: map[int64]map[int64]bool{},
	}
	p.Dropped = j.DroppedWrites
	// The order of effects is what counts, and the sequence is that of arrival: a held request may land late.
	for _, c := range byEffect(j.Calls) {
		switch {
		case c.Frontend != nil:
			p.observe(c.Frontend.ID, c.Frontend.FarmBefore)
			p.observe(c.Frontend.ID, c.Frontend.FarmAfter)
			if !c.Foreign && c.Method == http.MethodPut {
				p.put(c)
			}
		case c.Refresh != nil && !c.Foreign:
			p.refresh(c)
		}
	}
	p.settle()
	return p.Proof
}

// byEffect lists the accepted writes in the order in which they were carried out.
func byEffect(calls []Call) []Call {
	var out []Call
	for _, c := range calls {
		if c.Accepted {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b Call) int { return cmp.Compare(a.Order, b.Order) })
	return out
}

func (p *prover) observe(frontend, farm int64) {
	if p.held[frontend] == nil {
		p.held[frontend] = map[int64]bool{}
	}
	p.held[frontend][farm] = true
}

func (p *prover) put(c Call) {
	w := c.Frontend
	marker, marked := ParseMarker(w.NameAfter)
	if w.FarmBefore != w.FarmAfter {
		p.FrontendChanges++
	}
	if !c.Changed {
		p.Repeats++
		p.detail("repeat: call %d left frontend %d as it was", c.Seq, w.ID)
	}
	if !p.claimed(w.ID, marker, marked) {
		p.Orphans++
		p.detail("orphan: call %d on frontend %d has no claim for %q", c.Seq, w.ID, w.NameAfter)
	}
	if !marked {
		return
	}
	of := series{w.ID, marker.Cluster, marker.Master}
	if marker.Number < p.highest[of] && (w.FarmBefore != w.FarmAfter || w.NameBefore != w.NameAfter) {
		p.Stale++
		p.detail("stale: call %d set %s on frontend %d after number %d", c.Seq, marker, w.ID, p.highest[of])
	}
	p.highest[of] = max(p.highest[of], marker.Number)
	d := deed{w.ID, marker}
	if p.changes[d] == nil {
		p.changes[d] = map[int64]int{}
	}
	p.changes[d][w.FarmAfter]++
	if w.FarmBefore == w.FarmAfter {
		return // a failover back to the same address changes only the marker: it happened, and is no change of the value
	}
	p.total[d]++
	if p.total[d] > max(1, p.deeds(d)) {
		p.Duplicates++
		p.detail("duplicate: call %d is change %d of frontend %d under %s", c.Seq, p.total[d], w.ID, marker)
	}
}

// deeds counts the actions under a marker that were claimed: a repair of a
// drift (cache/7/lb~1) is one of its own, under the failover's marker.
func (p *prover) deeds(d deed) (n int) {
	for _, a := range p.log {
		if a.Claims > 0 && a.swings(d.frontend) && a.under(d.marker) {
			n++
		}
	}
	return n
}

func (p *prover) refresh(c Call) {
	p.Refreshes++
	if c.Refresh.Merged || c.Refresh.Taken && c.Refresh.Pending == 0 {
		p.Repeats++
		p.detail("repeat: call %d refreshed with nothing staged (task %d)", c.Seq, c.Refresh.Task)
	}
}

func (p *prover) claimed(frontend int64, m Marker, marked bool) bool {
	if !marked {
		return false
	}
	for _, a := range p.log {
		if a.Claims > 0 && a.swings(frontend) && a.under(m) {
			return true
		}
	}
	return false
}

// settle compares the log's outcomes with what was counted.
func (p *prover) settle() {
	claims, refreshed := 0, 0
	for _, a := range p.log {
		switch {
		case a.isRefresh():
			claims += a.Claims
			if a.State == "done" && a.Effect == "changed" {
				refreshed++
			}
		case a.State == "done" && a.isFrontend() && !p.happened(a):
			p.Lost++
			p.detail("lost: %s is done (%s) in the log, and frontend %s never saw it", a.ID, a.Effect, a.Object)
		}
	}
	if over := p.Refreshes - claims; over > 0 {
		p.Orphans += over
		p.detail("orphan: %d refreshes against %d claims", p.Refreshes, claims)
	}
	if missing := refreshed - p.Refreshes; missing > 0 {
		p.Lost += missing
		p.detail("lost: %d refreshes done in the log against %d accepted", refreshed, p.Refreshes)
	}
}

func (p *prover) happened(a LoggedAction) bool {
	if a.Effect == "changed" {
		for d, farms := range p.changes {
			if a.swings(d.frontend) && a.under(d.marker) && (a.Farm == 0 || farms[a.Farm] > 0) {
				return true
			}
		}
		return false
	}
	for frontend, farms := range p.held {
		if a.swings(frontend) && farms[a.Farm] {
			return true
		}
	}
	return false
}

func (p *prover) detail(format string, args ...any) {
	if len(p.Details) < MaxProofDetails {
		p.Details = append(p.Details, fmt.Sprintf(format, args...))
	}
}

func (a LoggedAction) isRefresh() bool {
	return a.Kind == "refresh" || strings.Contains(a.ID, "/refresh/")
}

func (a LoggedAction) isFrontend() bool {
	return a.Farm != 0 || strings.Contains(a.Object, "/frontend/")
}

// swings says whether the action is about that frontend; an action without object is about any.
func (a LoggedAction) swings(frontend int64) bool {
	if !a.isFrontend() {
		return false
	}
	return a.Object == "" || strings.HasSuffix(a.Object, "/frontend/"+strconv.FormatInt(frontend, 10))
}

// under says whether a marker is the action's.
func (a LoggedAction) under(m Marker) bool {
	if a.Marker != "" {
		return a.Marker == m.String()
	}
	return strings.HasPrefix(a.ID, fmt.Sprintf("%s/%d/", m.Master, m.Number))
}
