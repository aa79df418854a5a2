package sim

import (
	"fmt"
	"sync"
	"time"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// figures are what runs add up to.
type figures struct {
	mu sync.Mutex

	Runs, Failed                                       int
	Failovers, Actions, Done, Superseded, Stuck, Claim int
	TakenOver, InDoubt, Terms, Crashes                 int
	Changes, Refreshes, Repeats                        int
	Outlasted, Stale, Duplicates                       int // runs in which a request outlasted the window, and what came of it
	Foreign                                            int // runs with somebody else's edit
	Differs                                            int // masters left at another address by a late rebase
	Slowest                                            time.Duration
}

func (f *figures) add(r *run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := r.figures
	f.Runs++
	if len(r.fails) > 0 {
		f.Failed++
	}
	f.Failovers += g.Failovers
	f.Actions += g.Actions
	f.Done += g.Done
	f.Superseded += g.Superseded
	f.Stuck += g.Stuck
	f.Claim += g.Claim
	f.TakenOver += g.TakenOver
	f.InDoubt += g.InDoubt
	f.Terms += g.Terms
	f.Crashes += int(r.crashes.Load())
	f.Changes += g.Changes
	f.Refreshes += g.Refreshes
	f.Repeats += g.Repeats
	f.Outlasted += g.Outlasted
	f.Stale += g.Stale
	f.Duplicates += g.Duplicates
	f.Foreign += g.Foreign
	f.Differs += g.Differs
	f.Slowest = max(f.Slowest, r.took)
}

func (f *figures) String() string {
	return fmt.Sprintf("%d runs, %d failed: %d failovers, %d actions (%d done, %d superseded, %d stuck) by %d claims, %d of them taken over and %d in doubt; "+
		"%d terms, %d crashes; %d changes at the provider, %d refreshes, %d repeats; "+
		"%d runs with a request that outlasted the window (%d stale, %d duplicates in them), %d with foreign edits; %d masters left elsewhere by a late rebase; slowest to settle %s",
		f.Runs, f.Failed, f.Failovers, f.Actions, f.Done, f.Superseded, f.Stuck, f.Claim, f.TakenOver, f.InDoubt,
		f.Terms, f.Crashes, f.Changes, f.Refreshes, f.Repeats, f.Outlasted, f.Stale, f.Duplicates, f.Foreign, f.Differs, f.Slowest.Round(time.Second))
}

// count sums one run up.
func (r *run) count(state fsm.State, log []decided, p ovh.Proof) {
	f := figures{Failovers: len(state.Failovers("")), Changes: p.FrontendChanges, Refreshes: p.Refreshes, Repeats: p.Repeats, Stale: p.Stale, Duplicates: p.Duplicates}
	terms := map[fsm.Term]bool{}
	for _, d := range log {
		terms[d.Entry.Term] = true
		switch c := d.Command.(type) {
		case fsm.Observe:
			f.Claim += len(d.answer.Claims)
		case fsm.Claim:
			if d.answer.Refusal == 0 {
				f.Claim++
				if a, _ := d.before.Action(c.Action); a.Phase == fsm.Claimed {
					f.TakenOver++
				}
			}
		case fsm.Settle:
			if c.Doubt && d.answer.Refusal == 0 {
				f.InDoubt++
			}
		}
	}
	f.Terms = len(terms)
	for _, a := range state.AllActions() {
		f.Actions++
		switch a.Phase {
		case fsm.Done:
			f.Done++
		case fsm.Superseded:
			f.Superseded++
		case fsm.Stuck:
			f.Stuck++
		}
	}
	if r.outlasted() {
		f.Outlasted = 1
	}
	if r.anyEdited() {
		f.Foreign = 1
	}
	for _, m := range state.Masters() {
		if truth, _ := r.redis.told(string(m.ID)); truth != string(m.Address) {
			f.Differs++
		}
	}
	r.figures = &f
}
