package coordinator

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/cluster"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const (
	probeTimeout  = 3 * time.Second
	probeScan     = 500 * time.Millisecond // how often it is looked which target is due, at most
	probeParallel = 8
	probeAgree    = 3  // probes in a row that make a verdict
	probeShare    = 20 // of a target's rate, one in so many, for the probes of one node
	probeBurst    = 6  // of them, saved up for when a verdict is open
	probeJitter   = 0.2
	maxProbeError = 256 // bytes
	defaultRate   = 60  // requests a minute of a target whose spec names none
)

// prober asks each target that a plan uses, now and then, for something that
// changes nothing: on every node, so that a leader knows who reaches what.
type prober struct {
	node   *cluster.Node
	kinds  actuators.Kinds
	logger *slog.Logger
	pace   Pace

	mu       sync.Mutex
	revision fsm.Revision
	targets  map[fsm.TargetID]*probed // at most fsm.MaxTargets
}

// probed is one target. The fields are under prober.mu.
type probed struct {
	spec     fsm.TargetSpec
	actuator actuators.Actuator // nil: to be opened
	running  bool
	next     time.Time
	tokens   float64 // requests saved up
	filled   time.Time

	verdict verdict
	since   time.Time
	began   time.Time // of the newest probe; zero: none yet
	failure string    // why it failed; empty: it did not
	says    verdict   // of the newest probe
	streak  int       // probes in a row that say so
}

func newProber(c *Coordinator) *prober {
	return &prober{node: c.node, kinds: c.Kinds, logger: c.Logger, pace: c.Pace, targets: map[fsm.TargetID]*probed{}}
}

