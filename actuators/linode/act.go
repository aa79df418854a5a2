package linode

import (
	"context"
	"fmt"
	"net/http"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// Act implements actuators.Actuator: address and marker in one PUT, nothing
// else, since a field that is left out stays as it is. What was seen is judged
// once more, so that no wrong turn of a caller writes over a newer failover.
func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	object := w.Action.Step.Object
	if ctx.Err() != nil {
		return actuators.Outcome{}, fmt.Errorf("act on %s: not sent: %w", object, context.Cause(ctx))
	}
	call, err := a.due(w, seen)
	if err != nil {
		return actuators.Outcome{}, fmt.Errorf("act on %s: %w", object, err)
	}
	ids, err := a.do(ctx, call, nil)
	if err != nil {
		return actuators.Outcome{}, errorIn(ids, fmt.Errorf("act on %s: %w", object, err))
	}
	return actuators.Outcome{Requests: ids}, nil
}

// due is the call that an action wants, or why none is due.
func (a *actuator) due(w actuators.Work, seen actuators.Sight) (wire.Call, error) {
	want, err := wantedOf(w.Action)
	if err != nil {
		return wire.Call{}, actuators.Permanent(err)
	}
	v, ok := seen.Reading.Body.(*view)
	if !ok {
		return wire.Call{}, fmt.Errorf("node %d was not read: %w", want.Node, ErrNotDue)
	}
	switch now := a.Judge(seen.Reading, w); now.Verdict {
	case actuators.Absent:
	case actuators.Foreign, actuators.Newer:
		return wire.Call{}, actuators.Permanent(fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue))
	default:
		return wire.Call{}, fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue)
	}
	label, err := markerOf(w.Cluster, w.Action.For).label()
	if err != nil {
		return wire.Call{}, actuators.Permanent(err)
	}
	if n, found := v.own(); found {
		a.remember(n)
	}
	body := struct {
		Address string `json:"address"`
		Label   string `json:"label"`
		Subnet  int64  `json:"subnet_id,omitempty"`
	}{want.Backend, label, want.Subnet}
	return wire.Call{Method: http.MethodPut, Path: a.nodePath(want.Config, want.Node), Body: body}, nil
}

// Follow implements actuators.Actuator. Linode has no tasks, so none is known.
func (*actuator) Follow(context.Context, actuators.Work) (actuators.Progress, error) {
	return actuators.Progress{Again: true, Reason: "a NodeBalancer has no tasks"}, nil
}
