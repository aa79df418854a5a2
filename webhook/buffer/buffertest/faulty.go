package buffertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
)

var _ buffer.Store = (*Faulty)(nil)

// ErrBroken is what a broken call answers: none of the store's own errors, so
// nobody who has it knows whether anything was written.
var ErrBroken = errors.New("store broke on purpose")

// Op is a method of a store.
type Op string

// The methods of a store.
const (
	Put    Op = "put"
	Get    Op = "get"
	List   Op = "list"
	Delete Op = "delete"
)

// Ops are all methods.
func Ops() []Op { return []Op{Put, Get, List, Delete} }

// Fault is what goes wrong with one call.
type Fault string

// Faults. Lost, LostHang and Late are as Fail and Hang for Get and List; Ignore
// and Racy matter to Put and Delete only, and Stale to List only.
const (
	None     Fault = ""
	Fail     Fault = "fail"      // ErrBroken, and nothing is done: as a 503 or a reset before the request arrived
	Lost     Fault = "lost"      // it is done, and ErrBroken
	Hang     Fault = "hang"      // nothing is done, and no answer until ctx ends
	LostHang Fault = "lost-hang" // it is done, and no answer until ctx ends
	Late     Fault = "late"      // ErrBroken, and it is done LateBy later
	Conflict Fault = "conflict"  // ErrBroken as from a 409: another write was under way, nothing is done
	Ignore   Fault = "ignore"    // it is done whatever the condition says
	Racy     Fault = "racy"      // the condition is looked at first, and the write is done SlowBy later whatever has come between
	Stale    Fault = "stale"     // a list without what was written within StaleFor
	Slow     Fault = "slow"      // it is done SlowBy later, if ctx lasts
)

// Odds are how often each fault comes, of 1; together at most 1.
type Odds map[Fault]float64

// Faulty is a store whose calls go wrong. Odds are drawn from the seed, the
// operation, the key and how often it was asked for, so that the order in which
// goroutines come does not matter. All methods may be called at any time by any
// number of goroutines; the fields are set before the first call.
type Faulty struct {
	Store buffer.Store
	Seed  uint64

	LateBy   time.Duration // default 1 s
	StaleFor time.Duration // default 1 s
	SlowBy   time.Duration // default 100 ms

	mu      sync.Mutex
	odds    map[Op]Odds
	broken  map[Op]Fault
	next    map[Op][]Fault
	asked   map[string]uint64 // by operation and key
	calls   map[Op]int
	written map[string]time.Time // for stale lists
	late    sync.WaitGroup
}

// NewFaulty wraps a store. Nothing goes wrong until something is set.
func NewFaulty(store buffer.Store, seed uint64) *Faulty {
	return &Faulty{
		Store: store, Seed: seed, LateBy: time.Second, StaleFor: time.Second, SlowBy: 100 * time.Millisecond,
		odds: map[Op]Odds{}, broken: map[Op]Fault{}, next: map[Op][]Fault{}, asked: map[string]uint64{}, calls: map[Op]int{}, written: map[string]time.Time{},
	}
}

// Odds sets how often calls of an operation go wrong; nil: never.
func (f *Faulty) Odds(op Op, odds Odds) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.odds[op] = odds
}

// Break gives every call of these operations (none: of all) the fault, until
// Mend. It comes before the odds.
func (f *Faulty) Break(fault Fault, ops ...Op) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, op := range orAll(ops) {
		f.broken[op] = fault
	}
}

// Mend ends what Break, Odds and Next said of these operations (none: of all). A
// call that hangs goes on hanging.
func (f *Faulty) Mend(ops ...Op) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, op := range orAll(ops) {
		delete(f.broken, op)
		delete(f.odds, op)
		delete(f.next, op)
	}
}

// Next gives the next calls of an operation one of these faults each, in turn.
// It comes before all else.
func (f *Faulty) Next(op Op, faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next[op] = append(f.next[op], faults...)
}

// Calls is how often an operation was asked for, broken calls too.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// Wait waits until every write that was late has landed.
func (f *Faulty) Wait() { f.late.Wait() }

func orAll(ops []Op) []Op {
	if len(ops) == 0 {
		return Ops()
	}
	return ops
}

// draw says what goes wrong with a call.
func (f *Faulty) draw(op Op, key string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	name := string(op) + " " + key
	f.asked[name]++
	if next := f.next[op]; len(next) > 0 {
		f.next[op] = next[1:]
		return next[0]
	}
	if fault, ok := f.broken[op]; ok {
		return fault
	}
	at := chance(f.Seed, name, f.asked[name])
	for _, fault := range allFaults() {
		if at -= f.odds[op][fault]; at < 0 {
			return fault
		}
	}
	return None
}

func allFaults() []Fault {
	return []Fault{Fail, Lost, Hang, LostHang, Late, Conflict, Ignore, Racy, Stale, Slow}
}

// chance is in [0, 1).
func chance(seed uint64, name string, nth uint64) float64 {
	h := fnv.New64a()
	b := binary.LittleEndian.AppendUint64(nil, seed)
	h.Write(append(binary.LittleEndian.AppendUint64(b, nth), name...))
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9 // fnv's high bits hardly know the last bytes
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}

// do plays a fault around a deed.
func (f *Faulty) do(ctx context.Context, op Op, key string, fault Fault, deed func(context.Context) error) error {
	broken := fmt.Errorf("%s %s: %s: %w", op, key, fault, ErrBroken)
	switch fault {
	case Fail, Conflict:
		return broken
	case Hang:
		return hang(ctx)
	case Lost:
		_ = deed(ctx) // nobody learns what came of it
		return broken
	case LostHang:
		_ = deed(ctx) // as above
		return hang(ctx)
	case Late:
		f.late.Add(1)
		time.AfterFunc(f.LateBy, func() {
			defer f.late.Done()
			_ = deed(context.WithoutCancel(ctx)) // as above
		})
		return broken
	case Slow:
		if err := pause(ctx, f.SlowBy); err != nil {
			return err
		}
	case None, Ignore, Racy, Stale:
	}
	return deed(ctx)
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
