package executor

import (
	"context"
	"slices"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// preflightSlack is added to the span of a step's claim for its reads.
const preflightSlack = time.Second

// Checked is what a preflight found out about one step of a plan.
type Checked struct {
	Master   fsm.MasterID
	Stage    string
	Step     fsm.Step
	Found    string            // for people: what stands there; empty when nothing was read
	Verdict  actuators.Verdict // of that to the master's present address; zero when either is not known
	Outcomes []Outcome         // of a failover to each other candidate
	Object   []string          // what of the object itself would keep a failover from being done: it cannot be read, or would be refused
	Problems []string          // what else would, such as a right that is not granted; empty: nothing known
	Typical  time.Duration     // of past failovers, from the first claim to the end; zero: none kept
}

// Outcome is what a step would make of its object for one new master.
type Outcome struct {
	Address fsm.Address
	Wanted  string
	Verdict actuators.Verdict // zero when the object could not be read
}

// Preflight looks at the object of every step of a spec, which need not be the
// current one, and judges what a failover would do there. It only reads, and
// may be called concurrently. In no hurry, it leaves the rate of each target to
// whatever else wants it. Steps at one target are asked one after the other.
// What has not been read when ctx ends says so.
func (e *Executor) Preflight(ctx context.Context, state fsm.State, spec fsm.Spec, hurry bool) []Checked {
	if !hurry {
		ctx = patient(ctx)
	}
	var all []*flight
	at := map[fsm.TargetID]int{} // of the target's lane
	var lanes [][]*flight
	for _, m := range spec.Masters {
		for _, stage := range m.Plan {
			for _, step := range stage.Steps {
				f := &flight{Executor: e, state: state, master: m, to: m.Candidates, Checked: Checked{
					Master: m.ID, Stage: stage.Name, Step: step, Typical: typical(state, step.Object),
				}}
				f.target, _ = spec.Target(step.Target)
				all = append(all, f)
				lane, ok := at[step.Target]
				if !ok {
					lane, lanes = len(lanes), append(lanes, nil)
					at[step.Target] = lane
				}
				lanes[lane] = append(lanes[lane], f)
			}
		}
	}
	flyAll(lanes, func(f *flight) { f.look(ctx, true) })
	out := make([]Checked, len(all))
	for i, f := range all {
		out[i] = f.Checked
	}
	return out
}

// typical is the median of how long the actions of one object took.
func typical(state fsm.State, o fsm.ObjectID) time.Duration {
	var took []time.Duration
	for _, a := range state.AllActions() {
		if a.Step.Object != o || a.Phase != fsm.Done || a.IsRefresh() {
			continue
		}
		began := a.Created
		if len(a.History) > 0 && a.History[0].Claimed > 0 {
			began = a.History[0].Claimed
		}
		took = append(took, time.Duration(a.Changed-began))
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}
