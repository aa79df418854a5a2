//go:build !linux

package command

import "syscall"

// attributes make a group of its own.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
