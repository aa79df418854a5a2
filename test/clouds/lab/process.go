package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/pointsman/pointsman/internal/planted"
)

// Errors of this package.
var (
	// ErrNotRunning is returned when a process that has ended is signalled.
	ErrNotRunning = errors.New("not running")
	// ErrRunning is returned when a running process is started again.
	ErrRunning = errors.New("already running")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("closed")
	// ErrNoProgram is returned when the pointsman program is not found.
	ErrNoProgram = errors.New("no pointsman program")
	// ErrNoKind is returned when Options.Besides names what no lab has.
	ErrNoKind = errors.New("no such kind of provider")
)

// spawner starts processes from one locked OS thread: the kernel sends the
// parent-death signal when the thread that forked ends, not the process.
type spawner struct {
	requests chan spawn
	quit     chan struct{}
	ended    chan struct{}
	once     sync.Once
}

type spawn struct {
	cmd    *exec.Cmd
	answer chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawn), quit: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread() // keeps the thread, and with it children that are not yet reaped
		for {
			select {
			case r := <-s.requests:
				r.answer <- r.cmd.Start()
			case <-s.quit:
				return
			}
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawn{cmd: cmd, answer: make(chan error, 1)}
	select {
	case s.requests <- r:
		return <-r.answer
	case <-s.quit:
		return ErrClosed
	}
}

func (s *spawner) stop() {
	s.once.Do(func() { close(s.quit) })
	<-s.ended
}

// process is a program that is run, killed and run again, with one log file
// over all its lives. All methods may be called concurrently.
type process struct {
	name string // for people: "coordinator a"
	path string
	args []string
	env  []string // in addition to this process's own, of which POINTSMAN_* is left out
	log  string   // file that takes stdout and stderr

	mu    sync.Mutex // guards what follows
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has been waited for
}

func (p *process) start(s *spawner) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.aliveLocked() {
		return fmt.Errorf("start %s: %w", p.name, ErrRunning)
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(plainEnv(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the reason stands in the log
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
	return nil
}

// plainEnv keeps settings of the caller's own cluster away from the lab's; a
// planted bug is for the lab's nodes.
func plainEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "POINTSMAN_") && !strings.HasPrefix(kv, planted.Variable+"=")
	})
}

func (p *process) aliveLocked() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// pid is 0 while the process does not run.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.aliveLocked() {
		return 0
	}
	return p.cmd.Process.Pid
}

// done is closed when the present life has ended; nil before the first one.
func (p *process) done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// signal cannot reach a stranger: a child that was waited for is refused.
func (p *process) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.aliveLocked() {
		return fmt.Errorf("signal %s: %w", p.name, ErrNotRunning)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// kill ends the process with SIGKILL and waits until the kernel let it go.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done()
	return nil
}

// tail is the end of what the process has said, for error messages.
func (p *process) tail() string {
	const most = 1200
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
