package cluster

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/internal/planted"
)

// Keys under which raft 1.8.0 keeps its own record (raft.go). A test watches a
// real election and fails when the library renames one.
const (
	keyVoteTerm    = "LastVoteTerm"
	keyVoteFor     = "LastVoteCand"
	keyCurrentTerm = "CurrentTerm"
)

// Store is the disk below the guards: raft-boltdb in production. A method that
// returns nil has made its change durable. A missing key is the error text
// "not found", a missing entry raft.ErrLogNotFound.
type Store interface {
	raft.LogStore
	raft.StableStore
	Close() error
}

// guard stands between raft and its store. Its first failure is kept for ever:
// from then on it refuses every write, so that nothing is acknowledged after a
// write whose fate is unknown, and tells the node to end.
type guard struct {
	inner    Store
	deadline time.Duration
	halt     func(error) // called once, with the first failure
	running  atomic.Bool // set once raft runs: before that, errors go to the caller of Start

	mu      sync.Mutex
	failure error

	ballots  sync.Mutex // one change of the ballot at a time
	heldTerm uint64     // of a vote whose candidate has not come yet; never on disk alone

	tail *tail // where the log ends, beside the store; nil: not kept

	begun atomic.Bool // an entry beyond the founding one was stored, or found by whole
	voted atomic.Bool // a vote in a term beyond the founding one was stored, or found by whole
}

// The founding of a cluster is one entry and one term, which raft.BootstrapCluster
// writes before anybody has been asked.
const founding = 1

var (
	_ raft.MonotonicLogStore = (*guard)(nil)
	_ raft.LogStore          = (*guard)(nil)
	_ raft.StableStore       = (*guard)(nil)
)

func newGuard(inner Store, deadline time.Duration, halt func(error)) *guard {
	if planted.Bug(planted.NoWriteDeadline) {
		deadline = 10 * time.Minute
	}
	return &guard{inner: inner, deadline: deadline, halt: halt}
}

// FirstIndex implements raft.LogStore.
func (g *guard) FirstIndex() (first uint64, err error) {
	err = g.read("read first index", func() error { first, err = g.inner.FirstIndex(); return err })
	return first, err
}

// LastIndex implements raft.LogStore.
func (g *guard) LastIndex() (last uint64, err error) {
	err = g.read("read last index", func() error { last, err = g.inner.LastIndex(); return err })
	return last, err
}

// GetLog reads an entry and checks it. An entry that is not what was written
// ends the node: raft would panic on the error, or apply wrong bytes.
func (g *guard) GetLog(index uint64, log *raft.Log) error {
	err := g.check(index, log)
	if err == nil || errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	return g.stop(err)
}

// check reads an entry and verifies it, without consequences.
func (g *guard) check(index uint64, log *raft.Log) error {
	var stored raft.Log
	err := catch(func() error { return g.inner.GetLog(index, &stored) })
	if errors.Is(err, raft.ErrLogNotFound) {
		return raft.ErrLogNotFound
	}
	if err == nil {
		err = unseal(index, &stored)
	}
	if err != nil {
		return fmt.Errorf("%w: read entry %d: %w", ErrCorrupt, index, err)
	}
	*log = stored
	return nil
}

// IsMonotonic makes raft drop all older entries when it installs a snapshot,
// instead of leaving a hole behind them.
func (g *guard) IsMonotonic() bool { return true }

// StoreLog implements raft.LogStore.
func (g *guard) StoreLog(log *raft.Log) error { return g.StoreLogs([]*raft.Log{log}) }

// StoreLogs seals copies of the entries, since raft shares these very pointers
// with its cache and its senders, and writes them.
func (g *guard) StoreLogs(logs []*raft.Log) error {
	sealed := make([]*raft.Log, len(logs))
	for i, l := range logs {
		sealed[i] = seal(l)
	}
	return g.write("write entries", func() error {
		if err := g.inner.StoreLogs(sealed); err != nil || len(logs) == 0 {
			return err
		}
		last := logs[len(logs)-1].Index
		if last > founding {
			g.begun.Store(true)
		}
		return g.tail.extend(last)
	})
}

// DeleteRange implements raft.LogStore.
func (g *guard) DeleteRange(first, last uint64) error {
	return g.write("delete entries", func() error {
		if err := g.tail.cut(first, last); err != nil {
			return err
		}
		return g.inner.DeleteRange(first, last)
	})
}

// read runs a read and turns a panic of the store into an error. A missing key
// is the exact text that raft compares.
func (g *guard) read(what string, op func() error) error {
	err := catch(op)
	switch {
	case err == nil:
		return nil
	case err.Error() == errNotFound.Error():
		return errNotFound
	default:
		return g.fail(fmt.Errorf("%w: %s: %w", ErrCorrupt, what, err))
	}
}

// write runs a write and gives it up at the deadline. The write itself may
// still land then; what lands is an entry or a vote that nobody was told of.
func (g *guard) write(what string, op func() error) error {
	g.mu.Lock()
	failure := g.failure
	g.mu.Unlock()
	if failure != nil {
		return failure
	}
	done := make(chan error, 1)
	go func() { done <- catch(op) }()
	timer := time.NewTimer(g.deadline)
	defer timer.Stop()
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
		return g.fail(fmt.Errorf("%w: %s: %w", ErrStoreWrite, what, err))
	case <-timer.C:
		return g.fail(fmt.Errorf("%w: %s took longer than %s", ErrWriteDeadline, what, g.deadline))
	}
}

// fail latches the first failure and tells the node, once.
func (g *guard) fail(err error) error {
	g.mu.Lock()
	first := g.failure == nil
	if first {
		g.failure = err
	}
	err = g.failure
	g.mu.Unlock()
	if first && g.running.Load() {
		g.halt(err)
	}
	return err
}

// stop is fail for the places where raft answers an error with a panic: the
// calling goroutine of raft ends instead, with its deferred work done. The
// node is cut off by then and is shutting raft down.
func (g *guard) stop(err error) error {
	err = g.fail(err)
	if g.running.Load() {
		runtime.Goexit()
	}
	return err
}

// catch turns a panic into an error: bbolt panics on pages that make no sense,
// and a file cut short under its memory map faults.
func catch(op func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("store panicked: %v", r)
		}
	}()
	return op()
}
