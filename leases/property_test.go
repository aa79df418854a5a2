package leases

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

var (
	seeds = flag.Int("leases.seeds", 60, "stories that TestOneBeliever plays")
	from  = flag.Uint64("leases.from", 1, "the first of them")
)

// story is workers, leaders and people who do as a seed says, and the ledger of
// who believes in what, which holds what a lease is.
type story struct {
	*desk
	r      *rand.Rand     // under mu
	before *Engine        // of the leader before; under mu
	olds   sync.WaitGroup // engines that were deposed and have not noticed
	ledger map[int]map[string]belief
	sink   map[int]fsm.Token // the highest token that wrote, by partition
	writes int
	fenced int
}

// TestOneBeliever plays stories of pauses, lost and late answers, deposed leaders,
// clocks that differ by 4 %, failovers, revocations and changes of the spec: at no
// moment do two workers believe in one partition, and tokens only rise.
func TestOneBeliever(t *testing.T) {
	writes, fenced := 0, 0
	for seed := *from; seed < *from+uint64(*seeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStory(t, seed)
				s.play(5 * time.Minute)
				writes, fenced = writes+s.writes, fenced+s.fenced
			})
		})
	}
	if t.Logf("%d writes, %d fenced", writes, fenced); writes < 100**seeds || *seeds > 20 && fenced == 0 {
		t.Error("the stories prove little")
	}
}

// newStory has a pool of four, and nobody who leads yet.
func newStory(t *testing.T, seed uint64) *story {
	s := &story{
		desk: &desk{T: t, book: newBook(), engine: New(Config{})}, before: New(Config{}), r: rand.New(rand.NewPCG(seed, 7)), //nolint:gosec // a story has to come again
		ledger: map[int]map[string]belief{}, sink: map[int]fsm.Token{},
	}
	s.slow = func() time.Duration { // a leader stops with a committed barrier in hand
		if s.dice(30) {
			return s.upTo(3 * ttl)
		}
		return 0
	}
	s.do(fsm.PutSpec{Spec: spec(4)})
	s.do(fsm.Observe{Master: "cache", Revision: 1, Address: "a:1", Epoch: 1, As: fsm.Seed})
	return s
}

// dice says yes once in n.
func (s *story) dice(n int) bool { return s.upTo(time.Duration(n)) == 0 }

func (s *story) upTo(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.r.Int64N(int64(d)))
}

func (s *story) play(span time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), span)
	defer cancel()
	var all sync.WaitGroup
	for i := range 4 {
		rate := 0.96 + float64(s.upTo(8))/100
		all.Go(func() { s.work(ctx, fmt.Sprintf("w%d", i), rate) })
	}
	all.Go(func() { s.people(ctx) })
	for ctx.Err() == nil {
		s.reign(ctx)
	}
	all.Wait()
	s.olds.Wait()
}

// reign lets another leader lead for a while. The one before may not know.
func (s *story) reign(ctx context.Context) {
	e := New(Config{Journal: s.book})
	s.mu.Lock()
	s.term++
	term := s.term
	s.before, s.engine = s.engine, e
	s.mu.Unlock()
	s.olds.Go(func() { _ = e.Run(ctx, term) })
	select {
	case <-ctx.Done():
	case <-time.After(2*time.Second + s.upTo(4*ttl)):
	}
}

