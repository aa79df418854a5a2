package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/test/clouds/hooks"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// The load: so many shops, each with one event under way at a time, and so many
// of them at once.
const (
	shops       = 500
	posters     = 64
	bodySize    = 1 << 10
	everyTwice  = 50 // one event in so many is sent again, half at once and half at the end
	sendWithin  = 10 * time.Minute
	drainWithin = 5 * time.Minute
)

// soak is a run. Its ground is used by one goroutine at a time, but for the
// sinks and the counters.
type soak struct {
	config
	ground *ground
	talk   io.Writer
	began  time.Time
	shop   *hooks.Shop
	seen   *meters
	kills  map[victim]int
	moved  bool // Redis has failed over

	delivered atomic.Int64 // first deliveries, of which some are sent again
}

func (s *soak) say(format string, args ...any) {
	fmt.Fprintf(s.talk, "%7.1f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// play sends, kills, waits until all is worked, and counts.
func (s *soak) play(ctx context.Context) (r result, err error) {
	s.shop = hooks.NewShop(posters, s.ground.at...)
	defer s.shop.Close()
	s.seen = newMeters(s.ground.metrics)
	watch, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { s.seen.follow(watch) })
	s.say("%d events at %d a second, %d shops, store: %s", s.events, s.rate, shops, s.store)
	sent, failed := make(chan struct{}), make(chan error, 1)
	go func() { failed <- s.hurt(ctx, sent) }()
	began := time.Now()
	r.Sent, r.Twice = s.send(ctx)
	r.SendS = time.Since(began).Seconds()
	close(sent)
	if err := <-failed; err != nil {
		return r, err
	}
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	s.say("%d acknowledged; %d done", len(s.shop.Acked()), s.ground.sinks.has(s.shop.Acked()))
	if err := s.drained(ctx); err != nil {
		s.say("%v", err) // what is missing is told by the judgement
	}
	r.DoneS = time.Since(began).Seconds()
	stop()
	wg.Wait()
	return r, s.judge(ctx, &r)
}

// send posts all events at the rate, and answers how many were sent and how many
// of them deliberately twice.
func (s *soak) send(ctx context.Context) (sent, twice int) {
	ctx, cancel := context.WithTimeout(ctx, sendWithin+time.Duration(s.events/s.rate)*time.Second)
	defer cancel()
	queues := make([]chan hooks.Post, posters)
	again := make([][]hooks.Post, posters)
	var wg sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan hooks.Post, 1+s.rate/posters)
		wg.Go(func() { again[i] = s.poster(ctx, queues[i]) })
	}
	began := time.Now()
	for n := range s.events {
		if !pace(ctx, began.Add(time.Duration(n)*time.Second/time.Duration(s.rate))) {
			break
		}
		select {
		case queues[n%shops%posters] <- postOf(n):
			sent++
		case <-ctx.Done():
		}
	}
	for _, q := range queues {
		close(q)
	}
	wg.Wait()
	for _, list := range again {
		twice += len(list)
	}
	return sent, twice
}

// poster delivers one event after another, so that those of one shop are
// acknowledged in order; some are sent once more.
func (s *soak) poster(ctx context.Context, in <-chan hooks.Post) (again []hooks.Post) {
	for p := range in {
		if !s.shop.Deliver(ctx, p) {
			continue
		}
		if s.delivered.Add(1)%everyTwice == 0 {
			if again = append(again, p); len(again)%2 == 0 {
				s.shop.Deliver(ctx, p)
			}
		}
	}
	for i, p := range again {
		if i%2 == 0 {
			s.shop.Deliver(ctx, p)
		}
	}
	return again
}

// idOf is the webhook id of an event, from which its body follows.
func idOf(n int) string { return fmt.Sprintf("soak-%08d", n) }

func postOf(n int) hooks.Post {
	return hooks.Post{Shop: fmt.Sprintf("shop-%d.myshopify.com", n%shops), ID: idOf(n), Body: bodyOf(idOf(n))}
}

