package bucket

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The binary is found from where the process works, since a build may know no
// path of its sources.
func TestBinary(t *testing.T) {
	root := t.TempDir()
	t.Setenv("PATH", "")
	built := filepath.Join(root, "bin/tools/versitygw")
	below := filepath.Join(root, "a/b")
	err := errors.Join(os.MkdirAll(filepath.Dir(built), 0o700), os.MkdirAll(below, 0o700),
		os.WriteFile(filepath.Join(root, "go.mod"), []byte("module m\n"), 0o600), os.WriteFile(built, []byte("#!/bin/sh\n"), 0o700)) //nolint:gosec // a program
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{root, below} {
		t.Chdir(dir)
		if path, err := Binary(); err != nil || path != built {
			t.Errorf("in %s: %s %v", dir, path, err)
		}
	}
	if err := os.Remove(built); err != nil {
		t.Fatal(err)
	}
	if path, err := Binary(); !errors.Is(err, ErrNone) {
		t.Errorf("without it: %s %v", path, err)
	}
}
