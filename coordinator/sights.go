package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/api"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/sentinel"
)

// sights judges every master on every node, so that a new leader's memory is
// warm. Only the office, which exists while this node leads, makes an entry of
// a verdict.
type sights struct {
	node    *cluster.Node
	watcher *sentinel.Watcher
	logger  *slog.Logger

	mu     sync.Mutex
	office *office // nil: another node leads
	sights map[fsm.MasterID]*sight
	stir   chan struct{} // closed when a verdict changes: the reporter's nudge

	peers    *peers
	paths    *paths
	findings *findings
	wanted   func() []string // targets that the leader wants probed; set before run
}

// sight is one master as this node judges it. The fields are under sights.mu.
type sight struct {
	id         fsm.MasterID
	candidates []string
	cancel     context.CancelFunc
	look       chan struct{} // capacity 1: look again now

	view     sentinel.View            // own
	peers    map[string]sentinel.View // by node; empty unless this node leads
	merged   sentinel.View
	verdict  sentinel.Verdict
	since    map[string]time.Time // alerts by reason
	base     fsm.Number           // accepted when the verdict was made
	switched bool
	began    time.Time // of own, as the reporter was last stirred
}

var _ api.Sights = (*sights)(nil)

func newSights(c *Coordinator) *sights {
	return &sights{
		node: c.node, watcher: c.watcher, logger: c.Logger,
		sights: map[fsm.MasterID]*sight{}, stir: make(chan struct{}), peers: c.peers, paths: c.paths, findings: &findings{own: c.executor.Findings},
		wanted: func() []string { return c.placer.wanted() },
	}
}

// run follows the spec: one goroutine for each declared master.
func (s *sights) run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	applied, tried := fsm.Revision(0), time.Time{}
	for {
		state, changed := s.node.Watch()
		retry := time.After(time.Hour)
		if spec := state.Spec(); spec.Revision != applied || !tried.IsZero() && time.Since(tried) > 10*time.Second {
			tried = time.Time{}
			if err := s.declare(ctx, &work, spec); err != nil {
				s.logger.Warn("some masters cannot be watched from this node", "revision", uint64(spec.Revision), "error", err)
				tried, retry = time.Now(), time.After(11*time.Second)
			}
			applied = spec.Revision
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry:
		}
	}
}

func (s *sights) declare(ctx context.Context, work *sync.WaitGroup, spec fsm.Spec) error {
	masters, errs := mastersOf(spec)
	if err := s.watcher.SetMasters(masters); err != nil {
		return errors.Join(errs, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := map[fsm.MasterID]bool{}
	for _, m := range masters {
		id := fsm.MasterID(m.ID)
		kept[id] = true
		if old, ok := s.sights[id]; ok {
			if slices.Equal(old.candidates, m.Candidates) {
				old.again()
				continue
			}
			old.cancel()
		}
		own, cancel := context.WithCancel(ctx)
		one := &sight{id: id, candidates: m.Candidates, cancel: cancel, look: make(chan struct{}, 1), peers: map[string]sentinel.View{}, since: map[string]time.Time{}}
		s.sights[id] = one
		work.Go(func() { s.follow(own, one) })
	}
	maps.DeleteFunc(s.sights, func(id fsm.MasterID, old *sight) bool {
		if !kept[id] {
			old.cancel()
		}
		return !kept[id]
	})
	return errs
}

func (one *sight) again() {
	select {
	case one.look <- struct{}{}:
	default:
	}
}

// setOffice begins or ends this node's leadership for the sights; the peers'
// reports of an older term are void.
func (s *sights) setOffice(o *office) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.office = o
	s.peers.forget()
	for _, one := range s.sights {
		clear(one.peers)
		one.again()
	}
}

// follow judges one master until its declaration changes.
func (s *sights) follow(ctx context.Context, one *sight) {
	var memory sentinel.Memory
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		view, changed := s.watcher.View(string(one.id))
		memory = s.judge(one, view, memory)
		s.mu.Lock()
		office, verdict, base := s.office, one.verdict, one.base
		s.mu.Unlock()
		if office != nil && s.decide(office, one.id, base, verdict) {
			continue // accepted: what is next?
		}
		timer.Reset(verdict.Again)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-one.look:
		case <-timer.C:
		}
	}
}

