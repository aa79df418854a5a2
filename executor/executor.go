package executor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/internal/planted"
)

// Journal is the replicated log as the executor needs it. All methods may be
// called concurrently.
type Journal interface {
	// Watch gives the state that this node has applied, and a channel that is
	// closed at the next change.
	Watch() (fsm.State, <-chan struct{})
	// ProposeAs proposes in the given term and waits for the answer. An error
	// means that the outcome is unknown and the term is over or ending.
	ProposeAs(ctx context.Context, term fsm.Term, c fsm.Command) (fsm.Answer, error)
	// Applied tells when this process applied a claim.
	Applied(t fsm.Token) (time.Time, bool)
	// Clock is the log clock now.
	Clock() fsm.Clock
}

// Config is what an Executor is made of.
type Config struct {
	Journal Journal
	Kinds   actuators.Kinds
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: not exported
	// Confirm says why an action whose change was read back is not done yet, for
	// people; empty: it is. It must return at once and may be called concurrently.
	// Nil: what was read back is done. While it says no, nothing is written.
	Confirm func(fsm.Action) string

	Act         time.Duration // span of a claim where the step names none
	WarmFor     time.Duration // how old a warm-up read may be to count as the look before
	BackoffBase time.Duration // the first pause after an attempt; doubled each time, half of it drawn
	BackoffCap  time.Duration
	Parallel    int     // attempts at once at one target: a silent one must not hold up the others
	Rate        int     // requests a minute of a target whose spec names none
	ClockRate   float64 // of this process in the spans of claims and windows; 0: 1. A simulation sets it
}

// DefaultConfig has the numbers of the design; the caller adds Journal and Kinds.
func DefaultConfig() Config {
	return Config{
		Logger: slog.New(slog.DiscardHandler), Act: 5 * time.Second, WarmFor: 2 * time.Second,
		BackoffBase: 250 * time.Millisecond, BackoffCap: 30 * time.Second, Parallel: 16, Rate: 60,
	}
}

// Executor carries out the actions of the log while its node leads. Run is
// called once per term; the other methods may be called concurrently.
type Executor struct {
	Config
	tools  *tools
	meters *meters

	mu       sync.Mutex
	running  map[fsm.ActionID]bool          // attempts of this term, and those reserved by an Observe under way
	acting   int                            // of them, those that may hold a claim
	lanes    map[fsm.TargetID]chan struct{} // one per target: at most Parallel attempts at once
	later    map[fsm.ActionID]time.Time     // not before, where no entry says so
	held     map[fsm.ActionID]time.Time     // read as wanted, and not confirmed
	seen     map[fsm.ObjectID]time.Time     // the last look for drift that saw the object
	findings map[fsm.ObjectID]Finding       // at most one per object that no failover has written
	draining bool
	wanted   map[fsm.MasterID]fsm.Note // how masters stand, as last told to Stand
	stood    chan struct{}             // capacity 1: Stand was told news
	kick     chan struct{}             // an attempt ended; capacity 1
	inbox    chan func(context.Context)
	wg       sync.WaitGroup
}

// New makes an executor; nothing runs before Run.
func New(c Config) *Executor {
	e := &Executor{
		Config: c, tools: newTools(c), meters: newMeters(c.Metrics),
		running: map[fsm.ActionID]bool{}, later: map[fsm.ActionID]time.Time{}, held: map[fsm.ActionID]time.Time{}, seen: map[fsm.ObjectID]time.Time{}, findings: map[fsm.ObjectID]Finding{},
		kick: make(chan struct{}, 1), inbox: make(chan func(context.Context)), wanted: map[fsm.MasterID]fsm.Note{}, stood: make(chan struct{}, 1), lanes: map[fsm.TargetID]chan struct{}{},
	}
	if c.Metrics != nil {
		c.Metrics.MustRegister(findingGauge{e})
	}
	return e
}

