package sim

import (
	"time"
)

// outage is a span in which a node could not do its part.
type outage struct {
	node     string
	from, to time.Time // to is zero while it lasts
}

// out begins an outage of a node and returns what ends it.
func (r *run) out(node string) (mend func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := &outage{node: node, from: time.Now()}
	r.outages = append(r.outages, o)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if o.to.IsZero() {
			o.to = time.Now()
		}
	}
}

func (o *outage) covers(t time.Time) bool {
	return !t.Before(o.from) && (o.to.IsZero() || t.Before(o.to))
}

// impaired counts the nodes that could not do their part at a moment.
func (r *run) impaired(t time.Time) int {
	nodes := map[string]bool{}
	for _, o := range r.outages {
		if o.covers(t) {
			nodes[o.node] = true
		}
	}
	return len(nodes)
}

// healthy is how much of a span had a majority that could work, and how often
// an outage began or ended in it or shortly before: each may cost an election.
func (r *run) healthy(from, to time.Time, shortly time.Duration) (span time.Duration, turns int) {
	const step = 20 * time.Millisecond
	for t := from; t.Before(to); t = t.Add(step) {
		if r.impaired(t) <= 1 {
			span += step
		}
	}
	for _, o := range r.outages {
		for _, t := range []time.Time{o.from, o.to} {
			if t.After(from.Add(-shortly)) && t.Before(to) {
				turns++
			}
		}
	}
	return span, turns
}

// fell and rose keep the outages of nodes that are down, and the spans in which
// fewer than two run.
func (r *run) fell(id string) {
	mend := r.out(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.downs[id]; ok || r.ending {
		return
	}
	r.downs[id] = mend
	if len(nodeIDs())-len(r.downs) < 2 && (len(r.quorums) == 0 || !r.quorums[len(r.quorums)-1].to.IsZero()) {
		r.quorums = append(r.quorums, &outage{from: time.Now()})
	}
}

func (r *run) rose(id string) {
	r.mu.Lock()
	mend := r.downs[id]
	delete(r.downs, id)
	if n := len(r.quorums); n > 0 && len(nodeIDs())-len(r.downs) >= 2 && r.quorums[n-1].to.IsZero() {
		r.quorums[n-1].to = time.Now()
	}
	r.mu.Unlock()
	if mend != nil {
		mend()
	}
}
