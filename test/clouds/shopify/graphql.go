package shopify

import (
	_ "embed"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

//go:embed testdata/schema.graphql
var schemaText string

// schemas are the types by what a version has of them, read at their first use.
type schemas struct{ now, before202607, before202604 func() (*ast.Schema, error) }

func newSchemas() schemas {
	load := func(text string) func() (*ast.Schema, error) {
		return sync.OnceValues(func() (*ast.Schema, error) {
			return gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: text})
		})
	}
	before202607 := strings.Replace(schemaText, "  sizeInBytes: Int!\n", "", 1)
	return schemas{now: load(schemaText), before202607: load(before202607), before202604: load(strings.ReplaceAll(before202607, "  name: String\n", ""))}
}

// of are the types of one version.
func (s schemas) of(version string) *ast.Schema {
	load := s.now
	switch {
	case version < "2026-04":
		load = s.before202604
	case version < "2026-07":
		load = s.before202607
	}
	types, err := load()
	if err != nil {
		panic(fmt.Sprintf("types of the simulator: %v", err)) // testdata/schema.graphql is wrong
	}
	return types
}

// graphRequest is the body of a GraphQL request.
type graphRequest struct {
	Query     string         `json:"query"`
	Variables map[string]any `json:"variables"`
}

func graphError(code, message string, c *Call) map[string]any {
	extensions := map[string]any{"requestId": c.RequestID}
	if code != "" {
		extensions["code"] = code
	}
	return map[string]any{"message": message, "extensions": extensions}
}

// graph answers a query or a mutation.
func (s *Sim) graph(q *request) *reply {
	if out := s.admit(q); out != nil {
		return out
	}
	version, out := s.version(q)
	if out != nil {
		return out
	}
	doc, vars, wrong := s.understood(q, version)
	if wrong != nil {
		out = answer(http.StatusOK, encode(map[string]any{"errors": []any{wrong}}))
	} else {
		out = s.execute(q, doc, vars)
	}
	if s.Knobs().VersionHeader == VersionTold {
		out.header.Set("X-Shopify-Api-Version", version)
	}
	return out
}

// admit judges token, scope by status, and the shop's state.
func (s *Sim) admit(q *request) *reply {
	s.mu.Lock()
	k := s.knobs
	until, known := s.tokens[q.Header.Get("X-Shopify-Access-Token")]
	expired := !until.IsZero() && !time.Now().Before(until)
	s.mu.Unlock()
	lacks := k.Scope == ScopeRead && q.call.Op == OpRead || k.Scope == ScopeWrite && q.call.Op == OpWrite
	switch {
	case !known || expired || k.TokenTrouble != TokensGood:
		return s.refused(http.StatusUnauthorized, "[API] Invalid API key or access token (unrecognized login or wrong password)")
	case k.Frozen == FrozenPayment:
		return s.refused(http.StatusPaymentRequired, "Unavailable Shop")
	case k.Frozen == FrozenLocked:
		return s.refused(http.StatusLocked, "Locked")
	case k.Frozen == FrozenInactive:
		return answer(http.StatusOK, encode(map[string]any{"errors": []any{graphError("SHOP_INACTIVE", "The shop is not active.", q.call)}}))
	case lacks && k.ScopeForm == ScopeStatus:
		return s.refused(http.StatusForbidden, "[API] This action requires merchant approval for write_app_metafields scope.")
	case lacks && k.ScopeForm == ScopeError:
		e := graphError("ACCESS_DENIED", "Access denied for the field. Required access: `write_app_metafields` access scope.", q.call)
		e["extensions"].(map[string]any)["requiredAccess"] = "`write_app_metafields` access scope."
		field := map[Op]string{OpRead: "currentAppInstallation", OpWrite: "metafieldsSet"}[q.call.Op]
		data := map[string]any{field: nil}
		return answer(http.StatusOK, encode(map[string]any{"errors": []any{e}, "data": data}))
	}
	return nil
}

// version is the one that answers: the one asked for, or the oldest served.
func (s *Sim) version(q *request) (string, *reply) {
	k := s.Knobs()
	asked := regexp.MustCompile(`^/admin/api/(20[0-9]{2}-[01][0-9])/graphql\.json$`).FindStringSubmatch(q.URL.Path)
	if asked == nil {
		return "", s.refused(http.StatusNotFound, "Not Found")
	}
	if asked[1] >= k.Oldest {
		return asked[1], nil
	}
	switch k.Unsupported {
	case UnsupportedNotFound:
		return "", s.refused(http.StatusNotFound, "Not Found")
	case UnsupportedBad:
		return "", s.refused(http.StatusBadRequest, "Invalid API version")
	default:
		return k.Oldest, nil
	}
}

