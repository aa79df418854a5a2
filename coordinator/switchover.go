package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

// switcher moves a master when a human asks: it gathers what the Sentinels, the
// nodes and the log say, lets sentinel.Examine judge it, and has the executor log
// and send the one request.
//
//	human ─▶ api ─▶ Inquire ─▶ Examine ─▶ AskSwitchover (log) ─▶ SENTINEL FAILOVER, once ─▶ NoteSwitchover (log)
//	                             └─ objections: refused, nothing logged
//
// The failover that comes of it is seen, judged and accepted like any other.
type switcher struct {
	c   *Coordinator
	one chan struct{} // capacity 1: one human at a time on this node, so that the second sees the first's entry
}

var _ api.Switcher = (*switcher)(nil)

func newSwitcher(c *Coordinator) *switcher { return &switcher{c: c, one: make(chan struct{}, 1)} }

// switching is one call.
type switching struct {
	*switcher
	api.SwitchoverAsk
	office  *office
	state   fsm.State
	heard   time.Time // when the Sentinels were asked how they stand
	opinion sentinel.Opinion
	plan    []executor.Planned
}

// saidFor is how old the Sentinels' words may be when one of them is asked: a
// process that was paused before it logged the request must not go by them.
const saidFor = 10 * time.Second

// Switchover implements api.Switcher.
func (s *switcher) Switchover(ctx context.Context, ask api.SwitchoverAsk) (api.Switched, error) {
	select {
	case s.one <- struct{}{}:
		defer func() { <-s.one }()
	case <-ctx.Done():
		return api.Switched{}, context.Cause(ctx)
	}
	c := switching{switcher: s, SwitchoverAsk: ask, office: s.c.sights.officeNow()}
	if c.office == nil {
		return api.Switched{}, &api.NotLeaderError{}
	}
	var err error
	if c.state, err = s.c.node.Read(ctx); err != nil { // G9: a majority of ours first
		return api.Switched{}, said(err)
	}
	if w, ok := c.state.Switchover(ask.Master); ok && !ask.DryRun && w.Command == ask.Command {
		return api.Switched{Request: w}, outcome(w)
	}
	if err := c.examine(ctx); err != nil {
		return api.Switched{}, err
	}
	if ask.DryRun {
		return c.answer(c.rehearsed()), nil
	}
	return c.ask(ctx)
}

// examine checks everything and renders the plan; the dry run reads its objects.
func (c *switching) examine(ctx context.Context) error {
	if _, ok := c.state.Spec().Master(c.Master); !ok {
		return &fsm.Refused{Refusal: fsm.ErrUnknown, Detail: fmt.Sprintf("master %q is not declared", c.Master)}
	}
	if err := c.state.CheckSwitchover(c.Master); err != nil {
		return err
	}
	one, view, ok := c.c.sights.viewOf(c.Master)
	if !ok {
		return &api.ObjectionsError{Master: c.Master, Objections: []api.Objection{{Reason: sentinel.AgainstNotSeen, Detail: "this node does not watch it"}}}
	}
	accepted, _ := c.c.sights.accepted(c.Master)
	maxLag := int64(sentinel.DefaultMaxLag)
	if c.MaxLag != nil {
		maxLag = *c.MaxLag
	}
	c.heard = time.Now()
	c.opinion = sentinel.Examine(sentinel.Question{
		Master: one, Accepted: accepted, View: view, To: string(c.To), MaxLag: maxLag,
		Heard: c.c.watcher.Inquire(ctx, string(c.Master), accepted.Address),
	})
	if len(c.opinion.Objections) > 0 {
		e := &api.ObjectionsError{Master: c.Master}
		for _, o := range c.opinion.Objections {
			e.Objections = append(e.Objections, api.Objection{Reason: o.Reason, Detail: o.Detail})
		}
		return e
	}
	c.plan = c.office.executor.Rehearse(ctx, c.state, c.Master, fsm.Address(c.opinion.Pick), c.DryRun)
	return nil
}

// ask opens the connection first, since a request that certainly cannot be sent
// is not worth an entry, then has it logged and sent.
func (c *switching) ask(ctx context.Context) (api.Switched, error) {
	order, err := c.c.watcher.Prepare(ctx, string(c.Master), c.opinion.Sentinel)
	if err != nil {
		return api.Switched{}, &api.ObjectionsError{Master: c.Master, Objections: []api.Objection{
			{Reason: sentinel.AgainstNoMajority, Detail: fmt.Sprintf("sentinel %s, which was to be asked: %v", c.opinion.Sentinel, err)},
		}}
	}
	defer order.Close()
	m, _ := c.state.Master(c.Master)
	w, err := c.office.executor.Ask(ctx, c.office.ctx, executor.Request{
		Ask: fsm.AskSwitchover{
			Master: c.Master, Base: m.Number, Revision: c.state.Spec().Revision, Term: c.office.term, To: fsm.Address(c.opinion.Pick),
			Named: c.To != "", Sentinel: c.opinion.Sentinel, Reason: c.Reason, Sender: rand.Text(), Window: c.opinion.Window,
		},
		Propose: func(ctx context.Context, a fsm.AskSwitchover) (fsm.Answer, error) {
			return c.c.node.ProposeInTerm(ctx, a.Term, a, cluster.WithID(c.Command), cluster.WithActor(c.Actor))
		},
		Send: func(ctx context.Context) (fsm.SwitchoverPhase, string) { return c.send(ctx, order) },
	})
	if err == nil {
		err = outcome(w)
	}
	if err != nil {
		return api.Switched{}, refusal(err)
	}
	c.c.sights.nudge(c.Master)
	return c.answer(w), nil
}

