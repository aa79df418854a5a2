package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/pointsman/pointsman/fsm"
)

// lockWait is how long Start waits for another process to let go of the store.
const lockWait = time.Second

// openStore opens the bolt store of a data directory, guarded, and settles whose
// it is. A store that is not what was written is refused, never repaired.
func openStore(cfg Config, halt func(error)) (*guard, identity, error) {
	dir, node := cfg.DataDir, cfg.NodeID
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, identity{}, fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(dir, storeFile)
	if err := checkFile(dir, path, node); err != nil {
		return nil, identity{}, err
	}
	store, err := openBolt(path, node, false)
	if err != nil {
		return nil, identity{}, err
	}
	if cfg.Faults.Store != nil {
		store = cfg.Faults.Store(store)
	}
	g := newGuard(store, cfg.Timings.Write, halt)
	var id identity
	if g.tail, err = openTail(dir); err == nil {
		id, err = claimIdentity(dir, node, g)
	}
	if err != nil {
		return nil, identity{}, errors.Join(err, g.close())
	}
	return g, id, nil
}

// openBolt opens the file; for reading only, others may read it too.
func openBolt(path string, node fsm.NodeID, read bool) (store Store, err error) {
	err = catch(func() error {
		bolt, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
			Timeout: lockWait, FreelistType: bbolt.FreelistMapType, ReadOnly: read,
		}})
		if err == nil {
			store = bolt
		}
		return err
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: %s", ErrStoreLocked, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: open %s: %w; restore it, or run `pointsman nodes replace %s`", ErrCorrupt, path, err, node)
	}
	return store, nil
}

// openToRead opens the store as it is, and changes nothing.
func openToRead(cfg Config) (*guard, identity, error) {
	path := filepath.Join(cfg.DataDir, storeFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, identity{}, fmt.Errorf("%w: there is no %s", ErrNothingHere, path)
	}
	if err := checkMetas(path); err != nil {
		return nil, identity{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	store, err := openBolt(path, cfg.NodeID, true)
	if err != nil {
		return nil, identity{}, err
	}
	g := newGuard(store, cfg.Timings.Write, nil)
	var id identity
	if g.tail, err = readTail(cfg.DataDir); err == nil {
		id, err = agreedIdentity(cfg.DataDir, cfg.NodeID, g)
	}
	if err != nil {
		return nil, identity{}, errors.Join(err, g.close())
	}
	return g, id, nil
}

// checkFile looks at the bytes before bolt does. A first start that was cut
// short leaves a file without an identity and without both meta pages: it holds
// nothing and is begun anew.
func checkFile(dir, path string, node fsm.NodeID) error {
	known, err := readIdentityFile(dir)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && known == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Size() == 0 && known != nil:
		return fmt.Errorf("%w: %s names store %s, but %s is missing or empty; restore it, or run `pointsman nodes replace %s`",
			ErrStoreGone, identityFile, known.Store, storeFile, node)
	case err != nil:
		return fmt.Errorf("read store: %w", err)
	}
	err = checkMetas(path)
	if err != nil && known == nil && info.Size() < int64(4*os.Getpagesize()) {
		return os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w; restore it, or run `pointsman nodes replace %s`", ErrCorrupt, path, err, node)
	}
	return nil
}

// Layout of a bolt meta page (bbolt internal/common/meta.go): a page header of
// 16 bytes, then magic, version, page size and flags of 4 bytes each, root
// bucket of 16, freelist, high-water page, transaction, checksum of 8 each.
const (
	boltMagic     = 0xED0CDAED
	boltHeader    = 16
	boltMetaBytes = 64
)

// checkMetas requires both meta pages to be whole. bolt itself is content with
// one: when the newest is damaged it opens the commit before, and a node would
// silently forget entries, or a vote, that it has acknowledged.
func checkMetas(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	first := make([]byte, boltMetaBytes)
	if _, err := f.ReadAt(first, boltHeader); err != nil {
		return fmt.Errorf("first meta page: %w", err)
	}
	pages, err := checkMeta(first)
	if err != nil {
		return fmt.Errorf("first meta page: %w", err)
	}
	size := int64(binary.NativeEndian.Uint32(first[8:]))
	second := make([]byte, boltMetaBytes)
	if _, err := f.ReadAt(second, size+boltHeader); err != nil {
		return fmt.Errorf("second meta page: %w", err)
	}
	more, err := checkMeta(second)
	if err != nil {
		return fmt.Errorf("second meta page: %w", err)
	}
	if need := int64(max(pages, more)) * size; info.Size() < need {
		return fmt.Errorf("file has %d bytes, %d are in use", info.Size(), need)
	}
	return nil
}

// checkMeta verifies one meta page and returns how many pages are in use.
func checkMeta(meta []byte) (uint64, error) {
	if magic := binary.NativeEndian.Uint32(meta); magic != boltMagic {
		return 0, fmt.Errorf("magic is %08x", magic)
	}
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:boltMetaBytes-8])
	if stored := binary.NativeEndian.Uint64(meta[boltMetaBytes-8:]); stored != sum.Sum64() {
		return 0, fmt.Errorf("checksum is %016x, stored was %016x", sum.Sum64(), stored)
	}
	return binary.NativeEndian.Uint64(meta[40:]), nil
}

// swept is what a walk over the entries found.
type swept struct{ Entries, First, Last uint64 }

// whole reads every entry once, so that a damaged one stops the start and not
// the work: some ten thousand entries take some tens of milliseconds. Behind the
// newest snapshot nothing may be missing, at the end neither; in front of it a
// crash after an installed snapshot can leave a hole, which does no harm.
func (g *guard) whole(snapshot uint64) error {
	next := snapshot + 1
	found, err := g.verify(func(l *raft.Log) error {
		if l.Index > next {
			return fmt.Errorf("%w: entries %d to %d are missing", ErrCorrupt, next, l.Index-1)
		}
		if l.Index == next {
			next++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if g.tail != nil && g.tail.last > max(found.Last, snapshot) {
		return fmt.Errorf("%w: entries up to %d were written, the store ends at %d", ErrCorrupt, g.tail.last, found.Last)
	}
	b, err := g.ballot()
	if err == nil && b.term == 0 && (found.Entries > 0 || snapshot > 0) {
		err = fmt.Errorf("%w: there are entries, and no term", ErrCorrupt)
	}
	g.begun.Store(found.Last > founding || snapshot > 0)
	g.voted.Store(b.voteTerm > founding)
	return err
}

// verify reads back every entry and hands it to look.
func (g *guard) verify(look func(*raft.Log) error) (found swept, err error) {
	if found.First, err = g.FirstIndex(); err != nil {
		return found, err
	}
	if found.Last, err = g.LastIndex(); err != nil || found.Last == 0 {
		return found, err
	}
	if found.Last-found.First > 1<<32 {
		return found, fmt.Errorf("%w: entries from %d to %d", ErrCorrupt, found.First, found.Last)
	}
	for index := found.First; index <= found.Last; index++ {
		var l raft.Log
		err := g.check(index, &l)
		if errors.Is(err, raft.ErrLogNotFound) {
			continue
		}
		if err == nil {
			err = look(&l)
		}
		if err != nil {
			return found, err
		}
		found.Entries++
	}
	return found, nil
}

// close releases the files. A write that hangs holds bolt's lock: see within.
func (g *guard) close() error { return errors.Join(catch(g.inner.Close), g.tail.close()) }
