package ovh

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// facts is the provider's schema in our form, in testdata/models.json.
type facts struct {
	Models map[string]map[string]string `json:"models"`
	Create map[string]map[string]string `json:"create"`
}

func readFacts(t *testing.T) facts {
	t.Helper()
	b, err := os.ReadFile("testdata/models.json")
	if err != nil {
		t.Fatal(err)
	}
	var f facts
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// conforms says why a decoded answer is not of a type; empty if it is.
func (f facts) conforms(v any, kind string) string {
	kind = strings.TrimSuffix(kind, "!")
	kind, nullable := strings.CutSuffix(kind, "?")
	if v == nil {
		if nullable {
			return ""
		}
		return "null where the model has none"
	}
	if element, list := strings.CutSuffix(kind, "[]"); list {
		items, ok := v.([]any)
		if !ok {
			return fmt.Sprintf("%v is no list", v)
		}
		for _, item := range items {
			if why := f.conforms(item, element); why != "" {
				return why
			}
		}
		return ""
	}
	if model, ok := f.Models[kind]; ok {
		return f.conformsModel(v, model)
	}
	return conformsScalar(v, kind)
}

func (f facts) conformsModel(v any, model map[string]string) string {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("%v is no object", v)
	}
	got, want := slices.Sorted(maps.Keys(object)), slices.Sorted(maps.Keys(model))
	if !slices.Equal(got, want) {
		return fmt.Sprintf("fields %v, the model has %v", got, want)
	}
	for name, kind := range model {
		if why := f.conforms(object[name], kind); why != "" {
			return name + ": " + why
		}
	}
	return ""
}

func conformsScalar(v any, kind string) string {
	text, isText := v.(string)
	number, isNumber := v.(float64)
	_, isBool := v.(bool)
	words, enum := strings.CutPrefix(kind, "enum:")
	switch {
	case enum && isText && slices.Contains(strings.Split(words, "|"), text):
		return ""
	case kind == "string" && isText, kind == "boolean" && isBool:
		return ""
	case kind == "integer" && isNumber && number == float64(int64(number)):
		return ""
	case kind == "date" && isText:
		if _, err := time.Parse(time.RFC3339, text); err == nil {
			return ""
		}
	case kind == "map<string>":
		if _, ok := v.(map[string]any); ok {
			return ""
		}
	}
	return fmt.Sprintf("%v is no %s", v, kind)
}

func TestAnswersCarryTheModel(t *testing.T) {
	f := readFacts(t)
	bubble(t, knobs(func(k *Knobs) { k.ReadOnly = Refuse }), func(t *testing.T, _ *Sim, c *caller) {
		c.swing(farmB, "cache")
		task := c.refresh()
		for _, row := range []struct{ method, path, body, kind string }{
			{"GET", "/auth/currentCredential", "", "ApiCredential"},
			{"GET", "/auth/time", "", "integer"},
			{"GET", "/ipLoadbalancing", "", "string[]"},
			{"GET", base, "", "IpWithIAM"},
			{"GET", base + "/zone", "", "string[]"},
			{"GET", base + "/zone/gra", "", "Zone"},
			{"GET", base + "/status", "", "Status"},
			{"GET", base + "/pendingChanges", "", "PendingChanges[]"},
			{"GET", base + "/task", "", "integer[]"},
			{"GET", fmt.Sprintf("%s/task/%d", base, task.ID), "", "Task"},
			{"POST", base + "/refresh", `{"zone":"gra"}`, "Task"},
			{"GET", base + "/tcp/farm", "", "integer[]"},
			{"GET", base + "/tcp/farm/11", "", "BackendTcp"},
			{"POST", base + "/tcp/farm", `{"zone":"all","probe":{"type":"tcp","interval":30}}`, "BackendTcp"},
			{"GET", base + "/tcp/farm/11/server", "", "integer[]"},
			{"GET", base + "/tcp/farm/11/server/21", "", "BackendTCPServer"},
			{"POST", base + "/tcp/farm/11/server", `{"address":"10.0.3.20","status":"active"}`, "BackendTCPServer"},
			{"GET", base + "/tcp/frontend", "", "integer[]"},
			{"GET", frontURL, "", "FrontendTcp"},
			{"POST", base + "/tcp/frontend", `{"port":"6380","zone":"gra"}`, "FrontendTcp"},
		} {
			var got any
			c.want(200, row.method, row.path, row.body).decode(t, &got)
			if why := f.conforms(got, row.kind); why != "" {
				t.Errorf("%s %s: %s", row.method, row.path, why)
			}
		}
	})
}

// TestModelsSayWhoSetsWhat holds the tables that validate bodies against the schema.
func TestModelsSayWhoSetsWhat(t *testing.T) {
	f := readFacts(t)
	for name, model := range map[string][]field{
		"FrontendTcp": frontendModel(), "BackendTcp": farmModel(), "BackendTCPServer": serverModel(), "BackendProbe": probeModel(),
	} {
		if len(model) != len(f.Models[name]) {
			t.Errorf("%s has %d fields, the schema %d", name, len(model), len(f.Models[name]))
		}
		for _, line := range model {
			kind := f.Models[name][line.name]
			if got, want := line.readOnly, strings.HasSuffix(kind, "!"); got != want {
				t.Errorf("%s.%s: read only %t, in the schema %t", name, line.name, got, want)
			}
			if got, want := line.null, strings.Contains(kind, "?"); got != want {
				t.Errorf("%s.%s: nullable %t, in the schema %t", name, line.name, got, want)
			}
			if words, ok := strings.CutPrefix(strings.TrimRight(kind, "?!"), "enum:"); ok {
				for word := range strings.SplitSeq(words, "|") {
					if !line.kind(json.RawMessage(`"` + word + `"`)) {
						t.Errorf("%s.%s refuses %q", name, line.name, word)
					}
				}
				if line.kind(json.RawMessage(`"no such word"`)) {
					t.Errorf("%s.%s takes any word", name, line.name)
				}
			}
			create, known := f.Create[name]
			if known && (line.create != (create[line.name] != "") || line.required != (create[line.name] == "required")) {
				t.Errorf("%s.%s: create %t, required %t; the schema says %q", name, line.name, line.create, line.required, create[line.name])
			}
		}
	}
	words := strings.TrimPrefix(strings.TrimSuffix(f.Models["Task"]["action"], "!"), "enum:")
	if got := strings.Join(taskActions(), "|"); got != words {
		t.Errorf("task actions %s, the schema has %s", got, words)
	}
}
