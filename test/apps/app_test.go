package apps

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const pageEvery = 100 * time.Millisecond

// app is a sample that runs, and what it said.
type app struct {
	name    string
	command []string
	env     []string
	page    bool // a program per page, begun again and again

	mu    sync.Mutex
	lines []line
	group int // of its processes while it runs
}

type line struct {
	at   time.Time
	text string
}

// run runs the sample until ctx ends. Whoever calls waits for it.
func (a *app) run(ctx context.Context) {
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, a.command[0], a.command[1:]...)
		cmd.Env = append(os.Environ(), a.env...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = 5 * time.Second
		out, err := cmd.StdoutPipe()
		cmd.Stderr = cmd.Stdout
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			a.say("cannot start: " + err.Error())
			return
		}
		a.mu.Lock()
		a.group = cmd.Process.Pid
		a.mu.Unlock()
		for s := bufio.NewScanner(out); s.Scan(); {
			a.say(s.Text())
		}
		err = cmd.Wait()
		if !a.page && ctx.Err() == nil {
			a.say("ended: " + errText(err))
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pageEvery):
		}
	}
}

// signal reaches all its processes.
func (a *app) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := syscall.Kill(-a.group, s); err != nil {
		t.Fatalf("signal %s: %v", a.name, err)
	}
}

func errText(err error) string {
	if err == nil {
		return "by itself"
	}
	return err.Error()
}

func (a *app) say(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, line{time.Now(), text})
}

// first finds the first line since then that begins so; zero: none.
func (a *app) first(since time.Time, begins string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if !l.at.Before(since) && strings.HasPrefix(l.text, begins) {
			return l.at
		}
	}
	return time.Time{}
}

func (a *app) wait(t *testing.T, since time.Time, begins string, within time.Duration) time.Time {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if at := a.first(since, begins); !at.IsZero() {
			return at
		}
	}
	t.Fatalf("%s did not say %q within %s; it said\n%s", a.name, begins, within, a.tail())
	return time.Time{}
}

func (a *app) tail() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out strings.Builder
	for _, l := range a.lines[max(0, len(a.lines)-60):] {
		out.WriteString(l.at.Format("15:04:05.000 ") + l.text + "\n")
	}
	return out.String()
}

// odd finds what a sample must never say: an error of the language itself.
func (a *app) odd() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		for _, word := range []string{"Traceback", "Fatal error", "Warning:", "Notice:", "Deprecated:", "syntax error", "ended:", "cannot start", "panic"} {
			if strings.Contains(l.text, word) {
				return l.text
			}
		}
	}
	return ""
}
