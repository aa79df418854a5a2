package receive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pointsman/pointsman/webhook"
)

const (
	readTries  = 3           // of a file of the spill, before the others go on without it
	apartEvery = time.Minute // between two looks at those
)

// unread counts a read that went wrong; true when the file is set apart now.
func (s *spill) unread(f spilledBatch) bool {
	s.mu.Lock()
	s.tries[f.number]++
	enough := s.tries[f.number] >= readTries
	s.mu.Unlock()
	if !enough {
		return false
	}
	s.forget([]spilledBatch{f})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setApart(f)
	return true
}

// setApart keeps a file in mind that cannot be read; mu is held.
func (s *spill) setApart(f spilledBatch) {
	s.apart = append(s.apart, f)
	s.beside += f.bytes
}

// unreadable is how many files are set apart.
func (s *spill) unreadable() int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.apart)
}

// lookApart reads what is set apart again, and answers the numbers that turned
// out damaged.
func (s *spill) lookApart() (damaged []uint64) {
	s.mu.Lock()
	files := s.apart
	s.apart = nil
	for _, f := range files {
		s.beside -= f.bytes
	}
	s.mu.Unlock()
	for _, f := range files {
		if err := s.admit(f.number); errors.Is(err, webhook.ErrDamaged) {
			damaged = append(damaged, f.number)
		}
	}
	return damaged
}

// makeFolder makes a folder with mode 0700 and those above it, each on disk when
// it returns. Where this process may not read the one above, an old folder's
// entry is taken to be there.
func makeFolder(path string) error {
	above := filepath.Dir(path)
	_, err := os.Stat(path)
	old := err == nil
	if !old && above != path {
		if err := makeFolder(above); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if err := syncFolder(above); err != nil && (!old || !errors.Is(err, fs.ErrPermission)) {
		return err
	}
	return nil
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
