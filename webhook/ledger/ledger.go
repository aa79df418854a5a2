package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// Defaults and bounds.
const (
	// DefaultKeep is how long a finished event is remembered at least. Shopify
	// repeats a delivery for four hours and may be a day late.
	DefaultKeep = 8 * 24 * time.Hour
	// MinKeep is the least that may be asked for.
	MinKeep = 7 * 24 * time.Hour
	// MaxEvents is how many finished events of a partition are remembered at most,
	// 100 MB. Beyond, the oldest file goes before its time.
	MaxEvents = 4 << 20
	// MaxRecent is how many finished events the head itself holds.
	MaxRecent = 1024
	// MaxStreams is of how many streams a head holds positions.
	MaxStreams = 4096
	// MaxMissing is how many missing numbers a head holds for one stream.
	MaxMissing = 1024
)

// Errors of ledgers.
var (
	// ErrFenced is returned when another token has taken the partition over. It
	// stays so: nothing more can be committed.
	ErrFenced = errors.New("partition is another's")
	// ErrHead is returned when what the store holds is not what was committed: it
	// was damaged, or an older copy was put back.
	ErrHead = errors.New("head of the partition is not what was committed")
	// ErrMoved is what Checkpoints answer when the version is not the next one.
	ErrMoved = errors.New("another version is current")
	// ErrLayout is returned by Pin for another number of partitions than the
	// buffer was begun with.
	ErrLayout = errors.New("layout of the buffer does not fit")
)

// Outcome is how an event ended.
type Outcome uint8

// Outcomes.
const (
	Done Outcome = iota + 1 // its handler has succeeded
	Dead                    // it is a dead letter
)

// Verdict is what the ledger knows of an event.
type Verdict uint8

// Verdicts.
const (
	New        Verdict = iota // not finished
	WasDone                   // finished before, with this body
	WasDead                   // is a dead letter, with this body
	OtherBody                 // finished before under this id, with another body
	numOutcome = 3
)

// Position says how far a stream was followed: every segment below Next is
// finished or not of this partition, but for those Missing, which were not seen
// yet.
type Position struct {
	Stream  string
	Next    uint64
	Missing []uint64 // in order, all below Next
}

// Config says which partition is opened, and how.
type Config struct {
	Store     buffer.Store
	Commits   Commits // CAS or Log
	Partition uint32
	Token     uint64
	Worker    string        // display only
	Keep      time.Duration // 0 means DefaultKeep; at least MinKeep
}

// Ledger is a partition under one token. Its methods may be called by any number
// of goroutines at once.
type Ledger struct {
	cfg Config

	committing sync.Mutex // one Commit or Tidy at a time; owns the three below
	revision   Revision
	version    uint64
	opened     bool // a head of our token was written

	mu      sync.Mutex
	files   []file // committed, the oldest first
	recent  map[key]value
	staged  map[key]value // of no committed head yet
	streams map[string]Position
	moved   bool  // a stream was followed since the last cut
	fenced  error // once set it stays
}

// Open takes a partition over: the head is written anew under the token before
// it returns. No two may be opened under one token at a time; after an error the
// same token may try again. ErrFenced when a newer token has it already, ErrHead when the
// head or one of its files cannot be trusted.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	cfg.Keep = cmp.Or(cfg.Keep, DefaultKeep)
	if cfg.Keep < MinKeep || cfg.Token == 0 {
		return nil, fmt.Errorf("partition %d: keep is %s (at least %s), token %d", cfg.Partition, cfg.Keep, MinKeep, cfg.Token)
	}
	for range openTries {
		l, err := open(ctx, cfg)
		if !errors.Is(err, ErrMoved) {
			return l, err
		}
	}
	return nil, fmt.Errorf("partition %d: its head changed %d times while it was taken over", cfg.Partition, openTries)
}

// openTries bounds how often a takeover begins again since the former holder
// has committed meanwhile.
const openTries = 16

func open(ctx context.Context, cfg Config) (*Ledger, error) {
	l := &Ledger{cfg: cfg, recent: map[key]value{}, staged: map[key]value{}, streams: map[string]Position{}}
	head, revision, err := cfg.Commits.load(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if head.GetToken() > cfg.Token {
		return nil, fenced(cfg, head.GetToken())
	}
	l.version, l.revision = head.GetVersion(), revision
	if err := l.adopt(ctx, head); err != nil {
		return nil, err
	}
	return l, l.swap(ctx, l.head(cut{recent: l.recent, files: l.files, stream: bounded(l.streams)}))
}

// adopt takes what a head holds into memory.
func (l *Ledger) adopt(ctx context.Context, head *webhookv1.Head) error {
	recent, err := unpack(head.GetRecent())
	if err != nil {
		return fmt.Errorf("head of partition %d: %w", l.cfg.Partition, err)
	}
	for e := range recent.all() {
		l.recent[e.key] = e.value
	}
	for _, s := range head.GetStreams() {
		l.streams[s.GetStream()] = Position{Stream: s.GetStream(), Next: s.GetNext(), Missing: s.GetMissing()}
	}
	for _, f := range head.GetFiles() {
		loaded, err := l.loadFile(ctx, f)
		if err != nil {
			return err
		}
		l.files = append(l.files, loaded)
	}
	return nil
}

// Seen says what is known of an event, finished ones that are not committed
// included.
func (l *Ledger) Seen(e webhook.Event) Verdict {
	k, sum := keyOf(e), sumOf(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.find(k)
	switch {
	case !ok:
		return New
	case v.sum != sum:
		return OtherBody
	case v.outcome == Dead:
		return WasDead
	}
	return WasDone
}

// find looks an event up, with mu held.
func (l *Ledger) find(k key) (value, bool) {
	if v, ok := l.staged[k]; ok {
		return v, true
	}
	if v, ok := l.recent[k]; ok {
		return v, true
	}
	for _, f := range slices.Backward(l.files) {
		if v, ok := f.entries.find(k); ok {
			return v, true
		}
	}
	return value{}, false
}

// Finish notes how an event has ended. It is durable when a Commit that began
// later has returned nil. What is finished already stays as it is.
func (l *Ledger) Finish(e webhook.Event, o Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.find(keyOf(e)); !ok {
		l.staged[keyOf(e)] = value{sum: sumOf(e), outcome: o}
	}
}

// Follow notes how far a stream was followed; it becomes durable together with
// what was finished before it.
func (l *Ledger) Follow(p Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Missing = slices.Clone(p.Missing)
	l.streams[p.Stream] = p
	l.moved = true
}

// Forget drops a stream whose segments are gone. Should any come back, they are
// read from the beginning, and what is finished is not handed out again.
func (l *Ledger) Forget(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.streams[stream]; ok {
		delete(l.streams, stream)
		l.moved = true
	}
}

// Positions tells how far each stream was followed, by its name.
func (l *Ledger) Positions() map[string]Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := maps.Clone(l.streams)
	for name, p := range out {
		p.Missing = slices.Clone(p.Missing)
		out[name] = p
	}
	return out
}

// Staged is how many events are finished and not committed.
func (l *Ledger) Staged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.staged)
}

// Events is how many finished events are remembered.
func (l *Ledger) Events() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.recent) + len(l.staged)
	for _, f := range l.files {
		n += f.entries.len()
	}
	return n
}
