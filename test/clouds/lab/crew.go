package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/client/leases"
)

// The pool that a Crew shares. Its workers finish at once when they are asked.
const (
	crewPool  = "jobs"
	crewParts = 6
	crewSpec  = "ttl: 3s, drain: 2s, lock_delay: 500ms"
	crewRest  = 3 * time.Second // a worker may take to give back, at most: the longer of both
)

// waitCrew bounds the wait for workers that hold what they should: several ttl.
const waitCrew = 30 * time.Second

// Crew are workers in this process that share a pool which depends on the
// master. They write down every lease that they hold, for as long as they work
// under it. Its methods may be called concurrently.
type Crew struct {
	events func(Event)
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	stints  []*stint   // in the order in which they began
	current string     // the newest address that a lease was for
	full    bool       // every partition was held for it at one time
	err     error      // why a worker ended before it was told to
}

// stint is a worker's time under one lease.
type stint struct {
	worker    string
	partition uint32
	token     uint64
	address   string
	begin     time.Time
	end       time.Time // zero while it lasts
}

// startCrew starts workers, in the zones of the coordinators.
func startCrew(nodes *Nodes, size int, events func(Event)) (*Crew, error) {
	conn, err := client.Dial(strings.Split(nodes.Endpoints(), ","), grpc.WithConnectParams(grpc.ConnectParams{Backoff: quickBackoff()}))
	if err != nil {
		return nil, err
	}
	c := &Crew{events: events}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for i := range size {
		cfg := leases.Config{Pool: crewPool, Worker: fmt.Sprint("w", i+1), Zone: nodes.all[i%len(nodes.all)].zone, Stop: time.Second}
		workers.Go(func() {
			err := leases.Run(ctx, conn.Conn(), cfg, func(ctx context.Context, l *leases.Lease) error { return c.work(ctx, cfg.Worker, l) })
			if err != nil || ctx.Err() == nil {
				c.fail(fmt.Errorf("worker %s ended: %w", cfg.Worker, err))
			}
		})
	}
	c.wg.Go(func() {
		workers.Wait()
		if err := conn.Close(); err != nil {
			c.fail(err)
		}
	})
	return c, nil
}

func (c *Crew) work(ctx context.Context, worker string, l *leases.Lease) error {
	s := &stint{worker: worker, partition: l.Partition, token: l.Token, address: l.Address}
	c.begin(s)
	select {
	case <-ctx.Done():
	case <-l.Draining():
	}
	c.finish(s)
	return nil
}

func (c *Crew) begin(s *stint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.begin = time.Now()
	c.stints = append(c.stints, s)
	if s.address != c.current {
		c.current, c.full = s.address, false
	}
	if held := c.held(s.address); !c.full && len(held) == crewParts {
		c.full = true
		c.events(Event{At: s.begin, Who: ByWorkers, Text: fmt.Sprintf("all %d leases are granted for %s under higher tokens, %s", crewParts, s.address, tokens(held))})
	}
}

func (c *Crew) finish(s *stint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.end = time.Now()
	if c.full && s.address == c.current && len(c.held(s.address)) == 0 {
		c.events(Event{At: s.end, Who: ByWorkers, Text: fmt.Sprintf("asked to finish: all %d leases for %s are given back", crewParts, s.address)})
	}
}

// held is, with mu held, what is worked on for an address.
func (c *Crew) held(address string) (list []*stint) {
	for _, s := range c.stints {
		if s.end.IsZero() && s.address == address {
			list = append(list, s)
		}
	}
	return list
}

// tokens is the range of them: 61 to 63.
func tokens(list []*stint) string {
	least, most := list[0].token, list[0].token
	for _, s := range list {
		least, most = min(least, s.token), max(most, s.token)
	}
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// waitHeld waits until every partition is held for an address.
func (c *Crew) waitHeld(ctx context.Context, address string) error {
	return Until(ctx, waitCrew, "every lease to be held for "+address, func(context.Context) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil {
			return hopeless{c.err}
		}
		if held := c.held(address); len(held) != crewParts {
			return fmt.Errorf("%d of %d are", len(held), crewParts)
		}
		return nil
	})
}

func (c *Crew) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errors.Join(c.err, err)
}

// told is every stint so far, in the order of their beginnings, and why a worker
// ended early.
func (c *Crew) told() (list []stint, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stints {
		list = append(list, *s)
	}
	slices.SortStableFunc(list, func(a, b stint) int { return a.begin.Compare(b.begin) })
	return list, c.err
}

// stop ends the workers; what they give back then is no event.
func (c *Crew) stop() {
	c.mu.Lock()
	c.events = func(Event) {}
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
}
