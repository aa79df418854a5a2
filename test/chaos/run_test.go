package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// The window of a claim, as the program counts it: act of a step, hold of the
// lab's spec, 5 % and a second.
const (
	act    = 5 * time.Second
	hold   = 500 * time.Millisecond
	window = (act+hold)*105/100 + time.Second
)

// coordinators in a lab.
const coordinators = 3

// Bounds of the waits, several times what a busy machine takes.
const (
	promotedWithin = 90 * time.Second // three elections of the Sentinels
	carriedWithin  = 60 * time.Second // from the promotion to the last settled action
	healedWithin   = 60 * time.Second
	reachedWithin  = 30 * time.Second // from the promotion to a moment
	insistEvery    = 200 * time.Millisecond
	slowAnswer     = 2 * time.Second // told in the story: an election and some
)

// run is one fault with the failovers under it, on a playground that others have
// used before: it counts what is new.
type run struct {
	seed  uint64
	fault fault
	rng   *rand.Rand
	l     *lab.Lab
	sight *sight
	begin time.Time

	also   []lab.Kind // providers of this playground besides OVH
	net    *network   // nil: coordinators on loopback
	points string     // folder in which crash points are armed; empty: none in this build

	base      base
	mark      int64         // in the provider's journal
	outlasted time.Duration // of a pause or a held request, beyond the window
	unseen    bool          // a promotion may have passed while nobody could see it

	wg    sync.WaitGroup // of what the run has started and does not wait for by itself
	mu    sync.Mutex     // guards story
	story []string
}

// base is how everything stood before the run.
type base struct {
	number     uint64 // of the newest failover
	promotions int
	proof      ovh.Proof
	besides    map[string]lab.Tally // of the further providers
}

// shot is one failover as the lab makes and sees it.
type shot struct {
	old       string
	mark      int64
	promotion redis.Promotion
}

// how a master is lost.
type how string

const (
	byKill  how = "kill -9"         // and it stays dead
	byHang  how = "SIGSTOP"         // its connections stay open
	byOrder how = "ask sentinel to" // nobody dies
)

func (r *run) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.story = append(r.story, fmt.Sprintf("%8.3f %s", time.Since(r.begin).Seconds(), fmt.Sprintf(format, args...)))
}

func (r *run) told() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.story, "\n")
}

// between draws a span.
func (r *run) between(from, to time.Duration) time.Duration {
	return from + time.Duration(r.rng.Int64N(int64(to-from)))
}

func pick[T any](r *run, list ...T) T { return list[r.rng.IntN(len(list))] }

// fire loses the newest master.
func (r *run) fire(ctx context.Context, h how) (*shot, error) {
	old := r.newest() // the Sentinels may not have agreed yet, or be too few to ask
	if old == "" {
		old = r.l.Cloud.Applied()
	}
	s := &shot{old: old, mark: r.l.Cloud.Mark()}
	r.say("%s redis master %s", h, old)
	switch h {
	case byKill:
		return s, r.l.Redis.Kill(old)
	case byHang:
		return s, r.l.Redis.Pause(old)
	}
	if err := r.order(ctx); err != nil {
		return s, err
	}
	seen := len(r.l.Recorder.Promotions())
	r.wg.Go(func() { r.insist(ctx, seen) })
	return s, nil
}

// order asks a Sentinel for a failover: the same one always, since two at once
// could use one epoch for two addresses.
func (r *run) order(ctx context.Context) error {
	sentinel := r.l.Redis.Sentinels()[0].Address
	return lab.Until(ctx, promotedWithin, "a sentinel to take the order", func(ctx context.Context) error {
		_, err := r.l.Redis.Do(ctx, sentinel, "SENTINEL", "FAILOVER", r.l.Redis.Name())
		return err
	})
}

// insist orders again when the Sentinel gives up, as it does when the replica of
// its choice is slow; nobody else would. It ends with the promotion or the run.
func (r *run) insist(ctx context.Context, promotions int) {
	for ordered := time.Now(); rest(ctx, insistEvery) == nil && len(r.l.Recorder.Promotions()) <= promotions; {
		for _, c := range r.l.Recorder.Changes() {
			if c.Kind == redis.KindEvent && strings.HasPrefix(c.Channel, "-failover-abort") && c.At.After(ordered) {
				r.say("the sentinel gave up (%s): order again", c.Channel)
				ordered = time.Now()
				if err := r.order(ctx); err != nil {
					return
				}
				break
			}
		}
	}
}

// promoted waits until a Sentinel names another master.
func (r *run) promoted(ctx context.Context, s *shot) (err error) {
	ctx, cancel := context.WithTimeout(ctx, promotedWithin)
	defer cancel()
	if s.promotion, err = r.l.Recorder.WaitPromotion(ctx, s.old); err != nil {
		return err
	}
	r.say("%s promoted at epoch %d, seen %.0f ms ago", s.promotion.Address, s.promotion.Epoch, time.Since(s.promotion.At).Seconds()*1000)
	return nil
}

