package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
)

// What the Sentinel does that is asked for a switchover.
const (
	askDone   = ""            // begins a failover and says so
	askMute   = "lost after"  // begins one, and its answer is lost
	askLost   = "lost before" // never hears of it
	askRefuse = "refuses"
)

// asks draws a human's switchover after the last switch, for a part of the
// seeds, and what strikes just then. It has a stream of its own, so that the
// other decisions of a seed stay as they were.
func (d drawer) asks(end time.Duration) {
	d.r = rand.New(rand.NewPCG(d.p.Seed, 0x61736b73))
	if d.chance(65) {
		return
	}
	m := pick(d.r, d.p.Masters...)
	at := end + d.span(5*time.Second, 20*time.Second)
	d.add(event{
		At: at, Do: "ask", Master: m.ID, Address: pick(d.r, m.Candidates...), Sentinel: d.r.IntN(sentinelsEach), Lag: d.span(100*time.Millisecond, 2*time.Second),
		For: pick(d.r, 0, d.span(time.Millisecond, 8*time.Second)), Knob: pick(d.r, askDone, askDone, askMute, askLost, askRefuse),
	})
	for range d.r.IntN(3) {
		e := event{At: at + d.span(-time.Second, 6*time.Second), Node: "leader", For: d.span(200*time.Millisecond, 12*time.Second), How: pick(d.r, flushed, reset, silent)}
		e.Do, e.Peer = pick(d.r, "crash", "cut", "pause", "transfer", "stop", "deaf"), "peers"
		d.add(e)
	}
}

// asked is a request as it came to a Sentinel.
type asked struct {
	master, sender string
	by             *process
	sent           time.Time
	began          bool
}

// patience is how often a human's client makes one call again.
const patience = 8

// ask plays the human: one call, made again under the same id at whoever leads,
// until something is known of it.
func (r *run) ask(e event) {
	for n := range patience {
		if p := r.leader(); p != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			w, err := r.askAt(ctx, p, e, n)
			cancel()
			r.story.add("human", "asked %s to move %s: %s %s (%v)", p.id, e.Master, w.Phase, w.Detail, err)
			if refused := (*fsm.Refused)(nil); err == nil || errors.As(err, &refused) {
				return
			}
		}
		time.Sleep(time.Second)
	}
}

// askAt is what a coordinator does with the call, as coordinator/switchover.go
// does it, without the examination of the Sentinels.
func (r *run) askAt(ctx context.Context, p *process, e event, n int) (fsm.Switchover, error) {
	office, id := p.sights.officeNow(), fsm.MasterID(e.Master)
	if office == nil {
		return fsm.Switchover{}, context.Canceled
	}
	state, err := p.node.Read(ctx)
	if err != nil {
		return fsm.Switchover{}, err
	}
	command := fsm.CommandID("ask-" + e.Master)
	if w, ok := state.Switchover(id); ok && w.Command == command {
		return w, nil
	}
	m, _ := state.Master(id)
	spec, _ := state.Spec().Master(id)
	to := spec.Candidates[slices.IndexFunc(spec.Candidates, func(c fsm.Candidate) bool { return c.Address != m.Address })].Address
	sender := fmt.Sprintf("%s-%s-%d", e.Master, p.id, n)
	return p.executor.Ask(ctx, office.ctx, executor.Request{
		Ask: fsm.AskSwitchover{
			Master: id, Base: m.Number, Revision: state.Spec().Revision, Term: office.term, To: to,
			Sentinel: "sentinel", Reason: "a drill", Sender: sender, Window: 30 * time.Second,
		},
		Propose: func(ctx context.Context, a fsm.AskSwitchover) (answer fsm.Answer, err error) {
			dead := p.call("propose:"+a.Kind().String(), func() {
				answer, err = p.node.ProposeInTerm(ctx, a.Term, a, cluster.WithID(command), cluster.WithActor("human"))
			})
			return answer, errors.Join(err, dead)
		},
		Send: func(ctx context.Context) (fsm.SwitchoverPhase, string) { return r.askSentinel(ctx, p, e, sender, to) },
	})
}

