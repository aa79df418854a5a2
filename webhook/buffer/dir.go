package buffer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of a Dir.
const (
	// MaxObject is the largest object that a Dir reads or writes, in bytes.
	MaxObject = 128 << 20
	dirLocks  = 64 // files that conditional writes of keys are serialised by
)

// Pauses between two looks at a lock that another has: the first, and the longest.
const (
	lockFirst = time.Millisecond
	lockMost  = 16 * time.Millisecond
)

// Dir keeps objects as files of one folder: each is written to a file of its own,
// fsynced and then put in place, so that a power loss leaves it whole or not at
// all. Any number of processes of one machine may share a folder. It outlives
// the loss of a process, not that of the machine's disk. No key may be another's
// folder: with the key a there is no a/b.
type Dir struct {
	root  string
	known sync.Map // folders that exist and whose entry is on disk
	sync  func(folder string) error
}

// OpenDir opens a folder, which is created with mode 0700 when it does not exist.
func OpenDir(root string) (*Dir, error) {
	d := &Dir{root: root, sync: syncDir}
	for _, sub := range []string{"objects", "locks", "tmp"} {
		if err := d.makeDir(filepath.Join(root, sub)); err != nil {
			return nil, err
		}
	}
	return d, d.tidy()
}

// tidy removes what writes left that were cut an hour ago or longer, by the
// file system's clock.
func (d *Dir) tidy() error {
	probe, err := d.temporary(nil)
	if err != nil {
		return err
	}
	defer os.Remove(probe)
	now, err := os.Stat(probe)
	if err != nil {
		return err
	}
	left, err := os.ReadDir(filepath.Join(d.root, "tmp"))
	for _, f := range left {
		if info, err := f.Info(); err == nil && now.ModTime().Sub(info.ModTime()) > tidyAge {
			os.Remove(filepath.Join(d.root, "tmp", f.Name()))
		}
	}
	return err
}

// Put implements Store.
func (d *Dir) Put(ctx context.Context, key string, body []byte, c Condition) (Tag, error) {
	path, err := d.path(key)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", err
	}
	if len(body) > MaxObject {
		return "", fmt.Errorf("object %s of %d bytes (at most %d): %w", key, len(body), MaxObject, ErrRefused)
	}
	if err := d.makeDir(filepath.Dir(path)); err != nil {
		return "", err
	}
	tmp, err := d.temporary(body)
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp)
	if err := d.place(ctx, key, tmp, path, c); err != nil {
		return "", err
	}
	return tagOf(body), d.sync(filepath.Dir(path))
}

// place makes the temporary file the object, if the condition holds.
func (d *Dir) place(ctx context.Context, key, tmp, path string, c Condition) error {
	if c.Absent {
		err := os.Link(tmp, path)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		// Who put it may not have got its name onto the disk, and takes this answer as
		// a sign that the object is there.
		if err := d.sync(filepath.Dir(path)); err != nil {
			return err
		}
		return fmt.Errorf("object %s exists: %w", key, ErrCondition)
	}
	unlock, err := d.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.check(key, path, c); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// check compares an object with a condition's tag, with the key's lock held.
func (d *Dir) check(key, path string, c Condition) error {
	if c.Tag == "" {
		return nil
	}
	body, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("object %s does not exist: %w", key, ErrCondition)
	case err != nil:
		return err
	case tagOf(body) != c.Tag:
		return fmt.Errorf("object %s is another one: %w", key, ErrCondition)
	}
	return nil
}

// Get implements Store.
func (d *Dir) Get(ctx context.Context, key string) (Object, error) {
	path, err := d.path(key)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Object{}, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return Object{}, fmt.Errorf("object %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return Object{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Object{}, err
	}
	if info.IsDir() {
		return Object{}, fmt.Errorf("object %s: %w", key, ErrNotFound)
	}
	body, err := io.ReadAll(io.LimitReader(f, MaxObject+1))
	if err == nil && len(body) > MaxObject {
		err = fmt.Errorf("object %s is larger than %d bytes: %w", key, MaxObject, ErrRefused)
	}
	return Object{Body: body, Tag: tagOf(body), Modified: info.ModTime()}, err
}

// Delete implements Store.
func (d *Dir) Delete(ctx context.Context, key string, c Condition) error {
	path, err := d.path(key)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	unlock, err := d.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.check(key, path, c); err != nil {
		return err
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.sync(filepath.Dir(path))
}

// path is the file of a key.
func (d *Dir) path(key string) (string, error) {
	if err := ValidKey(key); err != nil {
		return "", err
	}
	return filepath.Join(append([]string{d.root, "objects"}, shelved(strings.Split(key, "/"))...)...), nil
}

// shelved puts segments 4096 to a folder that is named by all but the last three
// digits of their number: a folder with all of them would be read whole for every
// page of a list. Names of other sorts stay where they are, since a shelf beside
// them would put a list out of order.
func shelved(parts []string) []string {
	last := parts[len(parts)-1]
	if len(parts) != 3 || parts[0] != "in" || !numbered(last) {
		return parts
	}
	return []string{parts[0], parts[1], last[:shelfDigits] + shelfMark, last}
}

// numbered reports whether a name begins with 16 hex digits and a dash.
func numbered(name string) bool {
	const digits = shelfDigits + 3
	return len(name) > digits && name[digits] == '-' && strings.Trim(name[:digits], "0123456789abcdef") == ""
}

const (
	shelfDigits = 13
	shelfMark   = "~" // in no key
)

// temporary writes a file that is on disk when it returns.
func (d *Dir) temporary(body []byte) (string, error) {
	path := filepath.Join(d.root, "tmp", rand.Text())
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(body)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(path)
	}
	return path, err
}

// lock serialises conditional writes of a key over all processes. It waits for
// another one's as long as ctx lasts.
func (d *Dir) lock(ctx context.Context, key string) (unlock func(), err error) {
	sum := sha256.Sum256([]byte(key))
	f, err := os.OpenFile(filepath.Join(d.root, "locks", fmt.Sprint(int(sum[0])%dirLocks)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for pause := lockFirst; ; pause = min(2*pause, lockMost) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("object %s is locked by another: %w", key, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// makeDir makes a folder and those above it, each on disk when it returns.
func (d *Dir) makeDir(path string) error {
	if _, ok := d.known.Load(path); ok {
		return nil
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		parent := filepath.Dir(path)
		if parent != path {
			if err := d.makeDir(parent); err != nil {
				return err
			}
		}
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := syncDir(parent); err != nil {
			return err
		}
	}
	d.known.Store(path, true)
	return nil
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func tagOf(body []byte) Tag {
	sum := sha256.Sum256(body)
	return Tag(hex.EncodeToString(sum[:16]))
}