// carried waits until the coordinators have carried the newest master through:
// nothing is open, and traffic goes to it.
func (r *run) carried(ctx context.Context, s *shot) error {
	last := ""
	err := lab.Until(ctx, carriedWithin, "every target at "+s.promotion.Address, func(ctx context.Context) error {
		err := r.atNewest(ctx)
		if err != nil && err.Error() != last {
			last = err.Error()
			r.say("not yet: %.200s", last)
		}
		return err
	})
	if err == nil {
		r.say("carried to %s", r.newest())
	}
	return err
}

// atNewest: traffic goes to the newest master, the cluster has it, and nothing is open.
func (r *run) atNewest(ctx context.Context) error {
	asked := time.Now()
	m, err := r.l.Master(ctx)
	if took := time.Since(asked); took > slowAnswer {
		r.say("a linearizable answer took %.1f s (%v)", took.Seconds(), err)
	}
	if err != nil {
		return err
	}
	if at, newest := r.l.Cloud.Applied(), r.newest(); m.Address != newest || m.OpenActions > 0 || at != newest {
		return fmt.Errorf("pointsman has %s, open is %s, traffic goes to %s, promoted is %s", m.Address, r.open(ctx), at, newest)
	}
	return nil
}

// open names the open actions of this run, with the gates at which they stand.
func (r *run) open(ctx context.Context) string {
	list, err := r.failovers(ctx)
	if err != nil {
		return err.Error()
	}
	text := "["
	for _, f := range list {
		for _, a := range f.Actions {
			switch a.State {
			case pointsmanv1.ActionState_ACTION_STATE_DONE, pointsmanv1.ActionState_ACTION_STATE_SUPERSEDED, pointsmanv1.ActionState_ACTION_STATE_ABANDONED:
				continue
			}
			text += fmt.Sprintf(" %s %s", a.Id, strings.TrimPrefix(a.State.String(), "ACTION_STATE_"))
			for _, g := range a.Gates {
				text += " " + strings.TrimPrefix(g.Kind.String(), "GATE_KIND_")
			}
		}
	}
	return text + " ]"
}

// newest is the address of the newest promotion.
func (r *run) newest() string {
	list := r.l.Recorder.Promotions()
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1].Address
}

// one is a whole failover, with something done to it once it has come to a moment.
func (r *run) one(ctx context.Context, h how, m moment, strike func(context.Context) error) (*shot, error) {
	s, err := r.fire(ctx, h)
	if err != nil {
		return s, err
	}
	if m == atOnce {
		if err := strike(ctx); err != nil {
			return s, err
		}
	}
	if err := r.promoted(ctx, s); err != nil {
		return s, err
	}
	if m != atOnce {
		if err := r.reached(ctx, s, m); err != nil {
			return s, err
		}
		if err := strike(ctx); err != nil {
			return s, err
		}
	}
	return s, r.carried(ctx, s)
}

// moment is how far a failover has come.
type moment string

const (
	atOnce      moment = "at once"
	atPromotion moment = "at the promotion"
	atWrite     moment = "at the first write"
	atRefresh   moment = "at the refresh"
)

// reached waits for a moment, as the provider saw it.
func (r *run) reached(ctx context.Context, s *shot, m moment) error {
	ctx, cancel := context.WithTimeout(ctx, reachedWithin)
	defer cancel()
	if m == atWrite || m == atRefresh {
		_, err := r.l.Cloud.Sim.WaitFor(ctx, func(c ovh.Call) bool {
			return c.Seq > s.mark && c.Write() && !c.Foreign && (m == atWrite || strings.HasSuffix(c.Path, "/refresh"))
		})
		if err != nil {
			return fmt.Errorf("wait for the moment %q: %w", m, err)
		}
	}
	r.say("%s:", m)
	return nil
}

// leader is the node that leads, and the others.
func (r *run) leader(ctx context.Context) (leader *lab.Node, others []*lab.Node, err error) {
	err = lab.Until(ctx, healedWithin, "a leader", func(ctx context.Context) error {
		leader, err = r.l.Nodes.Leader(ctx)
		return err
	})
	for _, n := range r.l.Nodes.List() {
		if n != leader {
			others = append(others, n)
		}
	}
	return leader, others, err
}

// kill ends nodes with SIGKILL.
func (r *run) kill(nodes ...*lab.Node) error {
	for _, n := range nodes {
		r.say("kill -9 coordinator %s", n.ID())
		if err := n.Kill(); err != nil {
			return err
		}
	}
	return nil
}

// failovers are those that were accepted in this run.
func (r *run) failovers(ctx context.Context) (list []*pointsmanv1.Failover, err error) {
	all, err := r.l.Failovers(ctx)
	for _, f := range all {
		if f.Number > r.base.number {
			list = append(list, f)
		}
	}
	return list, err
}

// rest waits for a span, or for the end of ctx.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
