package ovh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/ovhapi"
	"github.com/pointsman/pointsman/actuators/wire"
)

// Follow implements actuators.Actuator.
func (a *actuator) Follow(ctx context.Context, w actuators.Work) (actuators.Progress, error) {
	var t task
	if err := json.Unmarshal(w.Action.Checkpoint, &t); err != nil || t.ID <= 0 {
		return actuators.Progress{Again: true, Reason: "no task is known"}, nil //nolint:nilerr // acting again is the answer
	}
	path := a.path + "/task/" + strconv.FormatInt(t.ID, 10)
	var answer struct {
		Status string `json:"status"`
	}
	g := &gather{client: a.client, width: 1}
	err := g.get(ctx, path, &answer)
	if e, ok := errors.AsType[*ovhapi.APIError](err); ok && e.Status == http.StatusNotFound && e.Own {
		answer.Status, err = statusHidden, nil
		if a.gone(t.ID) {
			answer.Status = statusGone
		}
	} else if err == nil {
		a.shown(t.ID)
	}
	p := t.progress(answer.Status)
	if err == nil && answer.Status == statusGone {
		p, err = a.vanished(ctx, g, t, p)
	}
	if err != nil {
		e := actuators.Explain(fmt.Errorf("follow task %d: %w", t.ID, err))
		e.Requests = g.ids
		return actuators.Progress{}, &e
	}
	p.Requests = g.ids
	if !p.Done && !p.Again && p.After == 0 {
		p.After = pollDelay(a.since(t.ID))
	}
	return p, nil
}

// vanished asks what is still staged where a task covered that ended nobody
// knows how, and asks for that again. It is asked before another refresh can be
// claimed: from then on an empty count may be that one's doing, since OVH may
// clear it at the snapshot.
func (a *actuator) vanished(ctx context.Context, g *gather, t task, p actuators.Progress) (actuators.Progress, error) {
	v := &view{pending: map[string]int64{}}
	if err := a.readPending(ctx, g, v); err != nil {
		return p, err
	}
	left := int64(0)
	for zone, number := range v.pending {
		if t.covers(zone) {
			left += number
		}
	}
	if left == 0 {
		return p, nil
	}
	return t.unproven(left)
}

// covers reports whether the task should have applied what is counted for a
// zone. A count for all zones at once tells only when none is left.
func (t task) covers(zone string) bool {
	switch {
	case zone == allZones:
		return len(t.Left) == 0
	case t.Zone != "":
		return zone == t.Zone
	}
	return !slices.Contains(t.Left, zone)
}

// unproven asks again for what a task covered that ended nobody knows how,
// while something is still staged there; for everything when it was the last
// zone's, since one of those before it may be the one.
func (t task) unproven(left int64) (actuators.Progress, error) {
	reason := fmt.Sprintf("task %d is %s and %d changes are not applied", t.ID, statusGone, left)
	if t.Unproven >= MaxUnproven {
		return actuators.Progress{}, actuators.Permanent(fmt.Errorf("%s, after %d refreshes in a row: %w", reason, t.Unproven+1, ErrUnproven))
	}
	next := task{Unproven: t.Unproven + 1}
	if len(t.Left) > 0 {
		next.Next = t.todo()
	}
	p := actuators.Progress{Again: true, Reason: reason}
	p.Next, _ = json.Marshal(next) // numbers and texts
	return p, nil
}

// Words of ours beside OVH's own.
const (
	// statusGone is a task that OVH no longer lists: it ended, and how is for
	// pendingChanges to say: vanished.
	statusGone = "gone"
	// statusHidden is one that it does not show, which need not last.
	statusHidden = "not shown"
)

func (t task) progress(status string) actuators.Progress {
	switch status {
	case "done", statusGone:
		if t.Merged {
			return actuators.Progress{Again: true, Reason: fmt.Sprintf("task %d ran before ours and may have come too early", t.ID)}
		}
		if len(t.Left) > 0 {
			next, _ := json.Marshal(task{Next: t.Left}) // a list of texts
			why := fmt.Sprintf("task %d is %s and did not cover %s", t.ID, status, strings.Join(t.Left, ", "))
			return actuators.Progress{Again: true, Partial: true, Next: next, Reason: why}
		}
		return actuators.Progress{Done: true, Reason: fmt.Sprintf("task %d is %s", t.ID, status)}
	case "error", "cancelled":
		return actuators.Progress{Again: true, Reason: fmt.Sprintf("task %d ended: %s", t.ID, status)}
	case "todo", "doing":
		return actuators.Progress{}
	case statusHidden:
		return actuators.Progress{Reason: fmt.Sprintf("task %d is %s", t.ID, status)}
	case "blocked":
		return actuators.Progress{After: blockedPoll, Reason: fmt.Sprintf("task %d is blocked at OVH", t.ID)}
	}
	return actuators.Progress{After: blockedPoll, Reason: fmt.Sprintf("task %d is %q, which is not known here", t.ID, wire.Cut(status, 32))}
}