func (s *sights) judge(one *sight, view sentinel.View, memory sentinel.Memory) sentinel.Memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	one.view = view
	one.merged = sentinel.Merge(view, one.peers, now)
	var accepted sentinel.Accepted
	accepted, one.base = s.accepted(one.id)
	memory, one.verdict = sentinel.Judge(memory, one.merged, accepted, one.candidates, now)
	one.keepAlerts(now)
	stirred := one.view.Switching != one.switched || one.view.Began.After(one.began) || one.verdict.Kind != sentinel.None
	if one.switched, one.began = one.view.Switching, one.view.Began; stirred && s.office == nil {
		s.stirred()
	}
	return memory
}

// stirUp makes the reporter tell the leader at once.
func (s *sights) stirUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stirred()
}

func (s *sights) stirred() {
	close(s.stir)
	s.stir = make(chan struct{})
}

func (s *sights) accepted(id fsm.MasterID) (sentinel.Accepted, fsm.Number) {
	m, _ := s.node.State().Master(id)
	return sentinel.Accepted{Known: m.Known(), Address: string(m.Address), Epoch: uint64(m.Epoch), Rebased: m.As == fsm.Rebase}, m.Number
}

// decide makes an entry of a verdict; true when the log took it.
func (s *sights) decide(o *office, id fsm.MasterID, base fsm.Number, v sentinel.Verdict) bool {
	if v.WarmUp {
		o.executor.Warm(o.ctx, id)
	}
	as := map[sentinel.Kind]fsm.ObservedAs{
		sentinel.Seed: fsm.Seed, sentinel.Advance: fsm.Advance, sentinel.Resolve: fsm.Resolve, sentinel.Rebase: fsm.Rebase,
	}[v.Kind]
	if as == 0 {
		if v.Standing != sentinel.Unclear {
			o.executor.Stand(fsm.Note{Master: id, Base: base, Sight: sightOf(v.Standing), Reason: v.Why})
		}
		return false
	}
	answer, err := o.executor.Observe(o.ctx, o.term, executor.Sighting{
		Master: id, As: as, Address: fsm.Address(v.Address), Epoch: fsm.Epoch(v.Epoch), Evidence: v.Evidence, First: v.First,
	})
	if err != nil {
		return false
	}
	s.logger.Info("accepted", "master", string(id), "kind", as.String(), "address", v.Address, "epoch", v.Epoch,
		"number", uint64(answer.Number), "term", uint64(o.term))
	return true
}

func sightOf(s sentinel.Standing) fsm.Sight {
	return map[sentinel.Standing]fsm.Sight{
		sentinel.Calm: fsm.SightCalm, sentinel.Coming: fsm.SightComing, sentinel.Down: fsm.SightDown,
	}[s]
}

// Report takes what another node sees and says of itself. It is called on the
// leader only, and refuses strangers and what comes late: see peers.admit.
func (s *sights) Report(_ context.Context, r *pointsmanv1.ReportViewRequest) (*pointsmanv1.ReportViewResponse, error) {
	if err := s.peers.admit(r); err != nil {
		return nil, err
	}
	now := time.Now()
	resp := &pointsmanv1.ReportViewResponse{Probe: s.wanted(), Handover: s.peers.last().message(now), Probes: s.paths.answerTo(r.GetNodeId()), Alerts: s.findings.alerts(now)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range r.GetMasters() {
		one, ok := s.sights[fsm.MasterID(m.GetMaster())]
		if !ok || s.office == nil {
			continue
		}
		was := one.peers[r.GetNodeId()]
		one.peers[r.GetNodeId()] = viewIn(m, now)
		if differs(was, one.peers[r.GetNodeId()]) {
			one.again()
		}
	}
	return resp, nil
}

// coming are the masters of which a switch is seen or to be accepted.
func (s *sights) coming() (ids []fsm.MasterID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.sights {
		if one.merged.Switching || one.verdict.WarmUp || one.verdict.Kind != sentinel.None {
			ids = append(ids, id)
		}
	}
	return ids
}

// keepAlerts remembers since when each alert stands.
func (one *sight) keepAlerts(now time.Time) {
	stand := map[string]time.Time{}
	for _, a := range one.verdict.Alerts {
		at, ok := one.since[a.Reason]
		if !ok {
			at = now
		}
		stand[a.Reason] = at
	}
	one.since = stand
}
