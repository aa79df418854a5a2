package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/client/leases"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// The pools that are measured.
const (
	handPool = "hand" // one partition that goes from one worker to another
	handTTL  = 2 * time.Second
	calmTTL  = 30 * time.Second
	beatPool = "beat" // whose workers only renew
	massPool = "mass-"
	massEach = 4096 // partitions of each; MaxPartitions
)

// leased is what leases cost and how fast they move.
type leased struct {
	TTL      float64 `json:"ttl_ms"`
	Silent   spread  `json:"silent_ms"`   // a holder falls silent after a renewal → another's handler begins
	Graceful spread  `json:"graceful_ms"` // a holder is told to stop → another's handler begins
	Beats    beats   `json:"keepalives"`
	Mass     mass    `json:"mass"`
}

// handover waits for the worker that takes over.
const handWithin = 30 * time.Second

// move measures hand-overs, keepalives and what many leases take.
func (b *bench) move(ctx context.Context, c *cluster, o leaseOptions) (l leased, err error) {
	l.TTL = millis(handTTL)
	if err := o.declare(ctx, c); err != nil {
		return l, err
	}
	b.say("%d hand-overs each way", o.hands)
	silent, graceful := []float64{}, []float64{}
	for range o.hands {
		took, err := b.silence(ctx, c)
		if err != nil {
			return l, err
		}
		silent = append(silent, took)
		if took, err = b.handover(ctx, c); err != nil {
			return l, err
		}
		graceful = append(graceful, took)
	}
	l.Silent, l.Graceful = spreadOf(silent), spreadOf(graceful)
	if l.Beats, err = b.keepalives(ctx, c, o); err != nil {
		return l, err
	}
	l.Mass, err = b.hold(ctx, c, o)
	return l, err
}

// leaseOptions is how much is measured.
type leaseOptions struct {
	hands  int
	beats  int           // sessions that renew as fast as they are answered
	span   time.Duration // of renewing
	leases int           // held at once
}

// declare applies the pools.
func (o leaseOptions) declare(ctx context.Context, c *cluster) error {
	pools := map[string]*pointsmanv1.PoolSpec{
		handPool: {Partitions: 1, Ttl: durationpb.New(handTTL), LockDelay: durationpb.New(0)},
		beatPool: {Partitions: 1, Ttl: durationpb.New(calmTTL)},
	}
	for i := range o.pools() {
		pools[fmt.Sprint(massPool, i)] = &pointsmanv1.PoolSpec{Partitions: uint32(min(massEach, o.leases-i*massEach)), Ttl: durationpb.New(calmTTL)} //nolint:gosec // 1 to massEach
	}
	conn, err := client.DialNode(c.leader)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = pointsmanv1.NewSpecServiceClient(conn.Conn()).ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: &pointsmanv1.Spec{Pools: pools}})
	return err
}

func (o leaseOptions) pools() int { return (o.leases + massEach - 1) / massEach }

// rival waits for the partition: a worker whose handler says when it began.
func (b *bench) rival(ctx context.Context, c *cluster, name string) (begun <-chan time.Time, stop func() error, err error) {
	conn, err := client.Dial(c.any)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	at, done := make(chan time.Time, 16), make(chan error, 1)
	go func() {
		done <- leases.Run(ctx, conn.Conn(), leases.Config{Pool: handPool, Worker: name}, func(ctx context.Context, l *leases.Lease) error {
			at <- time.Now()
			select {
			case <-ctx.Done():
			case <-l.Draining():
			}
			return nil
		})
	}()
	return at, func() error {
		cancel()
		defer conn.Close()
		return <-done
	}, nil
}

func within(ctx context.Context, at <-chan time.Time, what string) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, handWithin, fmt.Errorf("%s: not within %s", what, handWithin))
	defer cancel()
	select {
	case t := <-at:
		return t, nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}

// handover: the holder is told to stop, and a rival waits.
func (b *bench) handover(ctx context.Context, c *cluster) (float64, error) {
	first, stop, err := b.rival(ctx, c, "first")
	if err != nil {
		return 0, err
	}
	_, err = within(ctx, first, "the first grant")
	second, stopSecond, failed := b.rival(ctx, c, "second")
	if err == nil && failed == nil {
		err = b.known(ctx, c, 2)
	}
	from := time.Now()
	if e := stop(); err == nil {
		err = e
	}
	if failed != nil {
		return 0, failed
	}
	at, e := within(ctx, second, "the hand-over")
	if err == nil {
		err = e
	}
	if e := stopSecond(); err == nil {
		err = e
	}
	return millis(at.Sub(from)), err
}

// known waits until the pool has so many sessions.
func (b *bench) known(ctx context.Context, c *cluster, sessions uint32) error {
	conn, err := client.DialNode(c.leader)
	if err != nil {
		return err
	}
	defer conn.Close()
	return lab.Until(ctx, handWithin, "sessions of the pool", func(ctx context.Context) error {
		p, err := pointsmanv1.NewLeaseServiceClient(conn.Conn()).GetPool(ctx, &pointsmanv1.GetPoolRequest{Id: handPool})
		if err == nil && p.GetPool().GetSessions() != sessions {
			err = fmt.Errorf("%d, want %d", p.GetPool().GetSessions(), sessions)
		}
		return err
	})
}

// silence: the holder falls silent right after a renewal, as one does that is
// killed then: the longest that a rival can wait.
func (b *bench) silence(ctx context.Context, c *cluster) (float64, error) {
	conn, err := client.DialNode(c.leader)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	s, err := newBeater(ctx, conn, handPool, "silent")
	if err != nil {
		return 0, err
	}
	err = lab.Until(ctx, handWithin, "a grant", func(ctx context.Context) error {
		held, err := s.renew(ctx)
		if err == nil && held == 0 {
			err = fmt.Errorf("none yet")
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	at, stop, err := b.rival(ctx, c, "rival")
	if err != nil {
		return 0, err
	}
	if err := b.known(ctx, c, 2); err != nil {
		return 0, err
	}
	if _, err := s.renew(ctx); err != nil {
		return 0, err
	}
	from := time.Now()
	began, err := within(ctx, at, "the hand-over")
	if e := stop(); err == nil {
		err = e
	}
	return millis(began.Sub(from)), err
}
