package main

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/cli"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/fsm"
)

// TestReference holds docs/cli.md against the commands themselves, so every
// command and flag is in it. go test ./cmd/pointsman -run Reference -args
// -write writes it anew.
func TestReference(t *testing.T) {
	const page = "../../docs/cli.md"
	app := &cli.App{Env: func(string) (string, bool) { return "", false }}
	var want bytes.Buffer
	if err := cli.WriteReference(&want, app.Root()); err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("write").Value.String() == "true" {
		if err := os.WriteFile(page, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(have)); diff != "" {
		t.Errorf("docs/cli.md is not what the commands say (-want +have):\n%s", diff)
	}
}

// TestEveryCommandIsExplained fails for a command or flag without words.
func TestEveryCommandIsExplained(t *testing.T) {
	app := &cli.App{Env: func(string) (string, bool) { return "", false }}
	for _, c := range cli.Commands(app.Root()) {
		if c.Short == "" || (c.Args == nil && c.Runnable() && !c.DisableFlagParsing && c.Parent().Name() != "completion") {
			t.Errorf("%s: no short text, or arguments that nothing checks", c.CommandPath())
		}
	}
}

// TestErrorsPage holds docs/errors.md against the tables that it is written
// from.
func TestErrorsPage(t *testing.T) {
	const page = "../../docs/errors.md"
	var want bytes.Buffer
	if err := fault.WritePage(&want); err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("write").Value.String() == "true" {
		if err := os.WriteFile(page, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(have)); diff != "" {
		t.Errorf("docs/errors.md is not what the tables say; make docs writes it (-want +have):\n%s", diff)
	}
}

// TestEveryReasonIsExplained: each word that a user can meet has its cause and
// cure, and no word is explained that nobody says.
func TestEveryReasonIsExplained(t *testing.T) {
	reasons := constants(t, "Reason", "../../api")
	for r := fsm.Refusal(1); r.Reason() != "UNKNOWN_REFUSAL"; r++ {
		reasons = append(reasons, r.Reason())
	}
	reasons = append(reasons, constants(t, "Against", "../../sentinel")...)
	alerts := constants(t, "Alert", "../../api", "../../sentinel", "../../coordinator")
	for name, row := range map[string]struct {
		said      []string
		explained []fault.Reason
	}{"reasons": {reasons, fault.Reasons()}, "alerts": {alerts, fault.Alerts()}} {
		var words []string
		for _, r := range row.explained {
			words = append(words, r.Word)
			if r.Cause == "" || r.Cure == "" {
				t.Errorf("%s: %s has no cause or no cure", name, r.Word)
			}
		}
		if !slices.IsSorted(words) {
			t.Errorf("%s are not in order: %v", name, words)
		}
		slices.Sort(row.said)
		said := slices.Compact(row.said)
		if len(said) < 20 {
			t.Fatalf("%s: only %d were found in the source", name, len(said))
		}
		if diff := cmp.Diff(said, words); diff != "" {
			t.Errorf("%s in internal/fault/reasons.go (-said +explained):\n%s", name, diff)
		}
	}
}

// constants are the values of the string constants of some packages whose
// names begin with a prefix.
func constants(t *testing.T, prefix string, dirs ...string) (all []string) {
	t.Helper()
	for _, dir := range dirs {
		names, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
					return true
				}
				if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					value, _ := strconv.Unquote(lit.Value)
					all = append(all, value)
				}
				return true
			})
		}
	}
	return all
}
