package executor

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// Finding is what a look met on an object that no action of its master's newest
// failover is about: the next failover would not write it, or it is missing what
// should stand whether or not one comes.
type Finding struct {
	Master fsm.MasterID
	Step   string
	Object fsm.ObjectID
	Target fsm.TargetID
	Is     actuators.Verdict // Newer or Foreign; Absent: it should stand already; zero: it could not be read
	Found  string            // for people: what stands there, or why it cannot be read
	Since  time.Time
}

// Word says in one word what was met.
func (f Finding) Word() string {
	if f.Is == 0 {
		return "unreadable"
	}
	return f.Is.String()
}

// Findings lists what stands, by object; empty unless this node leads. It may
// be called concurrently.
func (e *Executor) Findings() []Finding {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]Finding, 0, len(e.findings))
	for _, f := range e.findings {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Finding) int { return cmp.Compare(a.Object, b.Object) })
	return out
}

// unwritten tells the looks at what no failover has written from those at what
// is done.
func (w watched) unwritten() bool { return w.of > 0 }

// unwritten finds the steps whose objects are looked at for what the next failover
// would meet there: those that no action is about, and those that want another
// value by now whichever failover it is.
func (e *Executor) unwritten(state fsm.State, id fsm.MasterID) []fsm.Step {
	steps := state.Unwritten(id)
	for _, a := range state.Standing(id) {
		if step, changed := e.changed(state, a); changed {
			steps = append(steps, step)
		}
	}
	return steps
}

// changed finds the spec's step of an action where it wants another value by now
// of an object whose value is the same for every failover. A repair would bring
// back what the spec has given up.
func (e *Executor) changed(state fsm.State, a fsm.Action) (fsm.Step, bool) {
	kind, ok := e.Kinds[a.Step.Kind].(actuators.Constant)
	if !ok || !kind.Constant(a.Step) {
		return fsm.Step{}, false
	}
	_, step, ok := state.Spec().Owner(a.Step.Object)
	return step, ok && !bytes.Equal(step.Params, a.Step.Params)
}

// standUnwritten adds the objects of a master that no action is about yet: they
// are looked at as soon as they are known, so that a stranger's marker is told
// long before a failover would be stuck at it.
func (d *drift) standUnwritten(state fsm.State, m fsm.Master, stand map[fsm.ObjectID]watched) {
	revision := state.Spec().Revision
	for _, step := range d.unwritten(state, m.ID) {
		w, ok := d.objects[step.Object]
		if !ok || w.of != revision || w.action.For.Number != m.Number {
			a, can := d.wanting(state, m, step)
			if !can {
				continue
			}
			now := time.Now()
			w = watched{action: &a, since: now, looks: 1, next: now, of: revision, address: m.Address}
		}
		stand[step.Object] = w
	}
}

// wanting is the action that would have brought the object to where its master
// stands. The log knows none such: it is only there to be judged.
func (d *drift) wanting(state fsm.State, m fsm.Master, step fsm.Step) (fsm.Action, bool) {
	target, ok := state.Spec().Target(step.Target)
	if !ok || d.Kinds[step.Kind] == nil {
		return fsm.Action{}, false
	}
	spec, _ := state.Spec().Master(m.ID)
	facts := factsOf(spec, fsm.FailoverID{Master: m.ID, Number: m.Number}, "", m.Address, m.Epoch)
	a := d.supposed(step, target, facts)
	if len(a.Value) == 0 {
		d.Logger.Debug("no first look", "object", string(step.Object), "reason", a.Wanted)
		return a, false
	}
	return a, true
}

// firstLook reads and judges an unwritten object. It tells what would keep the
// next failover from writing it, and neither writes nor logs anything.
func (t try) firstLook(ctx context.Context, w watched) {
	a := *w.action
	f := Finding{Master: a.For.Master, Step: a.Step.Name, Object: a.Step.Object, Target: a.Target.ID, Since: time.Now()}
	seen, err := t.judged(ctx, a, w.address)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		f.Found = err.Error()
		if actuators.Explain(err).Permanent {
			t.tools.forget(a.Target.ID) // a human may mend the credential: open it anew then
		}
	case seen.Verdict == actuators.Busy: // tells nothing: what was known stays
		return
	case seen.Verdict == actuators.Newer, seen.Verdict == actuators.Foreign, seen.Verdict == actuators.Absent && seen.Owed:
		f.Is, f.Found = seen.Verdict, seen.Detail
	}
	state, _ := t.Journal.Watch()
	same := func(s fsm.Step) bool { return s.Object == a.Step.Object }
	if state.Spec().Revision == w.of && slices.ContainsFunc(t.unwritten(state, a.For.Master), same) {
		t.found(f, err == nil)
		t.forgetDrift(ctx, state, a)
	}
}

// forgetDrift takes back what was noted of an object while the spec wanted another
// value: it is looked at for the present one now.
func (t try) forgetDrift(ctx context.Context, state fsm.State, a fsm.Action) {
	for _, done := range state.Standing(a.For.Master) {
		if _, known := state.Drift(a.Step.Object); known && done.Step.Object == a.Step.Object {
			t.note(ctx, done, fsm.NoteDrift{Action: done.ID})
		}
	}
}

// judged reads the object for a master that stands at the address.
func (t try) judged(ctx context.Context, a fsm.Action, at fsm.Address) (actuators.Sight, error) {
	tool, err := t.tools.of(a.Step, a.Target)
	if err != nil {
		return actuators.Sight{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.Executor.span(a.Step))
	defer cancel()
	r, err := tool.Read(ctx, actuators.Subject{Step: a.Step, Candidates: []fsm.Address{at}})
	if err != nil {
		return actuators.Sight{}, err
	}
	state, _ := t.Journal.Watch()
	return tool.Judge(r, t.work(state, a, false)), nil
}

// found keeps or takes back what a look met.
func (e *Executor) found(f Finding, read bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if read {
		e.seen[f.Object] = time.Now()
	}
	was, known := e.findings[f.Object]
	if f.Found == "" {
		delete(e.findings, f.Object)
		return
	}
	if known && was.Is == f.Is {
		f.Since = was.Since
	} else {
		e.Logger.Warn("first look", "object", string(f.Object), "master", string(f.Master), "finding", f.Word(), "found", f.Found)
	}
	e.findings[f.Object] = f
}

// keepFindings drops those of objects that are no longer unwritten.
func (e *Executor) keepFindings(stand map[fsm.ObjectID]watched) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for o := range e.findings {
		if w, ok := stand[o]; !ok || !w.unwritten() {
			delete(e.findings, o)
		}
	}
}

// findingGauge reads its values at each scrape.
type findingGauge struct{ e *Executor }

func findingDesc() *prometheus.Desc {
	return prometheus.NewDesc("pointsman_executor_first_look_findings",
		"Objects that no failover has written yet and that the next one would not write, or that cannot be read; leader only.", []string{"target", "found"}, nil)
}

// Describe implements prometheus.Collector.
func (g findingGauge) Describe(out chan<- *prometheus.Desc) { out <- findingDesc() }

// Collect implements prometheus.Collector.
func (g findingGauge) Collect(out chan<- prometheus.Metric) {
	type labels struct{ target, found string }
	count := map[labels]int{}
	for _, f := range g.e.Findings() {
		count[labels{string(f.Target), f.Word()}]++
	}
	for l, n := range count {
		out <- prometheus.MustNewConstMetric(findingDesc(), prometheus.GaugeValue, float64(n), l.target, l.found)
	}
}
