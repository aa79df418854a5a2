package work

import (
	"context"
	"errors"
	"time"

	"github.com/pointsman/pointsman/webhook/tend"
)

// How often a partition's part of the buffer is tended: after its first minute,
// then once an hour; sooner when bodies have to go.
const (
	tendFirst  = time.Minute
	tendEvery  = time.Hour
	redactSoon = 5 * time.Minute  // after a redact request was finished
	remember   = 24 * time.Hour   // beyond Keep: who reads a segment again knows that it is finished
	tendTime   = 30 * time.Minute // of each job
)

// tending is when a partition's part of the buffer is looked after.
type tending struct {
	under    bool
	orphaned bool // letters that older holders had not committed are gone; its goroutine's
	next     time.Time
	done     chan error
}

func newTending(now time.Time) tending {
	return tending{next: now.Add(jittered(tendFirst)), done: make(chan error, 1)}
}

// soon has the next one come within a few minutes.
func (t *tending) soon(now time.Time) {
	if at := now.Add(jittered(redactSoon)); at.Before(t.next) {
		t.next = at
	}
}

// tend begins to look after the partition's part when it is due, and answers how
// long it is not.
func (p *partition) tend(ctx context.Context, now time.Time) time.Duration {
	if p.tending.under || p.draining {
		return time.Hour
	}
	if left := p.tending.next.Sub(now); left > 0 {
		return left
	}
	p.tending.under = true
	p.goes.Go(func() {
		p.tending.done <- p.tidyUp(ctx)
	})
	return time.Hour
}

func (p *partition) tended(err error) {
	p.tending.under, p.tending.next = false, time.Now().Add(jittered(tendEvery))
	if err != nil {
		p.w.m.failed("tend")
		p.w.cfg.Log.Warn("buffer is not tended, it is tried again", "partition", p.lease.Partition, "error", err)
	}
}

// tidyUp takes out what has to go of the partition's part. The holder of the
// first partition removes old segments for all. Each job has its own time.
func (p *partition) tidyUp(ctx context.Context) error {
	mine := tend.Redaction{Store: p.w.cfg.Store, Slots: p.slots, Seen: p.ledger.Seen}
	return errors.Join(
		inTime(ctx, p.retain),
		inTime(ctx, func(ctx context.Context) error {
			done, err := tend.Redact(ctx, mine)
			p.w.m.redacted.Add(float64(done.Bodies))
			if done.Unread > 0 {
				p.w.cfg.Log.Error("letters or segments cannot be decoded, no body is taken out of them", "partition", p.lease.Partition, "objects", done.Unread)
			}
			return err
		}),
		inTime(ctx, func(ctx context.Context) error {
			if p.tending.orphaned { // what older holders have left does not grow
				return nil
			}
			gone, err := tend.Orphans(ctx, mine, p.lease.Token)
			p.tending.orphaned = err == nil
			if gone > 0 {
				p.w.cfg.Log.Info("letters went that an older holder had not committed", "partition", p.lease.Partition, "letters", gone)
			}
			return err
		}),
	)
}

func inTime(ctx context.Context, job func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, tendTime)
	defer cancel()
	return job(ctx)
}

// retain removes old segments until there are none or the time is over.
func (p *partition) retain(ctx context.Context) error {
	if p.lease.Partition != 0 || p.w.cfg.Positions == nil {
		return nil
	}
	for {
		done, err := tend.Retain(ctx, tend.Retention{Store: p.w.cfg.Store, Partitions: p.w.cfg.Partitions, Keep: p.w.cfg.Keep, Positions: p.w.cfg.Positions})
		p.w.m.removed.Add(float64(done.Segments))
		if done.Found > 0 {
			p.w.cfg.Log.Warn("streams that had been given up have segments and are followed again", "streams", done.Found)
		}
		if err != nil || !done.More {
			return err
		}
	}
}
