//go:build !unix

package main

import "os"

// terminal reports whether a file is a character device: good enough to choose
// colours and redrawing.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// columns is the width of a terminal; 0 for anything else.
func columns(f *os.File) int {
	if terminal(f) {
		return 80
	}
	return 0
}
