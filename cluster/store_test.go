package cluster

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
)

// faulty is a store that can be told to hang, to refuse, or to die.
type faulty struct {
	Store
	mu     sync.Mutex
	hang   chan struct{} // writes wait until it is closed
	err    error         // writes return it
	dieAt  int           // the write of this number, and all later ones, are lost; 0: never
	lands  bool          // the write of that number still reaches the disk
	writes int
	keys   []string // of the stable store, in order
}

func (f *faulty) set(change func(*faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faulty) write(op func() error) error {
	f.mu.Lock()
	f.writes++
	hang, err, dead, last := f.hang, f.err, f.dieAt > 0 && f.writes >= f.dieAt, f.writes == f.dieAt
	lands := f.lands
	f.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if err != nil {
		return err
	}
	if dead && last && lands {
		return errors.Join(op(), errDied)
	}
	if dead {
		return errDied
	}
	return op()
}

func (f *faulty) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

var errDied = errors.New("the machine lost power")

func (f *faulty) StoreLog(l *raft.Log) error { return f.StoreLogs([]*raft.Log{l}) }
func (f *faulty) StoreLogs(ls []*raft.Log) error {
	return f.write(func() error { return f.Store.StoreLogs(ls) })
}

func (f *faulty) DeleteRange(first, last uint64) error {
	return f.write(func() error { return f.Store.DeleteRange(first, last) })
}

func (f *faulty) Set(k, v []byte) error {
	f.set(func(f *faulty) { f.keys = append(f.keys, string(k)) })
	return f.write(func() error { return f.Store.Set(k, v) })
}

func (f *faulty) SetUint64(k []byte, v uint64) error {
	f.set(func(f *faulty) { f.keys = append(f.keys, string(k)) })
	return f.write(func() error { return f.Store.SetUint64(k, v) })
}

func storeConfig(dir string, node fsm.NodeID) Config {
	c := DefaultConfig()
	c.DataDir, c.NodeID = dir, node
	return c
}

func openTest(t testing.TB, dir string) *guard {
	t.Helper()
	g, _, err := openStore(storeConfig(dir, "n1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func guardOn(t *testing.T, f *faulty) (*guard, *[]error) {
	t.Helper()
	c := storeConfig(t.TempDir(), "n1")
	c.Timings.Write = time.Second
	c.Faults.Store = func(s Store) Store { f.Store = s; return f }
	halts := &[]error{}
	g, _, err := openStore(c, func(err error) { *halts = append(*halts, err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.close() })
	g.running.Store(true)
	return g, halts
}

// TestVoteIsOneRecord: the term of a vote never reaches the disk alone, and
// without its candidate it is as if it had not been written.
func TestVoteIsOneRecord(t *testing.T) {
	f := &faulty{}
	g, _ := guardOn(t, f)
	if _, err := g.GetUint64([]byte(keyVoteTerm)); err == nil || err.Error() != "not found" {
		t.Errorf("no vote yet: %v", err)
	}
	if _, err := g.Get([]byte(keyVoteFor)); err == nil || err.Error() != "not found" {
		t.Errorf("no vote yet: %v", err)
	}
	before := f.count()
	if err := g.SetUint64([]byte(keyVoteTerm), 7); err != nil || f.count() != before {
		t.Fatalf("the term alone was written: %v, %d writes", err, f.count()-before)
	}
	if err := g.Set([]byte(keyVoteFor), []byte("a")); err != nil || f.count() != before+1 {
		t.Fatalf("vote took %d writes: %v", f.count()-before, err)
	}
	if err := g.SetUint64([]byte(keyVoteTerm), 8); err != nil { // and the process dies here
		t.Fatal(err)
	}
	again := newGuard(f, time.Second, nil) // what the next process finds
	term, err := again.GetUint64([]byte(keyVoteTerm))
	candidate, err2 := again.Get([]byte(keyVoteFor))
	if err != nil || err2 != nil || term != 7 || string(candidate) != "a" {
		t.Errorf("after the crash the vote is %d for %q: %v %v", term, candidate, err, err2)
	}
}

// TestVoteDropsOnError: a failed candidate takes its term with it.
func TestVoteDropsOnError(t *testing.T) {
	f := &faulty{}
	g, halts := guardOn(t, f)
	f.err = syscall.EIO
	_ = g.SetUint64([]byte(keyVoteTerm), 7)
	if err := g.Set([]byte(keyVoteFor), []byte("a")); !errors.Is(err, ErrStoreWrite) {
		t.Errorf("vote on a bad disk: %v", err)
	}
	if len(*halts) != 1 {
		t.Errorf("%d halts", len(*halts))
	}
	f.err = nil
	if err := g.Set([]byte(keyVoteFor), []byte("b")); err == nil {
		t.Error("a candidate was written without its term")
	}
}

// TestRaftsKeys watches a real election: the names and the order of raft's
// writes are what the guard relies on.
func TestRaftsKeys(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *lab) {
		keys := map[string]*recording{}
		for id, c := range l.cfgs {
			r := &recording{}
			keys[string(id)] = r
			c.Faults.Store = func(s Store) Store { r.Store = s; return r }
			l.cfgs[id] = c
		}
		l.start()
		l.leader()
		voted := false
		for id, r := range keys {
			got := r.names()
			if slices.Contains(got, keyVoteTerm) || slices.Contains(got, keyVoteFor) {
				t.Errorf("%s wrote half a vote: %v", id, got)
			}
			for _, name := range got {
				switch name {
				case keyBallot, keyIdentity:
				default:
					t.Errorf("%s wrote a key that is not known: %q", id, name)
				}
			}
		}
		for id, n := range l.nodes {
			b, err := n.logs.ballot()
			if err != nil || b.term == 0 {
				t.Errorf("%s went through an election and keeps no term: %+v, %v: raft has renamed its keys", id, b, err)
			}
			voted = voted || b.voteTerm == b.term && len(b.candidate) > 0
		}
		if !voted {
			t.Error("an election without a vote: raft has renamed its keys")
		}
	})
}

// recording notes the keys that reach the disk.
type recording struct {
	Store
	mu   sync.Mutex
	keys []string
}

func (r *recording) note(k []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, string(k))
}

func (r *recording) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.keys)
}

