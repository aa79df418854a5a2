package guarded

import (
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
)

// guardName is the first word of a guard's command line; the path of the command
// and its own words follow.
const guardName = "pointsman-guard"

// Files of a guard beside the streams of the command.
const (
	controlFile = 3 // orders to it; its end is the order to kill
	reportFile  = 4 // what it has to say
)

// Orders to a guard, a byte each.
const (
	orderTerm = 'T' // SIGTERM to the group
	orderKill = 'K' // SIGKILL to the group
)

// report is what a guard says, as a line of JSON: that the command was started,
// or why not, and how it ended.
type report struct {
	PID   int           `json:"pid,omitempty"`
	Errno syscall.Errno `json:"errno,omitempty"`
	Error string        `json:"error,omitempty"`
	Ended bool          `json:"ended,omitempty"`
	Code  int           `json:"code,omitempty"`
}

// Guard does the work of a guard, and never returns, in a process that Run has
// started as one; elsewhere it does nothing. It has to be the first call of any
// program that calls Run.
func Guard() {
	if len(os.Args) < 3 || os.Args[0] != guardName {
		return
	}
	// Caught and dropped, so that the command finds them as they were: what is told
	// to all processes of a service must not end the guard before the command.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	syscall.CloseOnExec(controlFile)
	syscall.CloseOnExec(reportFile)
	g := &guard{control: os.NewFile(controlFile, "control"), report: json.NewEncoder(os.NewFile(reportFile, "report"))}
	os.Exit(g.run(os.Args[1], os.Args[2:]))
}

// guard is the parent of a command, in a session of its own.
type guard struct {
	control *os.File
	report  *json.Encoder

	mu    sync.Mutex // guards what follows
	group int        // 0 once the command was waited for: its number may be another's
}

func (g *guard) run(path string, args []string) int {
	runtime.LockOSThread()                                                                                                    // the command dies with this thread
	p, err := os.StartProcess(path, args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: attributes()}) //nolint:gosec // the command of whoever started us
	if err != nil {
		r := report{Error: err.Error()}
		errors.As(err, &r.Errno)
		return g.say(r)
	}
	g.group = p.Pid
	if code := g.say(report{PID: p.Pid}); code != 0 {
		g.kill(syscall.SIGKILL)
	}
	go g.obey()
	state, _ := p.Wait()
	g.kill(syscall.SIGKILL) // what is left: a number is not given again while its group has members, and this is a moment after
	g.mu.Lock()
	g.group = 0
	g.mu.Unlock()
	return g.say(report{Ended: true, Code: code(state)})
}

// say answers the guard's own exit code.
func (g *guard) say(r report) int {
	if err := g.report.Encode(r); err != nil {
		return 1 // nobody listens any more
	}
	return 0
}

// obey carries out orders; it kills when nobody can give any more, in whatever way
// the program that held the lease has ended.
func (g *guard) obey() {
	order := make([]byte, 1)
	for {
		if n, err := g.control.Read(order); n == 0 || err != nil {
			g.kill(syscall.SIGKILL)
			return
		}
		switch order[0] {
		case orderTerm:
			g.kill(syscall.SIGTERM)
		case orderKill:
			g.kill(syscall.SIGKILL)
		}
	}
}

func (g *guard) kill(s syscall.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.group > 0 {
		_ = syscall.Kill(-g.group, s)
	}
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
