package redis

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// spawner starts processes from one locked OS thread, because the kernel kills
// a child with Pdeathsig when the thread that forked it ends, not the process.
type spawner struct {
	requests chan spawn
	done     chan struct{} // closed by stop
	ended    chan struct{} // closed by run
	once     sync.Once
}

type spawn struct {
	cmd    *exec.Cmd
	answer chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawn), done: make(chan struct{}), ended: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	defer close(s.ended)
	runtime.LockOSThread()
	// Unlocked at the end, so that the thread survives and is used again: a
	// child that outlives the spawner by a moment is not hit twice.
	defer runtime.UnlockOSThread()
	for {
		select {
		case r := <-s.requests:
			r.answer <- r.cmd.Start()
		case <-s.done:
			return
		}
	}
}

func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawn{cmd: cmd, answer: make(chan error, 1)}
	select {
	case s.requests <- r:
		return <-r.answer
	case <-s.done:
		return ErrClosed
	}
}

func (s *spawner) stop() {
	s.once.Do(func() { close(s.done) })
	<-s.ended
}

// process is one Redis or Sentinel at a fixed address, running or not.
type process struct {
	address  string
	host     string
	port     int
	dir      string
	sentinel bool

	mu     sync.Mutex // guards what follows
	cmd    *exec.Cmd
	paused bool
	ended  chan struct{} // closed when the current cmd has been waited for
}

func (p *process) conf() string {
	if p.sentinel {
		return p.dir + "/sentinel.conf"
	}
	return p.dir + "/redis.conf"
}

// seed is the configuration as the Lab wrote it: the servers rewrite conf.
func (p *process) seed() string { return p.conf() + ".seed" }

func (p *process) start(s *spawner, binary string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runningLocked() {
		return fmt.Errorf("%s: %w", p.address, ErrRunning)
	}
	out, err := os.OpenFile(p.dir+"/out", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(binary, p.conf())
	if p.sentinel {
		cmd.Args = append(cmd.Args, "--sentinel")
	}
	cmd.Args[0] = "redis-server"
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.address, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the reason stands in the process's own log
		close(ended)
	}()
	p.cmd, p.ended, p.paused = cmd, ended, false
	return nil
}

func (p *process) runningLocked() bool {
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

// pid is 0 when the process does not run.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runningLocked() {
		return 0
	}
	return p.cmd.Process.Pid
}

func (p *process) isPaused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// signal never reaches a stranger: os.Process refuses a child already waited for.
func (p *process) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runningLocked() {
		return fmt.Errorf("%s: %w", p.address, ErrNotRunning)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%s: %w", p.address, err)
	}
	switch sig {
	case syscall.SIGSTOP:
		p.paused = true
	case syscall.SIGCONT:
		p.paused = false
	}
	return nil
}

// kill ends the process with SIGKILL and waits until the kernel has let it go.
// A paused process dies too.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	<-ended
	return nil
}

// log returns the end of what the process has said, for error messages.
func (p *process) log() string {
	var all []byte
	for _, name := range []string{"/out", "/log"} {
		text, err := os.ReadFile(p.dir + name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err.Error()
		}
		all = append(all, text...)
	}
	const tail = 600
	return string(all[max(0, len(all)-tail):])
}
