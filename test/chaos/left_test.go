//go:build !failpoints

package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
