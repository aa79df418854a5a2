package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Bounds.
const (
	// readyWithin bounds a start, until the runtime API answers.
	readyWithin = 20 * time.Second
	// answerWithin bounds one question to the runtime API.
	answerWithin = 5 * time.Second
	// maxAnswer bounds its answer, in bytes.
	maxAnswer = 1 << 20
)

// Errors of this package.
var (
	// ErrNone is returned when the machine has no HAProxy.
	ErrNone = errors.New("no haproxy found: run `apt-get install haproxy`, which on a machine without systemd starts nothing, or put haproxy into PATH")
	// ErrNotReady is returned when a process ended or did not answer in time.
	ErrNotReady = errors.New("haproxy did not come up")
)

// Binary finds HAProxy: in PATH, or where Debian puts it. The error is ErrNone
// and says what to install.
func Binary() (string, error) {
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNone
}

// Process is one HAProxy with a folder of its own. Its methods are for one
// caller at a time; Ask may be called by many.
type Process struct {
	binary, dir string
	cmd         *exec.Cmd
	ended       chan struct{} // closed when cmd has been waited for
}

// Start runs HAProxy with the configuration that config makes for a folder of
// the process's own, and returns when the runtime API at Socket answers, which
// the configuration has to have. ErrNone, or ErrNotReady with HAProxy's words.
func Start(ctx context.Context, config func(dir string) string) (*Process, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "haproxy-") // short: a socket's path has 107 bytes
	if err != nil {
		return nil, err
	}
	p := &Process{binary: binary, dir: dir}
	if err = p.Configure(config); err == nil {
		err = p.Run(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Configure writes the configuration that the next Run reads.
func (p *Process) Configure(config func(dir string) string) error {
	return os.WriteFile(p.conf(), []byte(config(p.dir)), 0o600)
}

func (p *Process) conf() string { return filepath.Join(p.dir, "haproxy.cfg") }

// Socket is the path at which the runtime API is expected, level admin.
func (p *Process) Socket() string { return filepath.Join(p.dir, "admin.sock") }

// Run starts the process again after Kill, and returns when it answers.
func (p *Process) Run(ctx context.Context) error {
	out, err := os.OpenFile(filepath.Join(p.dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.binary, "-db", "-f", p.conf())
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		// The kernel kills the child when the thread that forked it ends, so this
		// one stays with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		_ = cmd.Wait() // the reason stands in out
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.binary, err)
	}
	p.cmd, p.ended = cmd, ended
	return p.ready(ctx)
}

func (p *Process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		text, err := p.Ask(ctx, "show info")
		if err == nil && strings.Contains(text, fmt.Sprintf("\nPid: %d\n", p.cmd.Process.Pid)) {
			return nil
		}
		select {
		case <-p.ended:
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
			continue
		}
		said, _ := os.ReadFile(filepath.Join(p.dir, "out"))
		return fmt.Errorf("%w: %s", ErrNotReady, said[max(0, len(said)-2000):])
	}
}

// Pid is that of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Ask sends one line to the runtime API and returns all that it says.
func (p *Process) Ask(ctx context.Context, line string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.Socket())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerWithin))
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	return string(text), err
}

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the process with SIGKILL and waits for its end. What it was told at
// run time is forgotten, as at each of its ends.
func (p *Process) Kill() error {
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}

// Close ends the process and takes its folder away.
func (p *Process) Close() error { return errors.Join(p.Kill(), os.RemoveAll(p.dir)) }