// understood parses and validates a query by the types of a version.
func (s *Sim) understood(q *request, version string) (*ast.OperationDefinition, map[string]any, map[string]any) {
	types := s.schemas.of(version)
	doc, errs := gqlparser.LoadQueryWithRules(types, q.sent.Query, rules.NewDefaultRules())
	if len(errs) > 0 {
		return nil, nil, invalid(errs[0], q.call)
	}
	if len(doc.Operations) != 1 {
		return nil, nil, graphError("", "An operation name is required", q.call)
	}
	vars, err := validator.VariableValues(types, doc.Operations[0], q.sent.Variables)
	if err != nil {
		return nil, nil, graphError("INVALID_VARIABLE", err.Error(), q.call)
	}
	return doc.Operations[0], vars, nil
}

// invalid words an error of validation.
func invalid(e *gqlerror.Error, c *Call) map[string]any {
	codes := map[string]string{
		"FieldsOnCorrectType": "undefinedField", "KnownArgumentNames": "argumentNotAccepted",
		"ProvidedRequiredArguments": "missingRequiredArguments", "ValuesOfCorrectType": "argumentLiteralsIncompatible",
		"VariablesInAllowedPosition": "variableMismatch", "ScalarLeafs": "selectionMismatch", "KnownTypeNames": "undefinedType",
	}
	out := graphError(codes[e.Rule], e.Message, c)
	var at []any
	for _, l := range e.Locations {
		at = append(at, map[string]any{"line": l.Line, "column": l.Column})
	}
	out["locations"] = at
	return out
}

// bill takes the cost of a request from the bucket, or says that it is too much.
func (s *Sim) bill(op *ast.OperationDefinition) (cost map[string]any, throttled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, now := s.knobs, time.Now()
	s.points = min(float64(k.Bucket), s.points+now.Sub(s.filled).Seconds()*float64(k.Restore))
	s.filled = now
	price := k.WriteCost * len(op.SelectionSet)
	if op.Operation == ast.Query {
		price = k.ReadCost * (1 + count(op.SelectionSet))
	}
	cost = map[string]any{"requestedQueryCost": price, "actualQueryCost": price}
	if float64(price) > s.points {
		throttled, cost["actualQueryCost"] = true, nil
	} else {
		s.points -= float64(price)
	}
	cost["throttleStatus"] = map[string]any{"maximumAvailable": float64(k.Bucket), "currentlyAvailable": math.Floor(s.points), "restoreRate": float64(k.Restore)}
	if k.CostForm == CostBare {
		delete(cost, "throttleStatus")
	}
	return cost, throttled
}

// count is the number of metafields that a query asks for.
func count(set ast.SelectionSet) (n int) {
	for _, s := range set {
		if f, ok := s.(*ast.Field); ok {
			if f.Name == "metafield" {
				n++
			}
			n += count(f.SelectionSet)
		}
	}
	return n
}

// execute bills and carries out.
func (s *Sim) execute(q *request, op *ast.OperationDefinition, vars map[string]any) *reply {
	k := s.Knobs()
	body := map[string]any{}
	cost, throttled := s.bill(op)
	if k.CostForm != CostNone {
		body["extensions"] = map[string]any{"cost": cost}
	}
	if throttled {
		return s.throttled(k, q, body)
	}
	x := &execution{sim: s, call: q.call, vars: vars, knobs: k}
	s.mu.Lock()
	body["data"] = x.object(op.SelectionSet, x.root(op.Operation))
	s.mu.Unlock()
	switch k.GoodErrors {
	case GoodErrorsNull:
		body["errors"] = nil
	case GoodErrorsEmpty:
		body["errors"] = []any{}
	case GoodErrorsNone:
	}
	if k.StrangerFields {
		body["warnings"], body["notes"] = []any{"a field from the future"}, map[string]any{"data": nil}
	}
	return answer(http.StatusOK, encode(body))
}

func (s *Sim) throttled(k Knobs, q *request, body map[string]any) *reply {
	body["errors"] = []any{graphError("THROTTLED", "Throttled", q.call)}
	status := http.StatusOK
	if k.Throttle != ThrottleOK {
		status = http.StatusTooManyRequests
	}
	out := answer(status, encode(body))
	if k.Throttle == ThrottleBare {
		out.body = nil
	}
	if k.RetryAfter != "" {
		out.header.Set("Retry-After", k.RetryAfter)
	}
	return out
}
