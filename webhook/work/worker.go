package work

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// openTime bounds one try to take a partition over, which may read 100 MB.
const openTime = 2 * time.Minute

// Worker is what the partitions of one process share: the feed, the segments in
// memory, the calls that may run at once, the breaker. Run has to run while Work
// does.
type Worker struct {
	cfg      Config
	m        *meters
	feed     *feed
	segments *segments
	breaker  *breaker
	free     chan struct{} // a token for each call that may begin
}

// Lease is what a partition is worked under.
type Lease struct {
	Partition uint32
	Token     uint64
	// Check says, without asking anybody, whether the lease may be believed in.
	Check func() error
	// Draining is closed when the partition is to be handed over.
	Draining <-chan struct{}
	// Commits says which head of the partition counts.
	Commits ledger.Commits
}

// New makes a worker. ErrConfig when the config is not as Validate wants it.
func New(cfg Config) (*Worker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	m := newMeters(cfg.Registerer)
	w := &Worker{cfg: cfg, m: m, feed: newFeed(cfg, m), segments: newSegments(cfg.Store, cfg.CacheBytes),
		breaker: newBreaker(cfg.BreakAfter, cfg.BreakFor), free: make(chan struct{}, cfg.Concurrency)}
	for range cfg.Concurrency {
		w.free <- struct{}{}
	}
	return w, nil
}

// Run asks the store for new segments until ctx ends. ledger.ErrLayout when the buffer
// is spread over another number of partitions; while the store does not answer
// it goes on trying.
func (w *Worker) Run(ctx context.Context) error {
	for wait := w.cfg.Poll; ; wait = min(2*wait, maxFailWait) {
		err := w.pin(ctx)
		if err == nil {
			w.feed.run(ctx)
			return nil
		}
		if errors.Is(err, ledger.ErrLayout) {
			return err
		}
		w.cfg.Log.Warn("layout of the buffer cannot be read", "error", err)
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

func (w *Worker) pin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return ledger.Pin(ctx, w.cfg.Store, w.cfg.Partitions)
}

// Work works on one partition until its lease is to be handed over (nil) or is
// lost (the cause of ctx's end, or leases.ErrLost when a newer holder was met).
// Nothing of it runs any more when it returns. While the store does not answer
// it goes on trying.
func (w *Worker) Work(ctx context.Context, l Lease) error {
	if int(l.Partition) >= w.cfg.Partitions {
		return fmt.Errorf("%w: partition %d of %d", ledger.ErrLayout, l.Partition, w.cfg.Partitions)
	}
	led, err := w.open(ctx, l)
	if led == nil || err != nil {
		return err
	}
	p := newPartition(w, l, led)
	defer w.m.leave(l.Partition)
	return p.run(ctx)
}

// open takes the partition over; nil and no error when it is to be handed over
// already.
func (w *Worker) open(ctx context.Context, l Lease) (*ledger.Ledger, error) {
	for wait := w.cfg.Poll; ; wait = min(2*wait, maxFailWait) {
		led, err := w.takeOver(ctx, l)
		switch {
		case err == nil:
			return led, nil
		case errors.Is(err, ledger.ErrFenced):
			return nil, fmt.Errorf("take over partition %d: %w: %w", l.Partition, err, leases.ErrLost)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, ledger.ErrHead):
			w.cfg.Log.Error("partition cannot be taken over", "partition", l.Partition, "error", err)
		default:
			w.cfg.Log.Warn("partition is not taken over yet", "partition", l.Partition, "error", err)
		}
		w.m.failed("open")
		select {
		case <-l.Draining:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(jittered(wait)):
		}
	}
}

func (w *Worker) takeOver(ctx context.Context, l Lease) (*ledger.Ledger, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	return ledger.Open(ctx, ledger.Config{Store: w.cfg.Store, Commits: l.Commits, Partition: l.Partition, Token: l.Token, Worker: w.cfg.Worker, Keep: w.cfg.Keep + remember})
}

// jittered is a delay of half to all of d.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // spreads, guards nothing
}

// sleep is false when ctx has ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
