package chaos

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

// buildWithin bounds the compilation of the two programs.
const buildWithin = 5 * time.Minute

// build compiles the programs into a folder of the test.
func build(t *testing.T, tags string) string {
	t.Helper()
	dir := t.TempDir()
	if planted.Warning() != "" { // this test has the tag: so have the programs that it judges
		tags += ",mutants"
	}
	ctx, cancel := context.WithTimeout(t.Context(), buildWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-tags", tags, "-o", dir+string(filepath.Separator),
		"github.com/pointsman/pointsman/cmd/pointsman", "github.com/pointsman/pointsman/cmd/pointsman-lab")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

// files lists what is in a folder.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
