package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// heal takes every fault away and returns when the next failover can be made.
func (r *run) heal(ctx context.Context) error {
	r.say("heal")
	r.l.Cloud.Sim.ClearFaults()
	r.l.Cloud.Sim.ReleaseHeld()
	if err := errors.Join(r.l.Cloud.Sim.SetKnobs(ovh.DefaultKnobs()), r.l.Mend()); err != nil {
		return err
	}
	if r.net != nil {
		if err := r.net.heal(); err != nil {
			return err
		}
	}
	if err := r.healRedis(ctx); err != nil {
		return err
	}
	for _, n := range r.l.Nodes.List() {
		if n.Paused() {
			if err := n.Resume(); err != nil {
				return err
			}
		}
		if n.PID() == 0 {
			if err := r.l.Nodes.Restart(n); err != nil && !errors.Is(err, lab.ErrRunning) {
				return err
			}
		}
	}
	if err := r.rejoin(ctx); err != nil {
		return err
	}
	if err := r.l.WaitReady(ctx); err != nil {
		return fmt.Errorf("after the faults were taken away: %w", err)
	}
	return r.l.Nodes.WaitCaughtUp(ctx)
}

func (r *run) healRedis(ctx context.Context) error {
	for _, n := range slices.Concat(r.l.Redis.Redis(), r.l.Redis.Sentinels()) {
		switch n.PID {
		case 0:
			if err := r.l.Redis.Restart(n.Address); err != nil {
				return err
			}
		default: // a process that runs takes no notice
			if err := r.l.Redis.Resume(n.Address); err != nil && !errors.Is(err, redis.ErrNotRunning) {
				return err
			}
		}
	}
	return ctx.Err()
}

// errNoMaster: a Sentinel that came back with a picture from before the failover
// made a replica of the new master, and each follows the other.
var errNoMaster = errors.New("no node is master")

// rejoin makes a replica of every node that calls itself master without being
// it, as an operator would, instead of waiting some 10 s until a Sentinel does,
// and waits until no Sentinel is about to do so any more. Where all nodes are
// replicas it gives the role back to the one that the Sentinels name.
func (r *run) rejoin(ctx context.Context) error {
	return lab.Until(ctx, healedWithin, "one redis master", func(ctx context.Context) error {
		master, err := r.l.Redis.Master(ctx)
		if err != nil {
			return err
		}
		host, port, err := net.SplitHostPort(master)
		if err != nil {
			return err
		}
		nodes := r.l.Redis.Redis()
		if !slices.ContainsFunc(nodes, func(n redis.Node) bool { return n.Role == "master" }) {
			_, err := r.l.Redis.Do(ctx, master, "REPLICAOF", "NO", "ONE")
			return errors.Join(errNoMaster, err)
		}
		var missing error
		for _, n := range nodes {
			switch {
			case n.Address == master && n.Role != "master", n.Address != master && n.Role != "slave" && n.Role != "master":
				missing = fmt.Errorf("%s is %s", n.Address, n.Role)
			case n.Address != master && n.Role == "master":
				_, err := r.l.Redis.Do(ctx, n.Address, "REPLICAOF", host, port)
				missing = errors.Join(fmt.Errorf("%s was a second master", n.Address), err)
			}
		}
		return cmp.Or(missing, r.l.Redis.Converted(ctx))
	})
}

// sight is where the traffic went, looked at all the time.
type sight struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu sync.Mutex // guards what follows
	at []time.Time
	to []string
}

const lookEvery = 3 * time.Millisecond

func startSight(c *lab.Cloud) *sight {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sight{cancel: cancel}
	s.wg.Go(func() {
		last := ""
		for rest(ctx, lookEvery) == nil {
			to := c.Applied()
			if to == last {
				continue
			}
			last = to
			s.mu.Lock()
			s.at, s.to = append(s.at, time.Now()), append(s.to, to)
			s.mu.Unlock()
		}
	})
	return s
}

func (s *sight) stop() {
	s.cancel()
	s.wg.Wait()
}

// went says whether traffic went to an address at some time between two moments.
func (s *sight) went(to string, from, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.at {
		if s.to[i] == to && !s.at[i].After(until) && (i+1 == len(s.at) || s.at[i+1].After(from)) {
			return true
		}
	}
	return false
}

// since is the first moment after another at which traffic went to an address.
func (s *sight) since(to string, from time.Time) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.at {
		if s.to[i] == to && (i+1 == len(s.at) || s.at[i+1].After(from)) {
			if s.at[i].Before(from) {
				return from, true
			}
			return s.at[i], true
		}
	}
	return time.Time{}, false
}