func (r *recording) Set(k, v []byte) error              { r.note(k); return r.Store.Set(k, v) }
func (r *recording) SetUint64(k []byte, v uint64) error { r.note(k); return r.Store.SetUint64(k, v) }

// TestMissing pins the answers for what is not there: raft compares the text.
func TestMissing(t *testing.T) {
	g, halts := guardOn(t, &faulty{})
	_, err := g.Get([]byte("nothing"))
	_, err2 := g.GetUint64([]byte("nothing"))
	for _, e := range []error{err, err2} {
		if e == nil || e.Error() != "not found" {
			t.Errorf("missing key: %v", e)
		}
	}
	if err := g.GetLog(77, &raft.Log{}); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("missing entry: %v", err)
	}
	if has, err := raft.HasExistingState(g, g, raft.NewInmemSnapshotStore()); has || err != nil {
		t.Errorf("a new store has state: %v %v", has, err)
	}
	if len(*halts) != 0 {
		t.Errorf("a miss ended the node: %v", *halts)
	}
}

// TestSeal: what is read is what was written, raft's own entry is not touched,
// and raft's extensions pass through.
func TestSeal(t *testing.T) {
	g, _ := guardOn(t, &faulty{})
	for i, ext := range [][]byte{nil, []byte("ours")} {
		l := &raft.Log{Index: uint64(i + 1), Term: 3, Type: raft.LogCommand, Data: []byte("data"), Extensions: ext, AppendedAt: time.Now()}
		if err := g.StoreLog(l); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(l.Extensions, ext) {
			t.Error("the guard changed raft's own entry")
		}
		var back raft.Log
		if err := g.GetLog(l.Index, &back); err != nil {
			t.Fatal(err)
		}
		if back.Term != 3 || string(back.Data) != "data" || !bytes.Equal(back.Extensions, ext) || !back.AppendedAt.Equal(l.AppendedAt) {
			t.Errorf("read back %+v", back)
		}
	}
}

// TestSealCatches each field that a bit could change.
func TestSealCatches(t *testing.T) {
	l := &raft.Log{Index: 5, Term: 3, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("x"), AppendedAt: time.Unix(9, 9)}
	for name, damage := range map[string]func(*raft.Log){
		"index":       func(l *raft.Log) { l.Index = 6 },
		"term":        func(l *raft.Log) { l.Term++ },
		"type":        func(l *raft.Log) { l.Type = raft.LogNoop },
		"data":        func(l *raft.Log) { l.Data = []byte("dota") },
		"data length": func(l *raft.Log) { l.Data = []byte("datax") },
		"extensions":  func(l *raft.Log) { l.Extensions[0] = 'y' },
		"appended at": func(l *raft.Log) { l.AppendedAt = l.AppendedAt.Add(1) },
		"seal":        func(l *raft.Log) { l.Extensions[len(l.Extensions)-1] ^= 1 },
		"no seal":     func(l *raft.Log) { l.Extensions = nil },
	} {
		bad := seal(l)
		damage(bad)
		if err := unseal(5, bad); err == nil {
			t.Errorf("a damaged %s was not noticed", name)
		}
	}
	if err := unseal(5, seal(l)); err != nil {
		t.Error(err)
	}
}

// TestWriteDeadline: a write that hangs is given up, for ever.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{}
		g, halts := guardOn(t, f)
		f.set(func(f *faulty) { f.hang = make(chan struct{}) })
		begun := time.Now()
		err := g.StoreLog(&raft.Log{Index: 1, Term: 1})
		if !errors.Is(err, ErrWriteDeadline) || time.Since(begun) != time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		close(f.hang)
		synctest.Wait()
		f.set(func(f *faulty) { f.hang = nil })
		if err := g.StoreLog(&raft.Log{Index: 2, Term: 1}); !errors.Is(err, ErrWriteDeadline) {
			t.Errorf("the disk woke up and the node went on: %v", err)
		}
		if len(*halts) != 1 {
			t.Errorf("%d halts, want 1", len(*halts))
		}
	})
}

// TestTermThatCannotBeWritten ends the goroutine that asked, with its deferred
// work, instead of letting raft panic.
func TestTermThatCannotBeWritten(t *testing.T) {
	f := &faulty{}
	g, halts := guardOn(t, f)
	f.err = syscall.ENOSPC
	ended, returned := make(chan struct{}), false
	go func() {
		defer close(ended)
		_ = g.SetUint64([]byte(keyCurrentTerm), 5)
		returned = true
	}()
	<-ended
	if returned || len(*halts) != 1 || !errors.Is((*halts)[0], syscall.ENOSPC) {
		t.Errorf("returned %v, halts %v", returned, *halts)
	}
}

// TestLocked: two processes on one store.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	defer openTest(t, dir).close()
	if _, _, err := openStore(storeConfig(dir, "n1"), nil); !errors.Is(err, ErrStoreLocked) {
		t.Errorf("second open of %s: %v", filepath.Join(dir, storeFile), err)
	}
}
