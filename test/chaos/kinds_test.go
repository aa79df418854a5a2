package chaos

import (
	"context"
	"errors"
	"slices"
)

// masterKilled: the Redis master dies, and nothing else goes wrong; or a second
// one right after it has been promoted.
func masterKilled(ctx context.Context, r *run) error {
	twice := r.rng.IntN(2) == 0
	s, err := r.one(ctx, byKill, atOnce, func(context.Context) error { return nil })
	if err != nil || !twice {
		return err
	}
	if err := errors.Join(r.l.Redis.Restart(s.old), r.rejoin(ctx), r.l.Redis.WaitReady(ctx)); err != nil {
		return err
	}
	_, err = r.one(ctx, byKill, atOnce, func(context.Context) error { return nil })
	return err
}

// replicaKilled: a replica dies while another one is promoted, or in the hands
// of the Sentinel that has just chosen it.
func replicaKilled(ctx context.Context, r *run) error {
	var replicas []string
	for _, n := range r.l.Redis.Redis() {
		if n.Role == "slave" {
			replicas = append(replicas, n.Address)
		}
	}
	if len(replicas) == 0 {
		return errors.New("no replica to kill")
	}
	_, err := r.one(ctx, byOrder, pick(r, atOnce, atPromotion, atWrite), func(context.Context) error {
		newest := r.newest() // may have been one of them
		victim := pick(r, slices.DeleteFunc(slices.Clone(replicas), func(a string) bool { return a == newest })...)
		r.say("kill -9 redis replica %s", victim)
		return r.l.Redis.Kill(victim)
	})
	return err
}

// anySentinelKilled: one Sentinel dies, whatever it was doing. The order is
// given to another one.
func anySentinelKilled(ctx context.Context, r *run) error {
	victim := pick(r, r.l.Redis.Sentinels()[1:]...).Address
	s, err := r.one(ctx, pick(r, byOrder, byKill), anyMoment(r), func(context.Context) error {
		r.say("kill -9 sentinel %s", victim)
		return r.l.Redis.Kill(victim)
	})
	if err != nil {
		return err
	}
	return errors.Join(r.l.Redis.Restart(victim), r.carried(ctx, s))
}
