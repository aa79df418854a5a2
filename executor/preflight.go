package executor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

const (
	// preflightAtOnce bounds the targets that one preflight asks side by side.
	// Steps at one target are asked one after the other.
	preflightAtOnce = 8
	// preflightSlack is added to the span of a step's claim for its reads.
	preflightSlack = time.Second
)

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
// whatever else wants it. What has not been read when ctx ends says so.
func (e *Executor) Preflight(ctx context.Context, state fsm.State, spec fsm.Spec, hurry bool) []Checked {
	if !hurry {
		ctx = patient(ctx)
	}
	var all []*flight
	lanes := map[fsm.TargetID][]*flight{}
	var order []fsm.TargetID
	for _, m := range spec.Masters {
		for _, stage := range m.Plan {
			for _, step := range stage.Steps {
				f := &flight{Executor: e, state: state, master: m, Checked: Checked{
					Master: m.ID, Stage: stage.Name, Step: step, Typical: typical(state, step.Object),
				}}
				f.target, _ = spec.Target(step.Target)
				all = append(all, f)
				if lanes[step.Target] == nil {
					order = append(order, step.Target)
				}
				lanes[step.Target] = append(lanes[step.Target], f)
			}
		}
	}
	slots := make(chan struct{}, preflightAtOnce)
	var work sync.WaitGroup
	for _, id := range order {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			for _, f := range lanes[id] {
				f.fly(ctx)
			}
		})
	}
	work.Wait()
	out := make([]Checked, len(all))
	for i, f := range all {
		out[i] = f.Checked
	}
	return out
}

// flight is the check of one step.
type flight struct {
	*Executor
	Checked
	state  fsm.State
	master fsm.MasterSpec
	target fsm.TargetSpec
}

func (f *flight) fly(ctx context.Context) {
	if f.Step.Class == fsm.InLog {
		f.inLog()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, f.span(f.Step)+preflightSlack)
	defer cancel()
	tool, done, err := f.open()
	if err != nil {
		f.wrong("%v", err)
		return
	}
	defer done()
	subject := actuators.Subject{Step: f.Step}
	for _, c := range f.master.Candidates {
		subject.Candidates = append(subject.Candidates, c.Address)
	}
	r, err := tool.Read(ctx, subject)
	if err != nil {
		f.Object = append(f.Object, fmt.Sprintf("cannot be read: %v", err))
	} else {
		f.judge(tool, r)
	}
	if c, ok := tool.(actuators.Checker); ok {
		missing, err := c.Check(ctx, subject)
		f.Problems = append(f.Problems, missing...)
		if err != nil {
			f.wrong("rights cannot be asked for: %v", err)
		}
	}
}

// open gives the actuator that attempts use, with its rate, where the spec has
// the target as it stands; else one of its own, for this look alone.
func (f *flight) open() (tool actuators.Actuator, done func(), err error) {
	now, stands := f.state.Spec().Target(f.target.ID)
	if stands && now.Kind == f.target.Kind && slices.Equal(now.Params, f.target.Params) {
		tool, err = f.tools.of(f.Step, now)
		return tool, func() {}, err
	}
	kind, ok := f.Kinds[f.Step.Kind]
	if !ok {
		return nil, nil, fmt.Errorf("this build has no actuator of kind %q", f.Step.Kind)
	}
	tool, err = kind.Open(f.target, newBudget(f.tools.rate(f.target)))
	return tool, func() { closeIdle(tool) }, err
}

func (f *flight) wrong(format string, args ...any) {
	f.Problems = append(f.Problems, fmt.Sprintf(format, args...))
}

// judge holds one reading against the present master and against every other
// candidate.
func (f *flight) judge(tool actuators.Actuator, r actuators.Reading) {
	now, known := f.state.Master(f.Master)
	for _, c := range f.master.Candidates {
		present := known && c.Address == now.Address
		seen, wanted, ok := f.sight(tool, r, now, c, present)
		switch {
		case !ok:
		case present:
			f.Found, f.Verdict = seen.Detail, seen.Verdict
			if seen.Warning != "" {
				f.wrong("%s", seen.Warning)
			}
		default:
			f.Outcomes = append(f.Outcomes, Outcome{Address: c.Address, Wanted: wanted, Verdict: seen.Verdict})
			if f.Found == "" {
				f.Found = seen.Detail
			}
			f.refused(seen)
		}
	}
}

// refused tells once of what a failover would be stuck at.
func (f *flight) refused(s actuators.Sight) {
	why := fmt.Sprintf("a failover would be stuck: %s: %s", s.Verdict, s.Detail)
	if (s.Verdict == actuators.Newer || s.Verdict == actuators.Foreign) && !slices.Contains(f.Object, why) {
		f.Object = append(f.Object, why)
	}
}

// sight judges what the present failover left, or what the next one would find.
func (f *flight) sight(tool actuators.Actuator, r actuators.Reading, now fsm.Master, to fsm.Candidate, present bool) (actuators.Sight, string, bool) {
	facts := actuators.Facts{
		Failover: fsm.FailoverID{Master: f.Master, Number: now.Number + 1}, From: now.Address, To: to.Address, Epoch: now.Epoch + 1, Zone: to.Zone,
	}
	if present {
		facts.Failover.Number, facts.Epoch = max(now.Number, 1), now.Epoch
	}
	v := f.render(f.Step, facts)
	if len(v.Value) == 0 {
		f.wrong("for %s: %s", to.Address, v.Wanted)
		return actuators.Sight{}, "", false
	}
	a := fsm.Action{
		ID: facts.Failover.Action(f.Step.Name), For: facts.Failover, Phase: fsm.Pending, Step: f.Step, Target: f.target, Value: v.Value, Wanted: v.Wanted,
	}
	return tool.Judge(r, actuators.Work{Cluster: f.state.Cluster(), Action: a}), v.Wanted, true
}

// inLog shows the setting as it stands; nothing outside is asked.
func (f *flight) inLog() {
	now, _ := f.state.Master(f.Master)
	f.Found = "not set"
	for _, s := range f.state.Settings("") {
		if fsm.SettingObject(s.Key) == f.Step.Object {
			f.Found = s.Key + " = " + s.Value
		}
	}
	for _, c := range f.master.Candidates {
		if c.Address == now.Address {
			continue
		}
		v := f.render(f.Step, actuators.Facts{
			Failover: fsm.FailoverID{Master: f.Master, Number: now.Number + 1}, From: now.Address, To: c.Address, Epoch: now.Epoch + 1, Zone: c.Zone,
		})
		if len(v.Value) == 0 {
			f.wrong("for %s: %s", c.Address, v.Wanted)
			continue
		}
		f.Outcomes = append(f.Outcomes, Outcome{Address: c.Address, Wanted: v.Wanted, Verdict: actuators.Absent})
	}
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
