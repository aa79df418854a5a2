package sim

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/cluster/journal"
	"github.com/pointsman/pointsman/fsm"
)

// ledger keeps every entry that any node made durable. Of two entries at one
// index the one of the higher term counts: a leader of a later term has all
// that was committed before, so the other was not.
type ledger struct {
	run *run

	mu      sync.Mutex
	entries map[uint64]entry
	last    map[string]uint64 // of each node's log
}

type entry struct {
	term    uint64
	kind    raft.LogType
	data    []byte
	at      time.Time // first made durable anywhere: by its leader
	author  *process
	on      map[string]bool            // nodes that hold it
	sure    time.Time                  // a majority holds it; zero: none does
	applied map[int64]map[string]int64 // at that moment, for a Settle to done: farm by frontend and zone
	sides   map[string]fsm.Address     // the same: where each side's objects were
}

func newLedger(r *run) *ledger {
	return &ledger{run: r, entries: map[uint64]entry{}, last: map[string]uint64{}}
}

func (l *ledger) stored(p *process, logs []*raft.Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(logs) > 0 && logs[0].Index > l.last[p.id]+1 { // what is missing came as a snapshot
		l.run.installs.Add(1)
	}
	for _, e := range logs {
		l.last[p.id] = e.Index
		made, ok := l.entries[e.Index]
		if ok && made.term > e.Term {
			continue
		}
		if !ok || made.term < e.Term {
			made = l.first(p, e)
		}
		made.on[p.id] = true
		if len(made.on) == 2 && made.sure.IsZero() {
			made.sure = time.Now()
		}
		l.entries[e.Index] = made
	}
}

func (l *ledger) first(p *process, e *raft.Log) entry {
	made := entry{term: e.Term, kind: e.Type, data: e.Data, at: time.Now(), author: p, on: map[string]bool{}}
	if e.Type == raft.LogCommand {
		if d, err := journal.Decode(e.Data); err == nil {
			if c, ok := d.Command.(fsm.Settle); ok && c.To == fsm.Done {
				made.applied, made.sides = l.run.applied(), l.run.sideValues()
			}
		}
	}
	return made
}

// cut notes that a node's log lost its newest entries.
func (l *ledger) cut(node string, first, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last >= l.last[node] {
		l.last[node] = first - 1
	}
	for i := first; i <= last; i++ {
		if e, ok := l.entries[i]; ok && last >= l.last[node] {
			delete(e.on, node)
		}
	}
}

// applied is where the traffic of each frontend goes now.
func (r *run) applied() map[int64]map[string]int64 {
	out := map[int64]map[string]int64{}
	for _, m := range r.plan.Masters {
		out[m.Frontend] = map[string]int64{}
		for _, zone := range zones() {
			if f, err := r.sim.Applied(m.Frontend, zone); err == nil && f.DefaultFarmID != nil {
				out[m.Frontend][zone] = *f.DefaultFarmID
			}
		}
	}
	return out
}

// decided is one command as the log decided it.
type decided struct {
	entry
	fsm.Entry
	answer        fsm.Answer
	before, after fsm.State
}

// replay applies every committed command once more, on a state of its own.
func (l *ledger) replay(upTo uint64) (fsm.State, []decided, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	state, list := fsm.New(), []decided{}
	for i := uint64(1); i <= upTo; i++ {
		e, ok := l.entries[i]
		if !ok {
			return state, list, fmt.Errorf("entry %d was stored nowhere", i)
		}
		if e.kind != raft.LogCommand {
			continue
		}
		d, err := journal.Decode(e.data)
		if err != nil {
			return state, list, fmt.Errorf("entry %d: %w", i, err)
		}
		d.Index, d.Term = i, fsm.Term(e.term)
		next, answer := state.Apply(d)
		list = append(list, decided{entry: e, Entry: d, answer: answer, before: state, after: next})
		state = next
	}
	return state, list, nil
}
