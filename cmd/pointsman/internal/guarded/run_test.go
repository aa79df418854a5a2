package guarded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// envHolder makes this test program one that runs a script under a lease.
const envHolder = "GUARDED_TEST_HOLDER"

func TestMain(m *testing.M) {
	Guard()
	if script := os.Getenv(envHolder); script != "" {
		end, err := Run(context.Background(), Lease{ID: "jobs/1"}, Command{Args: []string{"sh", "-c", script}, Out: os.Stdout, Err: os.Stderr, Grace: patience})
		fmt.Fprintln(os.Stderr, end, err)
		os.Exit(end.Code)
	}
	goleak.VerifyTestMain(m)
}

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
	hurry chan struct{}
	done  chan struct{}
	end   End
	err   error
}

func begin(t *testing.T, grace time.Duration, script string) *job {
	j := &job{drain: make(chan struct{}), hurry: make(chan struct{}), done: make(chan struct{})}
	var ctx context.Context
	ctx, j.lose = context.WithCancelCause(t.Context())
	go func() {
		defer close(j.done)
		j.end, j.err = Run(ctx, Lease{ID: "jobs/3", Token: 1 << 60, Address: "10.0.0.1:6379", Draining: j.drain},
			Command{Args: []string{"sh", "-c", script}, Out: &j.out, Err: &j.out, Grace: grace, Hurry: j.hurry})
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
	return j.out.pid(t, "child ")
}

// pid is the number that stands after a word and before a dot.
func (o *output) pid(t *testing.T, before string) int {
	t.Helper()
	o.wait(t, ".\n")
	_, rest, _ := strings.Cut(o.String(), before)
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

// In a hurry nothing is waited for.
func TestHurry(t *testing.T) {
	j := begin(t, patience, `trap 'echo told' TERM; sleep 1000 & echo "child $!."; while :; do sleep 0.02; done`)
	child := j.child(t)
	close(j.drain)
	j.out.wait(t, "told")
	close(j.hurry)
	j.finish(t, 128+int(syscall.SIGKILL), ErrHandover)
	gone(t, child)
}

// family is a command that ignores what it can, with a child of the same kind.
const family = `trap '' TERM HUP INT; sleep 1000 & echo "guard $PPID. child $!. self $$."; while :; do sleep 0.02; done`

// Whatever ends this program, nothing of the command's group runs on.
func TestDiesWithItsHolder(t *testing.T) {
	var out output
	holder := exec.Command(os.Args[0]) //nolint:noctx // it is killed
	holder.Env = append(os.Environ(), envHolder+"="+family)
	holder.Stdout, holder.Stderr, holder.WaitDelay = &out, &out, patience
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, who := range []string{"self ", "child ", "guard "} {
		pids = append(pids, out.pid(t, who))
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // killed
	for _, pid := range pids {
		gone(t, pid)
	}
}

// The guard is not needed to end the command.
func TestDiesWithItsGuard(t *testing.T) {
	j := begin(t, patience, family)
	j.out.wait(t, "self ")
	if err := syscall.Kill(j.out.pid(t, "guard "), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	j.finish(t, 128+int(syscall.SIGKILL), nil)
	gone(t, j.out.pid(t, "self "))
	gone(t, j.child(t))
}

// A service that is told to stop as a whole tells the guard, too, which stays.
func TestGuardStays(t *testing.T) {
	j := begin(t, patience, `trap 'echo told; exit 3' TERM; echo "guard $PPID."; while :; do sleep 0.02; done`)
	if err := syscall.Kill(j.out.pid(t, "guard "), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	close(j.drain)
	j.finish(t, 3, ErrHandover)
}

func TestDoesNotStart(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	if _, err := Run(ctx, Lease{}, Command{Args: []string{"/no/such/program"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
	text := t.TempDir() + "/text"
	if err := os.WriteFile(text, []byte("no program"), 0o700); err != nil { //nolint:gosec // it has to look like one
		t.Fatal(err)
	}
	if _, err := Run(ctx, Lease{}, Command{Args: []string{text}}); !errors.Is(err, syscall.ENOEXEC) {
		t.Errorf("no format of a program: %v", err)
	}
	cancel(errLost)
	if _, err := Run(ctx, Lease{}, Command{Args: []string{"true"}}); !errors.Is(err, errLost) {
		t.Errorf("no lease: %v", err)
	}
}
