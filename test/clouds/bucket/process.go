package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/pointsman/pointsman/test/clouds/redis"
)

// What a Process asks of who comes.
const (
	AccessKey = "pointsman"
	SecretKey = "not-a-secret-of-anything"
	Region    = "us-east-1"
	Name      = "webhooks" // of the bucket
)

// Bounds.
const (
	readyWithin = 30 * time.Second
	portTries   = 5
)

// Errors of this package.
var (
	// ErrNone is returned when versitygw has not been built.
	ErrNone = errors.New("no versitygw found: run `make bin/tools/versitygw`, or put it into PATH")
	// ErrNotReady is returned when a process ended or did not answer in time.
	ErrNotReady = errors.New("versitygw did not come up")
)

// Binary finds versitygw: in bin/tools of the repository that the process works
// in, or in PATH. The error is ErrNone and says what to do.
func Binary() (string, error) {
	if root := repository(); root != "" {
		if path, err := exec.LookPath(filepath.Join(root, "bin/tools/versitygw")); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("versitygw")
	if err != nil {
		return "", ErrNone
	}
	return path, nil
}

// repository is the nearest folder with a go.mod, from the working one upwards;
// empty when there is none.
func repository() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// Process is one versitygw with a bucket on a folder of its own. Its methods are
// for one caller at a time.
type Process struct {
	binary, dir, address string
	cmd                  *exec.Cmd
	ended                chan struct{} // closed when cmd has been waited for
}

// Start runs a store with one empty bucket on a loopback port, and returns when
// it answers. ErrNone, or ErrNotReady with its words.
func Start(ctx context.Context) (*Process, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bucket-")
	if err != nil {
		return nil, err
	}
	p := &Process{binary: binary, dir: dir}
	err = os.MkdirAll(filepath.Join(dir, "data", Name), 0o700)
	for try := 1; err == nil; try++ {
		if err = p.runSomewhere(ctx); err == nil {
			return p, nil
		}
		if errors.Is(err, ErrNotReady) && try < portTries { // a stranger may have taken the port
			err = nil
		}
	}
	return nil, errors.Join(err, p.Close())
}

func (p *Process) runSomewhere(ctx context.Context) error {
	ports, err := redis.ReservePorts(1)
	if err != nil {
		return err
	}
	defer ports.Release()
	p.address = fmt.Sprintf("127.0.0.1:%d", ports.Numbers[0])
	return p.Run(ctx)
}

// Endpoint is the store's URL, the same after each Run.
func (p *Process) Endpoint() string { return "http://" + p.address }

// Data is the folder in which each object of the bucket is a file.
func (p *Process) Data() string { return filepath.Join(p.dir, "data", Name) }

// Run starts the process again after Kill, and returns when it answers.
func (p *Process) Run(ctx context.Context) error {
	out, err := os.OpenFile(filepath.Join(p.dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.binary, "--quiet", "--keep-alive", "--port", p.address, "--access", AccessKey, "--secret", SecretKey, "--region", Region,
		"posix", filepath.Join(p.dir, "data"))
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

// ready waits until it answers, with whatever: a question without a signature is
// refused.
func (p *Process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Endpoint()+"/"+Name, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		select {
		case <-p.ended:
		case <-ctx.Done():
		default:
			if err == nil {
				return nil
			}
			select {
			case <-p.ended:
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		said, readErr := os.ReadFile(filepath.Join(p.dir, "out"))
		return fmt.Errorf("%w: %s", ErrNotReady, cmp.Or(string(said[max(0, len(said)-2000):]), fmt.Sprint(readErr, err)))
	}
}

// Kill ends the process with SIGKILL and waits for its end. What it wrote stays.
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

// Signal sends a signal to the process: SIGSTOP makes a store that hangs.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Close ends the process and takes its folder away.
func (p *Process) Close() error { return errors.Join(p.Kill(), os.RemoveAll(p.dir)) }
