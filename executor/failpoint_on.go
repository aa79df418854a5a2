//go:build failpoints

package executor

import (
	"os"
	"path/filepath"
	"syscall"

	"github.com/pointsman/pointsman/fsm"
)

// crashAt kills the process without any clean-up when the folder named by
// POINTSMAN_FAILPOINTS_DIR holds a file called "<step>.<point>", such as
// "lb.claimed", "refresh.acted" or "url.before-settle". The file is removed
// first, so that the process that is started again lives.
func crashAt(p point, a fsm.Action) {
	dir := os.Getenv("POINTSMAN_FAILPOINTS_DIR")
	if dir == "" {
		return
	}
	file := filepath.Join(dir, a.Step.Name+"."+string(p))
	if os.Remove(file) != nil {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal ends it; nothing may run on
}

// FailpointNames lists the crash points by the suffix of their files; the
// prefix is the step's name, "refresh" for a refresh.
func FailpointNames() []string {
	var names []string
	for _, p := range []point{beforeObserve, observed, beforeClaim, claimed, looked, acted, released, readBack, beforeSettle, settled, followed} {
		names = append(names, string(p))
	}
	return names
}
