package executor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// rehearseAtOnce bounds the reads of one rehearsal that run side by side.
const rehearseAtOnce = 8

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
// too. It changes nothing, and may be called concurrently. The epoch is not
// known yet: a value that shows it shows the next one.
func (e *Executor) Rehearse(ctx context.Context, state fsm.State, id fsm.MasterID, to fsm.Address, look bool) []Planned {
	m, _ := state.Spec().Master(id)
	now, _ := state.Master(id)
	facts := actuators.Facts{Failover: fsm.FailoverID{Master: id, Number: now.Number + 1}, From: now.Address, To: to, Epoch: now.Epoch + 1}
	for _, c := range m.Candidates {
		if c.Address == to {
			facts.Zone = c.Zone
		}
	}
	var plan []Planned
	var values [][]byte
	for _, stage := range m.Plan {
		for _, step := range stage.Steps {
			v := e.render(step, facts)
			target, _ := state.Spec().Target(step.Target)
			plan = append(plan, Planned{Stage: stage.Name, Step: step, Target: target, Wanted: v.Wanted})
			values = append(values, v.Value)
		}
	}
	if look {
		e.readPlan(ctx, state, plan, values, facts)
	}
	return plan
}

func (e *Executor) readPlan(ctx context.Context, state fsm.State, plan []Planned, values [][]byte, facts actuators.Facts) {
	slots := make(chan struct{}, rehearseAtOnce)
	var reads sync.WaitGroup
	for i := range plan {
		p := &plan[i]
		if p.Step.Class == fsm.InLog {
			e.inLog(state, p)
			continue
		}
		slots <- struct{}{}
		reads.Go(func() {
			defer func() { <-slots }()
			e.readPlanned(ctx, state, p, values[i], facts)
		})
	}
	reads.Wait()
}

// inLog reads what stands in the state itself.
func (e *Executor) inLog(state fsm.State, p *Planned) {
	p.Verdict, p.Found = actuators.Absent, "not set"
	for _, v := range state.Settings("") {
		if fsm.SettingObject(v.Key) == p.Step.Object {
			p.Found = v.Key + " = " + v.Value
		}
	}
	if p.Found == p.Wanted {
		p.Verdict = actuators.Applied
	}
}

func (e *Executor) readPlanned(ctx context.Context, state fsm.State, p *Planned, value []byte, facts actuators.Facts) {
	ctx, cancel := context.WithTimeout(ctx, e.span(p.Step)+time.Second)
	defer cancel()
	tool, err := e.tools.of(p.Step, p.Target)
	if err != nil {
		p.Problem = err.Error()
		return
	}
	r, err := tool.Read(ctx, actuators.Subject{Step: p.Step, Candidates: []fsm.Address{facts.To}})
	if err != nil {
		p.Problem = fmt.Sprintf("read: %v", err)
		return
	}
	a := fsm.Action{ID: facts.Failover.Action(p.Step.Name), For: facts.Failover, Phase: fsm.Pending, Step: p.Step, Target: p.Target, Value: value, Wanted: p.Wanted}
	seen := tool.Judge(r, actuators.Work{Cluster: state.Cluster(), Action: a})
	p.Verdict, p.Found = seen.Verdict, seen.Detail
}
