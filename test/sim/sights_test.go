package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/sentinel"
)

// sights judges every master on every node, as coordinator/sights.go does;
// only the office makes an entry of a verdict.
type sights struct {
	p *process

	mu     sync.Mutex
	office *office
	sights map[fsm.MasterID]*sight
	stir   chan struct{} // closed when a follower has something to tell
}

type office struct {
	ctx  context.Context
	term fsm.Term
}

type sight struct {
	id         fsm.MasterID
	candidates []string
	look       chan struct{}
	view       sentinel.View
	peers      map[string]sentinel.View
	verdict    sentinel.Verdict
	base       fsm.Number
}

func newSights(p *process) *sights {
	s := &sights{p: p, sights: map[fsm.MasterID]*sight{}, stir: make(chan struct{})}
	for _, m := range p.run.plan.Masters {
		s.sights[fsm.MasterID(m.ID)] = &sight{id: fsm.MasterID(m.ID), candidates: m.Candidates, look: make(chan struct{}, 1), peers: map[string]sentinel.View{}}
	}
	return s
}

func (one *sight) again() {
	select {
	case one.look <- struct{}{}:
	default:
	}
}

func (s *sights) setOffice(o *office) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.office = o
	for _, one := range s.sights {
		clear(one.peers)
		one.again()
	}
}

func (s *sights) follow(ctx context.Context, one *sight) {
	var memory sentinel.Memory
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.p.awake(ctx)
		view, changed := s.p.run.redis.view(string(one.id), s.p.sees.Load(), s.p.clock)
		if memory = s.judge(one, view, memory); s.decide(one) {
			continue
		}
		timer.Reset(s.p.clock.real(one.verdict.Again))
		select {
		case <-ctx.Done():
		case <-one.look:
		case <-timer.C:
		case <-changed: // found by the next poll
			pause(ctx, s.p.poll)
		}
	}
}

func (s *sights) judge(one *sight, view sentinel.View, memory sentinel.Memory) sentinel.Memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.p.clock.at(time.Now())
	m, _ := s.p.node.State().Master(one.id)
	accepted := sentinel.Accepted{Known: m.Known(), Address: string(m.Address), Epoch: uint64(m.Epoch), Rebased: m.As == fsm.Rebase}
	was := one.view
	one.base = m.Number
	one.view = view
	merged := sentinel.Merge(view, one.peers, now)
	memory, one.verdict = sentinel.Judge(memory, merged, accepted, one.candidates, now)
	one.verdict = s.p.run.bug.verdict(merged, accepted, one.verdict)
	if s.office == nil && (was.Switching != view.Switching || view.Began.After(was.Began) || one.verdict.Kind != sentinel.None) {
		close(s.stir)
		s.stir = make(chan struct{})
	}
	return memory
}

// decide makes an entry of a verdict; true when the log took it.
func (s *sights) decide(one *sight) bool {
	s.mu.Lock()
	o, v, base := s.office, one.verdict, one.base
	s.mu.Unlock()
	if o == nil {
		return false
	}
	if v.WarmUp {
		s.p.executor.Warm(o.ctx, one.id)
	}
	as := map[sentinel.Kind]fsm.ObservedAs{
		sentinel.Seed: fsm.Seed, sentinel.Advance: fsm.Advance, sentinel.Resolve: fsm.Resolve, sentinel.Rebase: fsm.Rebase,
	}[v.Kind]
	if as == 0 {
		if sight, known := sightsNoted()[v.Standing]; known {
			s.p.executor.Stand(fsm.Note{Master: one.id, Base: base, Sight: sight, Reason: v.Why})
		}
		return false
	}
	answer, err := s.p.executor.Observe(o.ctx, o.term, executor.Sighting{
		Master: one.id, As: as, Address: fsm.Address(v.Address), Epoch: fsm.Epoch(v.Epoch), Evidence: v.Evidence,
	})
	if err != nil {
		return false
	}
	s.p.tell("accepted %s of %s: %s at epoch %d, number %d, term %d", as, one.id, v.Address, v.Epoch, answer.Number, o.term)
	return true
}

func sightsNoted() map[sentinel.Standing]fsm.Sight {
	return map[sentinel.Standing]fsm.Sight{sentinel.Calm: fsm.SightCalm, sentinel.Coming: fsm.SightComing, sentinel.Down: fsm.SightDown}
}

// report tells the leader each second, and at once when something stirs.
func (s *sights) report(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		stir := s.stir
		s.mu.Unlock()
		s.p.awake(ctx)
		leader := string(s.p.node.Status().Leader)
		if to := s.p.run.live(leader); to != nil && to != s.p && s.p.run.hub.open(s.p.id, leader) && s.p.run.hub.open(leader, s.p.id) {
			s.mu.Lock()
			views := map[fsm.MasterID]sentinel.View{}
			for id, one := range s.sights {
				views[id] = one.view
			}
			s.mu.Unlock()
			to.sights.take(s.p.id, views)
		}
		pause(ctx, 20*time.Millisecond)
		timer := time.NewTimer(time.Second)
		select {
		case <-stir:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (s *sights) take(from string, views map[fsm.MasterID]sentinel.View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, v := range views {
		if one := s.sights[id]; s.office != nil && v.Master != "" {
			one.peers[from] = v.Arrived(s.p.clock.at(time.Now()))
			one.again()
		}
	}
}

// lead is the leader's work, called once per term.
func (p *process) lead(ctx context.Context, term fsm.Term) error {
	p.tell("leads term %d", term)
	p.sights.setOffice(&office{ctx: ctx, term: term})
	defer p.sights.setOffice(nil)
	var counts sync.WaitGroup
	counts.Go(func() { p.count(ctx, term) })
	err := p.executor.Run(ctx, term)
	counts.Wait()
	p.tell("term %d is over: %v", term, context.Cause(ctx))
	return err
}

func (s *sights) officeNow() *office {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.office
}

func (p *process) handOver(ctx context.Context) error {
	context.AfterFunc(ctx, p.executor.Resume)
	within, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return p.executor.Drain(within)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

var errDead = errors.New("this process is dead")
