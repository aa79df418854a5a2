package shopify

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// node is an object of the graph: its fields by name.
type node map[string]func(args map[string]any) any

// execution carries out one operation, under the simulator's lock.
type execution struct {
	sim   *Sim
	call  *Call
	vars  map[string]any
	knobs Knobs
}

// object selects fields of a node.
func (x *execution) object(set ast.SelectionSet, n node) map[string]any {
	out := map[string]any{}
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			resolve, ok := n[s.Name]
			if !ok {
				panic("no value for field " + s.Name) // the types have a field that this file lacks
			}
			out[s.Alias] = x.value(s, resolve(s.ArgumentMap(x.vars)))
		case *ast.InlineFragment:
			for name, v := range x.object(s.SelectionSet, n) {
				out[name] = v
			}
		case *ast.FragmentSpread:
			for name, v := range x.object(s.Definition.SelectionSet, n) {
				out[name] = v
			}
		}
	}
	return out
}

func (x *execution) value(f *ast.Field, v any) any {
	switch v := v.(type) {
	case node:
		return x.object(f.SelectionSet, v)
	case []node:
		list := make([]any, 0, len(v))
		for _, n := range v {
			list = append(list, x.object(f.SelectionSet, n))
		}
		return list
	}
	return v
}

// is makes a field of a value.
func is(v any) func(map[string]any) any { return func(map[string]any) any { return v } }

func (x *execution) root(op ast.Operation) node {
	if op == ast.Mutation {
		return node{
			"__typename": is("Mutation"), "metafieldsSet": x.metafieldsSet,
			"webhookSubscriptionCreate": x.hookCreate, "webhookSubscriptionDelete": x.hookDelete,
		}
	}
	shop := node{"__typename": is("Shop"), "id": is("gid://shopify/Shop/1"), "myshopifyDomain": is(x.sim.config.Shop)}
	return node{
		"__typename": is("QueryRoot"), "shop": is(shop), "currentAppInstallation": is(x.installation()),
		"publicApiVersions": is(versions(x.knobs.Oldest)), "webhookSubscriptions": x.hookList,
	}
}

// versions are those that are served: a year of quarters from the oldest on, the
// next one as a candidate, and unstable.
func versions(oldest string) (list []node) {
	at, err := time.Parse("2006-01", oldest)
	if err != nil {
		return nil
	}
	version := func(handle string, supported bool) node {
		return node{"__typename": is("ApiVersion"), "handle": is(handle), "displayName": is(handle), "supported": is(supported)}
	}
	for quarter := range 5 {
		list = append(list, version(at.AddDate(0, 3*quarter, 0).Format("2006-01"), quarter < 4))
	}
	return append(list, version("unstable", false))
}

func (x *execution) installation() node {
	app := node{"__typename": is("App"), "id": is("gid://shopify/App/1"), "apiKey": is("key"), "title": is("Pointsman")}
	scopes := []node{}
	for handle := range strings.FieldsSeq(x.knobs.Granted) {
		scopes = append(scopes, node{"__typename": is("AccessScope"), "handle": is(handle)})
	}
	return node{
		"__typename": is("AppInstallation"), "id": is(ownerID), "app": is(app), "accessScopes": is(scopes),
		"metafield": func(args map[string]any) any {
			p := place{reservedNamespace, fmt.Sprint(args["key"])}
			if named, ok := args["namespace"].(string); ok {
				p.namespace = named
			}
			e, ok := x.sim.at(p, time.Now().Add(-x.knobs.ReadLag))
			if !ok {
				return nil
			}
			return x.metafield(p, e)
		},
	}
}

func (x *execution) metafield(p place, e entry) node {
	m, text := x.sim.fields[p], x.sim.told(e)
	return node{
		"__typename": is("Metafield"), "id": is(fmt.Sprintf("gid://shopify/Metafield/%d", m.id)), "namespace": is(p.namespace), "key": is(p.key),
		"type": is(e.kind), "value": is(text), "compareDigest": is(e.digest), "sizeInBytes": is(len(text)),
		"createdAt": is(m.created.UTC().Format(time.RFC3339)), "updatedAt": is(e.at.UTC().Format(time.RFC3339)),
		"jsonValue": func(map[string]any) any {
			var v any
			if json.Unmarshal([]byte(text), &v) != nil {
				return text
			}
			return v
		},
	}
}

func (x *execution) metafieldsSet(args map[string]any) any {
	var list []input
	given, _ := args["metafields"].([]any)
	for _, v := range given {
		in, err := inputOf(v)
		if err != nil {
			panic(err) // the types refuse it before
		}
		list = append(list, in)
	}
	var problems []problem
	if x.knobs.Scope == ScopeWrite && x.knobs.ScopeForm == ScopeUser {
		problems = []problem{{0, "ownerId", "APP_NOT_AUTHORIZED", "App is not authorized to write_app_metafields."}}
		x.call.Refused = problems[0].code
	} else {
		problems = x.sim.set(x.call, list)
	}
	payload := node{"__typename": is("MetafieldsSetPayload"), "userErrors": is(x.userErrors(problems)), "metafields": is(nil)}
	if len(problems) > 0 || x.knobs.SetAnswer == SetNull {
		return payload
	}
	written := []node{}
	if x.knobs.SetAnswer == SetList {
		for _, in := range list {
			e, _ := x.sim.at(in.place, time.Now())
			written = append(written, x.metafield(in.place, e))
		}
	}
	payload["metafields"] = is(written)
	return payload
}

func (x *execution) userErrors(problems []problem) []node {
	out := []node{}
	for _, p := range problems {
		var code any = p.code
		if p.code == string(StaleNamed) {
			switch x.knobs.StaleCode {
			case StaleNull:
				code = nil
			case StaleOnce:
				if len(out) > 0 {
					continue
				}
			case StaleNamed:
			}
		}
		out = append(out, node{
			"__typename": is("MetafieldsSetUserError"), "code": is(code), "message": is(p.message), "elementIndex": is(p.index),
			"field": is([]string{"metafields", fmt.Sprint(p.index), p.field}),
		})
	}
	return out
}
