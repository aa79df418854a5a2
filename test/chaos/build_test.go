package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildWithin bounds the compilation of the two programs.
const buildWithin = 5 * time.Minute

// build compiles the programs into a folder of the test.
func build(t *testing.T, tags string) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), buildWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-tags", tags, "-o", dir+string(filepath.Separator),
		"github.com/pointsman/pointsman/cmd/pointsman", "github.com/pointsman/pointsman/cmd/pointsman-lab")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

// left lists the processes whose program or working folder lies under root: the
// test's own children and grandchildren, and nobody else's.
func left(t *testing.T, root string) (list []string) {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		for _, link := range []string{"exe", "cwd"} {
			to, err := os.Readlink(filepath.Join(p, link))
			if err == nil && strings.HasPrefix(to, root+"/") {
				list = append(list, fmt.Sprintf("%s: %s %s", filepath.Base(p), link, to))
				break
			}
		}
	}
	return list
}

// clean waits until no process of root is left, and says which are.
func clean(t *testing.T, root string, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		list := left(t, root)
		if len(list) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s still running:\n%s", within, strings.Join(list, "\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
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
