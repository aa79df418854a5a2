package shopify

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
)

// view is what a Read saw.
type view struct {
	namespace string
	owner     string // id of the app's installation
	keys      []string
	found     map[string]stored // by key; missing: there is no such metafield
	warning   string            // about the shop's API; empty: none
}

// stored is one metafield.
type stored struct {
	digest string
	text   string
	words  words
	by     fsm.FailoverID
	ours   bool // words of a Pointsman, whichever cluster's
}

// Read asks for all of a step's metafields at once.
func (a *fields) Read(ctx context.Context, s actuators.Subject) (actuators.Reading, error) {
	r := actuators.Reading{At: time.Now()}
	params, err := paramsOf(s.Step)
	if err != nil {
		return r, actuators.Permanent(err)
	}
	v := &view{namespace: params.GetNamespace(), keys: wanted{Values: params.GetValues()}.keys(), found: map[string]stored{}}
	r.Requests, err = a.readInto(ctx, v)
	if err != nil {
		e := actuators.Explain(fmt.Errorf("read %s: %w", s.Step.Object, err))
		e.Requests = append(r.Requests, e.Requests...)
		return r, &e
	}
	r.Body = v
	return r, nil
}

// question asks for each key by an alias of its own, so that no key of the
// user's is ever part of the query's text.
func question(keys []string) (query string, variables map[string]string) {
	var head, body strings.Builder
	variables = map[string]string{}
	for i, key := range keys {
		fmt.Fprintf(&head, ", $k%d: String!", i)
		fmt.Fprintf(&body, " m%d: metafield(namespace: $namespace, key: $k%d) { value compareDigest }", i, i)
		variables[fmt.Sprintf("k%d", i)] = key
	}
	return fmt.Sprintf("query PointsmanRead($namespace: String!%s) { currentAppInstallation { id%s } }", &head, &body), variables
}

func (a *fields) readInto(ctx context.Context, v *view) ([]string, error) {
	query, variables := question(v.keys)
	variables["namespace"] = v.namespace
	var data struct {
		Installation map[string]json.RawMessage `json:"currentAppInstallation"`
	}
	said, err := a.client.do(ctx, call{name: "read metafields", query: query, variables: variables, out: &data})
	if err != nil {
		return said.ids, err
	}
	v.warning = said.warning
	if json.Unmarshal(data.Installation["id"], &v.owner) != nil || v.owner == "" || len(v.owner) > MaxDigest {
		return said.ids, fmt.Errorf("id of the app's installation: %w", wire.ErrAnswer)
	}
	for i, key := range v.keys {
		var m *struct {
			Value  *string `json:"value"`
			Digest *string `json:"compareDigest"`
		}
		raw, answered := data.Installation[fmt.Sprintf("m%d", i)]
		err := json.Unmarshal(raw, &m)
		switch {
		case !answered || err != nil:
			return said.ids, fmt.Errorf("metafield %s: %w", key, wire.ErrAnswer)
		case m == nil:
		case m.Value == nil || m.Digest == nil || *m.Digest == "" || len(*m.Digest) > MaxDigest:
			return said.ids, fmt.Errorf("metafield %s lacks value or digest: %w", key, wire.ErrAnswer)
		default:
			s := stored{digest: *m.Digest, text: *m.Value}
			s.words, s.by, s.ours = parseWords(s.text)
			v.found[key] = s
		}
	}
	return said.ids, nil
}

// version is what a claim has to name.
func (v *view) version() version {
	out := version{}
	for _, key := range v.keys {
		out[key] = nil
		if s, ok := v.found[key]; ok {
			out[key] = &s.digest
		}
	}
	return out
}
