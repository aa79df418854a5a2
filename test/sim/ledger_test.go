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
}

type entry struct {
	term    uint64
	kind    raft.LogType
	data    []byte
	at      time.Time // first made durable anywhere
	node    string
	applied map[int64]map[string]int64 // at that moment, for a Settle to done: farm by frontend and zone
}

func newLedger(r *run) *ledger { return &ledger{run: r, entries: map[uint64]entry{}} }

func (l *ledger) stored(node string, logs []*raft.Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range logs {
		if have, ok := l.entries[e.Index]; ok && have.term >= e.Term {
			continue
		}
		made := entry{term: e.Term, kind: e.Type, data: e.Data, at: time.Now(), node: node}
		if e.Type == raft.LogCommand {
			if d, err := journal.Decode(e.Data); err == nil {
				if c, ok := d.Command.(fsm.Settle); ok && c.To == fsm.Done {
					made.applied = l.run.applied()
				}
			}
		}
		l.entries[e.Index] = made
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
