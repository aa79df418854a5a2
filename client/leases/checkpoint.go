package leases

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// MaxCheckpointBytes is the most data that the cluster takes as a checkpoint.
const MaxCheckpointBytes = 512

// ErrVersion is returned by SaveCheckpoint when the version is not the one after
// the current checkpoint's.
var ErrVersion = errors.New("not the next version of the checkpoint")

// Checkpoint is what the holders of a partition have put on record last.
type Checkpoint struct {
	// Version is 0 when nothing was ever saved, and rises by one with each.
	Version uint64
	// Token is that of the grant under which it was saved.
	Token uint64
	// Data is what was saved; opaque to the cluster.
	Data []byte
}

// Checkpoint reads the partition's checkpoint, as of a moment after the call. What
// earlier holders have saved is in it, and nothing of theirs comes later: what is
// still on its way carries their token, which is not current any more, and is
// refused. So the answer stays true until this lease saves another, or one arrives
// that it has tried to save before.
//
// ErrLost when the lease is, also by the cluster's word. While nobody answers it
// goes on trying until ctx ends or the lease is lost. The data is the caller's.
func (l *Lease) Checkpoint(ctx context.Context) (Checkpoint, error) {
	var now *pointsmanv1.Lease
	err := l.insist(ctx, func(ctx context.Context) error {
		r, err := l.calls.GetLease(ctx, &pointsmanv1.GetLeaseRequest{
			Read: &pointsmanv1.ReadOptions{Level: pointsmanv1.ReadLevel_READ_LEVEL_LINEARIZABLE}, Id: l.ID(),
		})
		now = r.GetLease()
		return err
	})
	switch {
	case err != nil:
		return Checkpoint{}, fmt.Errorf("read the checkpoint of %s: %w", l.ID(), err)
	case now.GetToken() != l.Token || !owned(now):
		return Checkpoint{}, fmt.Errorf("read the checkpoint of %s: it is %s with token %d, not held under %d: %w", l.ID(), now.GetState(), now.GetToken(), l.Token, ErrLost)
	}
	c := now.GetCheckpoint()
	return Checkpoint{Version: c.GetVersion(), Token: c.GetToken(), Data: c.GetData()}, nil
}

func owned(l *pointsmanv1.Lease) bool {
	return l.GetState() == pointsmanv1.LeaseState_LEASE_STATE_HELD || l.GetState() == pointsmanv1.LeaseState_LEASE_STATE_DRAINING
}

// SaveCheckpoint puts the partition's next checkpoint on record: version is the
// current one's and one, data is MaxCheckpointBytes at most. Nil means that it is in
// the log, and that every holder to come reads it, or a later one. The cluster
// takes it only while the token of this lease is the partition's current one: a
// request that is late on the wire, or that a paused process sends when it wakes,
// is refused and changes nothing.
//
// While nobody answers, or a coordinator has still to be upgraded, the same request
// is sent again until ctx ends or the lease is lost; a repeat of what was saved already is accepted. ErrLost when the lease is
// lost, by this process's clocks or by the cluster's word; ErrVersion for another
// version; ctx's error when it ends. After an error an earlier try may have been
// accepted, or may yet be while the token is current: give the lease up, or read
// Checkpoint again and be ready for ErrVersion.
func (l *Lease) SaveCheckpoint(ctx context.Context, version uint64, data []byte) error {
	err := l.Check() // one that was never granted has no session
	if err == nil {
		r := &pointsmanv1.SaveCheckpointRequest{
			Session: l.session.id, Key: l.session.key, Partition: l.Partition, Token: l.Token, Version: version, Data: data, RequestId: rand.Text(),
		}
		err = l.insist(ctx, func(ctx context.Context) error {
			_, err := l.calls.SaveCheckpoint(ctx, r)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("save checkpoint %d of %s: %w", version, l.ID(), err)
	}
	return nil
}

// tryTime is how long one try may take: a node that hangs must not use up all of
// the lease. retryDelay lies between two.
const (
	tryTime    = 3 * time.Second
	retryDelay = 100 * time.Millisecond
)

// insist makes a call until somebody answers it, ctx ends or the lease is lost.
func (l *Lease) insist(ctx context.Context, call func(context.Context) error) error {
	for {
		if err := l.Check(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := l.try(ctx, call)
		switch {
		case err == nil:
			return nil
		case client.Reason(err) == fenced, sessionGone(err):
			return fmt.Errorf("the cluster refuses token %d: %w: %w", l.Token, err, ErrLost)
		case client.Reason(err) == otherVersion:
			return fmt.Errorf("%w: %w", ErrVersion, err)
		case !passes(err):
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(jittered(retryDelay), max(l.Left(), 0))):
		}
	}
}

func (l *Lease) try(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, min(tryTime, l.Left()))
	defer cancel()
	return call(ctx)
}

// passes reports whether the same call may be answered later: there is no leader,
// a node is away, hangs, or has still to be upgraded.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	default:
		return client.Reason(err) == oldMember
	}
}
