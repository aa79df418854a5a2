package shopify

import (
	"context"
	"fmt"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
)

// mutation writes all of a step's metafields: Shopify carries it out as a whole
// or not at all.
const mutation = `mutation PointsmanSet($metafields: [MetafieldsSetInput!]!) { ` +
	`metafieldsSet(metafields: $metafields) { metafields { key } userErrors { field message code elementIndex } } }`

// Act writes them, all or none.
func (a *fields) Act(ctx context.Context, w actuators.Work, seen actuators.Sight) (actuators.Outcome, error) {
	wrap := func(err error, ids []string) error {
		e := actuators.Explain(fmt.Errorf("act on %s: %w", w.Action.Step.Object, err))
		e.Requests = append(ids, e.Requests...)
		return &e
	}
	if ctx.Err() != nil {
		return actuators.Outcome{}, wrap(fmt.Errorf("not sent: %w", context.Cause(ctx)), nil)
	}
	fields, err := a.compose(w, seen)
	if err != nil {
		return actuators.Outcome{}, wrap(err, nil)
	}
	var data struct {
		Set *struct {
			Metafields []struct {
				Key string `json:"key"`
			} `json:"metafields"`
			UserErrors []userError `json:"userErrors"`
		} `json:"metafieldsSet"`
	}
	variables := map[string]any{"metafields": fields}
	said, err := a.client.do(ctx, call{name: "write metafields", query: mutation, variables: variables, out: &data, mutates: true})
	switch {
	case err != nil:
	case data.Set == nil:
		err = actuators.InDoubt(fmt.Errorf("write metafields: no word of what was done: %w", wire.ErrAnswer))
	case len(data.Set.UserErrors) > 0:
		err = a.client.refusedBy(data.Set.UserErrors)
	case len(data.Set.Metafields) != len(fields):
		err = actuators.InDoubt(fmt.Errorf("write metafields: %d of %d are told as written: %w", len(data.Set.Metafields), len(fields), wire.ErrAnswer))
	}
	if err != nil {
		return actuators.Outcome{}, wrap(err, said.ids)
	}
	return actuators.Outcome{Requests: said.ids}, nil
}

// compose makes the fields of the one write. What was seen is judged once more,
// so that no wrong turn of a caller writes over a newer failover, and must be
// what the claim names: Shopify then compares with the claim's own version.
func (a *fields) compose(w actuators.Work, seen actuators.Sight) ([]metafield, error) {
	want, err := wantedOf(w.Action)
	if err != nil {
		return nil, actuators.Permanent(err)
	}
	v, ok := seen.Reading.Body.(*view)
	if !ok {
		return nil, fmt.Errorf("metafields were not read: %w", ErrNotDue)
	}
	switch now := v.judge(w); now.Verdict {
	case actuators.Absent:
	case actuators.Foreign, actuators.Newer:
		return nil, actuators.Permanent(fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue))
	default:
		return nil, fmt.Errorf("%s, %s: %w", now.Verdict, now.Detail, ErrNotDue)
	}
	claimed, err := versionOf(w.Action.Version, want.keys())
	if err != nil {
		return nil, err
	}
	if claimed.String() != v.version().String() {
		return nil, ErrChanged
	}
	fields := make([]metafield, 0, len(want.Values))
	for _, key := range want.keys() {
		text, err := encode(wordsOf(w, want.Values[key]))
		if err == nil && len(text) > MaxValue {
			err = fmt.Errorf("%s is %d bytes long, Shopify takes %d", key, len(text), MaxValue)
		}
		if err != nil {
			return nil, actuators.Permanent(err)
		}
		f := metafield{OwnerID: v.owner, Namespace: want.Namespace, Key: key, Type: "json", Value: string(text), CompareDigest: claimed.of(key)}
		if f.CompareDigest.IsZero() {
			return nil, actuators.Permanent(ErrOverwrite)
		}
		fields = append(fields, f)
	}
	return fields, nil
}