func bodyOf(id string) []byte {
	text := fmt.Sprintf(`{"id":%q,"note":"`, id)
	return []byte(text + strings.Repeat("x", bodySize-len(text)-2) + `"}`)
}

// pace waits for a moment.
func pace(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// drained waits until every acknowledged event has its effect, no event waits in
// a spill, and no worker has one under way.
func (s *soak) drained(ctx context.Context) error {
	acked := s.shop.Acked()
	return lab.Until(ctx, drainWithin, "all that was acknowledged to be worked", func(ctx context.Context) error {
		if n := s.ground.sinks.has(acked); n < len(acked) {
			return fmt.Errorf("%d of %d are", n, len(acked))
		}
		for _, at := range s.ground.metrics {
			m, err := hooks.Metrics(ctx, at)
			if err != nil {
				return err
			}
			for _, name := range []string{"pointsman_webhook_spill_events", "pointsman_webhook_work_waiting"} {
				if m[name] != 0 {
					return fmt.Errorf("%s is %v at %s", name, m[name], at)
				}
			}
		}
		return nil
	})
}

// victim is who gets SIGKILL.
type victim string

// Victims.
const (
	leader   victim = "leading coordinator"
	worker   victim = "worker"
	receiver victim = "receiver"
	store    victim = "object store"
)

// downFor is how long a victim stays down.
const downFor = time.Second

// hurt kills somebody every while until all is sent and each kind had its turn,
// and makes one failover of Redis in the middle.
func (s *soak) hurt(ctx context.Context, sent <-chan struct{}) error {
	draw := rand.New(rand.NewPCG(s.seed, 0))
	kinds := []victim{leader, worker, receiver}
	if s.ground.store != nil {
		kinds = append(kinds, store)
	}
	for turn := 0; ; turn++ {
		if !pace(ctx, time.Now().Add(s.every)) {
			return context.Cause(ctx)
		}
		over := closed(sent)
		if over && s.moved && turn >= len(kinds) {
			return nil
		}
		if turn%len(kinds) == 0 {
			draw.Shuffle(len(kinds), func(i, k int) { kinds[i], kinds[k] = kinds[k], kinds[i] })
		}
		if err := s.kill(ctx, kinds[turn%len(kinds)], draw); err != nil {
			return fmt.Errorf("kill %s: %w", kinds[turn%len(kinds)], err)
		}
		if !s.moved && (over || 2*s.shop.Done() >= s.events) {
			s.say("the Redis master is killed and fails over")
			if err := s.ground.lab.Failover(ctx, lab.Shot{}); err != nil {
				return err
			}
			s.moved = true
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (s *soak) kill(ctx context.Context, v victim, draw *rand.Rand) error {
	who, kill, again, err := s.aim(ctx, v, draw)
	if err != nil {
		return err
	}
	s.say("SIGKILL: %s", who)
	if err := kill(); err != nil {
		return err
	}
	s.kills[v]++
	pace(ctx, time.Now().Add(downFor))
	return again()
}

// aim draws one of a kind, and says how it is killed and started again.
func (s *soak) aim(ctx context.Context, v victim, draw *rand.Rand) (who string, kill, again func() error, err error) {
	g := s.ground
	switch v {
	case leader:
		n, err := g.lab.Nodes.WaitLeader(ctx)
		if err != nil {
			return "", nil, nil, err
		}
		return "coordinator " + n.ID() + ", the leader", n.Kill, func() error { return g.lab.Nodes.Restart(n) }, nil
	case store:
		return "versitygw", g.store.Kill, func() error { return g.store.Run(ctx) }, nil
	case receiver:
		i := draw.IntN(receivers)
		return fmt.Sprint("receiver-", i), func() error { return g.group.Kill(i) }, func() error { return g.group.Restart(i) }, nil
	default:
		i := draw.IntN(s.workers)
		return fmt.Sprint("worker-", i), func() error { return g.group.Kill(receivers + i) }, func() error { return g.group.Restart(receivers + i) }, nil
	}
}
