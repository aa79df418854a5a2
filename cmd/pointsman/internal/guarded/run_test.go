package guarded

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

var errLost = errors.New("lost")

// output is written by a command while a test reads it.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

func (o *output) wait(t *testing.T, words string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(o.String(), words); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never said %q: %q", words, o)
		}
	}
}

// job is one command under a lease that the test ends.
type job struct {
	out   output
	lose  context.CancelCauseFunc
	drain chan struct{}
	done  chan struct{}
	end   End
	err   error
}

func begin(t *testing.T, grace time.Duration, script string) *job {
	j := &job{drain: make(chan struct{}), done: make(chan struct{})}
	var ctx context.Context
	ctx, j.lose = context.WithCancelCause(t.Context())
	go func() {
		defer close(j.done)
		j.end, j.err = Run(ctx, Lease{ID: "jobs/3", Token: 1 << 60, Address: "10.0.0.1:6379", Draining: j.drain},
			Command{Args: []string{"sh", "-c", script}, Out: &j.out, Err: &j.out, Grace: grace})
	}()
	t.Cleanup(func() { j.lose(nil); <-j.done })
	return j
}

func (j *job) finish(t *testing.T, code int, cut error) {
	t.Helper()
	select {
	case <-j.done:
	case <-time.After(patience):
		t.Fatalf("no end: %q", &j.out)
	}
	if j.err != nil || j.end.Code != code || !errors.Is(j.end.Cut, cut) {
		t.Errorf("code %d, cut %v, %v; want %d, %v: %q", j.end.Code, j.end.Cut, j.err, code, cut, &j.out)
	}
}

func TestEndsByItself(t *testing.T) {
	j := begin(t, time.Second, `echo $POINTSMAN_LEASE $POINTSMAN_LEASE_TOKEN $POINTSMAN_LEASE_ADDRESS; exit 7`)
	j.finish(t, 7, nil)
	if got := j.out.String(); got != "jobs/3 1152921504606846976 10.0.0.1:6379\n" {
		t.Errorf("environment: %q", got)
	}
	begin(t, time.Second, `kill -INT $$`).finish(t, 130, nil)
}

// What the command leaves behind in its group has no lease.
func TestLeavesNothingBehind(t *testing.T) {
	j := begin(t, time.Second, `sleep 1000 & echo "child $!."; exit 0`)
	j.finish(t, 0, nil)
	gone(t, j.child(t))
}

func (j *job) child(t *testing.T) int {
	t.Helper()
	j.out.wait(t, ".")
	_, rest, _ := strings.Cut(j.out.String(), "child ")
	word, _, _ := strings.Cut(rest, ".")
	pid, err := strconv.Atoi(word)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone waits until a process runs no more; a zombie that nobody has waited for
// does not run.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(patience); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if _, state, ok := bytes.Cut(stat, []byte(") ")); ok && bytes.HasPrefix(state, []byte("Z")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d runs on: %s", pid, stat)
		}
	}
}

func TestLostLease(t *testing.T) {
	j := begin(t, patience, `trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.02; done`)
	j.out.wait(t, "ready")
	j.lose(errLost)
	j.finish(t, 9, errLost)
	if !strings.Contains(j.out.String(), "told") {
		t.Errorf("was not told: %q", &j.out)
	}
}

// One that ignores SIGTERM is killed after its grace, with all its children.
func TestKilledAfterGrace(t *testing.T) {
	j := begin(t, 50*time.Millisecond, `trap '' TERM; sleep 1000 & echo "child $!."; while :; do sleep 0.02; done`)
	child := j.child(t)
	j.lose(errLost)
	j.finish(t, 128+int(syscall.SIGKILL), errLost)
	gone(t, child)
}

// Asked to hand over, it has as long as the lease is good, however short its
// grace is.
func TestHandover(t *testing.T) {
	j := begin(t, time.Millisecond, `trap 'echo told' TERM; echo ready; while :; do sleep 0.02; done`)
	j.out.wait(t, "ready")
	close(j.drain)
	j.out.wait(t, "told")
	select {
	case <-j.done:
		t.Fatal("was killed while the lease was good")
	case <-time.After(100 * time.Millisecond):
	}
	j.lose(errLost)
	j.finish(t, 128+int(syscall.SIGKILL), ErrHandover)
}

func TestDoesNotStart(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	if _, err := Run(ctx, Lease{}, Command{Args: []string{"/no/such/program"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
	cancel(errLost)
	if _, err := Run(ctx, Lease{}, Command{Args: []string{"true"}}); !errors.Is(err, errLost) {
		t.Errorf("no lease: %v", err)
	}
}
