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

// build compiles the named programs into a folder of the test.
func build(t *testing.T, tags string, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	if planted.Warning() != "" { // this test has the tag: so have the programs that it judges
		tags += ",mutants"
	}
	ctx, cancel := context.WithTimeout(t.Context(), buildWithin)
	defer cancel()
	args := []string{"build", "-buildvcs=false", "-tags", tags, "-o", dir + string(filepath.Separator)}
	for _, p := range programs {
		args = append(args, "github.com/pointsman/pointsman/cmd/"+p)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
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
