//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminal reports whether a file is a terminal.
func terminal(f *os.File) bool { return columns(f) > 0 }

// columns is the width of a terminal; 0 for anything else. A terminal that
// does not tell is taken for one of 80 columns.
func columns(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	switch {
	case err != nil:
		return 0
	case size.Col == 0:
		return 80
	}
	return int(size.Col)
}
