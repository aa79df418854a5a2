package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// The names of the sides.
const (
	byPointsman = "pointsman"
	byRecipe    = "recipe"
	byEtcd      = "etcd"
)

// Bounds of the waits, each several times what the step takes on a busy machine.
const (
	waitReady    = 90 * time.Second
	waitPromoted = 90 * time.Second
	waitTraffic  = 60 * time.Second
)

// stage is the playground of both sides. It is used by one goroutine.
type stage struct {
	*lab.Lab
	dir     string
	ours    *side
	recipe  *side    // nil without Python
	scripts *scripts // nil without Python
}

// newStage starts everything in a folder of its own. Without an interpreter it
// has one side.
func newStage(ctx context.Context, o lab.Options, interpreter string) (_ *stage, err error) {
	g := &stage{}
	if g.dir, err = os.MkdirTemp("", "pointsman-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	o.Dir, o.Quiet, o.SentinelExtra = filepath.Join(g.dir, "lab"), true, []string{allowScripts}
	if g.Lab, err = lab.Start(ctx, o); err != nil {
		return nil, err
	}
	if g.ours, err = found(g.Cloud.Sim); err != nil {
		return nil, err
	}
	if interpreter == "" {
		return g, nil
	}
	if g.recipe, err = twin(g.ours); err != nil {
		return nil, fmt.Errorf("load balancer of the recipe: %w", err)
	}
	g.scripts, err = installRecipe(filepath.Join(g.dir, byRecipe), interpreter, g.Cloud.URL, g.recipe, g.Redis)
	return g, err
}

// Close ends everything and removes every file.
func (g *stage) Close() error {
	var err error
	if g.Lab != nil {
		err = g.Lab.Close()
	}
	return errors.Join(err, os.RemoveAll(g.dir))
}

// found is the one load balancer that the lab has made, as Pointsman's side.
func found(sim *ovh.Sim) (*side, error) {
	for name, service := range sim.State().Services {
		if len(service.Staged.Frontends) != 1 || len(service.Zones) != 1 {
			break
		}
		s := &side{name: byPointsman, sim: sim, service: name, zone: service.Zones[0], frontend: service.Staged.Frontends[0].FrontendID, farms: map[string]int64{}}
		for _, server := range service.Staged.Servers {
			if server.Port == nil {
				continue
			}
			s.farms[net.JoinHostPort(server.Address, strconv.FormatInt(*server.Port, 10))] = server.BackendID
		}
		return s, nil
	}
	return nil, errors.New("the lab's provider has not one load balancer with one frontend in one zone")
}

// The numbers of the recipe's load balancer: any that the lab does not have.
const (
	twinService  = "ip-203.0.113.99"
	twinFrontend = 99_000
	twinFarm     = 99_001
)

// twin is a second load balancer at the same provider, the same but for its numbers.
func twin(s *side) (*side, error) {
	t := &side{name: byRecipe, sim: s.sim, service: twinService, zone: s.zone, frontend: twinFrontend, farms: map[string]int64{}}
	if err := s.sim.AddService(t.service, t.zone); err != nil {
		return nil, err
	}
	for address := range s.farms {
		host, portText, _ := net.SplitHostPort(address)
		port, err := strconv.ParseInt(portText, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("address %s: %w", address, err)
		}
		farm := twinFarm + int64(len(t.farms))
		if _, err := s.sim.AddFarm(t.service, ovh.Farm{FarmID: farm, Port: &port}); err != nil {
			return nil, err
		}
		if _, err := s.sim.AddServer(farm, ovh.Server{Address: host, Port: &port}); err != nil {
			return nil, err
		}
		t.farms[address] = farm
	}
	_, err := s.sim.AddFrontend(t.service, ovh.Frontend{FrontendID: t.frontend, Port: "6379"})
	return t, err
}

// sides lists who takes part.
func (g *stage) sides() []*side {
	if g.recipe == nil {
		return []*side{g.ours}
	}
	return []*side{g.ours, g.recipe}
}

// enter gives the next failovers to one side: only it runs, its load balancer
// sends to the master, and a failover can be made.
func (g *stage) enter(ctx context.Context, s *side) error {
	ctx, cancel := context.WithTimeoutCause(ctx, waitReady, fmt.Errorf("not within %s", waitReady))
	defer cancel()
	if s == g.ours {
		return g.enterOurs(ctx)
	}
	for _, n := range g.Nodes.List() {
		if err := n.Kill(); err != nil && !errors.Is(err, lab.ErrNotRunning) {
			return err
		}
	}
	if err := g.scripts.set(ctx, true); err != nil {
		return err
	}
	if err := g.Redis.WaitReady(ctx); err != nil {
		return fmt.Errorf("before a failover: %w", err)
	}
	master, err := g.Redis.Master(ctx)
	if err != nil {
		return err
	}
	return s.put(ctx, master)
}

func (g *stage) enterOurs(ctx context.Context) error {
	if g.scripts != nil {
		if err := g.scripts.set(ctx, false); err != nil {
			return err
		}
	}
	for _, n := range g.Nodes.List() {
		if err := g.Nodes.Restart(n); err != nil && !errors.Is(err, lab.ErrRunning) {
			return err
		}
	}
	if err := g.WaitReady(ctx); err != nil {
		return err
	}
	master, err := g.Redis.Master(ctx)
	if err != nil {
		return err
	}
	_, err = g.ours.waitApplied(ctx, master)
	return err
}

// still waits until a side has nothing under way.
func (g *stage) still(ctx context.Context, s *side) error {
	if s == g.ours {
		return g.WaitReady(ctx)
	}
	return lab.Until(ctx, waitReady, "the scripts to end", g.scripts.idle)
}

// fall kills the Redis master and returns its address.
func (g *stage) fall(ctx context.Context) (old string, err error) {
	if old, err = g.Redis.Master(ctx); err != nil {
		return "", err
	}
	return old, g.Redis.Kill(old)
}

// promoted waits for a promotion of another than old, the newest there is.
func (g *stage) promoted(ctx context.Context, old string) (redis.Promotion, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, waitPromoted, fmt.Errorf("not within %s", waitPromoted))
	defer cancel()
	return g.Recorder.WaitPromotion(ctx, old)
}

// revive starts every dead Redis node as a replica, as an operator would.
func (g *stage) revive(ctx context.Context) error {
	master, err := g.Redis.Master(ctx)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		return err
	}
	for _, n := range g.Redis.Redis() {
		if n.PID != 0 {
			continue
		}
		if err := g.Redis.Restart(n.Address); err != nil {
			return err
		}
		err := lab.Until(ctx, waitReady, "redis "+n.Address+" to follow", func(ctx context.Context) error {
			_, err := g.Redis.Do(ctx, n.Address, "REPLICAOF", host, port)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// event waits for the first event of a channel after a moment, by any Sentinel.
func (g *stage) event(ctx context.Context, after time.Time, match func(redis.Change) bool) (found redis.Change, err error) {
	err = lab.Until(ctx, waitPromoted, "an event of the sentinels", func(context.Context) error {
		list := g.Recorder.Changes()
		i := slices.IndexFunc(list, func(c redis.Change) bool { return c.At.After(after) && match(c) })
		if i < 0 {
			return errors.New("none yet")
		}
		found = list[i]
		return nil
	})
	return found, err
}
