package ovh

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

// Act implements actuators.Actuator.
func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	if ctx.Err() != nil {
		return actuators.Outcome{}, fmt.Errorf("act on %s: not sent: %w", w.Action.Step.Object, context.Cause(ctx))
	}
	var out actuators.Outcome
	var err error
	if w.Action.Step.Class == fsm.Trigger {
		out, err = a.refresh(ctx, w, seen)
	} else {
		out, err = a.repoint(ctx, w, seen)
	}
	if err != nil {
		e := actuators.Explain(fmt.Errorf("act on %s: %w", w.Action.Step.Object, err))
		e.Requests = out.Requests
		return actuators.Outcome{}, &e
	}
	return out, nil
}

// repoint is the one write: farm and marker in one PUT, nothing else, since a
// field that is left out stays as it is. What was seen is judged once more, so
// that no wrong turn of a caller writes over a newer failover.
func (a *actuator) repoint(ctx context.Context, w actuators.Work, seen actuators.Sight) (out actuators.Outcome, err error) {
	want, err := wantedOf(w.Action)
	if err != nil {
		return out, actuators.Permanent(err)
	}
	v, ok := seen.Reading.Body.(*view)
	if !ok {
		return out, fmt.Errorf("frontend %d was not read: %w", want.Frontend, ErrNotDue)
	}
	if wrong := v.farms[want.Farm]; wrong != "" {
		return out, actuators.Permanent(fmt.Errorf("%s: %w", wrong, ErrFarm))
	}
	now := a.Judge(seen.Reading, w)
	if planted.Bug(planted.SkipInspect) {
		now.Verdict = actuators.Absent
	}
	switch now.Verdict {
	case actuators.Absent:
	case actuators.Foreign, actuators.Newer:
		return out, actuators.Permanent(fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue))
	default:
		return out, fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue)
	}
	a.remember(v)
	body := struct {
		DefaultFarmID int64  `json:"defaultFarmId"`
		DisplayName   string `json:"displayName"`
	}{want.Farm, actuators.MarkerOf(w.Cluster, w.Action.For).Mark(v.name, MaxName)}
	out.Requests, err = a.client.Do(ctx, ovhapi.Call{Method: http.MethodPut, Path: a.frontendPath(want.Frontend), Body: body})
	return out, err
}

// remember keeps the fields that a write must leave alone, for the read after it.
func (a *actuator) remember(v *view) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.before) >= MaxRemembered {
		clear(a.before)
	}
	a.before[v.id] = earlier{rest: v.rest, pending: v.unapplied()}
}

// task is the checkpoint of a refresh.
type task struct {
	ID     int64    `json:"id"`
	Merged bool     `json:"merged,omitempty"` // it ran before we asked
	Merges int      `json:"merges,omitempty"` // posts in a row that ended so
	Zone   string   `json:"zone,omitempty"`   // the one that was asked for; empty: all
	Left   []string `json:"left,omitempty"`   // zones that it does not cover
	Next   []string `json:"next,omitempty"`   // instead of all the above: zones to go on with, where all others are done

	Unproven int `json:"unproven,omitempty"` // tasks in a row that vanished and left something staged
}

// todo are the zones to ask for, one by one; none: all at once. What became of a
// task that did not say that it was done is not known: its zone is due again.
func (t task) todo() []string {
	if t.Zone == "" {
		return t.Next
	}
	return append([]string{t.Zone}, t.Left...)
}

// posted is the answer to a refresh.
type posted struct {
	ID    int64    `json:"id"`
	Zones []string `json:"zones"` // covered; empty: not said
}

// refresh asks for everything staged, in all zones. The body is empty JSON: the
// schema wants one, and a zone would leave the others behind. That OVH takes it
// for all zones is likely and not documented: zones that the answer leaves
// out are asked for one by one.
func (a *actuator) refresh(ctx context.Context, w actuators.Work, seen actuators.Sight) (out actuators.Outcome, err error) {
	var last task
	_ = json.Unmarshal(w.Action.Checkpoint, &last) // none before the first post; what cannot be read asks for all zones too
	var body struct {
		Zone string `json:"zone,omitempty"`
	}
	todo := last.todo()
	if len(todo) > 0 {
		body.Zone = todo[0]
	}
	var p posted
	out.Requests, err = a.client.Do(ctx, ovhapi.Call{Method: http.MethodPost, Path: a.path + "/refresh", Body: body, Out: &p})
	if err != nil {
		return a.refusedBesideAnother(ctx, out, err)
	}
	if p.ID <= 0 {
		return out, actuators.InDoubt(fmt.Errorf("task %d: %w", p.ID, ovhapi.ErrAnswer))
	}
	t := task{ID: p.ID, Zone: body.Zone, Unproven: last.Unproven}
	before, _ := seen.Reading.Body.(running)
	if _, t.Merged = before[t.ID]; t.Merged {
		t.Merges = last.Merges + 1
		t.Merged = t.Merges <= MaxMerged
	}
	if body.Zone != "" {
		t.Left = todo[1:]
	} else {
		t.Left = a.uncovered(ctx, &out, p.Zones)
	}
	a.since(t.ID)
	out.Waiting = true
	out.Checkpoint, err = json.Marshal(t)
	return out, err
}

// refusedBesideAnother looks again after a refusal that would be for good: in
// what words OVH refuses a second refresh is not known, and while another one
// runs, that is what it may have meant.
func (a *actuator) refusedBesideAnother(ctx context.Context, out actuators.Outcome, err error) (actuators.Outcome, error) {
	x := actuators.Explain(err)
	if !x.Permanent {
		return out, err
	}
	g := &gather{client: a.client, width: 1}
	found, readErr := a.readTasks(ctx, g)
	out.Requests = append(out.Requests, g.ids...)
	if readErr != nil || len(found) == 0 {
		return out, err
	}
	x.Permanent, x.After = false, max(x.After, busyDelay)
	return out, &x
}
