package api

import (
	"encoding/json"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pointsman/pointsman/api/gateway"
)

// methods are all methods of the contract.
func methods() iter.Seq[protoreflect.MethodDescriptor] {
	return func(yield func(protoreflect.MethodDescriptor) bool) {
		protoregistry.GlobalFiles.RangeFilesByPackage("pointsman.v1", func(f protoreflect.FileDescriptor) bool {
			for i := range f.Services().Len() {
				s := f.Services().Get(i)
				for j := range s.Methods().Len() {
					if !yield(s.Methods().Get(j)) {
						return false
					}
				}
			}
			return true
		})
	}
}

// operation is one HTTP rule, as the OpenAPI document has it.
type operation struct {
	ID         string `json:"operationId"`
	Parameters []struct {
		Name, In, Pattern string
	} `json:"parameters"`
}

func operations(t *testing.T) map[string]map[string]operation {
	t.Helper()
	var document struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal([]byte(gateway.OpenAPI()), &document); err != nil {
		t.Fatal(err)
	}
	return document.Paths
}

// Every method of the contract can be called over HTTP, and every rule is of a
// method. Rules stand in proto/pointsman/v1/http.yaml.
func TestEveryMethodHasARule(t *testing.T) {
	ruled := map[string]bool{}
	for _, verbs := range operations(t) {
		for _, op := range verbs {
			ruled[op.ID] = true
		}
	}
	known := 0
	for m := range methods() {
		known++
		if m.IsStreamingClient() { // HTTP has no such thing; KeepAlive is Renew as a stream
			continue
		}
		if id := string(m.Parent().Name()) + "_" + string(m.Name()); !ruled[id] {
			t.Errorf("%s has no HTTP rule, or `make generate` was not run", id)
		}
	}
	if known < 20 {
		t.Errorf("only %d methods were found", known)
	}
}

// Every documented path is served, by the documented HTTP method.
func TestEveryRuleIsServed(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	s := w.nodes["n1"].server
	for path, verbs := range operations(t) {
		for verb, op := range verbs {
			at := path
			for _, p := range op.Parameters {
				if p.In != "path" {
					continue
				}
				sample := "1"
				if p.Pattern != "" {
					sample = strings.NewReplacer("[^/]+", "1", ".+", "1/2").Replace(p.Pattern)
				}
				at = strings.ReplaceAll(at, "{"+p.Name+"}", sample)
			}
			r := httptest.NewRequest(http.MethodGet, at, nil)
			if allowed := s.gateway.allowed(r); !slices.Contains(allowed, strings.ToUpper(verb)) {
				t.Errorf("%s %s, for instance %s: the path takes %v", verb, path, at, allowed)
			}
		}
	}
}
