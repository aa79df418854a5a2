package schema

import (
	"regexp"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Patterns of values that YAML writes as text.
const (
	spanPattern = `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$` // 500ms, 1h30m
	sizePattern = `^[0-9]+([kKMGTPE]i?)?B?$`                  // 512MiB
	hostPattern = `^(\[[0-9A-Fa-f:.%]+\]|[^\[\]:\s]+):[0-9]{1,5}$`
)

// Rules of the form this.matches('...') and this.startsWith('...') are
// patterns; others say more than JSON Schema can.
const (
	matches    = `^this\.matches\('([^']*)'\)$`
	startsWith = `^this\.startsWith\('([^']*)'\)$`
)

func rulesOf(f protoreflect.FieldDescriptor) (*validate.FieldRules, error) {
	return protovalidate.ResolveFieldRules(f)
}

func ignoresZero(r *validate.FieldRules) bool {
	return r.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE
}

// bound adds a value's rules. With zero its empty value is taken too.
func bound(out object, f protoreflect.FieldDescriptor, r *validate.FieldRules, zero bool) {
	if r == nil {
		return
	}
	switch f.Kind() {
	case protoreflect.StringKind:
		stringBounds(out, r, zero)
	case protoreflect.Uint32Kind:
		if r.GetUint32().HasLte() {
			out["maximum"] = r.GetUint32().GetLte()
		}
	case protoreflect.Int64Kind:
		if r.GetInt64().HasGt() {
			out["exclusiveMinimum"] = r.GetInt64().GetGt()
		}
	}
}

func stringBounds(out object, r *validate.FieldRules, zero bool) {
	s := r.GetString()
	if s.HasMaxLen() {
		out["maxLength"] = s.GetMaxLen()
	}
	if r.GetRequired() {
		out["minLength"] = 1
	}
	var all []string
	if s.GetPattern() != "" {
		all = append(all, s.GetPattern())
	}
	if s.GetHostAndPort() {
		all = append(all, hostPattern)
	}
	for _, rule := range r.GetCel() {
		if p := patternOf(rule.GetExpression()); p != "" {
			all = append(all, p)
		}
	}
	var both []any
	for _, p := range all {
		if zero {
			p = "^$|" + p
		}
		both = append(both, object{"pattern": p})
	}
	switch len(both) {
	case 0:
	case 1:
		out["pattern"] = both[0].(object)["pattern"]
	default:
		out["allOf"] = both
	}
}

// patternOf is a rule as a pattern; empty when it says something else.
func patternOf(expression string) string {
	if m := regexp.MustCompile(matches).FindStringSubmatch(expression); m != nil {
		return m[1]
	}
	if m := regexp.MustCompile(startsWith).FindStringSubmatch(expression); m != nil {
		return "^" + regexp.QuoteMeta(m[1])
	}
	return ""
}

func listBounds(out object, r *validate.RepeatedRules) {
	if r.HasMinItems() {
		out["minItems"] = r.GetMinItems()
	}
	if r.HasMaxItems() {
		out["maxItems"] = r.GetMaxItems()
	}
	if r.GetUnique() {
		out["uniqueItems"] = true
	}
}

func mapBounds(out object, r *validate.MapRules) {
	if r.HasMinPairs() {
		out["minProperties"] = r.GetMinPairs()
	}
	if r.HasMaxPairs() {
		out["maxProperties"] = r.GetMaxPairs()
	}
}

// oneof says that at most one of some fields is set, or exactly one.
func oneof(out object, o protoreflect.OneofDescriptor) error {
	if o.IsSynthetic() {
		return nil
	}
	rules, err := protovalidate.ResolveOneofRules(o)
	if err != nil {
		return err
	}
	var choices, each []any
	for i := range o.Fields().Len() {
		one := object{"required": []string{string(o.Fields().Get(i).Name())}}
		choices, each = append(choices, one), append(each, one)
	}
	if !rules.GetRequired() {
		choices = append(choices, object{"not": object{"anyOf": each}})
	}
	out["oneOf"] = choices
	return nil
}