// Run works until ctx, which is the term's, ends; then it waits for every
// attempt to return. It returns ctx's cause.
func (e *Executor) Run(ctx context.Context, term fsm.Term) error {
	e.mu.Lock()
	e.draining = false
	clear(e.later)
	clear(e.held)
	clear(e.wanted)
	e.mu.Unlock()
	defer e.wg.Wait()
	e.wg.Go(func() { e.watchDrift(ctx, term) })
	e.wg.Go(func() { e.watchStates(ctx, term) })
	e.wg.Go(func() { e.watchScores(ctx, term) })
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		state, changed := e.Journal.Watch()
		retry.Reset(e.dispatch(ctx, term, state))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-e.kick:
		case do := <-e.inbox:
			e.wg.Go(func() { do(ctx) })
		case <-retry.C:
		}
	}
}

// hand gives work to Run, which alone starts goroutines: so it can wait for all.
func (e *Executor) hand(ctx context.Context, do func(context.Context)) error {
	select {
	case e.inbox <- do:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Drain stops what is new and waits for the attempts that may hold a claim,
// before a leadership transfer; what only reads is not waited for. It returns
// ctx's error when they did not end in time.
func (e *Executor) Drain(ctx context.Context) error {
	if planted.Bug(planted.TransferWithoutRest) {
		return nil
	}
	e.mu.Lock()
	e.draining = true
	e.mu.Unlock()
	for {
		e.mu.Lock()
		busy := e.acting
		e.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.kick:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Resume takes back a Drain whose transfer did not happen.
func (e *Executor) Resume() {
	e.mu.Lock()
	e.draining = false
	e.mu.Unlock()
	e.nudge()
}

// dispatch starts what can be started and says how long until the next look.
func (e *Executor) dispatch(ctx context.Context, term fsm.Term, state fsm.State) time.Duration {
	wait := time.Minute
	for _, a := range state.Open() {
		j, left := e.due(term, state, a)
		if j.do == nil {
			if left > 0 {
				wait = min(wait, left)
			}
			continue
		}
		e.start(ctx, a.ID, j)
	}
	return min(wait, e.tidy(ctx, term, state), e.unseen(ctx, term, state))
}

// job is an attempt ready to be started.
type job struct {
	do     func(context.Context)
	target fsm.TargetID // its lane; empty: none needed
	acts   bool         // it may hold a claim: a drain waits for it
	grant  *grant
}

// due says what an open action needs now, or how long until it may.
func (e *Executor) due(term fsm.Term, state fsm.State, a fsm.Action) (job, time.Duration) {
	e.mu.Lock()
	left := time.Until(e.later[a.ID])
	busy := e.running[a.ID] || e.draining
	e.mu.Unlock()
	switch {
	case busy:
		return job{}, 0
	case left > 0:
		return job{}, left
	}
	t := try{Executor: e, term: term, id: a.ID}
	switch a.Phase {
	case fsm.Pending:
		gates, _ := state.Gates(a, e.now(term, 0))
		if len(gates) > 0 {
			return job{}, longest(gates)
		}
		return e.admitted(a, t.fresh, true, cost(a.Step))
	case fsm.Claimed:
		return e.admitted(a, t.inherited, true, cost(a.Step))
	case fsm.Waiting:
		if e.holds(a) {
			return job{}, confirmEvery
		}
		do, n := t.waiting(state, a)
		if do == nil {
			return job{}, 0
		}
		return e.admitted(a, do, false, n)
	default:
		return job{}, 0
	}
}

// admitted makes a job of do once the target's budget covers all of it. What
// has failed often leaves a part of the rate to what has not.
func (e *Executor) admitted(a fsm.Action, do func(context.Context), acts bool, n int) (job, time.Duration) {
	m := atOnce
	if a.Phase == fsm.Pending && a.Attempts > fsm.LetPass {
		m = afresh
	}
	g, left := e.tools.admit(a.Target, n, m)
	if left > 0 {
		return job{}, left
	}
	return job{do: do, target: a.Target.ID, acts: acts, grant: g}, 0
}

// longest is the time after which a look may find the gates open; a gate that
// only an entry opens says zero.
func longest(gates []fsm.Gate) (left time.Duration) {
	for _, g := range gates {
		left = max(left, g.Remaining)
	}
	return left
}

// start runs a job in its own goroutine, one at a time for an action.
func (e *Executor) start(ctx context.Context, id fsm.ActionID, j job) {
	e.mu.Lock()
	e.running[id] = true
	if j.acts {
		e.acting++
	}
	lane := e.lane(j.target)
	e.mu.Unlock()
	e.wg.Go(func() {
		defer e.stopped(id, j)
		if lane != nil {
			select {
			case lane <- struct{}{}:
				defer func() { <-lane }()
			case <-ctx.Done():
				return
			}
		}
		e.meters.running.Inc()
		defer e.meters.running.Dec()
		j.do(context.WithValue(ctx, grantKey{}, j.grant))
	})
}

// lane, under mu, bounds the attempts at one target; nil for the log itself.
func (e *Executor) lane(id fsm.TargetID) chan struct{} {
	if id == "" {
		return nil
	}
	l, ok := e.lanes[id]
	if !ok {
		l = make(chan struct{}, e.Parallel)
		e.lanes[id] = l
	}
	return l
}

func (e *Executor) stopped(id fsm.ActionID, j job) {
	j.grant.close()
	if j.acts {
		e.mu.Lock()
		e.acting--
		e.mu.Unlock()
	}
	e.ended(id)
}

// ended frees actions that this caller had reserved.
func (e *Executor) ended(ids ...fsm.ActionID) {
	e.mu.Lock()
	for _, id := range ids {
		delete(e.running, id)
	}
	e.mu.Unlock()
	e.nudge()
}

func (e *Executor) nudge() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// postpone delays an action without an entry: nothing of ours is in the world.
func (e *Executor) postpone(id fsm.ActionID, d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	for old, at := range e.later { // what has passed is of no use: the map stays as small as the open set
		if now.After(at) {
			delete(e.later, old)
		}
	}
	e.later[id] = now.Add(d)
}

// tidy frees the objects whose windows have run out, so that nobody is shown
// as busy for ever. It says when the next window ends.
func (e *Executor) tidy(ctx context.Context, term fsm.Term, state fsm.State) time.Duration {
	next := time.Minute
	for _, o := range state.Objects() {
		for _, h := range o.Held {
			left := e.window(h)
			if left > 0 {
				next = min(next, left)
				continue
			}
			id := fsm.ActionID("tidy/" + string(o.ID))
			e.mu.Lock()
			busy := e.running[id] || e.draining
			e.mu.Unlock()
			if !busy {
				e.start(ctx, id, job{do: func(ctx context.Context) {
					_, _ = e.propose(ctx, term, fsm.Release{Object: o.ID, Token: h.Token, Expired: true})
				}})
			}
		}
	}
	return next
}

// propose logs what an unexpected refusal says; an error means that the term
// is over, which ends everything anyway.
func (e *Executor) propose(ctx context.Context, term fsm.Term, c fsm.Command) (fsm.Answer, error) {
	answer, err := e.Journal.ProposeAs(ctx, term, c)
	if err != nil {
		if ctx.Err() == nil {
			e.Logger.Warn("proposal has no known outcome", "kind", c.Kind().String(), "term", uint64(term), "error", err)
		}
		return answer, err
	}
	if err := answer.Err(); err != nil {
		e.Logger.Info("log refused", "kind", c.Kind().String(), "term", uint64(term), "error", err)
		return answer, err
	}
	return answer, nil
}

// Gates lists what keeps an action from its claim, as this node counts windows,
// backoff and budget. On a follower the windows are what it would wait as leader.
func (e *Executor) Gates(state fsm.State, a fsm.Action) []fsm.Gate {
	if a.Phase != fsm.Pending {
		return nil
	}
	gates, _ := state.Gates(a, e.now(state.Term(), cost(a.Step)))
	return gates
}

func isRefusal(err error) bool {
	var r *fsm.Refused
	return errors.As(err, &r)
}
