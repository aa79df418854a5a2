package sim

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// watch takes samples of every node's state, and plays the human who retries
// what the provider had refused for good.
func (r *run) watch(over <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-time.After(2 * time.Second):
		}
		for _, p := range r.all() {
			r.sample(p)
		}
		if p := r.leader(); p != nil && n%10 == 9 && r.refused() {
			r.retry(p)
		}
	}
}

func (r *run) refused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.denied
}

// mendable says that an action waits for a human who only has to retry it.
func mendable(a fsm.Action) bool {
	return a.Phase == fsm.Stuck && !strings.HasPrefix(a.Reason, "foreign") && !strings.HasPrefix(a.Reason, "newer")
}

func (r *run) retry(p *process) {
	for _, a := range p.node.State().Open() {
		if !mendable(a) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		answer, err := p.node.Propose(ctx, fsm.Retry{Action: a.ID, Reason: "mended"})
		cancel()
		r.story.add("human", "retries %s: %v", a.ID, errors.Join(err, answer.Err()))
		r.retries.Add(1)
	}
}
