package chaos

import (
	"context"
	"errors"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// transferWithin is how long a caller waits for the answer to a transfer.
const transferWithin = 10 * time.Second

// transferStuck: leadership goes to a node that is stopped just before or in
// the midst of it, and a failover comes. It is carried by whoever can.
func transferStuck(ctx context.Context, r *run) error {
	leader, others, err := r.leader(ctx)
	if err != nil {
		return err
	}
	target := pick(r, others...)
	delay := pick(r, 0, r.between(0, 20*time.Millisecond))
	first := delay == 0
	answered := make(chan error, 1)
	ask := func() {
		call, cancel := context.WithTimeout(ctx, transferWithin)
		defer cancel()
		began := time.Now()
		_, err := pointsmanv1.NewClusterServiceClient(leader.Conn()).TransferLeadership(call, &pointsmanv1.TransferLeadershipRequest{To: target.ID()})
		r.say("transfer answered after %.1f s: %v", time.Since(began).Seconds(), err)
		answered <- nil
	}
	s, err := r.one(ctx, byOrder, pick(r, atOnce, atPromotion, atWrite), func(ctx context.Context) error {
		r.say("transfer from %s to %s, SIGSTOP %s (before: %t, or %d ms after)", leader.ID(), target.ID(), target.ID(), first, delay.Milliseconds())
		if first {
			if err := target.Pause(); err != nil {
				return err
			}
		}
		r.wg.Go(ask)
		if first {
			return nil
		}
		return errors.Join(rest(ctx, delay), target.Pause())
	})
	if err != nil {
		return err
	}
	<-answered
	now, _, err := r.leader(ctx)
	if err != nil {
		return err
	}
	r.say("%s leads; SIGCONT %s", now.ID(), target.ID())
	if err := target.Resume(); err != nil {
		return err
	}
	return errors.Join(r.revived(ctx), r.carried(ctx, s))
}

// stopAlone: the leader is asked to end while both others are stopped, so that
// it can hand over to nobody. It ends all the same; what was open is carried by
// the others when they go on.
func stopAlone(ctx context.Context, r *run) error {
	leader, others, err := r.leader(ctx)
	if err != nil {
		return err
	}
	m, span := pick(r, atOnce, atPromotion, atWrite, atRefresh), r.between(2*time.Second, 8*time.Second)
	ended := make(chan error, 1)
	s, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	if m != atOnce {
		if err := errors.Join(r.promoted(ctx, s), r.reached(ctx, s, m)); err != nil {
			return err
		}
	}
	r.say("SIGSTOP %s and %s, SIGTERM %s, which leads", others[0].ID(), others[1].ID(), leader.ID())
	if err := errors.Join(others[0].Pause(), others[1].Pause()); err != nil {
		return err
	}
	go func() {
		began := time.Now()
		err := leader.Stop()
		r.say("%s gone after %.1f s", leader.ID(), time.Since(began).Seconds())
		ended <- err
	}()
	if m == atOnce {
		if err := r.promoted(ctx, s); err != nil {
			return err
		}
	}
	if err := rest(ctx, span); err != nil {
		return err
	}
	r.say("SIGCONT the two after %.1f s", span.Seconds())
	if err := errors.Join(others[0].Resume(), others[1].Resume(), <-ended); err != nil {
		return err
	}
	// One that was stopped in the midst of a write to its disk ends itself when it wakes.
	return errors.Join(r.revived(ctx), r.carried(ctx, s))
}
