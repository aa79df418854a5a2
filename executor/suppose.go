package executor

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// supposeAtOnce bounds the lanes of one preflight or rehearsal that are asked
// side by side.
const supposeAtOnce = 8

// factsOf are the facts of a failover, with the zone that the spec has for the
// new master.
func factsOf(m fsm.MasterSpec, id fsm.FailoverID, from, to fsm.Address, epoch fsm.Epoch) actuators.Facts {
	f := actuators.Facts{Failover: id, From: from, To: to, Epoch: epoch}
	for _, c := range m.Candidates {
		if c.Address == to {
			f.Zone = c.Zone
		}
	}
	return f
}

// nextFacts are those of a failover that has not happened. The epoch is not
// known yet: a value that shows it shows the next one.
func nextFacts(m fsm.MasterSpec, now fsm.Master, to fsm.Address) actuators.Facts {
	return factsOf(m, fsm.FailoverID{Master: m.ID, Number: now.Number + 1}, now.Address, to, now.Epoch+1)
}

// supposed is the action of a step for a failover that the log knows nothing
// of: it is only there to be judged. It has no Value when it cannot be
// rendered; Wanted says why.
func (e *Executor) supposed(step fsm.Step, target fsm.TargetSpec, facts actuators.Facts) fsm.Action {
	v := e.render(step, facts)
	return fsm.Action{
		ID: facts.Failover.Action(step.Name), For: facts.Failover, Phase: fsm.Pending, Step: step, Target: target, Value: v.Value, Wanted: v.Wanted,
	}
}

// standingSetting is what an effect inside the log would find.
func standingSetting(state fsm.State, o fsm.ObjectID) string {
	for _, s := range state.Settings("") {
		if fsm.SettingObject(s.Key) == o {
			return s.Key + " = " + s.Value
		}
	}
	return "not set"
}

// flight is the look at one step of a plan, held against failovers that have
// not happened: those to the candidates in to. What preflights and rehearsals
// are made of.
type flight struct {
	*Executor
	Checked
	state  fsm.State
	master fsm.MasterSpec
	target fsm.TargetSpec
	to     []fsm.Candidate
}

// flyAll flies the lanes side by side, and the flights of a lane one after the other.
func flyAll(lanes [][]*flight, fly func(*flight)) {
	slots := make(chan struct{}, supposeAtOnce)
	var work sync.WaitGroup
	for _, lane := range lanes {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			for _, f := range lane {
				fly(f)
			}
		})
	}
	work.Wait()
}

// look reads the object and judges it for every candidate; with rights it asks
// for those too. It only reads.
func (f *flight) look(ctx context.Context, rights bool) {
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
	for _, c := range f.to {
		subject.Candidates = append(subject.Candidates, c.Address)
	}
	r, err := tool.Read(ctx, subject)
	if err != nil {
		f.Object = append(f.Object, fmt.Sprintf("cannot be read: %v", err))
	} else {
		f.judge(tool, r)
	}
	if c, ok := tool.(actuators.Checker); ok && rights {
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

// judge holds one reading against every candidate: the present master's place
// tells how the object stands, the others' what a failover would find.
func (f *flight) judge(tool actuators.Actuator, r actuators.Reading) {
	now, known := f.state.Master(f.Master)
	for _, c := range f.to {
		present := known && c.Address == now.Address
		a, ok := f.action(now, c, present)
		if !ok {
			continue
		}
		seen := tool.Judge(r, actuators.Work{Cluster: f.state.Cluster(), Action: a})
		if present {
			f.Found, f.Verdict = seen.Detail, seen.Verdict
			if seen.Warning != "" {
				f.wrong("%s", seen.Warning)
			}
			continue
		}
		f.Outcomes = append(f.Outcomes, Outcome{Address: c.Address, Wanted: a.Wanted, Verdict: seen.Verdict})
		if f.Found == "" {
			f.Found = seen.Detail
		}
		f.refused(seen)
	}
}

// refused tells once of what a failover would be stuck at.
func (f *flight) refused(s actuators.Sight) {
	why := fmt.Sprintf("a failover would be stuck: %s: %s", s.Verdict, s.Detail)
	if (s.Verdict == actuators.Newer || s.Verdict == actuators.Foreign) && !slices.Contains(f.Object, why) {
		f.Object = append(f.Object, why)
	}
}

// action is what the present failover left, or what the next one would do.
func (f *flight) action(now fsm.Master, to fsm.Candidate, present bool) (fsm.Action, bool) {
	facts := nextFacts(f.master, now, to.Address)
	if present {
		facts.Failover.Number, facts.Epoch = max(now.Number, 1), now.Epoch
	}
	a := f.supposed(f.Step, f.target, facts)
	if len(a.Value) == 0 {
		f.wrong("for %s: %s", to.Address, a.Wanted)
		return a, false
	}
	return a, true
}

// inLog shows the setting as it stands; nothing outside is asked.
func (f *flight) inLog() {
	now, _ := f.state.Master(f.Master)
	f.Found = standingSetting(f.state, f.Step.Object)
	for _, c := range f.to {
		if c.Address == now.Address {
			continue
		}
		if a, ok := f.action(now, c, false); ok {
			o := Outcome{Address: c.Address, Wanted: a.Wanted, Verdict: actuators.Absent}
			if f.Found == a.Wanted {
				o.Verdict = actuators.Applied
			}
			f.Outcomes = append(f.Outcomes, o)
		}
	}
}
