package shopify

import (
	"context"
	"fmt"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// created is what Shopify says of one creation.
type created struct {
	Subscription *struct {
		ID string `json:"id"`
	} `json:"webhookSubscription"`
	UserErrors []struct {
		Field   []string `json:"field"`
		Message string   `json:"message"`
	} `json:"userErrors"`
}

// hookInput is one WebhookSubscriptionInput.
type hookInput struct {
	URI    string   `json:"uri"`
	Format string   `json:"format"`
	Name   string   `json:"name,omitempty"`
	Fields []string `json:"includeFields,omitempty"`
	Filter string   `json:"filter,omitempty"`
}

// Act creates all that is missing in one request: a mutation with one field for
// each, which Shopify carries out one after another. It deletes and changes nothing.
func (h *hooks) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	said, err := h.act(ctx, w, seen)
	if err != nil {
		e := actuators.Explain(fmt.Errorf("act on %s: %w", w.Action.Step.Object, err))
		e.Requests = append(said.ids, e.Requests...)
		return actuators.Outcome{}, &e
	}
	return actuators.Outcome{Requests: said.ids}, nil
}

func (h *hooks) act(ctx context.Context, w actuators.Work, seen actuators.Sight) (said, error) {
	if ctx.Err() != nil {
		return said{}, fmt.Errorf("not sent: %w", context.Cause(ctx))
	}
	missing, err := due(w, seen)
	if err != nil {
		return said{}, err
	}
	query, variables := creation(missing)
	var data map[string]*created
	s, err := h.client.do(ctx, call{name: "create webhook subscriptions", query: query, variables: variables, out: &data, mutates: true})
	if err == nil {
		err = h.outcome(missing, data)
	}
	if actuators.Explain(err).Doubt {
		h.note(missing, doubtFor)
	}
	return s, err
}

// due are the subscriptions to create. What was seen is judged once more.
func due(w actuators.Work, seen actuators.Sight) ([]hook, error) {
	want, err := hooksWanted(w.Action)
	if err != nil {
		return nil, actuators.Permanent(err)
	}
	l, ok := seen.Reading.Body.(*hookList)
	if !ok {
		return nil, fmt.Errorf("webhook subscriptions were not read: %w", ErrNotDue)
	}
	switch now := l.judge(w); now.Verdict {
	case actuators.Absent:
		return l.account(want).missing, nil
	case actuators.Foreign:
		return nil, actuators.Permanent(fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue))
	default:
		return nil, fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue)
	}
}

// creation names each subscription by an alias of its own. No text of the user's
// is ever part of the query's.
func creation(missing []hook) (query string, variables map[string]any) {
	var head, body strings.Builder
	variables = map[string]any{}
	for i, m := range missing {
		if i > 0 {
			head.WriteString(", ")
		}
		fmt.Fprintf(&head, "$t%d: WebhookSubscriptionTopic!, $s%d: WebhookSubscriptionInput!", i, i)
		fmt.Fprintf(&body, " h%d: webhookSubscriptionCreate(topic: $t%d, webhookSubscription: $s%d) { webhookSubscription { id } userErrors { field message } }", i, i, i)
		variables[fmt.Sprintf("t%d", i)] = topicWord(m.Topic)
		variables[fmt.Sprintf("s%d", i)] = hookInput{URI: m.URI, Format: m.Format, Name: m.Name, Fields: m.Fields, Filter: m.Filter}
	}
	return fmt.Sprintf("mutation PointsmanHook(%s) {%s }", &head, &body), variables
}

// outcome tells what came of each creation: the gravest decides, and what was
// made stands. A user error has no code at Shopify: that the place is taken is
// known by its words alone, and any other is a human's to mend.
func (h *hooks) outcome(missing []hook, data map[string]*created) error {
	var made, taken []hook
	var refused, unclear []string
	for i, m := range missing {
		switch c := data[fmt.Sprintf("h%d", i)]; {
		case c == nil || c.Subscription == nil && len(c.UserErrors) == 0:
			unclear = append(unclear, m.Topic)
		case len(c.UserErrors) > 0 && strings.Contains(c.UserErrors[0].Message, "already been taken"): // place or name
			taken = append(taken, m)
		case len(c.UserErrors) > 0:
			refused = append(refused, m.refusal(c.UserErrors[0].Message))
		default:
			made = append(made, m)
		}
	}
	h.note(made, madeFor)
	besides := ""
	if len(made) > 0 {
		besides = "; made: " + listing(made)
	}
	switch {
	case len(unclear) > 0:
		return actuators.InDoubt(fmt.Errorf("create webhook subscriptions: no word of %s%s: %w", strings.Join(unclear, ", "), besides, wire.ErrAnswer))
	case len(refused) > 0:
		return actuators.Permanent(fmt.Errorf("create webhook subscriptions: %s", h.client.quote(strings.Join(refused, "; ")+besides)))
	case len(taken) > 0:
		return &actuators.Error{After: takenDelay, Err: fmt.Errorf("create webhook subscriptions: Shopify has %s already and does not list it%s", listing(taken), besides)}
	}
	return nil
}

// refusal words what Shopify says against one creation, with what the topic takes.
func (h hook) refusal(message string) string {
	text := h.Topic + ": " + message
	if scopes, _ := topicScopes(h.Topic); len(scopes) > 0 {
		text += " (the topic takes the scope " + strings.Join(scopes, " or ") + ")"
	}
	return text
}
