package receive

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/pointsman/pointsman/webhook"
)

// ErrSpillHeld is returned when another receiver has the folder of the spill.
var ErrSpillHeld = errors.New("spill folder is another receiver's")

// Names in the folder. A file is a batch as a segment is encoded, so that its
// end and checksums tell whether it is whole.
const (
	spillEnd     = ".batch"
	spillCut     = ".cut"     // being written
	spillDamaged = ".damaged" // kept for a person
)

// spill is a folder with batches that the store did not take, in the order of
// their numbers. A nil spill takes nothing and is empty.
type spill struct {
	c    Spill
	lock *os.File

	mu      sync.Mutex
	next    uint64
	files   []spilledBatch // whole ones, the oldest first
	events  int            // in them
	bytes   int64          // in them
	writing int64          // bytes of others that are being written
	tries   map[uint64]int // reads of files that went wrong, by number
	apart   []spilledBatch // that cannot be read now, and hold up no other; of one that never could no events are known
	beside  int64          // bytes of those, and of what is stored and could not be deleted
	changed chan struct{}  // has room for one
}

// spilledBatch is one file.
type spilledBatch struct {
	number uint64
	events int
	bytes  int64
	oldest time.Time
}

// standing is what is in a spill.
type standing struct {
	events int
	bytes  int64
	oldest time.Time
}

// openSpill opens a folder, which is created with mode 0700, and finds what a
// former start has left; damaged are the files that cannot be read.
func openSpill(c Spill) (s *spill, damaged []string, err error) {
	if c.Dir == "" {
		return nil, nil, nil
	}
	if err := makeFolder(c.Dir); err != nil {
		return nil, nil, fmt.Errorf("open spill: %w", err)
	}
	s = &spill{c: c, changed: make(chan struct{}, 1), tries: map[uint64]int{}}
	if s.lock, err = os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, nil, fmt.Errorf("open spill: %w", err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		s.lock.Close()
		return nil, nil, fmt.Errorf("%s: %w: %w", c.Dir, ErrSpillHeld, err)
	}
	if damaged, err = s.load(); err != nil {
		s.lock.Close()
		return nil, nil, fmt.Errorf("open spill: %w", err)
	}
	return s, damaged, nil
}

