package cluster

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

const sweepEntries = 60

func sweepData(i uint64) []byte { return bytes.Repeat([]byte{byte(i)}, 900) }

// filledStore writes entries, a vote and a term, and returns the file's bytes.
func filledStore(t *testing.T) (dir string, whole []byte) {
	t.Helper()
	dir = t.TempDir()
	g := openTest(t, dir)
	for i := uint64(1); i <= sweepEntries; i += 10 {
		var logs []*raft.Log
		for j := i; j < i+10; j++ {
			logs = append(logs, &raft.Log{Index: j, Term: 1, Data: sweepData(j), AppendedAt: time.Unix(int64(j), 0)})
		}
		if err := g.StoreLogs(logs); err != nil {
			t.Fatal(err)
		}
	}
	_ = g.SetUint64([]byte(keyCurrentTerm), 4)
	_ = g.SetUint64([]byte(keyVoteTerm), 4)
	if err := g.Set([]byte(keyVoteFor), []byte("n1")); err != nil {
		t.Fatal(err)
	}
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, storeFile))
	if err != nil {
		t.Fatal(err)
	}
	return dir, whole
}

// replace puts other bytes in the store's place, as a new file: where bolt has
// panicked, the old one stays locked until the process ends.
func replace(t *testing.T, dir string, data []byte) {
	t.Helper()
	path := filepath.Join(dir, storeFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// opensRight opens the directory. It reports false when the store was refused
// with one of our errors, and fails the test when it opened and is not what was
// written, or stops being that after more is written to it.
func opensRight(t *testing.T, what, dir string) bool {
	t.Helper()
	tail, err := os.ReadFile(filepath.Join(dir, tailFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.WriteFile(filepath.Join(dir, tailFile), tail, 0o600) }()
	g, _, err := openStore(storeConfig(dir, "n1"), nil)
	if err == nil {
		if err = g.whole(0); err != nil {
			_ = g.close()
		}
	}
	if err != nil {
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrStoreGone) {
			t.Errorf("%s: refused with %v", what, err)
		}
		return false
	}
	defer g.close()
	err = right(g)
	if err == nil {
		err = g.StoreLog(&raft.Log{Index: sweepEntries + 1, Term: 4, Data: sweepData(1)})
	}
	if err == nil {
		err = right(g)
	}
	if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrStoreWrite) {
		t.Errorf("%s: opened, and then %v", what, err)
	}
	return err == nil
}

var errWrong = errors.New("silently wrong")

func right(g *guard) error {
	term, err := g.GetUint64([]byte(keyCurrentTerm))
	if err != nil {
		return err
	}
	vote, err := g.GetUint64([]byte(keyVoteTerm))
	if err != nil {
		return err
	}
	if term != 4 || vote != 4 {
		return errWrong
	}
	for i := uint64(1); i <= sweepEntries; i++ {
		var l raft.Log
		if err := g.check(i, &l); err != nil {
			return err
		}
		if !bytes.Equal(l.Data, sweepData(i)) {
			return errWrong
		}
	}
	return nil
}

// TestCorruptionSweep damages every page in turn, in three ways. A store with a
// damaged page is refused with a clear error, or the page was not in use; it is
// never silently wrong and never a bare panic.
func TestCorruptionSweep(t *testing.T) {
	dir, whole := filledStore(t)
	page := os.Getpagesize()
	refused, harmless := 0, 0
	try := func(what string, damage func([]byte)) {
		bad := bytes.Clone(whole)
		damage(bad)
		replace(t, dir, bad)
		if opensRight(t, what, dir) {
			harmless++
		} else {
			refused++
		}
	}
	for at := 0; at < len(whole); at += page {
		try("64 bytes flipped", func(b []byte) {
			for i := at + page/4; i < at+page/4+64; i++ {
				b[i] ^= 0xff
			}
		})
		try("header flipped", func(b []byte) {
			for i := at; i < at+64; i++ {
				b[i] ^= 0xff
			}
		})
		try("zeroed", func(b []byte) { clear(b[at : at+page]) })
	}
	t.Logf("%d pages: %d damages refused, %d in pages not in use", len(whole)/page, refused, harmless)
	if refused < len(whole)/page {
		t.Errorf("only %d of %d damages were refused", refused, refused+harmless)
	}
}

// TestCutStore covers files that are shorter than they should be.
func TestCutStore(t *testing.T) {
	dir, whole := filledStore(t)
	path := filepath.Join(dir, storeFile)
	for _, n := range []int{0, 1, os.Getpagesize(), 2 * os.Getpagesize(), len(whole) / 2, len(whole) - os.Getpagesize()} {
		replace(t, dir, whole[:n])
		if opensRight(t, "cut", dir) && n < len(whole)/2+1 {
			t.Errorf("a store cut to %d of %d bytes was opened", n, len(whole))
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openStore(storeConfig(dir, "n1"), nil); !errors.Is(err, ErrStoreGone) {
		t.Errorf("a store that was removed: %v", err)
	}
}

// TestNewestMeta: bolt would open the commit before and lose the vote.
func TestNewestMeta(t *testing.T) {
	dir, whole := filledStore(t)
	for _, at := range []int{0, os.Getpagesize()} {
		bad := bytes.Clone(whole)
		bad[at+boltHeader+50] ^= 1
		replace(t, dir, bad)
		if _, _, err := openStore(storeConfig(dir, "n1"), nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("meta page at %d damaged: %v", at, err)
		}
	}
}
