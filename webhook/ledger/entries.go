package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sort"
	"time"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// key and value are an event in 25 bytes: parts of two digests tell events and
// bodies apart, and how it ended.
type (
	key   [16]byte
	value struct {
		sum     [8]byte
		outcome Outcome
	}
	entry struct {
		key   key
		value value
	}
)

const entrySize = 25

func keyOf(e webhook.Event) key {
	id := e.Key()
	return key(id[:])
}

func sumOf(e webhook.Event) [8]byte { return [8]byte(e.Sum[:]) }

// entries are events in order of their keys, packed. They are never changed.
type entries []byte

func (p entries) len() int { return len(p) / entrySize }

func (p entries) at(i int) entry {
	b := p[i*entrySize:]
	return entry{key: key(b), value: value{sum: [8]byte(b[16:]), outcome: Outcome(b[24])}}
}

func (p entries) all() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for i := range p.len() {
			if !yield(p.at(i)) {
				return
			}
		}
	}
}

func (p entries) find(k key) (value, bool) {
	i := sort.Search(p.len(), func(i int) bool { return bytes.Compare(p[i*entrySize:i*entrySize+len(k)], k[:]) >= 0 })
	if i == p.len() {
		return value{}, false
	}
	e := p.at(i)
	return e.value, e.key == k
}

// pack puts events in order.
func pack(events map[key]value) entries {
	keys := slices.SortedFunc(maps.Keys(events), func(a, b key) int { return bytes.Compare(a[:], b[:]) })
	out := make(entries, 0, len(keys)*entrySize)
	for _, k := range keys {
		v := events[k]
		out = append(append(append(out, k[:]...), v.sum[:]...), byte(v.outcome))
	}
	return out
}

// unpack checks packed events.
func unpack(b []byte) (entries, error) {
	p := entries(b)
	if len(b)%entrySize != 0 {
		return nil, fmt.Errorf("%w: %d bytes of finished events", ErrHead, len(b))
	}
	for i := range p.len() {
		e := p.at(i)
		if e.value.outcome == 0 || e.value.outcome >= numOutcome || i > 0 && bytes.Compare(b[(i-1)*entrySize:][:16], e.key[:]) >= 0 {
			return nil, fmt.Errorf("%w: finished event %d of %d", ErrHead, i, p.len())
		}
	}
	return p, nil
}

// merged joins events; of two with one key the first counts.
func merged(parts ...entries) entries {
	all := map[key]value{}
	for _, p := range slices.Backward(parts) {
		for e := range p.all() {
			all[e.key] = e.value
		}
	}
	return pack(all)
}

// file is an immutable object with finished events.
type file struct {
	key      string
	number   uint64
	modified time.Time // by the store's clock
	entries  entries
}

func (f file) proto() *webhookv1.DoneFile {
	return &webhookv1.DoneFile{Key: f.key, Number: f.number, Count: uint64(f.entries.len())}
}

// loadFile reads a file that the head names.
func (l *Ledger) loadFile(ctx context.Context, p *webhookv1.DoneFile) (file, error) {
	o, err := l.cfg.Store.Get(ctx, p.GetKey())
	if errors.Is(err, buffer.ErrNotFound) {
		return file{}, fmt.Errorf("%w: %w", ErrHead, err)
	}
	if err != nil {
		return file{}, err
	}
	e, err := unpack(o.Body)
	if err == nil && uint64(e.len()) != p.GetCount() {
		err = fmt.Errorf("%w: %d finished events, should be %d", ErrHead, e.len(), p.GetCount())
	}
	if err != nil {
		return file{}, fmt.Errorf("file %s: %w", p.GetKey(), err)
	}
	return file{key: p.GetKey(), number: p.GetNumber(), modified: o.Modified, entries: e}, nil
}

// writeFile writes events to a new file, under a name that no other try has.
func (l *Ledger) writeFile(ctx context.Context, e entries, number uint64) (file, error) {
	f := file{key: ownKey(l.cfg, prefixDone), number: number, entries: e}
	if _, err := l.cfg.Store.Put(ctx, f.key, e, buffer.Condition{}); err != nil {
		return file{}, err
	}
	return f, nil
}
