package work

import "syscall"

// ownGroup starts a command in a process group of its own, and has it killed when
// the thread that started it ends.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
