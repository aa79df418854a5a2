package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// process runs a program as a process group of its own, without a terminal, a
// shell or anything to read. It returns when the program has ended and all of
// its group was killed.
func process(ctx context.Context, r Run) (Ended, error) {
	type said struct {
		Ended
		error
	}
	done := make(chan said, 1)
	go func() {
		// The thread must live as long as the program: its end would be taken for ours.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		e, err := here(ctx, r)
		done <- said{e, err}
	}()
	s := <-done
	return s.Ended, s.error
}

func here(ctx context.Context, r Run) (Ended, error) {
	if err := mayRun(r.Program); err != nil {
		return Ended{}, err
	}
	var out tail
	cmd := exec.CommandContext(ctx, r.Program, r.Args...) //nolint:gosec // running the user's program is what this is for; mayRun has judged it
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = r.Env, "/", &out, &out
	cmd.SysProcAttr, cmd.WaitDelay = attributes(), outputDelay
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	if r.Started != nil {
		r.Started()
	}
	if err := cmd.Start(); err != nil {
		if lasting(err) {
			return Ended{}, fmt.Errorf("%w: %w", err, ErrProgram)
		}
		return Ended{}, err
	}
	err := cmd.Wait()
	// What it left running would act after our word that it has ended. Its number
	// is not given to another group this soon.
	_ = killGroup(cmd.Process.Pid)
	e := Ended{PID: cmd.Process.Pid, Code: cmd.ProcessState.ExitCode()}
	e.Output, e.Cut = out.text()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && ctx.Err() != nil:
		e.Signal = "killed when its time had run out"
	case status.Signaled():
		e.Signal = "ended by signal: " + status.Signal().String()
	case err != nil && e.Code == 0 && !errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil:
		e.Signal = "its end could not be seen: " + err.Error()
	}
	return e, nil
}

// lasting reports whether a program that did not start never will.
func lasting(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC) || errors.Is(err, syscall.E2BIG)
}

func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// mayRun wants a plain executable file that only root or our own user can have
// written: a node that runs what others can write runs anything.
func mayRun(program string) error {
	info, err := os.Stat(program)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", err, ErrProgram)
	}
	if err != nil {
		return err
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%s %s: %w", program, fmt.Sprintf(format, args...), ErrProgram)
	}
	mode := info.Mode()
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !mode.IsRegular():
		return refuse("is no plain file")
	case mode.Perm()&0o111 == 0:
		return refuse("is not executable (mode %04o)", mode.Perm())
	case mode.Perm()&0o002 != 0:
		return refuse("can be written by everybody (mode %04o)", mode.Perm())
	case !ok:
		return refuse("has no owner that is known")
	case owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return refuse("belongs to user %d, want root or %d, who runs pointsman", owner.Uid, os.Geteuid())
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex // guards the rest
	buf []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if n > MaxOutput {
		p, t.cut = p[n-MaxOutput:], true
	}
	if over := len(t.buf) + len(p) - MaxOutput; over > 0 {
		t.buf, t.cut = append(t.buf[:0], t.buf[over:]...), true
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

func (t *tail) text() (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf), t.cut
}
