package guarded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Names of the environment variables that a command finds its lease in.
const (
	EnvLease   = "POINTSMAN_LEASE"         // pool and partition: webhooks/17
	EnvToken   = "POINTSMAN_LEASE_TOKEN"   //nolint:gosec // a name; the token is no secret
	EnvAddress = "POINTSMAN_LEASE_ADDRESS" // of the pool's master, host:port; empty when it has none
)

// leftovers bounds the wait for output that processes still hold open which the
// command left behind.
const leftovers = time.Second

// Lease is what a command runs under.
type Lease struct {
	ID       string
	Token    uint64
	Address  string
	Draining <-chan struct{} // closed when the command has to come to an end
}

// Command is what to run, and with which streams.
type Command struct {
	Args     []string
	In       io.Reader
	Out, Err io.Writer
	Grace    time.Duration // from SIGTERM to SIGKILL
}

// End is how a command came to its end.
type End struct {
	Code int   // its exit code; 128 and the number of the signal that ended it
	Cut  error // why it was told to end: the lease's loss, or ErrHandover; nil when it ended by itself
}

// ErrHandover is the reason of an end that was asked for: the lease goes to
// another holder.
var ErrHandover = errors.New("the lease is to be handed over")

// Run runs the command under the lease and waits for its end. The error says why
// it was not started. ctx is that of the lease's handler: it ends with the lease,
// and its cause says why.
func Run(ctx context.Context, l Lease, c Command) (End, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(c.Args[0], c.Args[1:]...) //nolint:noctx // its end is ours to time
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.In, c.Out, c.Err
	cmd.Env = append(os.Environ(), EnvLease+"="+l.ID, fmt.Sprint(EnvToken, "=", l.Token), EnvAddress+"="+l.Address)
	cmd.SysProcAttr, cmd.WaitDelay = attributes(), leftovers
	if ctx.Err() != nil {
		return End{}, context.Cause(ctx)
	}
	if err := cmd.Start(); err != nil {
		return End{}, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // ProcessState says how it ended
	}()
	cut := watch(ctx, l, cmd.Process.Pid, c.Grace, ended)
	// What is left of its group. A group's number is not given again while it has
	// members, and this is a moment after.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-ended
	return End{Code: code(cmd.ProcessState), Cut: cut}, nil
}

// watch waits until the command has ended or has had its time, and answers why
// it was told to end.
func watch(ctx context.Context, l Lease, group int, grace time.Duration, ended <-chan struct{}) (cut error) {
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		cut = context.Cause(ctx)
	case <-l.Draining:
		cut = ErrHandover
	}
	_ = syscall.Kill(-group, syscall.SIGTERM)
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select { // at least its grace, and as long as the lease is good
	case <-ended:
		return cut
	case <-patience.C:
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return cut
}

func code(s *os.ProcessState) int {
	if s == nil {
		return -1
	}
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}
