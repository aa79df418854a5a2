package guarded

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// leftovers bounds the wait for output that processes still hold open which the
// command left behind.
const leftovers = time.Second

// errGuard is returned when the guard ends before the command was started.
var errGuard = errors.New("its guard ended")

// ward is a command that runs under its guard. Orders may come from any number of
// goroutines; nothing comes of them once it has ended.
type ward struct {
	cmd     *exec.Cmd // the guard
	control *os.File
	ended   chan struct{} // closed when command and guard have; code is set then
	code    int
}

// start returns when the command runs.
func start(l Lease, c Command) (*ward, error) {
	path, err := exec.LookPath(c.Args[0])
	if err != nil {
		return nil, err
	}
	program, err := self()
	if err != nil {
		return nil, err
	}
	orders, control, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer orders.Close()
	said, says, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, control.Close())
	}
	w := &ward{cmd: exec.Command(program), control: control, ended: make(chan struct{})} //nolint:noctx // its end is ours to time
	w.cmd.Args = append([]string{guardName, path}, c.Args...)
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = c.In, c.Out, c.Err
	if f, ok := c.In.(*os.File); ok && terminal(f) {
		w.cmd.Stdin = nil // it could not read it from its group: SIGTTIN would stop it
	}
	w.cmd.Env = append(os.Environ(), EnvLease+"="+l.ID, fmt.Sprint(EnvToken, "=", l.Token), EnvAddress+"="+l.Address)
	w.cmd.ExtraFiles = []*os.File{orders, says}
	w.cmd.SysProcAttr, w.cmd.WaitDelay = &syscall.SysProcAttr{Setsid: true}, leftovers
	err = w.cmd.Start()
	says.Close() // the guard has its own
	if err != nil {
		said.Close()
		return nil, errors.Join(err, control.Close())
	}
	return w, w.begin(said)
}

// begin waits for the guard's word that the command runs, and has its end waited for.
func (w *ward) begin(said *os.File) error {
	words := json.NewDecoder(said)
	var first report
	if err := words.Decode(&first); err != nil {
		first = report{Error: errGuard.Error()}
	}
	if first.PID == 0 {
		w.control.Close()
		said.Close()
		_ = w.cmd.Wait()
		if first.Errno != 0 {
			return first.Errno
		}
		return errors.New(first.Error)
	}
	go func() {
		defer close(w.ended)
		defer said.Close()
		var last report
		if err := words.Decode(&last); err != nil || !last.Ended { // the guard was killed, and the kernel has killed the command
			_ = syscall.Kill(-first.PID, syscall.SIGKILL)
			last.Code = 128 + int(syscall.SIGKILL)
		}
		_ = w.cmd.Wait() // the guard's own end says nothing more
		w.code = last.Code
	}()
	return nil
}

func (w *ward) order(o byte) { _, _ = w.control.Write([]byte{o}) }

// end kills what is left and waits for it.
func (w *ward) end() {
	w.control.Close()
	<-w.ended
}
