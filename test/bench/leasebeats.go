package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// beats is how keepalives fare at one side.
type beats struct {
	Side     string  `json:"side"`
	Sessions int     `json:"sessions"`    // each with one lease, a stream, and at most one renewal under way
	Offered  paced   `json:"offered"`     // at a rate that is offered
	Most     paced   `json:"most"`        // each renews as soon as it is answered
	Back     float64 `json:"all_back_ms"` // all connections are cut; until each was answered on a new one
}

// paced is renewals over a span.
type paced struct {
	Offer  float64 `json:"offered_per_second"` // 0: as soon as answered
	Rate   float64 `json:"per_second"`         // sent and answered
	Delay  spread  `json:"delay_ms"`           // from when it was due, or sent, to its answer
	P99    float64 `json:"p99_ms"`
	PerCPU float64 `json:"per_cpu_second"` // of the three nodes together
	Log    float64 `json:"entries_per_s"`  // of the log meanwhile
}

// pulse is one lease that is renewed over a stream.
type pulse interface {
	// beat sends a renewal and waits for its answer.
	beat() error
}

// party is one side with leases to renew.
type party interface {
	// connect opens new connections, and a stream for each lease. The function
	// hangs up.
	connect(ctx context.Context) ([]pulse, func(), error)
	nodes
}

// nodes are three that replicate a log.
type nodes interface {
	pids() []int
	// last is the number of the log's last entry, of whatever kind.
	last(ctx context.Context) (uint64, error)
}

// keepalives renews the leases of one side three ways.
func (b *bench) keepalives(ctx context.Context, side string, p party, o leaseOptions) (out beats, err error) {
	all, hangUp, err := p.connect(ctx)
	if err != nil {
		return out, err
	}
	out.Side, out.Sessions = side, len(all)
	b.say("%s: %d sessions renew, %.0f a second for %s, then as fast as they are answered", side, len(all), o.rate, o.span)
	if _, err = together(all); err == nil {
		out.Offered, err = pace(ctx, all, p, o.rate, o.span)
	}
	if err == nil {
		out.Most, err = pace(ctx, all, p, 0, o.span)
	}
	hangUp()
	if err != nil {
		return out, fmt.Errorf("keepalives of %s: %w", side, err)
	}
	began := time.Now()
	if all, hangUp, err = p.connect(ctx); err != nil {
		return out, err
	}
	defer hangUp()
	last, err := together(all)
	out.Back = millis(last.Sub(began))
	return out, err
}

// together has each renew once, all at the same time, and says when the last one
// was answered.
func together(all []pulse) (last time.Time, err error) {
	err = each(all, func(_ int, p pulse) error { return p.beat() })
	return time.Now(), err
}

// each does it for all pulses at once, and answers the first error.
func each(all []pulse, do func(i int, p pulse) error) error {
	failed := make(chan error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() {
			if err := do(i, p); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return fmt.Errorf("%d of %d: %w", len(failed)+1, len(all), err)
	default:
		return nil
	}
}

// pace has all renew for a span. What is offered is spread evenly over sessions and
// time, and waits for nobody: a renewal that could not be sent when it was due,
// since the one before was not answered yet, counts from when it was due.
func pace(ctx context.Context, all []pulse, p party, offer float64, span time.Duration) (out paced, err error) {
	out.Offer = offer
	took := make([][]float64, len(all))
	before, err := used(p.pids())
	if err != nil {
		return out, err
	}
	from, err := p.last(ctx)
	if err != nil {
		return out, err
	}
	began := time.Now()
	sent := make([]time.Time, len(all))
	err = each(all, func(i int, p pulse) (err error) {
		took[i], sent[i], err = turns(ctx, p, began.Add(span), func(k int) time.Time {
			if offer <= 0 {
				return time.Now()
			}
			return began.Add(time.Duration((float64(i) + float64(k)*float64(len(all))) / offer * float64(time.Second)))
		})
		return err
	})
	elapsed := time.Since(began)
	lasted := max(span, slices.MaxFunc(sent, time.Time.Compare).Sub(began))
	after, bad := used(p.pids())
	to, worse := p.last(ctx)
	flat := slices.Sorted(slices.Values(slices.Concat(took...)))
	if err := errors.Join(err, bad, worse); err != nil || len(flat) == 0 {
		return out, fmt.Errorf("%d renewals were answered: %w", len(flat), cmp.Or(err, errNone))
	}
	out.Rate, out.Delay, out.P99 = tenth(float64(len(flat))/lasted.Seconds()), fineSpreadOf(flat), percentile(flat, 0.99)
	out.PerCPU = tenth(float64(len(flat)) / max((after.CPU-before.CPU).Seconds(), 0.01))
	out.Log = tenth(float64(to-from) / elapsed.Seconds())
	return out, nil
}

var errNone = errors.New("none was due")

// turns renews whenever it is due until the end, and answers how long each took
// and when the last one was sent.
func turns(ctx context.Context, p pulse, end time.Time, due func(k int) time.Time) (took []float64, sent time.Time, err error) {
	for k := 0; ; k++ {
		at := due(k)
		if !at.Before(end) {
			return took, sent, nil
		}
		if wait := time.Until(at); wait > 0 {
			if err := rest(ctx, wait); err != nil {
				return took, sent, err
			}
		}
		sent = time.Now()
		if err := p.beat(); err != nil {
			return took, sent, err
		}
		took = append(took, float64(time.Since(at))/float64(time.Millisecond))
	}
}

// used is what processes have taken: their CPU together, the memory of the largest.
func used(pids []int) (sum lab.Usage, err error) {
	for _, pid := range pids {
		u, err := lab.UsageOf(pid)
		if err != nil {
			return sum, err
		}
		sum.CPU += u.CPU
		sum.RSS = max(sum.RSS, u.RSS)
	}
	return sum, nil
}
