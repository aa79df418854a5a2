package apps

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const need = "../tools/need.sh"

// interpreters makes sure that what the samples run on is there: it is installed
// where that may be done. Where it may not, the test is left out, loudly, but
// never in CI.
func interpreters(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", need, "apps").CombinedOutput()
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" || os.Geteuid() == 0 {
		t.Fatalf("what the samples run on is missing and cannot be installed: %v\n%s", err, out)
	}
	t.Skipf("THE SAMPLES FOR APPS ARE NOT TESTED: %s", out)
}

// build compiles the program and a Go sample.
func build(t *testing.T, file string) (pointsman, sample string) {
	t.Helper()
	dir := t.TempDir()
	pointsman, sample = filepath.Join(dir, "pointsman"), filepath.Join(dir, "sample")
	for path, what := range map[string]string{
		pointsman: "github.com/pointsman/pointsman/cmd/pointsman",
		sample:    file,
	} {
		out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, what).CombinedOutput()
		if err != nil {
			t.Fatalf("build %s: %v\n%s", what, err, out)
		}
	}
	return pointsman, sample
}
