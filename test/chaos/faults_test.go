package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// fault is one line of the table: what goes wrong, and the one or two failovers
// that are played under it. Play returns when the failovers have been carried
// through, with the fault healed or not: heal comes next in any case.
type fault struct {
	name string
	play func(context.Context, *run) error
	root bool   // can be played by root only
	on   ground // what it is played on
	more int    // times that it is played beyond once in each turn
}

// ground is a kind of playground.
type ground string

const (
	plain  ground = ""           // the program as it is released, everything on loopback
	points ground = "points"     // with the tag failpoints
	spaces ground = "namespaces" // coordinators in network namespaces
)

// faults in the order of their worth.
func faults() []fault {
	list := []fault{
		{name: "leader killed", play: leaderKilled, more: 2},
		{name: "follower killed", play: followerKilled},
		{name: "redis master killed", play: masterKilled},
		{name: "redis replica killed", play: replicaKilled},
		{name: "sentinel killed", play: anySentinelKilled},
		{name: "leading sentinel killed at promotion", play: sentinelKilled},
		{name: "whole zone lost", play: zoneLost, more: 3},
		{name: "leader paused", play: leaderPaused},
		{name: "leader paused over a newer failover", play: leaderPausedOver},
		{name: "master hangs", play: masterHangs},
		{name: "old master returns", play: masterReturns},
		{name: "two failovers in one refresh", play: twoInOneRefresh},
		{name: "sentinel minority", play: sentinelMinority},
		{name: "provider trouble", play: providerTrouble},
		{name: "leader cut from the provider", play: providerCut, root: true, on: spaces},
		{name: "leader cut from redis and sentinels", play: sightCut, root: true, on: spaces},
		{name: "one coordinator cut from its peers", play: peersCut, root: true, on: spaces},
		{name: "all coordinators cut from each other", play: allCut, root: true, on: spaces},
		{name: "one-way cut between coordinators", play: oneWayCut, root: true, on: spaces, more: 1},
		{name: "quorum lost and back", play: quorumLost},
		{name: "rolling restart", play: rollingRestart},
		{name: "leadership transfer stuck", play: transferStuck},
		{name: "leader ended alone", play: stopAlone},
		{name: "store damaged", play: storeDamaged},
		{name: "leader's disk full", play: diskFull, root: true},
		{name: "disk hangs", play: diskHangs, root: true},
	}
	return slices.Insert(list, 1, pointFaults()...)
}

func anyMoment(r *run) moment { return pick(r, atOnce, atPromotion, atWrite, atRefresh) }

func leaderKilled(ctx context.Context, r *run) error {
	_, err := r.one(ctx, pick(r, byOrder, byKill), anyMoment(r), func(ctx context.Context) error {
		leader, _, err := r.leader(ctx)
		if err != nil {
			return err
		}
		return r.kill(leader)
	})
	return err
}

func followerKilled(ctx context.Context, r *run) error {
	_, err := r.one(ctx, byOrder, anyMoment(r), func(ctx context.Context) error {
		_, others, err := r.leader(ctx)
		if err != nil {
			return err
		}
		return r.kill(pick(r, others...))
	})
	return err
}

// sentinelKilled: the Sentinel that leads the failover dies when its replica
// says role:master, or when it has just written the new epoch to its disk. What
// it alone knows is told after its return, or never.
func sentinelKilled(ctx context.Context, r *run) error {
	r.unseen = true
	event := pick(r, "+failover-state-wait-promotion", "+promoted-slave")
	from := time.Now()
	s, err := r.fire(ctx, byKill)
	if err != nil {
		return err
	}
	var sentinel string
	err = lab.Until(ctx, promotedWithin, "a sentinel's "+event, func(context.Context) error {
		for _, c := range r.l.Recorder.Changes() {
			if c.Kind == redis.KindEvent && c.Channel == event && c.At.After(from) {
				sentinel = c.Source
				return nil
			}
		}
		return errors.New("none yet")
	})
	if err != nil {
		return err
	}
	r.say("%s: kill -9 sentinel %s", event, sentinel)
	if err := r.l.Redis.Kill(sentinel); err != nil {
		return err
	}
	back := r.between(time.Second, 6*time.Second)
	if err := rest(ctx, back); err != nil {
		return err
	}
	r.say("start sentinel %s after %s", sentinel, back.Round(time.Millisecond))
	if err := r.l.Redis.Restart(sentinel); err != nil {
		return err
	}
	if err := r.promoted(ctx, s); err != nil {
		return err
	}
	return r.carried(ctx, s)
}

