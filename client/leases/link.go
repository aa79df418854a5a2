package leases

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// unsent bounds the renewals that wait for a link to send them; a link that is
// that far behind is about to be given up.
const unsent = 4

// link carries renewals to the cluster and answers back: over a stream to the
// leader, or call by call through a node that is not. A link that fails is given
// up, and another one made.
type link struct {
	w      *worker
	ctx    context.Context
	cancel context.CancelFunc
	out    chan *pointsmanv1.KeepAliveRequest
	// last is what was sent last. The sender owns it; the link reads it once the
	// sender has ended.
	last *pointsmanv1.KeepAliveRequest
}

// connect makes a link; it ends with the worker, or when it is given up.
func (w *worker) connect() *link {
	l := &link{w: w, out: make(chan *pointsmanv1.KeepAliveRequest, unsent)}
	l.ctx, l.cancel = context.WithCancel(w.base)
	w.goes.Go(func() {
		err := l.stream()
		if elsewhere(err) && l.ctx.Err() == nil {
			err = l.calls()
		}
		l.cancel()
		w.tell(func() { w.broken(l, err) })
	})
	return l
}

// send queues a renewal; it never waits.
func (l *link) send(r *pointsmanv1.KeepAliveRequest) {
	select {
	case l.out <- r:
	default: // nothing is answered either: the link is given up soon
	}
}

// stream renews over one stream until it breaks.
func (l *link) stream() error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	s, err := l.w.calls.KeepAlive(ctx)
	if err != nil {
		return err
	}
	var sender sync.WaitGroup
	defer sender.Wait()
	defer cancel()
	sender.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case l.last = <-l.out:
			}
			if s.Send(l.last) != nil {
				return // Recv says why
			}
		}
	})
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		l.w.tell(func() { l.w.answered(l, m.GetSequence(), m.GetRenewal()) })
	}
}

// calls renews call by call: any node forwards these. What a stream would tell
// unasked is learnt with the next renewal.
func (l *link) calls() error {
	r := l.last
	for {
		if r != nil {
			answer, err := l.w.calls.Renew(l.ctx, r.GetRenewal())
			if err != nil {
				return err
			}
			asked := r.GetSequence() // r moves on before the worker hears of this
			l.w.tell(func() { l.w.answered(l, asked, answer) })
		}
		select {
		case <-l.ctx.Done():
			return l.ctx.Err()
		case r = <-l.out:
		}
	}
}

// elsewhere reports whether the node that was reached serves no stream, since
// it does not lead.
func elsewhere(err error) bool {
	return client.Reason(err) == notLeader || status.Code(err) == codes.Unimplemented
}

// The reasons that are told apart (docs/errors.md).
const (
	notLeader    = "NOT_LEADER"
	oldMember    = "OLD_MEMBER"
	fenced       = "LEASE_FENCED"
	otherVersion = "CHECKPOINT_VERSION"
)

// final reports whether asking again cannot help. A coordinator that cannot read
// a command yet has just been started, or is about to be upgraded.
func final(err error) bool {
	if errors.Is(err, io.EOF) || client.Reason(err) == oldMember {
		return false
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return true
	default:
		return false
	}
}

// jittered is a delay, or up to twice as long: workers that lost one node at the
// same moment do not all come to the next at the same moment.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d) //nolint:gosec // spreads, guards nothing
}
