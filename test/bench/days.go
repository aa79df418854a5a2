package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/ovh"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// day is something that goes wrong, played for each side on a playground of its own.
type day struct {
	name string
	from string // the moment from which the outcome is counted
	// promotions is how many the day is meant to have; 0: as many as the
	// Sentinels like. Another number is a day of its own, and is left out.
	promotions int
	play       func(context.Context, *stage, *side) (outcome, error)
}

// The sizes of the days. The provider is slow within what the spec's hold says
// of it (10 s, beside 5 s for the request): beyond that an older write can land,
// and is repaired; docs/guarantees.md says so.
const (
	errorsFor     = 15 * time.Second
	slowBy        = 12 * time.Second
	busyBy        = 2 * time.Second
	afterFlip     = 20 * time.Millisecond // a Sentinel's script and greeting leave 50 to 100 ms after its getter's flip
	retriesWithin = 40 * time.Second      // Sentinel runs a failed script again after 30 s
	quietFor      = 3 * time.Second
)

func days() []day {
	return []day{
		{"provider answers 500 for 15 s", "the last 500", 1, errorsDay},
		{"leading Sentinel killed at role:master, before it announced", "role:master", 0, unannouncedDay},
		{"leading Sentinel killed 20 ms after its getter named the new master", "the getter's flip", 0, announcedDay},
		{"provider takes 12 s over the first failover's writes, a second failover meanwhile", "the second promotion", 2, slowDay},
		{"provider takes 2 s over a write, and the writer's host dies meanwhile", "the promotion", 1, hostDay},
		{"the same, the writer alone dies, and a second failover follows", "the second promotion", 2, writerDay},
	}
}

// outcome is what became of one day.
type outcome struct {
	from   time.Time // the moment that the day counts from
	mark   int64     // in the provider's journal, before anything
	second time.Time // promotion of the second failover; zero: there was one only
	// promoted, if set, is a master that serves though no Sentinel that lives
	// names it: traffic there is served too.
	promoted []string

	ServedMS   *float64 `json:"to_served_ms"` // from → traffic at a master that serves; null: never
	RightMS    *float64 `json:"to_right_ms"`  // from → traffic at the master that the Sentinels name, for good; null: it ended elsewhere
	Promotions int      `json:"promotions"`   // that the Sentinels made on this day
	Writes     tally    `json:"writes"`
	Faults     []string `json:"faults,omitempty"` // what the log and the journal hold against Pointsman
}

// errorsDay: everything that the side asks is answered with 500, from before the
// failover until 15 s after the promotion.
func errorsDay(ctx context.Context, g *stage, s *side) (o outcome, err error) {
	o.mark = g.Cloud.Mark()
	rule, err := g.Cloud.Sim.AddFault(ovh.Fault{Path: s.path("*"), Status: http.StatusInternalServerError, Count: ovh.Unlimited})
	if err != nil {
		return o, err
	}
	p, err := g.once(ctx)
	if err != nil {
		return o, err
	}
	if err := rest(ctx, time.Until(p.At.Add(errorsFor))); err != nil {
		return o, err
	}
	o.from = time.Now()
	return o, g.Cloud.Sim.RemoveFault(rule)
}

// once makes a failover and returns when it is visible.
func (g *stage) once(ctx context.Context) (redis.Promotion, error) {
	old, err := g.fall(ctx)
	if err != nil {
		return redis.Promotion{}, err
	}
	return g.promoted(ctx, old)
}

// unannouncedDay: nobody but the dead Sentinel knew of the failover, and its
// disk. The others make another one after twice their failover-timeout (10 s
// here, as in deploy/samples; Redis's default is 180 s).
func unannouncedDay(ctx context.Context, g *stage, _ *side) (o outcome, err error) {
	o.mark = g.Cloud.Mark()
	began := time.Now()
	old, err := g.fall(ctx)
	if err != nil {
		return o, err
	}
	leads, err := g.event(ctx, began, func(c redis.Change) bool { return c.Channel == "+failover-state-wait-promotion" })
	if err != nil {
		return o, err
	}
	role, err := g.event(ctx, began, func(c redis.Change) bool {
		return c.Kind == redis.KindRole && c.Value == "master" && c.Source != old
	})
	if err != nil {
		return o, err
	}
	o.from = role.At
	if err := g.Redis.Kill(leads.Source); err != nil {
		return o, err
	}
	_, err = g.promoted(ctx, old)
	return o, err
}

// announcedDay: whoever watches all Sentinels has seen the flip; nobody else has.
func announcedDay(ctx context.Context, g *stage, _ *side) (o outcome, err error) {
	o.mark = g.Cloud.Mark()
	p, err := g.once(ctx)
	if err != nil {
		return o, err
	}
	if err := rest(ctx, time.Until(p.At.Add(afterFlip))); err != nil {
		return o, err
	}
	o.from, o.promoted = p.At, []string{p.Address}
	return o, g.Redis.Kill(p.Sentinel)
}

// delay makes the provider take its time over a side's writes of the value: it
// carries them out, also when their sender has gone.
func (g *stage) delay(s *side, by time.Duration) (rule int64, err error) {
	return g.Cloud.Sim.AddFault(ovh.Fault{Method: http.MethodPut, Path: s.path("/tcp/frontend/*"), Do: ovh.DoDelay, Delay: by, Count: ovh.Unlimited})
}