// askSentinel brings the request to the Sentinel: held while the process is
// paused, not at all once it is dead.
func (r *run) askSentinel(ctx context.Context, p *process, e event, sender string, to fsm.Address) (fsm.SwitchoverPhase, string) {
	answer, sent := make(chan fsm.SwitchoverPhase, 1), time.Now()
	r.graves.Go(func() {
		p.awake(context.Background())
		if p.dead.Load() || e.Knob == askLost {
			return
		}
		began := r.begins(e, to)
		r.mu.Lock()
		r.asked = append(r.asked, asked{e.Master, sender, p, sent, began})
		r.mu.Unlock()
		switch {
		case !began:
			answer <- fsm.SwitchoverRefused
		case e.Knob != askMute:
			time.Sleep(e.For)
			answer <- fsm.SwitchoverStarted
		}
	})
	select {
	case phase := <-answer:
		return phase, "it answered"
	case <-ctx.Done():
		return fsm.SwitchoverDoubt, context.Cause(ctx).Error()
	}
}

// begins has Sentinel fail over, unless it is at it already or refuses.
func (r *run) begins(e event, to fsm.Address) bool {
	truth, _ := r.redis.told(e.Master)
	busy := false
	r.redis.change(e.Master, func(m *master) { busy = m.switching })
	if busy || e.Knob == askRefuse {
		return false
	}
	if e.Address == truth { // whom it promotes is its own choice, but for the master
		e.Address = string(to)
	}
	r.graves.Go(func() { r.redis.switchTo(e) })
	return true
}

// asksOpen lists the switchovers of which the log does not say yet what became.
func asksOpen(state fsm.State) (why []string) {
	for _, w := range state.Switchovers() {
		if w.Phase <= fsm.SwitchoverDoubt {
			why = append(why, fmt.Sprintf("the switchover of %s is %s", w.Master, w.Phase))
		}
	}
	return why
}

// askings judges the switchovers: one human's call reaches one Sentinel at most
// once, under an entry that a majority held before it was sent, and the log comes
// to say what became of it: never refused when a failover was begun.
func (r *run) askings(state fsm.State, log []decided) {
	r.mu.Lock()
	list := slices.Clone(r.asked)
	r.mu.Unlock()
	came := map[string]int{}
	for _, a := range list {
		if came[a.master]++; came[a.master] > 1 {
			r.fail("asked once", "a Sentinel of %s was asked again by %s", a.master, a.by.id)
		}
		i := slices.IndexFunc(log, func(d decided) bool {
			c, ok := d.Command.(fsm.AskSwitchover)
			return ok && d.answer.Refusal == 0 && c.Sender == a.sender && d.entry.author == a.by && !d.entry.sure.IsZero() && !d.entry.sure.After(a.sent)
		})
		if i < 0 {
			r.fail("asked once", "%s asked a Sentinel of %s without an entry of its own that a majority held", a.by.id, a.master)
		}
	}
	for _, w := range state.Switchovers() {
		r.figures.Asked++
		r.figures.AskedLed += one(w.Phase == fsm.SwitchoverLed)
		began := slices.ContainsFunc(list, func(a asked) bool { return a.began && fsm.MasterID(a.master) == w.Master })
		f, _ := state.Failover(fsm.FailoverID{Master: w.Master, Number: w.Number})
		switch {
		case w.Phase <= fsm.SwitchoverDoubt:
			r.fail("asked and told", "%s is still %s", w.Master, w.Phase)
		case w.Phase == fsm.SwitchoverRefused && began:
			r.fail("asked and told", "%s is refused in the log, and a failover was begun", w.Master)
		case w.Phase == fsm.SwitchoverLed && f.Asked.Index != w.Token.Index():
			r.fail("asked and told", "%s led to %s, which does not name it", w.Master, f.ID)
		}
	}
}