// run probes until ctx ends, and waits for the probes under way.
func (p *prober) run(ctx context.Context) error {
	var work sync.WaitGroup
	defer p.close()
	defer work.Wait()
	slots := make(chan struct{}, probeParallel)
	tick := time.NewTicker(min(probeScan, p.pace.Again))
	defer tick.Stop()
	for {
		state := p.node.State()
		for _, id := range p.due(state) {
			select {
			case slots <- struct{}{}:
			default:
				continue // it stays due
			}
			p.begin(id)
			work.Go(func() {
				defer func() { <-slots }()
				p.probe(ctx, id)
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// due follows the spec and lists what is to be probed now.
func (p *prober) due(state fsm.State) (ids []fsm.TargetID) {
	failing := troubled(state)
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if spec := state.Spec(); spec.Revision != p.revision {
		p.declare(usedTargets(spec), now)
		p.revision = spec.Revision
	}
	for id, t := range p.targets {
		hurry := failing[id] && now.Sub(t.began) >= p.pace.Again
		if !t.running && (hurry || !now.Before(t.next)) && t.afford(now) {
			ids = append(ids, id)
		}
	}
	return ids
}

// declare keeps what stayed the same, under mu.
func (p *prober) declare(used map[fsm.TargetID]fsm.TargetSpec, now time.Time) {
	for id, spec := range used {
		if have, ok := p.targets[id]; ok && have.spec.Kind == spec.Kind && slices.Equal(have.spec.Params, spec.Params) {
			have.spec = spec
			continue
		}
		closeActuator(p.targets[id])
		p.targets[id] = &probed{spec: spec, next: now, tokens: probeBurst, filled: now}
	}
	maps.DeleteFunc(p.targets, func(id fsm.TargetID, t *probed) bool {
		_, stays := used[id]
		if !stays {
			closeActuator(t)
		}
		return !stays
	})
}

// afford reports whether the share of the target's rate has room for a probe.
func (t *probed) afford(now time.Time) bool {
	rate := float64(t.spec.Rate)
	if rate <= 0 {
		rate = defaultRate
	}
	perMinute := max(1, rate/probeShare)
	t.tokens = min(probeBurst, t.tokens+now.Sub(t.filled).Minutes()*perMinute)
	t.filled = now
	return t.tokens >= 1
}

func (p *prober) begin(id fsm.TargetID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[id]
	t.running, t.began = true, time.Now()
	t.tokens--
}

// probe sends one probe and keeps what it says.
func (p *prober) probe(ctx context.Context, id fsm.TargetID) {
	within, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	p.mu.Lock()
	t, ok := p.targets[id]
	p.mu.Unlock()
	if !ok {
		return
	}
	err := p.ask(within, t)
	if ctx.Err() != nil {
		return // the node stops: nothing was learned
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.running = false
	was := t.verdict
	t.learn(err, time.Now())
	wait := p.pace.Probe
	if t.verdict != t.says {
		wait = p.pace.Again
	}
	t.next = t.began.Add(wait + rand.N(time.Duration(probeJitter*float64(wait))+1)) //nolint:gosec // jitter
	if t.verdict != was && t.verdict == lost {
		p.logger.Warn("target is not reached", "target", string(id), "error", t.failure)
	} else if t.verdict != was && was == lost {
		p.logger.Info("target is reached again", "target", string(id))
	}
}

// ask opens the target anew after it was refused: a credential may be mended.
// What cannot be opened on this node is not reached by it.
func (p *prober) ask(ctx context.Context, t *probed) error {
	p.mu.Lock()
	a, spec := t.actuator, t.spec
	p.mu.Unlock()
	if a == nil {
		kind, ok := p.kinds[spec.Kind]
		if !ok {
			return fmt.Errorf("this build has no actuator of kind %q", spec.Kind)
		}
		opened, err := kind.Open(spec, nil) // paced here, by afford
		if err != nil {
			return err
		}
		a = opened
	}
	var err error
	if can, ok := a.(actuators.Prober); ok {
		err = can.Probe(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.actuator = a; actuators.Explain(err).Permanent {
		closeActuator(t)
		t.actuator = nil
	}
	return err
}

// learn counts a probe: three equal ones in a row make a verdict, and change one.
func (t *probed) learn(err error, now time.Time) {
	says := reached
	t.failure = ""
	if err != nil {
		says, t.failure = lost, strings.ToValidUTF8(err.Error(), "?")
		if len(t.failure) > maxProbeError {
			t.failure = strings.ToValidUTF8(t.failure[:maxProbeError], "")
		}
	}
	if says != t.says {
		t.says, t.streak = says, 0
	}
	t.streak = min(t.streak+1, probeAgree)
	if t.verdict != says && t.streak == probeAgree {
		t.verdict, t.since = says, now
	}
}

// contrary counts the newest probes that contradict the verdict.
func (t *probed) contrary() int {
	if t.says == t.verdict {
		return 0
	}
	return t.streak
}

// hurry makes targets due at once: the leader wants to know who reaches them.
func (p *prober) hurry(ids []string) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if t, ok := p.targets[fsm.TargetID(id)]; ok && now.Sub(t.began) >= p.pace.Again {
			t.next = now
		}
	}
}

// contacts is what the probes say now, for the placement.
func (p *prober) contacts() map[fsm.TargetID]contact {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[fsm.TargetID]contact, len(p.targets))
	for id, t := range p.targets {
		out[id] = contact{verdict: t.verdict, since: now.Sub(t.since), probed: now.Sub(t.began), failing: t.failure != ""}
	}
	return out
}

// messages is the same for people and peers, by id. Ages instead of times: no
// two clocks are compared.
func (p *prober) messages() (out []*pointsmanv1.TargetReach) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(p.targets)) {
		t := p.targets[id]
		m := &pointsmanv1.TargetReach{Target: string(id), Error: t.failure, Probed: age(t.began, now), Since: age(t.since, now), Contrary: uint32(t.contrary())}
		switch t.verdict {
		case reached:
			m.Reach = pointsmanv1.Reach_REACH_REACHED
		case lost:
			m.Reach = pointsmanv1.Reach_REACH_LOST
		}
		out = append(out, m)
	}
	return out
}

// contactsOf reads what a peer said some time ago.
func contactsOf(said []*pointsmanv1.TargetReach, ago time.Duration) map[fsm.TargetID]contact {
	out := make(map[fsm.TargetID]contact, len(said))
	for _, m := range said {
		c := contact{since: span(m.GetSince()) + ago, probed: span(m.GetProbed()) + ago, failing: m.GetError() != ""}
		switch m.GetReach() {
		case pointsmanv1.Reach_REACH_REACHED:
			c.verdict = reached
		case pointsmanv1.Reach_REACH_LOST:
			c.verdict = lost
		}
		out[fsm.TargetID(m.GetTarget())] = c
	}
	return out
}

func span(d *durationpb.Duration) time.Duration { return max(0, d.AsDuration()) }

func (p *prober) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.targets {
		closeActuator(t)
	}
	clear(p.targets)
}

func closeActuator(t *probed) {
	if t == nil {
		return
	}
	if held, ok := t.actuator.(io.Closer); ok {
		_ = held.Close()
	}
}

// usedTargets are those that a plan names.
func usedTargets(spec fsm.Spec) map[fsm.TargetID]fsm.TargetSpec {
	used := map[fsm.TargetID]fsm.TargetSpec{}
	for _, m := range spec.Masters {
		for _, stage := range m.Plan {
			for _, step := range stage.Steps {
				if t, ok := spec.Target(step.Target); ok {
					used[t.ID] = t
				}
			}
		}
	}
	return used
}

// troubled are the targets at which an attempt of open work has failed.
func troubled(state fsm.State) map[fsm.TargetID]bool {
	out := map[fsm.TargetID]bool{}
	for _, a := range state.Open() {
		if a.Target.ID != "" && a.Phase != fsm.Stuck && (a.Doubt || a.Phase == fsm.Pending && len(a.History) > 0) {
			out[a.Target.ID] = true
		}
	}
	return out
}
