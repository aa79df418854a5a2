package work

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// exitPermanent is the exit code of a command that says more than that it failed:
// EX_DATAERR of sysexits.h.
const exitPermanent = 65

// DefaultGrace is the time from SIGTERM to SIGKILL of a command whose time is
// over.
const DefaultGrace = 2 * time.Second

// Command hands each event to a program of its own: the body on its input, what
// else is known of it in POINTSMAN_WEBHOOK_... of its environment.
//
//	0       done
//	65      permanent
//	others  again; 75 (EX_TEMPFAIL) says so on purpose
//
// The program has a process group of its own, which is ended when the call's time
// is over: SIGTERM, and SIGKILL after Grace. On Linux it is killed when this process
// dies; what it has started itself is not.
type Command struct {
	Args  []string
	Grace time.Duration // 0 means DefaultGrace
}

// Handle implements Handler.
func (c Command) Handle(ctx context.Context, d Delivery) error {
	env, err := environment(d)
	if err != nil {
		return Permanent(err)
	}
	grace := c.Grace
	if grace <= 0 {
		grace = DefaultGrace
	}
	said := &told{}
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env, cmd.Stdin = append(os.Environ(), env...), bytes.NewReader(d.Event.Body)
	cmd.Stdout, cmd.Stderr = io.Discard, said
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	runtime.LockOSThread() // it dies with the thread that has started it
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return Unavailable(fmt.Errorf("start %s: %w", c.Args[0], err))
	}
	err = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	return said.verdict(err)
}

func (t *told) verdict(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it exited 0, though what it started holds its output open
		return nil
	case !errors.As(err, &exit):
		return err
	}
	err = fmt.Errorf("command: %w", err)
	err = saying{err, cutText(strings.TrimSpace(t.text.String()), answerText)}
	if exit.ExitCode() == exitPermanent {
		return Permanent(err)
	}
	return err
}

// told keeps the beginning of what a command says.
type told struct{ text bytes.Buffer }

func (t *told) Write(p []byte) (int, error) {
	if left := answerBytes - t.text.Len(); left > 0 {
		t.text.Write(p[:min(len(p), left)])
	}
	return len(p), nil
}

// environment is what a command is told of a delivery.
func environment(d Delivery) ([]string, error) {
	e := d.Event
	var env []string
	for _, v := range []struct{ name, value string }{
		{"KEY", d.Key}, {"TOKEN", strconv.FormatUint(d.Token, 10)}, {"PARTITION", strconv.FormatUint(uint64(d.Partition), 10)},
		{"ATTEMPT", strconv.Itoa(d.Attempt)}, {"APP", e.App}, {"SHOP", e.Shop}, {"TOPIC", e.Topic}, {"ID", e.WebhookID},
		{"EVENT_ID", e.EventID}, {"API_VERSION", e.APIVersion}, {"NAME", e.Name}, {"TRIGGERED_AT", e.TriggeredAt}, {"CONTENT_TYPE", e.ContentType},
	} {
		if control(v.value) {
			return nil, fmt.Errorf("%s of the event holds a control character", strings.ToLower(v.name))
		}
		env = append(env, "POINTSMAN_WEBHOOK_"+v.name+"="+v.value)
	}
	return env, nil
}
