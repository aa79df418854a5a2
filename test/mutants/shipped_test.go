package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/internal/planted"
)

// build compiles the program with some tags and gives its bytes.
func build(t *testing.T, tags string) (path string, program []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pointsman")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-tags", tags, "-o", path, "../../cmd/pointsman")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, program
}

// TestNoMutantIsShipped looks for every name in the program as it is built for
// users, and in one built with the tag, where they must be found.
func TestNoMutantIsShipped(t *testing.T) {
	_, shipped := build(t, "")
	marked, tagged := build(t, "mutants")
	for _, word := range append(names(), planted.Variable, "internal/planted") {
		if bytes.Contains(shipped, []byte(word)) {
			t.Errorf("%q is in the program without the tag", word)
		}
		if !bytes.Contains(tagged, []byte(word)) {
			t.Errorf("%q is not in the program with the tag: this test looks for the wrong thing", word)
		}
	}
	cmd := exec.CommandContext(t.Context(), marked, "version")
	cmd.Env = append(os.Environ(), planted.Variable+"="+string(planted.SkipWindow))
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("skip-window")) || !bytes.Contains(out, []byte("on purpose")) {
		t.Errorf("its version does not warn: %v\n%s", err, out)
	}
	cmd = exec.CommandContext(t.Context(), marked, "version")
	cmd.Env = append(os.Environ(), planted.Variable+"=no-such")
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("no such planted bug")) {
		t.Errorf("an unknown name is taken: %v\n%s", err, out)
	}
}

func names() (all []string) {
	for _, e := range planted.Bugs() {
		all = append(all, string(e.Name))
	}
	return all
}

// TestTableIsWhole: each bug asked for in the code is in the table and the other
// way round, has its catchers, and is told in the documentation.
func TestTableIsWhole(t *testing.T) {
	text, err := os.ReadFile("../../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[planted.Name]bool{}
	for _, e := range planted.Bugs() {
		if seen[e.Name] || e.Guard == "" || e.Guarantee != "leases" && !strings.HasPrefix(e.Guarantee, "G") {
			t.Errorf("entry %+v is twice in the table or not whole", e)
		}
		seen[e.Name] = true
		if c, ok := catchers()[e.Name]; !ok || c.whole.pkg == "" {
			t.Errorf("nobody is named to catch %s", e.Name)
		}
		if !bytes.Contains(text, []byte("`"+string(e.Name)+"`")) {
			t.Errorf("docs/guarantees.md does not name %s: go run ./test/mutants -markdown", e.Name)
		}
	}
	for name := range catchers() {
		if !seen[name] {
			t.Errorf("%q has catchers and is not in the table", name)
		}
	}
	if asked := len(slices.Compact(slices.Sorted(slices.Values(names())))); asked != len(seen) {
		t.Errorf("%d names, %d entries", asked, len(seen))
	}
}
