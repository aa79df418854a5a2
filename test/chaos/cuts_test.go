package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// at is a node's place in the network.
func (r *run) at(n *lab.Node) int { return slices.Index(r.l.Nodes.List(), n) }

// mend heals the network, and gives the nodes time to find each other.
func (r *run) mend(ctx context.Context) error {
	r.say("the network is whole again")
	if err := r.net.heal(); err != nil {
		return err
	}
	_, err := r.l.Nodes.WaitLeader(ctx)
	return err
}

// peersCut: one coordinator loses the two others, and nothing else: it still
// reaches the provider, Redis and the Sentinels, and so does everybody.
func peersCut(ctx context.Context, r *run) error {
	leads := r.rng.IntN(3) > 0
	h := pick(r, byOrder, byOrder, byKill)
	s, err := r.one(ctx, h, anyMoment(r), func(ctx context.Context) error {
		victim, others, err := r.leader(ctx)
		if err != nil {
			return err
		}
		if !leads {
			victim, others[0] = others[0], victim
		}
		r.say("cut %s (leads: %t) from its peers", victim.ID(), leads)
		for _, n := range others {
			err = errors.Join(err, r.net.apart(r.at(victim), r.at(n)))
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := rest(ctx, r.between(0, 3*time.Second)); err != nil {
		return err
	}
	return errors.Join(r.mend(ctx), r.carried(ctx, s))
}

// allCut: each coordinator is alone, and each reaches the provider. Nothing is
// begun there until two of them have found each other again.
func allCut(ctx context.Context, r *run) error {
	m := pick(r, atOnce, atPromotion, atWrite, atRefresh)
	s, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	if m != atOnce {
		if err := errors.Join(r.promoted(ctx, s), r.reached(ctx, s, m)); err != nil {
			return err
		}
	}
	r.say("cut every coordinator from every other")
	if err := errors.Join(r.net.apart(0, 1), r.net.apart(0, 2), r.net.apart(1, 2)); err != nil {
		return err
	}
	lost := time.Now()
	if m == atOnce {
		if err := r.promoted(ctx, s); err != nil {
			return err
		}
	}
	if err := rest(ctx, stepsDown+r.between(time.Second, 5*time.Second)); err != nil {
		return err
	}
	if n := r.begun(lost.Add(stepsDown)); n > 0 {
		return fmt.Errorf("%d writes at the provider without a quorum", n)
	}
	r.say("nothing was begun for %.1f s", time.Since(lost).Seconds())
	return errors.Join(r.mend(ctx), r.carried(ctx, s))
}

// begun counts the writes that reached the provider after a moment.
func (r *run) begun(after time.Time) (n int) {
	for _, c := range r.l.Cloud.Sim.Journal(r.mark).Calls {
		if c.Write() && !c.Foreign && c.Received.After(after) {
			n++
		}
	}
	return n
}

// oneWayCut: packets are lost in one direction only. Who hears is not heard.
func oneWayCut(ctx context.Context, r *run) error {
	kind := pick(r, "the leader is not heard", "the leader hears nobody", "a follower does not hear the leader",
		"the leader does not hear a follower", "a follower is not heard", "a follower hears nobody")
	s, err := r.one(ctx, pick(r, byOrder, byOrder, byKill), anyMoment(r), func(ctx context.Context) error {
		leader, others, err := r.leader(ctx)
		if err != nil {
			return err
		}
		l, f, g := r.at(leader), r.at(others[0]), r.at(others[1])
		r.say("one way: %s (leader %s, follower %s)", kind, leader.ID(), others[0].ID())
		switch kind {
		case "the leader is not heard":
			return errors.Join(r.net.drop(l, f), r.net.drop(l, g))
		case "the leader hears nobody":
			return errors.Join(r.net.drop(f, l), r.net.drop(g, l))
		case "a follower does not hear the leader":
			return r.net.drop(l, f)
		case "the leader does not hear a follower":
			return r.net.drop(f, l)
		case "a follower is not heard":
			return errors.Join(r.net.drop(f, l), r.net.drop(f, g))
		default:
			return errors.Join(r.net.drop(l, f), r.net.drop(g, f))
		}
	})
	if err != nil {
		return err
	}
	if err := rest(ctx, r.between(0, 3*time.Second)); err != nil {
		return err
	}
	return errors.Join(r.mend(ctx), r.carried(ctx, s))
}

// providerCut: the leader loses the provider for some seconds, its peers do not.
// In half of the runs it stays lost until the failover has been carried through,
// which only another leader can do.
func providerCut(ctx context.Context, r *run) error {
	how, m, stays := pick(r, resetting, silent), anyMoment(r), r.rng.IntN(2) == 0
	s, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	if m != atOnce {
		if err := errors.Join(r.promoted(ctx, s), r.reached(ctx, s, m)); err != nil {
			return err
		}
	}
	leader, _, err := r.leader(ctx)
	if err != nil {
		return err
	}
	r.say("between leading coordinator %s and the provider: %s", leader.ID(), how)
	r.net.spaces[r.at(leader)].provider.set(how)
	if m == atOnce {
		if err := r.promoted(ctx, s); err != nil {
			return err
		}
	}
	began, span := time.Now(), r.between(time.Second, 8*time.Second)
	if stays {
		err = r.carried(ctx, s)
	} else {
		err = rest(ctx, span)
	}
	if err != nil {
		return err
	}
	now, _, err := r.leader(ctx)
	if err != nil {
		return err
	}
	r.say("after %.1f s %s leads; the provider is back", time.Since(began).Seconds(), now.ID())
	return errors.Join(r.mend(ctx), r.carried(ctx, s))
}

// sightCut: the leader sees neither Redis nor Sentinels; the others do, and tell it.
func sightCut(ctx context.Context, r *run) error {
	how := pick(r, resetting, silent)
	leader, _, err := r.leader(ctx)
	if err != nil {
		return err
	}
	r.say("between leading coordinator %s and Redis and Sentinels: %s", leader.ID(), how)
	for _, relay := range r.net.spaces[r.at(leader)].redis {
		relay.set(how)
	}
	s, err := r.one(ctx, pick(r, byOrder, byKill), atOnce, func(context.Context) error { return nil })
	if err != nil {
		return err
	}
	now, _, err := r.leader(ctx)
	if err != nil {
		return err
	}
	r.say("%s leads", now.ID())
	return errors.Join(r.mend(ctx), r.carried(ctx, s))
}