// caught makes a failover and returns when the side's writes are at the
// provider: one, or that of each of the three scripts.
func (g *stage) caught(ctx context.Context, s *side) (redis.Promotion, error) {
	mark := g.Cloud.Mark()
	p, err := g.once(ctx)
	if err != nil {
		return p, err
	}
	within, cancel := context.WithTimeoutCause(ctx, waitTraffic, fmt.Errorf("not within %s", waitTraffic))
	defer cancel()
	for range g.writers(s) {
		c, err := s.held(within, mark)
		if err != nil {
			return p, err
		}
		mark = c.Seq
	}
	return p, nil
}

// writers is how many of a side write at once.
func (g *stage) writers(s *side) int {
	if s == g.recipe {
		return len(g.Redis.Sentinels())
	}
	return 1
}

// again makes a second failover as soon as there is a replica to promote.
func (g *stage) again(ctx context.Context, o *outcome) error {
	within, cancel := context.WithTimeoutCause(ctx, waitReady, fmt.Errorf("not within %s", waitReady))
	defer cancel()
	if err := g.Redis.WaitReady(within); err != nil {
		return fmt.Errorf("before the second failover: %w", err)
	}
	p, err := g.once(ctx)
	o.from, o.second = p.At, p.At
	return err
}

// slowDay: the first failover's writes are on their way while the second one happens.
func slowDay(ctx context.Context, g *stage, s *side) (o outcome, err error) {
	o.mark = g.Cloud.Mark()
	rule, err := g.delay(s, slowBy)
	if err != nil {
		return o, err
	}
	if _, err := g.caught(ctx, s); err != nil {
		return o, err
	}
	if err := g.Cloud.Sim.RemoveFault(rule); err != nil {
		return o, err
	}
	return o, g.again(ctx, &o)
}

// hostDay: the host of the leading Sentinel with its script, or the leading
// coordinator, is gone while its write is at the provider.
func hostDay(ctx context.Context, g *stage, s *side) (o outcome, err error) {
	o.mark = g.Cloud.Mark()
	if _, err := g.delay(s, busyBy); err != nil {
		return o, err
	}
	p, err := g.caught(ctx, s)
	if err != nil {
		return o, err
	}
	o.from = p.At
	if s == g.recipe {
		return o, g.killHost(p.Sentinel)
	}
	return o, g.killLeader(ctx)
}

// writerDay: the leading Sentinel's script, or the leading coordinator, is
// killed while its write is at the provider, and the master falls again.
func writerDay(ctx context.Context, g *stage, s *side) (o outcome, err error) {
	o.mark = g.Cloud.Mark()
	rule, err := g.delay(s, busyBy)
	if err != nil {
		return o, err
	}
	p, err := g.caught(ctx, s)
	if err != nil {
		return o, err
	}
	if s == g.recipe {
		err = g.killScript(p.Sentinel)
	} else {
		err = g.killLeader(ctx)
	}
	if err != nil {
		return o, err
	}
	if err := g.Cloud.Sim.RemoveFault(rule); err != nil {
		return o, err
	}
	return o, g.again(ctx, &o)
}

// judge waits until nothing more can come of a day and says what did.
func (g *stage) judge(ctx context.Context, s *side, r *trace, o *outcome) error {
	began, enough := time.Now(), quietFor
	if s == g.recipe && !o.second.IsZero() {
		enough = retriesWithin // the first failover's scripts may come back
	}
	master := ""
	err := lab.Until(ctx, enough+waitTraffic, "the load balancer to be right and stay so", func(ctx context.Context) (err error) {
		if master, err = g.serving(ctx); err != nil {
			return err
		}
		if time.Since(began) < enough {
			return errors.New("too early to say")
		}
		if at, right := r.since(master); !right && enough < retriesWithin || right && time.Since(at) < quietFor {
			return fmt.Errorf("%s sends to %s, the sentinels name %s", s.name, s.applied(), master)
		}
		return nil
	})
	if master == "" || ctx.Err() != nil {
		return err // nobody serves: there is no right
	}
	if at, right := r.since(master); right {
		o.RightMS = new(millis(at.Sub(o.from)))
	}
	o.Promotions = len(g.Recorder.Promotions())
	if at, ok := r.first(o.from, append(o.promoted, master)...); ok {
		o.ServedMS = new(millis(at.Sub(o.from)))
	}
	o.Writes = s.count(o.mark, master, o.second)
	if s == g.ours {
		return g.prove(ctx, master, o)
	}
	return nil
}

// serving is the master that the Sentinels name, when it lives and says so too.
func (g *stage) serving(ctx context.Context) (string, error) {
	master, err := g.Redis.Master(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range g.Redis.Redis() {
		if n.Address == master && n.Role == "master" {
			return master, nil
		}
	}
	return "", fmt.Errorf("the sentinels name %s, which does not serve", master)
}

// prove holds the provider's journal against the log, once nothing is open: the
// Sentinels may have made another failover that names the same master again.
func (g *stage) prove(ctx context.Context, master string, o *outcome) error {
	err := lab.Until(ctx, waitTraffic, "no action to be open", func(ctx context.Context) error {
		m, err := g.Master(ctx)
		if err == nil && (m.OpenActions > 0 || m.Address != master) {
			err = fmt.Errorf("%d open, master %s", m.OpenActions, m.Address)
		}
		return err
	})
	if err != nil {
		return err
	}
	p, err := g.Prove(ctx)
	if err != nil {
		return err
	}
	for name, n := range map[string]int{"lost": p.Lost, "orphans": p.Orphans, "duplicates": p.Duplicates, "stale": p.Stale} {
		if n > 0 {
			o.Faults = append(o.Faults, fmt.Sprintf("%s %d", name, n))
		}
	}
	if len(o.Faults) > 0 {
		o.Faults = append(o.Faults, p.Details...)
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
