package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

// Sighting is what the Sentinels agree on, judged and ready for the log.
type Sighting struct {
	Master   fsm.MasterID
	As       fsm.ObservedAs
	Address  fsm.Address
	Epoch    fsm.Epoch
	Evidence []string
	First    time.Time // when a Sentinel first named Address at Epoch; zero: not known
}

// Observe logs a sighting with the claims of the plan's first stage, and acts
// on those that were granted. It returns when the entry is decided; the deeds
// go on under Run's context. A refusal by base means that somebody else was
// first. It blocks until ctx ends unless Run of the same term runs.
func (e *Executor) Observe(ctx context.Context, term fsm.Term, s Sighting) (fsm.Answer, error) {
	type said struct {
		fsm.Answer
		error
	}
	reply := make(chan said, 1)
	err := e.hand(ctx, func(ctx context.Context) {
		answer, err := e.rebuild(ctx, term, s)
		reply <- said{answer, err}
	})
	if err != nil {
		return fsm.Answer{}, err
	}
	select {
	case r := <-reply:
		return r.Answer, r.error
	case <-ctx.Done():
		return fsm.Answer{}, context.Cause(ctx)
	}
}

// rebuild proposes again where the spec changed under the sighting.
func (e *Executor) rebuild(ctx context.Context, term fsm.Term, s Sighting) (answer fsm.Answer, err error) {
	const most = 5
	for range most {
		state, _ := e.Journal.Watch()
		answer, err = e.observe(ctx, term, state, s)
		if !errors.Is(err, fsm.ErrRevision) {
			return answer, err
		}
	}
	return answer, err
}

func (e *Executor) observe(ctx context.Context, term fsm.Term, state fsm.State, s Sighting) (fsm.Answer, error) {
	now, _ := state.Master(s.Master)
	c := fsm.Observe{
		Master: s.Master, Base: now.Number, Revision: state.Spec().Revision, Address: s.Address,
		Epoch: s.Epoch, As: s.As, Evidence: s.Evidence, Term: term,
	}
	var first []reserved
	if s.As == fsm.Advance || s.As == fsm.Resolve || s.As == fsm.Seed && planted.Bug(planted.FirstViewRuns) {
		first = e.plan(state, now, s, &c)
		crashAtAny(beforeObserve, first)
		for _, a := range first {
			crashDuring(proposing, a.Action)
		}
	}
	if !s.First.IsZero() {
		c.Seen = max(1, time.Since(s.First))
	}
	span := startSpan()
	answer, err := e.propose(ctx, term, c)
	if planted.Bug(planted.SpanFromGrant) {
		span = startSpan()
	}
	if err == nil {
		crashAtAny(observed, first)
	}
	granted := map[fsm.ActionID]fsm.Token{}
	for _, g := range answer.Claims {
		granted[g.Action] = g.Token
	}
	for _, r := range first {
		token, ok := granted[r.ID]
		if err != nil || !ok {
			r.grant.close()
			e.ended(r.ID)
			continue
		}
		t := try{Executor: e, term: term, id: r.ID, token: token, span: span, reading: r.reading}
		e.start(ctx, r.ID, job{do: t.perform, target: r.Target.ID, acts: true, grant: r.grant})
	}
	return answer, err
}

// reserved is an action whose claim rides in an Observe.
type reserved struct {
	fsm.Action
	grant   *grant
	reading *actuators.Reading // the warm-up's; nil: none that is young enough
}

// plan renders every step's value, asks for the claims of the first stage, and
// reserves their actions, so that Run does not take them for orphans.
func (e *Executor) plan(state fsm.State, now fsm.Master, s Sighting, c *fsm.Observe) (first []reserved) {
	m, _ := state.Spec().Master(s.Master)
	facts := factsOf(m, fsm.FailoverID{Master: s.Master, Number: now.Number + 1}, now.Address, s.Address, s.Epoch)
	e.mu.Lock()
	defer e.mu.Unlock()
	for at, stage := range m.Plan {
		for _, step := range stage.Steps {
			c.Values = append(c.Values, e.render(step, facts))
			if at > 0 || e.draining || m.Observe {
				continue
			}
			target, _ := state.Spec().Target(step.Target)
			v := c.Values[len(c.Values)-1].Value
			a := fsm.Action{ID: facts.Failover.Action(step.Name), For: facts.Failover, Phase: fsm.Pending, Step: step, Target: target, Value: v}
			if e.running[a.ID] {
				continue // another Observe of the same switch is under way
			}
			gates, expired := state.Gates(a, e.now(c.Term, 0))
			if len(gates) > 0 {
				continue
			}
			reading := e.tools.take(step.Object)
			version, ok := e.version(state, a, reading)
			if !ok {
				continue // it must be read before its claim
			}
			g, left := e.tools.admit(target, cost(step), atOnce)
			if left > 0 {
				continue
			}
			c.Claims = append(c.Claims, fsm.Ride{Step: step.Name, Act: e.span(step), Version: version, Expired: expired})
			e.running[a.ID] = true
			first = append(first, reserved{a, g, reading})
		}
	}
	return first
}

// version is what a claim of class fenced must name: it rides in an Observe only
// if the warm-up has read it. Other classes need none.
func (e *Executor) version(state fsm.State, a fsm.Action, r *actuators.Reading) (string, bool) {
	if a.Step.Class != fsm.Fenced {
		return "", true
	}
	if r == nil {
		return "", false
	}
	tool, err := e.tools.of(a.Step, a.Target)
	if err != nil {
		return "", false
	}
	seen := tool.Judge(*r, actuators.Work{Cluster: state.Cluster(), Action: a})
	return seen.Version, seen.Version != ""
}

// render never holds a failover back: a value that cannot be made leaves its
// action to be stuck with the reason.
func (e *Executor) render(step fsm.Step, facts actuators.Facts) fsm.Value {
	kind, ok := e.Kinds[step.Kind]
	if !ok {
		return fsm.Value{Step: step.Name, Wanted: fmt.Sprintf("this build has no actuator of kind %q", step.Kind)}
	}
	v, err := kind.Render(step, facts)
	if err != nil {
		return fsm.Value{Step: step.Name, Wanted: "cannot be rendered: " + err.Error()}
	}
	if len(v.Value) > fsm.MaxOpaqueBytes {
		return fsm.Value{Step: step.Name, Wanted: fmt.Sprintf("cannot be rendered: %d bytes, at most %d", len(v.Value), fsm.MaxOpaqueBytes)}
	}
	v.Step = step.Name
	return v
}

func crashAtAny(p point, actions []reserved) {
	for _, a := range actions {
		crashAt(p, a.Action)
	}
}
