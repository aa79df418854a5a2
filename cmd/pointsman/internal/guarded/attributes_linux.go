package guarded

import "syscall"

// attributes: the kernel kills the command when the thread that started it
// ends, which is why Run locks its thread (prctl(2), PR_SET_PDEATHSIG).
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
