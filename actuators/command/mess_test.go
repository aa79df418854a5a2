package command_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// TestMuchOutput: a gigabyte goes by, its end is kept.
func TestMuchOutput(t *testing.T) {
	const limit = 64 << 20
	r := newRig(t, `head -c 1073741824 /dev/zero; echo; echo the end; exit 2`, "", &pb.CommandStep{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := r.act(t, time.Minute)
	runtime.ReadMemStats(&after)
	if x := actuators.Explain(err); !x.Permanent || !strings.Contains(err.Error(), "exit 2") || !strings.Contains(err.Error(), "the end") || len(err.Error()) > 600 {
		t.Errorf("%v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > limit {
		t.Errorf("allocated %d bytes", took)
	}
}

// TestEndlessOutputEndsWithItsTime.
func TestEndlessOutputEndsWithItsTime(t *testing.T) {
	r := newRig(t, `while :; do echo "again $API_TOKEN"; done`, "", &pb.CommandStep{})
	began := time.Now()
	_, err := r.act(t, time.Second)
	if x := actuators.Explain(err); !x.Doubt || !strings.Contains(err.Error(), "its time had run out") || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

// TestChildOfItsOwnSessionHoldsNobodyUp: it escapes the group and keeps the pipe
// open. Its program has ended, and that is the word that counts.
func TestChildOfItsOwnSessionHoldsNobodyUp(t *testing.T) {
	r := newRig(t, `setsid sh -c 'echo $$ > "$1"; exec sleep 60' x "${0%/*}/child" & while [ ! -s "${0%/*}/child" ]; do sleep 0.01; done; echo done`, "", &pb.CommandStep{})
	began := time.Now()
	out, err := r.act(t, patience)
	took := time.Since(began)
	raw, readErr := os.ReadFile(filepath.Join(r.dir, "child"))
	if readErr != nil {
		t.Fatal(readErr)
	}
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(raw)))
	if convErr != nil {
		t.Fatal(convErr)
	}
	if alive := syscall.Kill(pid, 0); alive != nil {
		t.Errorf("the child is not there: the test shows nothing: %v", alive)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
	gone(t, pid)
	if err != nil || len(out.Requests) != 1 || took > 10*time.Second {
		t.Errorf("%+v, %v after %s", out, err, took)
	}
}
