package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client/leases"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/ledger"
	"github.com/pointsman/pointsman/webhook/work"
)

// ErrConditions is returned by Run when the store honours no conditions any more
// that completions were committed by. Started anew, it commits through the log.
var ErrConditions = errors.New("store honours conditions no more")

// Commits is a way to say which completions count.
type Commits uint8

// Ways to commit.
const (
	Auto Commits = iota // CAS where a probe finds that the store honours it, else Log
	CAS                 // compare-and-swap in the store
	Log                 // the coordinators' log
)

// Config says for which pool a program works, and how. Work.Partitions is taken
// from the pool. Lease.Stop is by default Work.Timeout and 5 s.
type Config struct {
	Lease   leases.Config
	Work    work.Config
	Commits Commits
}

// callTime bounds a call to the coordinators, retryDelay lies between two.
const (
	callTime   = 5 * time.Second
	retryDelay = time.Second
	stopMargin = 5 * time.Second
)

// Run works until ctx ends: it then finishes what is under way, and hands its
// partitions over. It returns nil then, or why it cannot go on: the errors of
// leases.Run and work.New, work.ErrLayout, ErrConditions, or the cluster's word
// when the pool is not there. While coordinators or the store do not answer it
// goes on trying. Any number may run at once. conn is what client.Dial gives.
func Run(ctx context.Context, conn leases.Connection, cfg Config) error {
	if cfg.Lease.Log == nil {
		cfg.Lease.Log = slog.New(slog.DiscardHandler)
	}
	r := &run{cfg: cfg, calls: pointsmanv1.NewLeaseServiceClient(conn)}
	if err := r.prepare(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if r.cfg.Work.Positions == nil {
		r.cfg.Work.Positions = func(ctx context.Context, partition uint32) (map[string]ledger.Position, error) {
			through := ledger.Log{Checkpoints: ledger.OfPool(conn, r.cfg.Lease.Pool, partition)} // or the head in the store, where there is no checkpoint
			return ledger.Peek(ctx, ledger.Config{Store: r.cfg.Work.Store, Commits: through, Partition: partition})
		}
	}
	w, err := work.New(r.cfg.Work)
	if err != nil {
		return err
	}
	held, stop := context.WithCancelCause(ctx) // ends the leases
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer stop(nil)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() {
		if err := w.Run(base); err != nil {
			stop(err)
		}
	})
	if r.cas && cfg.Commits == Auto {
		all.Go(func() { r.watch(base, stop) })
	}
	err = leases.Run(held, conn, r.cfg.Lease, func(ctx context.Context, l *leases.Lease) error {
		commits, err := r.commits(ctx, l)
		if err != nil {
			return err
		}
		return w.Work(ctx, work.Lease{Partition: l.Partition, Token: l.Token, Check: l.Check, Draining: l.Draining(), Commits: commits})
	})
	if err == nil && ctx.Err() == nil {
		err = context.Cause(held)
	}
	return err
}

// run is a Run.
type run struct {
	cfg   Config
	calls pointsmanv1.LeaseServiceClient
	cas   bool
	known buffer.Abilities
}

// prepare asks for the size of the pool and what the store can do, until both
// are known or ctx ends.
func (r *run) prepare(ctx context.Context) error {
	if r.cfg.Lease.Stop == 0 {
		timeout := r.cfg.Work.Timeout
		if timeout == 0 {
			timeout = work.DefaultTimeout
		}
		r.cfg.Lease.Stop = timeout + stopMargin
	}
	if err := r.cfg.Lease.Validate(); err != nil {
		return err
	}
	r.cfg.Work.Partitions = 1 // until it is known
	if err := r.cfg.Work.Validate(); err != nil {
		return err
	}
	if err := again(ctx, r.cfg.Lease.Log, "pool cannot be asked for", r.size); err != nil || ctx.Err() != nil {
		return err
	}
	r.cas = r.cfg.Commits == CAS
	if r.cfg.Commits != Auto {
		return nil
	}
	return again(ctx, r.cfg.Lease.Log, "store cannot be probed", func(ctx context.Context) (bool, error) {
		var err error
		if r.known, err = buffer.Probe(ctx, r.cfg.Work.Store); err == nil {
			r.cas = r.known.CAS()
			r.cfg.Lease.Log.Info("store was probed", "abilities", r.known.String(), "commits_in_store", r.cas)
		}
		return false, err
	})
}

// size asks how many partitions the pool has.
func (r *run) size(ctx context.Context) (final bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	resp, err := r.calls.GetPool(ctx, &pointsmanv1.GetPoolRequest{Id: r.cfg.Lease.Pool})
	switch status.Code(err) {
	case codes.OK:
		r.cfg.Work.Partitions = int(resp.GetPool().GetPartitions())
		return false, nil
	case codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument:
		return true, fmt.Errorf("pool %s: %w", r.cfg.Lease.Pool, err)
	}
	return false, err
}

// again tries until it succeeds, the error is final, or ctx ends.
func again(ctx context.Context, log *slog.Logger, what string, try func(context.Context) (final bool, err error)) error {
	for {
		final, err := try(ctx)
		if err == nil || final {
			return err
		}
		log.Warn(what, "error", err)
		t := time.NewTimer(retryDelay)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// watch ends the leases when the store cannot do any more what commits rely on.
func (r *run) watch(ctx context.Context, stop context.CancelCauseFunc) {
	buffer.Watch(ctx, r.cfg.Work.Store, buffer.WatchEvery, r.known, func(now buffer.Abilities, err error) {
		switch {
		case err != nil:
			r.cfg.Lease.Log.Warn("store cannot be probed", "error", err)
		case !now.CAS():
			stop(fmt.Errorf("%w: %s", ErrConditions, now))
		}
	})
}

// commits is how a partition is committed. One that was ever committed through
// the log stays with it.
func (r *run) commits(ctx context.Context, l *leases.Lease) (ledger.Commits, error) {
	through := ledger.Log{Checkpoints: ledger.OfLease(l)}
	if !r.cas {
		return through, nil
	}
	c, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if c.Version > 0 {
		return through, nil
	}
	return ledger.CAS{}, nil
}
