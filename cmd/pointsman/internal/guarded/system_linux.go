package guarded

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes: the kernel kills the command when the thread that started it
// ends, which is why the guard locks its thread (prctl(2), PR_SET_PDEATHSIG).
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// self is the program that runs, even when its file was replaced meanwhile.
func self() (string, error) { return "/proc/self/exe", nil }

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
