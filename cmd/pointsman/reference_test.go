package main

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/cli"
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