// zoneLost kills everything of the master's zone in the same moment: the Redis
// master, a Sentinel, and the coordinator, which leads.
func zoneLost(ctx context.Context, r *run) error {
	master, err := r.l.Redis.Master(ctx)
	if err != nil {
		return err
	}
	zone := -1
	for i, n := range r.l.Redis.Redis() {
		if n.Address == master {
			zone = i
		}
	}
	node, sentinel := r.l.Nodes.List()[zone], r.l.Redis.Sentinels()[zone].Address
	if err := r.l.Nodes.Transfer(ctx, node); err != nil {
		return err
	}
	r.say("kill -9 sentinel %s", sentinel)
	if err := errors.Join(r.l.Redis.Kill(sentinel), r.kill(node)); err != nil {
		return err
	}
	s, err := r.fire(ctx, byKill)
	if err != nil {
		return err
	}
	if err := r.promoted(ctx, s); err != nil {
		return err
	}
	return r.carried(ctx, s)
}

func masterHangs(ctx context.Context, r *run) error {
	s, err := r.one(ctx, byHang, atOnce, func(context.Context) error { return nil })
	if err != nil {
		return err
	}
	r.say("SIGCONT redis %s", s.old)
	if err := r.l.Redis.Resume(s.old); err != nil {
		return err
	}
	return rest(ctx, r.between(0, 4*time.Second))
}

// masterReturns: the old master comes back at once and says role:master until a
// Sentinel tells it otherwise, some ten seconds later.
func masterReturns(ctx context.Context, r *run) error {
	h := pick(r, byKill, byHang)
	s, err := r.fire(ctx, h)
	if err != nil {
		return err
	}
	if err := r.promoted(ctx, s); err != nil {
		return err
	}
	r.say("redis %s returns", s.old)
	if h == byHang {
		err = r.l.Redis.Resume(s.old)
	} else {
		err = r.l.Redis.Restart(s.old)
	}
	if err != nil {
		return err
	}
	if err := r.carried(ctx, s); err != nil {
		return err
	}
	began := time.Now()
	err = lab.Until(ctx, healedWithin, "the old master to be told", func(context.Context) error {
		for _, n := range r.l.Redis.Redis() {
			if n.Address == s.old && n.Role == "slave" {
				return nil
			}
		}
		return errors.New("it still says role:master")
	})
	r.say("it has said role:master for %.1f s more", time.Since(began).Seconds())
	return err
}

// twoInOneRefresh: the second failover comes while the provider still carries
// out the refresh of the first.
func twoInOneRefresh(ctx context.Context, r *run) error {
	k := ovh.DefaultKnobs()
	k.TaskDoing = r.between(5*time.Second, 12*time.Second)
	if err := r.l.Cloud.Sim.SetKnobs(k); err != nil {
		return err
	}
	r.say("a refresh takes %s", k.TaskDoing.Round(time.Millisecond))
	first, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	if err := r.promoted(ctx, first); err != nil {
		return err
	}
	if err := r.reached(ctx, first, atRefresh); err != nil {
		return err
	}
	second, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	if err := r.promoted(ctx, second); err != nil {
		return err
	}
	return r.carried(ctx, second)
}

// sentinelMinority: one Sentinel is dead and one hangs; the third replaces the
// master on an order, for which it asks nobody.
func sentinelMinority(ctx context.Context, r *run) error {
	list := r.l.Redis.Sentinels()
	r.say("kill -9 sentinel %s, SIGSTOP sentinel %s", list[1].Address, list[2].Address)
	if err := errors.Join(r.l.Redis.Kill(list[1].Address), r.l.Redis.Pause(list[2].Address)); err != nil {
		return err
	}
	_, err := r.one(ctx, byOrder, atOnce, func(context.Context) error { return nil })
	return err
}

// trouble is what the provider may do to a failover.
type trouble struct {
	name  string
	fault ovh.Fault
	span  time.Duration // until it is taken away; 0: it wears off
}

