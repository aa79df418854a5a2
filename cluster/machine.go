package cluster

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
)

// machine feeds committed entries to fsm and keeps the resulting state. Raft
// calls Apply, Snapshot and Restore from one goroutine, which owns every
// change; readers take the state, which never changes under them.
type machine struct {
	halt func(error)

	mu      sync.Mutex
	now     fsm.State
	at      time.Time     // when now became current
	changed chan struct{} // closed at the next change, also by a restore
	waiting map[fsm.CommandID]chan fsm.Answer
	stamps  map[fsm.Token]time.Time // of claims applied by this process
	base    time.Time               // this process began, or restored a snapshot
	stopped error                   // an entry could not be read: nothing is applied any more
	bytes   uint64                  // of commands since the last snapshot
}

var (
	_ raft.FSM                = (*machine)(nil)
	_ raft.ConfigurationStore = (*machine)(nil)
)

func newMachine(halt func(error)) *machine {
	return &machine{
		halt: halt, now: fsm.New(), at: time.Now(), changed: make(chan struct{}), base: time.Now(),
		waiting: map[fsm.CommandID]chan fsm.Answer{}, stamps: map[fsm.Token]time.Time{},
	}
}

// Apply implements raft.FSM. It answers an fsm.Answer, or an error after an
// entry that could not be read: from then on the state stands still, since a
// node that skips an entry differs from the others for ever.
func (m *machine) Apply(l *raft.Log) any {
	m.mu.Lock()
	stopped, state := m.stopped, m.now
	m.mu.Unlock()
	if stopped != nil {
		return stopped
	}
	e, err := journal.Decode(l.Data)
	if err != nil {
		return m.stop(l.Index, err)
	}
	e.Index, e.Term = l.Index, fsm.Term(l.Term)
	next, answer := state.Apply(e)
	m.publish(next, func() {
		m.bytes += uint64(len(l.Data))
		m.stamp(e.Command, answer)
		if waiter, ok := m.waiting[e.ID]; ok {
			waiter <- answer // buffered, and removed at once: never blocks
			delete(m.waiting, e.ID)
		}
	})
	return answer
}

func (m *machine) stop(index uint64, err error) error {
	if errors.Is(err, journal.ErrNewer) {
		err = fmt.Errorf("%w: entry %d: %w", ErrUpgrade, index, err)
	} else {
		err = fmt.Errorf("%w: entry %d: %w", ErrCorrupt, index, err)
	}
	m.mu.Lock()
	m.stopped = err
	m.mu.Unlock()
	m.halt(err)
	return err
}

// publish makes a state current and wakes every watcher.
func (m *machine) publish(s fsm.State, also func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.at = s, time.Now()
	also()
	close(m.changed)
	m.changed = make(chan struct{})
}

// stamp notes when this process applied the claims of an answer. A repeated
// answer does not make its claims younger.
func (m *machine) stamp(c fsm.Command, a fsm.Answer) {
	now := time.Now()
	mark := func(t fsm.Token) {
		if _, ok := m.stamps[t]; !ok {
			m.stamps[t] = now
		}
	}
	if a.Token != 0 && c.Kind() == fsm.KindClaim { // others' tokens have no window
		mark(a.Token)
	}
	for _, c := range a.Claims {
		mark(c.Token)
	}
	if len(m.stamps)%1024 != 1023 {
		return
	}
	for t, at := range m.stamps {
		if now.Sub(at) > stampsKept {
			delete(m.stamps, t)
		}
	}
}

// applied says when this process applied the entry of a token; false when it
// has not yet. For what came in a snapshot, or fell out of the stamps after
// stampsKept, it is the moment of the last restore or of the process's start.
func (m *machine) applied(t fsm.Token) (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t == 0 || t.Index() > m.now.Index() {
		return time.Time{}, false
	}
	if at, ok := m.stamps[t]; ok {
		return at, true
	}
	return m.base, true
}

// StoreConfiguration implements raft.ConfigurationStore: with it raft counts
// configuration entries as applied, and can snapshot a quiet cluster.
func (m *machine) StoreConfiguration(uint64, raft.Configuration) {}

// Snapshot implements raft.FSM. The state is the snapshot.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped != nil {
		return nil, m.stopped
	}
	m.bytes = 0
	return persisted{m.now}, nil
}

// Restore implements raft.FSM.
func (m *machine) Restore(r io.ReadCloser) error {
	s, _, err := journal.ReadSnapshot(r)
	if err != nil {
		if errors.Is(err, journal.ErrNewer) {
			err = fmt.Errorf("%w: %w", ErrUpgrade, err)
		} else {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		m.halt(fmt.Errorf("restore snapshot: %w", err))
		return err
	}
	m.publish(s, func() {
		m.base, m.bytes = time.Now(), 0
		clear(m.stamps)
	})
	return nil
}

func (m *machine) state() fsm.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// clock is the log clock as far as this process can tell: the last value,
// carried on from when it was applied.
func (m *machine) clock() fsm.Clock {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now.Clock() + fsm.Clock(time.Since(m.at))
}

func (m *machine) watch() (fsm.State, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now, m.changed
}

func (m *machine) pendingBytes() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bytes
}

// expect registers for the answer to a command that this process will apply.
// One caller at a time may expect an id.
func (m *machine) expect(id fsm.CommandID) (<-chan fsm.Answer, func()) {
	ch := make(chan fsm.Answer, 1)
	m.mu.Lock()
	m.waiting[id] = ch
	m.mu.Unlock()
	return ch, func() {
		m.mu.Lock()
		if m.waiting[id] == ch {
			delete(m.waiting, id)
		}
		m.mu.Unlock()
	}
}

// persisted is a state that raft asked to write out.
type persisted struct{ state fsm.State }

// Persist implements raft.FSMSnapshot.
func (p persisted) Persist(sink raft.SnapshotSink) error {
	if _, err := journal.WriteSnapshot(sink, p.state); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (persisted) Release() {}
