package main

import (
	"context"
	"errors"
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
	calmTTL  = time.Minute
	beatPool = "beat-" // whose workers renew and hold one partition each
	massPool = "mass-"
	massEach = 4096 // partitions of each; MaxPartitions
)

// leased is what leases cost and how fast they move.
type leased struct {
	TTL      float64 `json:"ttl_ms"`
	Silent   spread  `json:"silent_ms"`          // a holder falls silent after a renewal → another's handler begins
	Killed   spread  `json:"killed_ms"`          // a holder's process is killed → the same
	Graceful spread  `json:"graceful_ms"`        // a holder is told to stop → another's handler begins
	Beats    []beats `json:"keepalives"`         // of both sides
	Mass     []mass  `json:"mass"`               // the same
	Left     string  `json:"left_out,omitempty"` // why etcd is missing
}

// handover waits for the worker that takes over.
const handWithin = 30 * time.Second

// move measures hand-overs and keepalives.
func (b *bench) move(ctx context.Context, c *cluster, o leaseOptions) (l leased, err error) {
	l.TTL = millis(handTTL)
	o.leases = 0
	if err := o.declare(ctx, c); err != nil {
		return l, err
	}
	b.say("%d hand-overs each way", o.hands)
	for _, way := range []struct {
		do  func(context.Context, *cluster) (float64, error)
		out *spread
	}{
		{b.silence, &l.Silent}, {b.handover, &l.Graceful},
		{func(ctx context.Context, c *cluster) (float64, error) { return b.murder(ctx, c, o.program) }, &l.Killed},
	} {
		var all []float64
		for range o.hands {
			took, err := way.do(ctx, c)
			if err != nil {
				return l, err
			}
			all = append(all, took)
		}
		*way.out = spreadOf(all)
	}
	w, err := newWorkers(ctx, c, o)
	if err != nil {
		return l, err
	}
	beats, err := b.keepalives(ctx, byPointsman, w, o)
	l.Beats = append(l.Beats, beats)
	return l, err
}

// besides has keepalives at etcd, and then many leases.
func (b *bench) besides(ctx context.Context, program string, o leaseOptions, l *leased) (err error) {
	onEtcd := func(do func(*etcd) error) error {
		e, err := newEtcd(ctx, program)
		if err != nil {
			return err
		}
		return errors.Join(do(e), e.Close())
	}
	err = onEtcd(func(e *etcd) error {
		few, _, err := newLessees(ctx, e, o.beats, 1)
		if err != nil {
			return err
		}
		beats, err := b.keepalives(ctx, byEtcd, few, o)
		l.Beats = append(l.Beats, beats)
		return err
	})
	if err != nil {
		return err
	}
	return onEtcd(func(e *etcd) error {
		m, err := b.holdBesides(ctx, e, o)
		l.Mass = append(l.Mass, m)
		return err
	})
}

// leaseOptions is how much is measured.
type leaseOptions struct {
	program string // pointsman
	hands   int
	beats   int           // sessions that renew
	rate    float64       // renewals a second that are offered
	span    time.Duration // of renewing
	leases  int           // held at once
}

// declare applies the pools.
func (o leaseOptions) declare(ctx context.Context, c *cluster) error {
	pools := map[string]*pointsmanv1.PoolSpec{
		handPool: {Partitions: 1, Ttl: durationpb.New(handTTL), LockDelay: durationpb.New(0)},
	}
	for i := range poolsFor(o.beats) {
		pools[fmt.Sprint(beatPool, i)] = &pointsmanv1.PoolSpec{Partitions: poolSize(o.beats, i), Ttl: durationpb.New(calmTTL)}
	}
	for i := range poolsFor(o.leases) {
		pools[fmt.Sprint(massPool, i)] = &pointsmanv1.PoolSpec{Partitions: poolSize(o.leases, i), Ttl: durationpb.New(calmTTL)}
	}
	conn, err := client.DialNode(c.leader)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err = pointsmanv1.NewSpecServiceClient(conn.Conn()).ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: &pointsmanv1.Spec{Pools: pools}}); err != nil {
		return err
	}
	// Sessions are refused until each node has said that it can read them.
	return lab.Until(ctx, handWithin, "a session", func(ctx context.Context) error {
		s, err := newBeater(ctx, conn, handPool, "first", 0)
		if err == nil {
			_, err = s.calls.CloseSession(ctx, &pointsmanv1.CloseSessionRequest{Session: s.renewal.GetSession(), Key: s.renewal.GetKey()})
		}
		return err
	})
}

// poolsFor is how many pools that many partitions take.
func poolsFor(partitions int) int { return (partitions + massEach - 1) / massEach }

// poolSize is how many of them the i-th pool has.
func poolSize(partitions, i int) uint32 { return uint32(min(massEach, partitions-i*massEach)) } //nolint:gosec // 1 to massEach

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
	s, err := newBeater(ctx, conn, handPool, "silent", 0)
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