func spillName() *regexp.Regexp { return regexp.MustCompile(`^([0-9a-f]{16})\` + spillEnd + `$`) }

// load finds the batches of the folder, in order.
func (s *spill) load() (damaged []string, err error) {
	entries, err := os.ReadDir(s.c.Dir)
	if err != nil {
		return nil, err
	}
	name := spillName()
	for _, e := range entries {
		if filepath.Ext(e.Name()) == spillCut {
			os.Remove(filepath.Join(s.c.Dir, e.Name())) // nobody was told 2xx for it
			continue
		}
		m := name.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		number, err := strconv.ParseUint(m[1], 16, 64)
		if err != nil {
			return nil, err
		}
		s.next = max(s.next, number+1)
		if err := s.admit(number); errors.Is(err, webhook.ErrDamaged) {
			damaged = append(damaged, e.Name())
		}
	}
	s.nudge()
	return damaged, nil
}

// admit reads a file and puts it among the others: aside when it is damaged, apart
// when it cannot be read. The error says why it is not there to be shipped.
func (s *spill) admit(number uint64) error {
	events, size, err := s.read(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.insert(spilledBatch{number, len(events), size, events[0].Arrived})
	case errors.Is(err, webhook.ErrDamaged):
		s.aside(number)
	case !errors.Is(err, fs.ErrNotExist):
		s.setApart(spilledBatch{number: number, bytes: onDisk(0)})
	}
	return err
}

func (s *spill) close() {
	if s != nil {
		s.lock.Close()
	}
}

// takes reports whether new events may be put in.
func (s *spill) takes() bool { return s != nil && s.c.Take }

// number is the place of the next batch.
func (s *spill) number() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return s.next - 1
}

func (s *spill) standing() standing {
	if s == nil {
		return standing{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := standing{events: s.events, bytes: s.bytes}
	if len(s.files) > 0 {
		all.oldest = s.files[0].oldest
	}
	return all
}

// Reasons why a batch is not taken.
const (
	spillFull  = "full"  // as many bytes as may be
	spillDisk  = "disk"  // too few bytes are free
	spillError = "error" // the disk says so
)

// room says why so many bytes are not taken now; empty when they are.
func (s *spill) room(bytes int64) string {
	s.mu.Lock()
	have := s.bytes + s.writing + s.beside
	s.mu.Unlock()
	if have+bytes > s.c.MaxBytes {
		return spillFull
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(s.c.Dir, &disk); err == nil && int64(disk.Bavail)*disk.Bsize < s.c.DiskFloor+bytes {
		return spillDisk
	}
	return ""
}

// put writes a batch; it is on disk when why is empty.
func (s *spill) put(number uint64, events []webhook.Event) (why string, err error) {
	encoded, err := webhook.EncodeSegment(events)
	if err != nil {
		return spillError, err
	}
	if why := s.room(onDisk(len(encoded))); why != "" {
		return why, nil
	}
	size := onDisk(len(encoded))
	s.count(size)
	defer s.count(-size)
	if err := s.save(number, encoded); err != nil {
		return spillError, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.insert(spilledBatch{number, len(events), size, events[0].Arrived})
	s.nudge()
	return "", nil
}

// insert puts a file at its place; mu is held, or nobody else knows the spill.
func (s *spill) insert(f spilledBatch) {
	at, _ := slices.BinarySearchFunc(s.files, f.number, func(f spilledBatch, n uint64) int { return cmp.Compare(f.number, n) })
	s.files = slices.Insert(s.files, at, f)
	s.events, s.bytes = s.events+f.events, s.bytes+f.bytes
}

// onDisk is what a file of so many bytes takes at least, so that the bound on
// bytes bounds the number of files too.
func onDisk(bytes int) int64 { return int64(max(bytes, 4096)) }

func (s *spill) count(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing += bytes
}

func (s *spill) nudge() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// save makes a file that is on disk, whole, when it returns.
func (s *spill) save(number uint64, b []byte) error {
	cut := s.path(number, spillCut)
	f, err := os.OpenFile(cut, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(cut, s.path(number, spillEnd))
	}
	if err != nil {
		os.Remove(cut)
		return err
	}
	return syncFolder(s.c.Dir)
}

func (s *spill) path(number uint64, end string) string {
	return filepath.Join(s.c.Dir, fmt.Sprintf("%016x%s", number, end))
}

func (s *spill) read(number uint64) ([]webhook.Event, int64, error) {
	b, err := os.ReadFile(s.path(number, spillEnd))
	if err != nil {
		return nil, 0, err
	}
	events, err := webhook.DecodeSegment(b)
	if err == nil && len(events) == 0 {
		err = fmt.Errorf("%w: it is empty", webhook.ErrDamaged)
	}
	return events, onDisk(len(b)), err
}

// aside keeps a damaged file for a person.
func (s *spill) aside(number uint64) {
	_ = os.Rename(s.path(number, spillEnd), s.path(number, spillDamaged))
}

// oldest are the first batches, as many as fit one segment.
func (s *spill) oldest() []spilledBatch {
	s.mu.Lock()
	defer s.mu.Unlock()
	events, bytes := 0, int64(0)
	for i, f := range s.files {
		events, bytes = events+f.events, bytes+f.bytes
		if i > 0 && (events > maxJoined || bytes > joinedBytes) {
			return slices.Clone(s.files[:i])
		}
	}
	return slices.Clone(s.files)
}

// drop forgets the first batches, which the store has. The error names those
// that could not be deleted: the next start ships them again.
func (s *spill) drop(files []spilledBatch) error {
	var wrong error
	left := int64(0)
	for _, f := range files {
		if err := os.Remove(s.path(f.number, spillEnd)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			wrong = errors.Join(wrong, err)
			left += f.bytes
		}
	}
	s.forget(files)
	s.mu.Lock()
	s.beside += left
	s.mu.Unlock()
	return errors.Join(wrong, syncFolder(s.c.Dir))
}

func (s *spill) forget(files []spilledBatch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := map[uint64]bool{}
	for _, f := range files {
		gone[f.number] = true
		delete(s.tries, f.number)
		s.events, s.bytes = s.events-f.events, s.bytes-f.bytes
	}
	s.files = slices.DeleteFunc(s.files, func(f spilledBatch) bool { return gone[f.number] })
}
