package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/cli"
)

const planned = "# and in a plan:\n"

// TestTargetPages: the sample of each page under docs/targets is a spec that
// this program takes.
func TestTargetPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/targets/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			targets, steps, ok := strings.Cut(block, planned)
			if !ok {
				continue
			}
			found++
			var plan strings.Builder
			for line := range strings.Lines(steps) {
				plan.WriteString("        " + line)
			}
			spec := filepath.Join(t.TempDir(), "spec.yaml")
			if err := os.WriteFile(spec, []byte(targets+sampleMaster+plan.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			app := &cli.App{
				In: strings.NewReader(""), Out: &out, Err: &out, Env: func(string) (string, bool) { return "", false },
				Width: func() int { return 100 }, Kinds: kinds(), Version: "test",
			}
			if code := app.Run(t.Context(), []string{"spec", "validate", "-f", spec}); code != 0 {
				t.Errorf("%s: exit %d: %s", page, code, &out)
			}
		}
	}
	if found < 3 {
		t.Errorf("%d pages with a sample", found)
	}
}

const sampleMaster = `
masters:
  - id: cache
    sentinel: {name: mymaster, addresses: ["10.0.1.10:26379", "10.0.2.10:26379", "10.0.3.10:26379"]}
    candidates:
      - {address: "10.0.1.20:6379", zone: par-a}
      - {address: "10.0.2.20:6379", zone: par-b}
    plan:
      - stage: cutover
        steps:
`