// send looks once more, since the entry may have taken a while: a failover that
// the Sentinels began meanwhile, or that a peer sees, is not to be doubled.
func (c *switching) send(ctx context.Context, order *sentinel.Order) (fsm.SwitchoverPhase, string) {
	_, view, ok := c.c.sights.viewOf(c.Master)
	accepted, _ := c.c.sights.accepted(c.Master)
	if !ok {
		return fsm.SwitchoverRefused, "not sent: it is not declared any more"
	}
	if why := unsettled(view, accepted, time.Since(c.heard)); why != "" {
		return fsm.SwitchoverRefused, "not sent: " + why
	}
	return sent(order.Send(ctx))
}

// unsettled says why what was examined so long ago does not hold any more; empty:
// nothing is known against it.
func unsettled(view sentinel.View, accepted sentinel.Accepted, ago time.Duration) string {
	if ago > saidFor {
		return fmt.Sprintf("what the Sentinels said is %s old (at most %s)", ago.Round(time.Millisecond), saidFor)
	}
	_, detail := sentinel.Stirs(view, accepted)
	return detail
}

// refusal gives what ended a request the error that the API knows.
func refusal(err error) error {
	if errors.Is(err, executor.ErrDraining) { // nothing was proposed
		return &api.NotLeaderError{}
	}
	return said(err)
}

// sent says what came of the request, for the log.
func sent(err error) (fsm.SwitchoverPhase, string) {
	switch {
	case err == nil:
		return fsm.SwitchoverStarted, "OK"
	case errors.Is(err, sentinel.ErrDenied), errors.Is(err, sentinel.ErrDeclined), errors.Is(err, sentinel.ErrNotSent):
		return fsm.SwitchoverRefused, err.Error()
	default:
		return fsm.SwitchoverDoubt, err.Error()
	}
}

// outcome is the error of a request that was logged and led to nothing. One
// whose answer was lost is none: the Sentinels' view says what came of it.
func outcome(w fsm.Switchover) error {
	if w.Phase != fsm.SwitchoverRefused {
		return nil
	}
	if denied(w.Detail) {
		return fmt.Errorf("%w: %s", api.ErrDenied, w.Detail)
	}
	return fmt.Errorf("%w: %s", api.ErrDeclined, w.Detail)
}

// denied tells the ACL's refusal from others by the words that Send put there.
func denied(detail string) bool { return strings.HasPrefix(detail, sentinel.ErrDenied.Error()) }

// rehearsed is the request as a dry run shows it.
func (c *switching) rehearsed() fsm.Switchover {
	m, _ := c.state.Master(c.Master)
	return fsm.Switchover{
		Master: c.Master, Base: m.Number, From: m.Address, To: fsm.Address(c.opinion.Pick), Named: c.To != "",
		Sentinel: c.opinion.Sentinel, Window: c.opinion.Window, Actor: c.Actor, Reason: c.Reason,
	}
}

func (c *switching) answer(w fsm.Switchover) api.Switched {
	out := api.Switched{Request: w, Certain: c.opinion.Certain, Why: c.opinion.Why, Notes: c.opinion.Notes}
	for _, p := range c.plan {
		m := &pointsmanv1.PlannedStep{
			Stage: p.Stage, Step: p.Step.Name, Kind: p.Step.Kind, Object: string(p.Step.Object), Wanted: p.Wanted, Found: p.Found, Problem: p.Problem,
		}
		if p.Verdict != actuators.Verdict(0) {
			m.Verdict = p.Verdict.String()
		}
		out.Plan = append(out.Plan, m)
	}
	for _, r := range c.opinion.Standings {
		m := &pointsmanv1.ReplicaStanding{Address: r.Address, Priority: int32(r.Priority), Offset: r.Offset, Link: r.Link, PassedOver: r.Passed} //nolint:gosec // Redis bounds it
		if r.Lag >= 0 {
			m.LagBytes = &r.Lag
		}
		if r.LastIO >= 0 {
			m.LastIo = durationpb.New(r.LastIO)
		}
		out.Replicas = append(out.Replicas, m)
	}
	switch spec, ok := c.state.Spec().Master(c.Master); {
	case ok && spec.Observe:
		out.Notes = append(out.Notes, "observe_only is set: the failover will be recorded, its plan is not carried out, and what becomes of its objects is scored")
	case ok && len(spec.Plan) == 0:
		out.Notes = append(out.Notes, "the plan is empty: the failover will be recorded, and nothing else done")
	}
	return out
}

// officeNow is nil when another node leads.
func (s *sights) officeNow() *office {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.office
}

// viewOf is what this node and its peers see of a master, and its declaration.
func (s *sights) viewOf(id fsm.MasterID) (sentinel.Master, sentinel.View, bool) {
	s.mu.Lock()
	one, ok := s.sights[id]
	var view sentinel.View
	if ok {
		view = sentinel.Merge(one.view, one.peers, time.Now())
	}
	s.mu.Unlock()
	declared, watched := s.watcher.Declared(string(id))
	return declared, view, ok && watched
}
