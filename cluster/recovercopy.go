package cluster

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	copyPrefix  = "before-recover-" // of the directories that Recover keeps what was there in
	copiesKept  = 3
	copyPartial = ".tmp"
	snapshotDir = "snapshots" // raft's
)

// keepCopy copies what a recovery changes into a directory beside it, and returns
// its path. Its name says what it holds, so a recovery that is run again does not
// copy again; it has that name once it is whole and durable.
func keepCopy(dir string, f Found) (string, error) {
	to := filepath.Join(dir, fmt.Sprintf("%s%d-%d-%d", copyPrefix, f.State.Generation(), f.LastTerm, f.LastIndex))
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		return to, err
	}
	part := to + copyPartial
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	if err := os.MkdirAll(part, 0o700); err != nil {
		return "", err
	}
	err := copyAll(dir, part)
	if err == nil {
		err = os.Rename(part, to)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(part))
	}
	return to, syncDir(dir)
}

func copyAll(dir, part string) error {
	for _, name := range []string{storeFile, tailFile, identityFile, snapshotDir} {
		err := filepath.WalkDir(filepath.Join(dir, name), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			if e.IsDir() {
				return os.MkdirAll(filepath.Join(part, rel), 0o700)
			}
			return copyFile(path, filepath.Join(part, rel))
		})
		if err != nil {
			return err
		}
	}
	return filepath.WalkDir(part, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = syncDir(path)
		}
		return err
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// dropCopies removes all but the newest copies.
func dropCopies(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var copies []fs.FileInfo
	for _, e := range entries {
		switch info, err := e.Info(); {
		case err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), copyPrefix):
		case strings.HasSuffix(e.Name(), copyPartial):
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		default:
			copies = append(copies, info)
		}
	}
	slices.SortFunc(copies, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, c := range copies[min(len(copies), copiesKept):] {
		if err := os.RemoveAll(filepath.Join(dir, c.Name())); err != nil {
			return err
		}
	}
	return nil
}
