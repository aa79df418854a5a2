package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// tailFile says where the log ended, since bolt cannot tell an entry that was
// never written from one whose page lost it.
const tailFile = "raft.tail"

// tail is that file: the last index, and a CRC. It is written after the store
// has made entries durable and not synced, so it may lag after a power cut and
// then checks less; it is lowered, and synced, before entries are taken from
// the end. So it never claims what the store does not hold.
type tail struct {
	mu   sync.Mutex
	file *os.File
	last uint64
}

func openTail(dir string) (*tail, error) {
	f, err := os.OpenFile(filepath.Join(dir, tailFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &tail{file: f, last: tailLast(f)}, nil
}

// readTail is openTail for a store that is only read; nil when there is none.
func readTail(dir string) (*tail, error) {
	f, err := os.Open(filepath.Join(dir, tailFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // absent is an answer
	}
	if err != nil {
		return nil, err
	}
	return &tail{file: f, last: tailLast(f)}, nil
}

// tailLast is 0 where no whole record stands.
func tailLast(f *os.File) uint64 {
	var data [12]byte
	n, _ := f.ReadAt(data[:], 0)
	if n < len(data) || binary.BigEndian.Uint32(data[8:]) != tailSum(data[:8]) {
		return 0
	}
	return binary.BigEndian.Uint64(data[:])
}

func tailSum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// extend notes that the store now ends at index.
func (t *tail) extend(index uint64) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.write(index)
}

// cut is called before entries from first to last are deleted.
func (t *tail) cut(first, last uint64) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if last < t.last || t.last < first {
		return nil // from the front, or behind the end
	}
	return errors.Join(t.write(first-1), t.file.Sync())
}

func (t *tail) write(index uint64) error {
	data := binary.BigEndian.AppendUint64(nil, index)
	if _, err := t.file.WriteAt(binary.BigEndian.AppendUint32(data, tailSum(data)), 0); err != nil {
		return fmt.Errorf("write %s: %w", tailFile, err)
	}
	t.last = index
	return nil
}

func (t *tail) close() error {
	if t == nil {
		return nil
	}
	return t.file.Close()
}
