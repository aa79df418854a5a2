package shopify

import (
	"context"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// actuator acts on one shop. Both kinds of step share its client, and with it the
// token, the rate and the pause of a shop that is frozen.
type actuator struct {
	client *client
	fields *fields
	hooks  *hooks
}

var (
	_ actuators.Actuator = (*actuator)(nil)
	_ actuators.Prober   = (*actuator)(nil)
	_ actuators.Checker  = (*actuator)(nil)
	_ actuators.Comparer = (*actuator)(nil)
)

// way is what one kind of step does with a shop.
type way interface {
	deeds
	actuators.Checker
	actuators.Comparer
}

// deeds are those of actuators.Actuator; there is no task to follow here.
type deeds interface {
	Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error)
	Judge(r actuators.Reading, w actuators.Work) actuators.Sight
	Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error)
}

// fields are the metafields of the app's installation. It holds nothing but its client.
type fields struct{ client *client }

func (a *actuator) of(step fsm.Step) way {
	if step.Kind == HooksName {
		return a.hooks
	}
	return a.fields
}

// Read implements actuators.Actuator.
func (a *actuator) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	return a.of(s.Step).Read(ctx, s)
}

// Judge implements actuators.Actuator.
func (a *actuator) Judge(r actuators.Reading, w actuators.Work) actuators.Sight {
	return a.of(w.Action.Step).Judge(r, w)
}

// Act implements actuators.Actuator.
func (a *actuator) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	return a.of(w.Action.Step).Act(ctx, w, seen)
}

// Follow implements actuators.Actuator: a write takes effect at once, there is
// no task of Shopify's to follow.
func (a *actuator) Follow(ctx context.Context, _ actuators.Work) (actuators.Progress, error) {
	if ctx.Err() != nil {
		return actuators.Progress{}, context.Cause(ctx)
	}
	return actuators.Progress{Again: true, Reason: "Shopify has no task to follow"}, nil
}

// Check implements actuators.Checker.
func (a *actuator) Check(ctx context.Context, s actuators.Subject) ([]string, error) {
	return a.of(s.Step).Check(ctx, s)
}

// Compare implements actuators.Comparer.
func (a *actuator) Compare(r actuators.Reading, action fsm.Action) actuators.Shown {
	return a.of(action.Step).Compare(r, action)
}

// Close drops idle connections. The actuator stays usable.
func (a *actuator) Close() error { return a.client.wire.Close() }