func troubles(r *run) []trouble {
	frontend, refresh := "*/frontend/*", "*/refresh"
	n := 1 + r.rng.IntN(3)
	return []trouble{
		{"cut", ovh.Fault{Do: ovh.DoReset, Count: ovh.Unlimited}, r.between(time.Second, 5*time.Second)},
		{"silent", ovh.Fault{Do: ovh.DoHang, Count: ovh.Unlimited}, r.between(time.Second, 5*time.Second)},
		{"500 after the write", ovh.Fault{Method: http.MethodPut, Path: frontend, When: ovh.After, Status: 500, Count: n}, 0},
		{"504 after the refresh", ovh.Fault{Method: http.MethodPost, Path: refresh, When: ovh.After, Status: 504, HTML: true, Count: n}, 0},
		{"503 before anything", ovh.Fault{Status: 503, HTML: true, Count: 3 * n}, 0},
		{"429", ovh.Fault{Status: 429, RetryAfter: "1", Count: n}, 0},
		{"answer of the write lost", ovh.Fault{Method: http.MethodPut, Path: frontend, When: ovh.After, Do: ovh.DoDrop, Count: n}, 0},
		{"answer of the write held", ovh.Fault{Method: http.MethodPut, Path: frontend, When: ovh.After, Do: ovh.DoHold}, r.between(time.Second, 8*time.Second)},
		{"write held", ovh.Fault{Method: http.MethodPut, Path: frontend, Do: ovh.DoHold}, r.between(time.Second, 5*time.Second)},
		{"answer of the refresh held", ovh.Fault{Method: http.MethodPost, Path: refresh, When: ovh.After, Do: ovh.DoHold}, r.between(time.Second, 8*time.Second)},
		{"answer cut short", ovh.Fault{Method: http.MethodPut, Path: frontend, When: ovh.After, Do: ovh.DoCut, Count: n}, 0},
		{"reads cut short", ovh.Fault{Method: http.MethodGet, Path: frontend, When: ovh.After, Do: ovh.DoTruncate, Count: n}, 0},
	}
}

func providerTrouble(ctx context.Context, r *run) error {
	t := pick(r, troubles(r)...)
	r.say("provider: %s, %d times, for %s", t.name, t.fault.Count, t.span.Round(time.Millisecond))
	rule, err := r.l.Cloud.Sim.AddFault(t.fault)
	if err != nil {
		return err
	}
	s, err := r.fire(ctx, byOrder)
	if err != nil {
		return err
	}
	if err := r.promoted(ctx, s); err != nil {
		return err
	}
	if t.span > 0 {
		if err := rest(ctx, t.span); err != nil {
			return err
		}
		if err := r.l.Cloud.Sim.RemoveFault(rule); err != nil {
			return err
		}
		r.say("provider well again, %d calls released", r.l.Cloud.Sim.ReleaseHeld())
	}
	return r.carried(ctx, s)
}

// rollingRestart: each coordinator in turn is asked to end, and is started
// again when the others have gone on; the master is replaced somewhere on the way.
func rollingRestart(ctx context.Context, r *run) error {
	at, wait := r.rng.IntN(3), r.between(0, 1500*time.Millisecond)
	failed := make(chan error, 1)
	var s *shot
	for i, n := range r.l.Nodes.List() {
		if i == at {
			go func() {
				err := rest(ctx, wait)
				if err == nil {
					s, err = r.fire(ctx, byOrder)
				}
				if err == nil {
					err = r.promoted(ctx, s)
				}
				failed <- err
			}()
		}
		if err := r.restart(ctx, n); err != nil {
			return errors.Join(err, nilOr(i >= at, failed))
		}
	}
	if err := <-failed; err != nil {
		return err
	}
	return r.carried(ctx, s)
}

// nilOr waits for the other goroutine's end if there is one.
func nilOr(started bool, failed <-chan error) error {
	if !started {
		return nil
	}
	return <-failed
}

func (r *run) restart(ctx context.Context, n *lab.Node) error {
	began := time.Now()
	if err := n.Stop(); err != nil {
		return err
	}
	r.say("SIGTERM %s: gone after %d ms", n.ID(), time.Since(began).Milliseconds())
	if said := n.Log(); strings.Contains(said, "panic:") {
		return fmt.Errorf("%s: %s", n.ID(), said)
	}
	if _, _, err := r.leader(ctx); err != nil {
		return err
	}
	if err := r.l.Nodes.Restart(n); err != nil {
		return err
	}
	_, err := r.l.Nodes.WaitLeader(ctx)
	return err
}
