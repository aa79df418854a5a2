package buffer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A process that was stopped while it holds the locks holds nobody up for longer
// than they asked for.
func TestDirLockedByAnother(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := d.lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(context.Context) error{
		"Put":    func(ctx context.Context) error { _, err := d.Put(ctx, "a", nil, Condition{}); return err },
		"Delete": func(ctx context.Context) error { return d.Delete(ctx, "a", Condition{}) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		ended := make(chan error, 1)
		go func() { ended <- call(ctx) }()
		select {
		case err := <-ended:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s hangs", name)
		}
		cancel()
	}
	unlock()
	if _, err := d.Put(t.Context(), "a", nil, Condition{}); err != nil {
		t.Errorf("unlocked: %v", err)
	}
}

// That an object exists is said once its name is on the disk: who repeats a
// write takes it as a sign that the first one is durable.
func TestDirExistsDurably(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	broken := true
	d.sync = func(folder string) error {
		if broken {
			return syscall.EIO
		}
		return syncDir(folder)
	}
	for range 2 {
		if _, err := d.Put(t.Context(), "in/s/0000000000000000-aa", []byte("a"), Condition{Absent: true}); !errors.Is(err, syscall.EIO) {
			t.Errorf("while the disk fails: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(d.root, "objects/in/s/0000000000000~/0000000000000000-aa")); err != nil {
		t.Error(err)
	}
	broken = false
	if _, err := d.Put(t.Context(), "in/s/0000000000000000-aa", []byte("a"), Condition{Absent: true}); !errors.Is(err, ErrCondition) {
		t.Errorf("then: %v", err)
	}
}
