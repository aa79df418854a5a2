package schema

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/pointsman/pointsman/deploy/samples"
)

// check walks a value beside its schema, by the words that this package
// writes; one that it does not know fails the test, so none goes unchecked.
func check(root, s map[string]any, v any, path string) error {
	for word, rule := range s {
		if err := checkWord(root, s, word, rule, v, path); err != nil {
			return err
		}
	}
	return nil
}

func checkWord(root, s map[string]any, word string, rule, v any, path string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s: %s", path, word, fmt.Sprintf(format, args...))
	}
	m, _ := v.(map[string]any)
	list, _ := v.([]any)
	text, isText := v.(string)
	number, isNumber := v.(float64)
	switch word {
	case "$schema", "$defs", "title", "description":
	case "$ref":
		name := strings.TrimPrefix(rule.(string), "#/$defs/")
		return check(root, root["$defs"].(map[string]any)[name].(map[string]any), v, path)
	case "type":
		if !isType(rule.(string), v) {
			return wrong("%T is no %s", v, rule)
		}
	case "properties":
		for name, value := range m {
			if p, known := rule.(map[string]any)[name]; known {
				if err := check(root, p.(map[string]any), value, path+"."+name); err != nil {
					return err
				}
			}
		}
	case "additionalProperties":
		known, _ := s["properties"].(map[string]any)
		for name, value := range m {
			if known[name] != nil {
				continue
			}
			more, open := rule.(map[string]any)
			if !open {
				return wrong("%s is unknown", name)
			}
			if err := check(root, more, value, path+"."+name); err != nil {
				return err
			}
		}
	case "propertyNames":
		for name := range m {
			if err := check(root, rule.(map[string]any), name, path+" name"); err != nil {
				return err
			}
		}
	case "required":
		for _, name := range rule.([]any) {
			if _, set := m[name.(string)]; m != nil && !set {
				return wrong("%s is missing", name)
			}
		}
	case "items":
		for i, one := range list {
			if err := check(root, rule.(map[string]any), one, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case "oneOf", "anyOf", "allOf":
		hits := 0
		for _, one := range rule.([]any) {
			if check(root, one.(map[string]any), v, path) == nil {
				hits++
			}
		}
		all := len(rule.([]any))
		if word == "oneOf" && hits != 1 || word == "anyOf" && hits == 0 || word == "allOf" && hits != all {
			return wrong("%d of %d hold", hits, all)
		}
	case "not":
		if check(root, rule.(map[string]any), v, path) == nil {
			return wrong("holds")
		}
	case "const":
		if v != rule {
			return wrong("%v is not %v", v, rule)
		}
	case "pattern":
		if isText && !regexp.MustCompile(rule.(string)).MatchString(text) {
			return wrong("%q does not match %s", text, rule)
		}
	case "minLength", "maxLength":
		if isText && (word == "minLength" && float64(len(text)) < rule.(float64) || word == "maxLength" && float64(len(text)) > rule.(float64)) {
			return wrong("%d characters", len(text))
		}
	case "minimum", "exclusiveMinimum", "maximum":
		b := rule.(float64)
		if isNumber && (word == "minimum" && number < b || word == "exclusiveMinimum" && number <= b || word == "maximum" && number > b) {
			return wrong("%v", number)
		}
	case "minItems", "maxItems":
		if list != nil && (word == "minItems" && float64(len(list)) < rule.(float64) || word == "maxItems" && float64(len(list)) > rule.(float64)) {
			return wrong("%d items", len(list))
		}
	case "minProperties", "maxProperties", "uniqueItems": // the samples do not come near
	default:
		return wrong("this test does not know the word")
	}
	return nil
}

func isType(want string, v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return want == "object"
	case []any:
		return want == "array"
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case float64:
		return want == "integer" && v == float64(int64(v))
	}
	return false
}

func schemas(t *testing.T) (node, spec map[string]any) {
	t.Helper()
	for i, write := range []func() ([]byte, error){Node, Spec} {
		text, err := write()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, []*map[string]any{&node, &spec}[i]); err != nil {
			t.Fatal(err)
		}
	}
	return node, spec
}

