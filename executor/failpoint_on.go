//go:build failpoints

package executor

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// inFlight bounds how far a proposal comes before the process dies in its
// midst: about as long as it takes to be committed on a loaded machine.
const inFlight = 3 * time.Millisecond

// crashAt kills the process without any clean-up when the folder named by
// POINTSMAN_FAILPOINTS_DIR holds a file called "<step>.<point>", such as
// "lb.claimed", "refresh.acted" or "url.before-settle". A file that says "stop"
// stops it with SIGSTOP instead: it goes on from the same instruction when it
// is continued. The file is removed first, so that the process that is started
// again lives.
func crashAt(p point, a fsm.Action) {
	if sig, ok := armed(p, a); ok {
		strike(sig)
	}
}

// crashDuring does the same some moment within inFlight from now, in the midst
// of the call that comes next.
func crashDuring(p point, a fsm.Action) {
	if sig, ok := armed(p, a); ok {
		time.AfterFunc(rand.N(inFlight), func() { strike(sig) })
	}
}

func armed(p point, a fsm.Action) (syscall.Signal, bool) {
	dir := os.Getenv("POINTSMAN_FAILPOINTS_DIR")
	if dir == "" {
		return 0, false
	}
	file := filepath.Join(dir, a.Step.Name+"."+string(p))
	text, err := os.ReadFile(file)
	if err != nil || os.Remove(file) != nil {
		return 0, false
	}
	if string(text) == "stop" {
		return syscall.SIGSTOP, true
	}
	return syscall.SIGKILL, true
}

// strike sends the signal to the very thread that runs here, so that this
// goroutine comes no further.
func strike(sig syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = syscall.Tgkill(os.Getpid(), syscall.Gettid(), sig)
	if sig == syscall.SIGKILL {
		select {} // nothing may run on
	}
}

// FailpointNames lists the crash points by the suffix of their files; the
// prefix is the step's name, "refresh" for a refresh.
func FailpointNames() []string {
	var names []string
	for _, p := range []point{
		beforeObserve, proposing, observed, beforeClaim, claimed, looked, acted, released, readBack, beforeSettle, settling, settled, followed,
	} {
		names = append(names, string(p))
	}
	return names
}
