package executor

import (
	"context"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// Planned is what one step of a plan would do.
type Planned struct {
	Stage   string
	Step    fsm.Step
	Target  fsm.TargetSpec
	Wanted  string            // for people
	Found   string            // for people: what stands there; empty when nothing was read
	Verdict actuators.Verdict // zero when nothing was read
	Problem string            // why it could not be rendered or read
}

// Rehearse renders the plan of a master for a failover to an address that has
// not happened, in its order. With look it reads every object outside the log
// too, as a preflight does, but for that one address. It changes nothing, and
// may be called concurrently.
func (e *Executor) Rehearse(ctx context.Context, state fsm.State, id fsm.MasterID, to fsm.Address, look bool) []Planned {
	m, _ := state.Spec().Master(id)
	var lanes [][]*flight
	for _, stage := range m.Plan {
		for _, step := range stage.Steps {
			f := &flight{Executor: e, state: state, master: m, to: []fsm.Candidate{{Address: to}}, Checked: Checked{Master: id, Stage: stage.Name, Step: step}}
			f.target, _ = state.Spec().Target(step.Target)
			lanes = append(lanes, []*flight{f})
		}
	}
	if look {
		flyAll(lanes, func(f *flight) { f.look(ctx, false) })
	}
	plan := make([]Planned, len(lanes))
	for i, lane := range lanes {
		plan[i] = lane[0].planned(to)
	}
	return plan
}

// planned is a flight to one address.
func (f *flight) planned(to fsm.Address) Planned {
	p := Planned{Stage: f.Stage, Step: f.Step, Target: f.target, Found: f.Found, Verdict: f.Verdict}
	now, _ := f.state.Master(f.Master)
	p.Wanted = f.supposed(f.Step, f.target, nextFacts(f.master, now, to)).Wanted
	for _, o := range f.Outcomes {
		p.Verdict = o.Verdict
	}
	// That it would be stuck is its verdict; what is here could not be known.
	for _, why := range append(f.Problems, f.Object...) {
		if p.Verdict == 0 && p.Problem == "" {
			p.Problem = why
		}
	}
	return p
}