func read(t *testing.T, text string) (v any) {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = json.Unmarshal(raw, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSamplesHold(t *testing.T) {
	node, spec := schemas(t)
	if err := check(node, node, read(t, samples.Node()), "node"); err != nil {
		t.Error(err)
	}
	if err := check(spec, spec, read(t, samples.Spec()), "spec"); err != nil {
		t.Error(err)
	}
	text, err := Webhook()
	if err != nil {
		t.Fatal(err)
	}
	var webhook map[string]any
	if err := json.Unmarshal(text, &webhook); err != nil {
		t.Fatal(err)
	}
	if err := check(webhook, webhook, read(t, samples.Webhook()), "webhook"); err != nil {
		t.Error(err)
	}
}

// TestSlipsAreFound: each slip in a sample that is well otherwise is refused.
func TestSlipsAreFound(t *testing.T) {
	node, spec := schemas(t)
	const good = `
masters:
  - id: cache
    drift: repair
    sentinel: {name: mymaster, addresses: ["10.0.1.10:26379"], password: "env:PW"}
    candidates: [{address: "10.0.1.20:6379", zone: a}]
    plan:
      - stage: cutover
        steps:
          - {name: lb, target: lb, timeout: 2s, ovh_iplb: {frontend: 1, farms: {"10.0.1.20:6379": 11}}}
targets:
  lb: {hold: 10s, rate: 60, ovh_iplb: {endpoint: ovh-eu, service: ip-203.0.113.7, credentials: "file:/etc/ovh.conf"}}
`
	if err := check(spec, spec, read(t, good), "spec"); err != nil {
		t.Fatal(err)
	}
	for _, slip := range [][2]string{
		{"id: cache", "id: Cache"}, {"id: cache", "idd: cache"}, {"drift: repair", "drift: mend"}, {"name: mymaster, ", ""},
		{"env:PW", "hunter2"}, {"10.0.1.10:26379", "10.0.1.10"}, {"zone: a", "zone: 1"}, {"timeout: 2s", "timeout: 2"},
		{"frontend: 1", "frontend: 0"}, {`{"10.0.1.20:6379": 11}`, `{"10.0.1.20": 11}`}, {"lb: {hold", "LB: {hold"},
		{"timeout: 2s, ", "timeout: 2s, setting: {key: a, value: b}, "}, {", ovh_iplb: {frontend: 1, farms: {\"10.0.1.20:6379\": 11}}", ""},
	} {
		if check(spec, spec, read(t, strings.Replace(good, slip[0], slip[1], 1)), "spec") == nil {
			t.Errorf("%q instead of %q was taken", slip[1], slip[0])
		}
	}
	for text, want := range map[string]bool{
		"{id: n1, zone: a}": true, "{id: n1, zone: a, disk_floor: 512MiB}": true, "{id: n1, zone: a, disk_floor: 1000}": true,
		"{id: n1, zone: a, timing: calm, log: {level: warn}}": true, "{id: n1}": false, "{id: n1, zone: a, disk_floor: lots}": false,
		"{id: n1, zone: a, data_dir: here}": false, "{id: n1, zone: a, insecure: 1}": false,
	} {
		if got := check(node, node, read(t, text), "node") == nil; got != want {
			t.Errorf("%s: taken %v, want %v", text, got, want)
		}
	}
}

// TestEveryFieldIsExplained: comments.json is as old as the .proto files.
func TestEveryFieldIsExplained(t *testing.T) {
	node, spec := schemas(t)
	var walk func(s map[string]any, path string)
	walk = func(s map[string]any, path string) {
		fields, _ := s["properties"].(map[string]any)
		for name, f := range fields {
			if f.(map[string]any)["description"] == nil {
				t.Errorf("%s.%s has no description: make docs", path, name)
			}
		}
		defs, _ := s["$defs"].(map[string]any)
		for name, d := range defs {
			walk(d.(map[string]any), name)
		}
	}
	walk(node, "node")
	walk(spec, "spec")
	if names := []string{"Listen", "Peer"}; !slices.ContainsFunc(names, func(n string) bool { return node["$defs"].(map[string]any)[n] != nil }) {
		t.Error("the node file's schema holds no messages")
	}
}
