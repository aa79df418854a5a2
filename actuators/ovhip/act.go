package ovhip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
	"github.com/pointsman/pointsman/actuators/wire"
)

// Act implements actuators.Actuator: the marker, unless it stands, and then the
// move, unless the IP is there.
func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	if ctx.Err() != nil {
		return actuators.Outcome{}, fmt.Errorf("act on %s: not sent: %w", w.Action.Step.Object, context.Cause(ctx))
	}
	var out actuators.Outcome
	err := a.repoint(ctx, w, seen, &out)
	if err != nil {
		e := actuators.Explain(fmt.Errorf("act on %s: %w", w.Action.Step.Object, err))
		e.Requests = out.Requests
		return actuators.Outcome{}, &e
	}
	return out, nil
}

// repoint judges what was seen once more, so that no wrong turn of a caller
// writes over a newer failover.
func (a *actuator) repoint(ctx context.Context, w actuators.Work, seen actuators.Sight, out *actuators.Outcome) error {
	want, err := wantedOf(w.Action)
	if err != nil {
		return actuators.Permanent(err)
	}
	v, ok := seen.Reading.Body.(*view)
	if !ok {
		return fmt.Errorf("%s was not read: %w", want.Block, ErrNotDue)
	}
	switch now := a.Judge(seen.Reading, w); now.Verdict {
	case actuators.Absent:
	case actuators.Foreign, actuators.Newer:
		return actuators.Permanent(fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue))
	default:
		return fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue)
	}
	ours := actuators.MarkerOf(w.Cluster, w.Action.For)
	if _, m, marked := actuators.ParseMarked(v.text); !marked || m != ours {
		if err := a.mark(ctx, v, ours, out); err != nil {
			return fmt.Errorf("mark: %w", err)
		}
	}
	if sameService(v.service, want.Service) {
		return nil
	}
	return a.move(ctx, want, out)
}

// mark writes the description and nothing else: it is the one field that can be.
func (a *actuator) mark(ctx context.Context, v *view, ours actuators.Marker, out *actuators.Outcome) error {
	body := struct {
		Description string `json:"description"`
	}{ours.Mark(v.text, MaxText)}
	ids, err := a.client.Do(ctx, ovhapi.Call{Method: http.MethodPut, Path: path(v.block), Body: body})
	out.Requests = append(out.Requests, ids...)
	return err
}

// task is the checkpoint of a move.
type task struct {
	ID int64 `json:"id"`
}

// move asks for the move. It is not sent again: what becomes of one without a
// clear answer is for the next look to say.
func (a *actuator) move(ctx context.Context, want wanted, out *actuators.Outcome) error {
	body := struct {
		To string `json:"to"`
	}{want.Service}
	var answer struct {
		ID int64 `json:"taskId"`
	}
	ids, err := a.client.Do(ctx, ovhapi.Call{Method: http.MethodPost, Path: path(want.Block, "/move"), Body: body, Out: &answer})
	out.Requests = append(out.Requests, ids...)
	if err == nil && answer.ID <= 0 {
		err = actuators.InDoubt(fmt.Errorf("task %d: %w", answer.ID, ovhapi.ErrAnswer))
	}
	if x := actuators.Explain(err); x.Doubt {
		a.memory.change(want.Block, func(m *moved) { *m = moved{asked: time.Now(), to: want.Service} })
	} else if x.Permanent {
		return a.refusedBeside(ctx, want, out, err)
	}
	if err != nil {
		return err
	}
	a.memory.since(answer.ID)
	a.memory.change(want.Block, func(m *moved) { *m = moved{asked: time.Now(), to: want.Service} })
	out.Waiting = true
	out.Checkpoint, err = json.Marshal(task(answer))
	return err
}

// refusedBeside looks again after a refusal that would be for good: in what words
// OVH refuses a move beside another one, or to where the IP is already, is not
// known. What is read may lag, so the first refusals are believed only if they
// last.
func (a *actuator) refusedBeside(ctx context.Context, want wanted, out *actuators.Outcome, err error) error {
	x := actuators.Explain(err)
	g := &gather{client: a.client}
	v := &view{block: want.Block}
	lookErr := a.readTasks(ctx, g, v)
	if lookErr == nil && len(v.moves) == 0 {
		lookErr = readIP(ctx, g, v)
	}
	out.Requests = append(out.Requests, g.ids...)
	e, ours := errors.AsType[*ovhapi.APIError](err)
	lags := ours && (e.Status == http.StatusBadRequest || e.Status == http.StatusConflict) && a.memory.refusedLately(want.Block)
	if lags || lookErr == nil && (len(v.moves) > 0 || sameService(v.service, want.Service)) {
		x.Permanent, x.After = false, max(x.After, refusedLook)
		return &x
	}
	return err
}

// Follow implements actuators.Actuator. That a task is done is no proof: the read
// after it is.
func (a *actuator) Follow(ctx context.Context, w actuators.Work) (actuators.Progress, error) {
	want, err := wantedOf(w.Action)
	if err != nil {
		return actuators.Progress{}, actuators.Permanent(err)
	}
	var t task
	if json.Unmarshal(w.Action.Checkpoint, &t) != nil || t.ID <= 0 {
		return actuators.Progress{Again: true, Reason: "no task is known"}, nil //nolint:nilerr // acting again is the answer
	}
	var answer struct {
		Status  string  `json:"status"`
		Comment *string `json:"comment"`
	}
	ids, err := a.client.Do(ctx, ovhapi.Call{Method: http.MethodGet, Path: path(want.Block, "/task/", strconv.FormatInt(t.ID, 10)), Out: &answer})
	if e, ok := errors.AsType[*ovhapi.APIError](err); ok && e.Status == http.StatusNotFound && e.Own {
		answer.Status, err = statusHidden, nil
		if a.memory.gone(t.ID) {
			answer.Status = statusGone
		}
	} else if err == nil {
		a.memory.shown(t.ID)
	}
	if err != nil {
		e := actuators.Explain(fmt.Errorf("follow task %d: %w", t.ID, err))
		e.Requests = ids
		return actuators.Progress{}, &e
	}
	comment := ""
	if answer.Comment != nil {
		comment = ": " + wire.Cut(*answer.Comment, wire.MaxMessage)
	}
	p := t.progress(answer.Status, comment)
	p.Requests = ids
	if p.Done && answer.Status == statusDone {
		a.memory.change(want.Block, func(m *moved) { m.done, m.to = time.Now(), want.Service })
	}
	if !p.Done && !p.Again && p.After == 0 {
		p.After = pollDelay(a.memory.since(t.ID))
	}
	return p, nil
}

// Statuses that decide something; the last two are words of ours.
const (
	statusDone   = "done"
	statusGone   = "gone"      // OVH no longer shows it: it ended, and how is for the IP to say
	statusHidden = "not shown" // which need not last
)

func (t task) progress(status, comment string) actuators.Progress {
	switch status {
	case statusDone, statusGone:
		return actuators.Progress{Done: true, Reason: fmt.Sprintf("task %d is %s", t.ID, status)}
	case "cancelled", "customerError", "ovhError": // the IP may have been moved nonetheless: acting again reads first
		return actuators.Progress{Again: true, Reason: fmt.Sprintf("task %d ended: %s%s", t.ID, status, comment)}
	case "init", "todo", "doing":
		return actuators.Progress{}
	case statusHidden:
		return actuators.Progress{Reason: fmt.Sprintf("task %d is %s", t.ID, status)}
	}
	return actuators.Progress{After: unknownPoll, Reason: fmt.Sprintf("task %d is %q, which is not known here%s", t.ID, wire.Cut(status, 32), comment)}
}