// people fail the master over, revoke, and change the spec.
func (s *story) people(ctx context.Context) {
	for epoch := fsm.Epoch(2); ctx.Err() == nil; epoch++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.upTo(2 * ttl)):
		}
		now, _ := s.Watch()
		rev := now.Spec().Revision
		l := s.lease(int(s.upTo(4)))
		items := []fsm.LeaseItem{{Number: l.Number, Token: l.Token}}
		switch s.upTo(5) {
		case 0:
			next := spec(4)
			p := &next.Pools[0]
			p.TTL, p.Drain, p.LockDelay = 2*time.Second+s.upTo(ttl), s.upTo(ttl), s.upTo(5*time.Second)
			p.Immediate = s.dice(2)
			s.try(fsm.PutSpec{Spec: next, IfRevision: rev})
		case 1:
			s.try(fsm.MoveLeases{Pool: "work", Move: fsm.MoveRevoke, Items: items})
		case 2:
			s.try(fsm.MoveLeases{Pool: "work", Move: fsm.MoveDrain, Items: items})
		default:
			m, _ := now.Master("cache")
			to := map[fsm.Address]fsm.Address{"a:1": "b:1", "b:1": "a:1"}[m.Address]
			s.try(fsm.Observe{Master: "cache", Base: m.Number, Revision: rev, Address: to, Epoch: epoch, As: fsm.Advance, Values: []fsm.Value{{Step: "workers"}}})
			time.Sleep(s.upTo(5 * time.Second))
			s.try(fsm.Abandon{Action: fsm.FailoverID{Master: "cache", Number: m.Number + 1}.Action("workers"), Reason: "story"})
		}
	}
}

func (s *story) try(c fsm.Command) fsm.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apply(c)
}

// work is one worker, whose clock runs at the rate: it joins, renews, writes while
// it believes, releases what drains as a rule, is paused, and joins again.
func (s *story) work(ctx context.Context, name string, rate float64) {
	for ctx.Err() == nil {
		a := s.try(fsm.OpenSession{Pool: "work", Worker: name, Key: name})
		now, _ := s.Watch()
		v, ok := now.Session(fsm.SessionID(a.Token))
		for ok && ctx.Err() == nil {
			ok = !errors.Is(s.step(ctx, v, rate), ErrNoSession)
			pause := v.TTL / 4
			if s.dice(12) {
				pause = s.upTo(3 * ttl)
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			s.write(name)
		}
		s.believe(name, nil)
	}
}

func (s *story) step(ctx context.Context, v fsm.Session, rate float64) error {
	sent := time.Now()
	within, cancel := context.WithTimeout(ctx, v.TTL/2)
	defer cancel()
	ask := s.renew
	if s.dice(8) { // the leader before
		s.mu.Lock()
		ask = s.before.Renew
		s.mu.Unlock()
	}
	c, err := ask(within, Renewal{Session: v.ID, Key: v.Key})
	if s.dice(8) { // the answer is late
		time.Sleep(s.upTo(2 * v.TTL))
	}
	if err != nil || s.dice(10) { // or lost
		return err
	}
	held, drop := map[int]belief{}, []fsm.LeaseItem(nil)
	for _, a := range c.Assigned {
		if a.State == fsm.Draining && !s.dice(4) {
			drop = append(drop, fsm.LeaseItem{Number: a.Number, Token: a.Token})
			continue
		}
		held[a.Number] = belief{a.Token, sent.Add(time.Duration(float64(a.ValidFor) * 0.9 / rate))}
	}
	s.believe(v.Worker, held)
	if len(drop) > 0 {
		s.try(fsm.MoveLeases{Pool: "work", Move: fsm.MoveRelease, Session: v.ID, Items: drop})
	}
	return nil
}

// believe replaces what a worker believes in. Nobody else may believe in that.
func (s *story) believe(name string, held map[int]belief) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for n := range 4 {
		if s.ledger[n] == nil {
			s.ledger[n] = map[string]belief{}
		}
		b, ok := held[n]
		if !ok {
			delete(s.ledger[n], name)
			continue
		}
		for other, o := range s.ledger[n] {
			if other != name && now.Before(o.until) && now.Before(b.until) {
				s.Errorf("%d: %s believes for %s under %d, and %s for %s under %d", n, name, b.until.Sub(now), b.token, other, o.until.Sub(now), o.token)
			}
		}
		s.ledger[n][name] = b
	}
}

// write lets a worker write to a sink that refuses lower tokens, whether it
// believes still or has been paused since it looked.
func (s *story) write(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range 4 {
		b, ok := s.ledger[n][name]
		switch {
		case !ok:
		case b.token < s.sink[n]:
			s.fenced++
			if time.Now().Before(b.until) {
				s.Errorf("%d: %s believes for %s under %d, and %d has written", n, name, time.Until(b.until), b.token, s.sink[n])
			}
		default:
			s.sink[n] = b.token
			s.writes++
		}
	}
}
