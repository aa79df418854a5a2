package octavia

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// Act implements actuators.Actuator: pool and marker in one PUT, nothing else,
// since a field that is left out stays as it is. What was seen is judged once
// more, so that no wrong turn of a caller writes over a newer failover.
func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	if ctx.Err() != nil {
		return actuators.Outcome{}, fmt.Errorf("act on %s: not sent: %w", w.Action.Step.Object, context.Cause(ctx))
	}
	out, err := a.repoint(ctx, w, seen)
	if err != nil {
		e := actuators.Explain(fmt.Errorf("act on %s: %w", w.Action.Step.Object, err))
		e.Requests = out.Requests
		return actuators.Outcome{}, &e
	}
	return out, nil
}

func (a *actuator) repoint(ctx context.Context, w actuators.Work, seen actuators.Sight) (out actuators.Outcome, err error) {
	want, err := wantedOf(w.Action)
	if err != nil {
		return out, actuators.Permanent(err)
	}
	v, ok := seen.Reading.Body.(*view)
	if !ok {
		return out, fmt.Errorf("listener %s was not read: %w", want.Listener, ErrNotDue)
	}
	switch now := a.Judge(seen.Reading, w); now.Verdict {
	case actuators.Absent:
	case actuators.Foreign, actuators.Newer:
		return out, actuators.Permanent(fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue))
	default:
		return out, fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue)
	}
	type fields struct {
		Pool        string `json:"default_pool_id"`
		Description string `json:"description"`
	}
	body := struct {
		Listener fields `json:"listener"`
	}{fields{want.Pool, actuators.MarkerOf(w.Cluster, w.Action.For).Mark(v.listener.Description, MaxText)}}
	var answer struct {
		Listener listener `json:"listener"`
	}
	out.Requests, err = a.client.do(ctx, http.MethodPut, "/listeners/"+want.Listener, body, &answer)
	if err != nil {
		return out, err
	}
	if answer.Listener.Status == statusActive && strings.EqualFold(answer.Listener.Pool, want.Pool) {
		return out, nil // in effect already, a read will tell
	}
	out.Waiting = true
	out.Checkpoint, err = json.Marshal(written{want.Listener, w.Action.Token})
	return out, err
}

// written is the checkpoint of a write that the load balancer is at: which one
// of which claim, so that each is given its own time.
type written struct {
	Listener string    `json:"listener"`
	Token    fsm.Token `json:"token"`
}

// Follow implements actuators.Actuator: it looks whether the load balancer is
// done with our write. Which pool holds what is for the read after it.
func (a *actuator) Follow(ctx context.Context, w actuators.Work) (actuators.Progress, error) {
	want, err := wantedOf(w.Action)
	if err != nil {
		return actuators.Progress{}, actuators.Permanent(err)
	}
	g := &gather{client: a.client}
	v := &view{id: want.Listener, pools: map[string]string{want.Pool: ""}}
	if err := sideBySide(ctx, 2, a.statusJobs(g, v)); err != nil {
		e := actuators.Explain(fmt.Errorf("follow %s: %w", w.Action.Step.Object, err))
		e.Requests = g.ids
		return actuators.Progress{}, &e
	}
	v.pending = a.pendingFor(isPending(v.balancer.Status) || isPending(v.listener.Status))
	s := v.judge(w, a.balancer)
	followed := a.followedFor(w.Action.Checkpoint)
	p := actuators.Progress{Requests: g.ids, Reason: s.Detail}
	switch {
	case s.Verdict == actuators.Applied && !s.Found:
		p.Done = true
	case s.Verdict == actuators.Busy:
		p.After = pollDelay(followed)
	case s.Verdict == actuators.Absent && v.listener.Status != statusError && followed < MaxHidden:
		p.After, p.Reason = pollDelay(followed), "our write is not shown yet: "+s.Detail
	default: // written over, or failed: the next look says what is due
		p.Again = true
	}
	return p, nil
}
