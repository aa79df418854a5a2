package leases

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/fsm"
)

// Journal is the replicated log as the engine needs it. All methods may be
// called concurrently.
type Journal interface {
	// Watch gives the state that this node has applied, and a channel that is
	// closed at the next change.
	Watch() (fsm.State, <-chan struct{})
	// Confirm passes a barrier in the given term and gives the state after it. An
	// error means that nothing was confirmed: the term is over, or ctx ended.
	Confirm(ctx context.Context, term fsm.Term) (fsm.State, error)
	// ProposeAll proposes in the given term, in order, and waits for the answers.
	// An error means that the outcome is unknown and the term is over or ending.
	ProposeAll(ctx context.Context, term fsm.Term, commands ...fsm.Command) ([]fsm.Answer, error)
}

// Bounds and defaults.
const (
	MaxWaiting   = fsm.MaxSessions        // renewals that wait for a barrier
	maxOfSession = 4                      // of them, those of one session
	maxStrangers = 1024                   // of them, those of sessions that this node does not know
	maxNamed     = 2 * fsm.MaxLeases      // grants that they name, together
	DefaultEvery = 200 * time.Millisecond // between two barriers, and between two looks at what is due
	DefaultGrace = 250 * time.Millisecond // a worker needs a moment to stop
	ratePercent  = 2                      // that the leader counts longer than a worker is told, for clocks that run apart
	skewBound    = 0.1                    // a worker whose clock was measured to run farther apart is given nothing
	planAgain    = 2 * time.Second        // a pool is planned again though nothing changed
	rateSpan     = time.Minute            // over which clock rates are compared
)

var (
	// ErrNotLeading is returned on a node that does not lead, or whose term ended
	// before the renewal was confirmed: the leader may be asked at once.
	ErrNotLeading = errors.New("this node does not lead")
	// ErrNoSession is returned for a session that has ended, or with a key that is
	// not its own: its worker stops all work.
	ErrNoSession = errors.New("no such session")
	// ErrFull is returned when too many renewals wait already, of all workers or of
	// this one.
	ErrFull = errors.New("too many renewals wait")
)

// Config is what an Engine is made of.
type Config struct {
	Journal Journal
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: not exported
	Every   time.Duration         // least time between two barriers; 0: DefaultEvery
	Grace   time.Duration         // added to what others count; 0: DefaultGrace
}

// Engine keeps count of workers while its node leads. Run is called once per
// term; the other methods may be called concurrently.
type Engine struct {
	Config
	meters *meters

	mu      sync.Mutex
	leading bool // Run is under way and takes renewals
	waiting queue
	subs    map[fsm.SessionID]map[chan struct{}]struct{}
	arrived chan struct{} // capacity 1: waiting is not empty
}

// Renewal is a worker's proof that it lives.
type Renewal struct {
	Session fsm.SessionID
	Key     string // SHA-256, in hex, of the key that it was opened with
	Held    []fsm.LeaseItem
	Uptime  time.Duration // of the worker, by its own clock, when it sent this; 0: not told
	Leaving bool          // it comes to its end, and is given nothing more
}

// Confirmed is the answer to a renewal.
type Confirmed struct {
	State    fsm.State // that it was judged by
	Session  fsm.Session
	Assigned []Assigned // by partition
	Refused  []Refused
}

// Assigned is a partition that the session holds.
type Assigned struct {
	fsm.Lease
	ValidFor time.Duration // from before the renewal was sent
}

// Refused is a grant that was named and is not held.
type Refused struct {
	fsm.LeaseItem
	Now fsm.Lease // the partition as it stands; zero: there is none
}

type waiter struct {
	Renewal
	at     time.Time
	answer chan outcome // capacity 1
}

type outcome struct {
	Confirmed
	err error
}

// queue is the renewals that wait.
type queue struct {
	all       []*waiter
	of        map[fsm.SessionID]int
	strangers int
	named     int
}

// New makes an engine. It starts nothing.
func New(c Config) *Engine {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Every <= 0 {
		c.Every = DefaultEvery
	}
	if c.Grace <= 0 {
		c.Grace = DefaultGrace
	}
	return &Engine{Config: c, meters: newMeters(c.Metrics), subs: map[fsm.SessionID]map[chan struct{}]struct{}{}, arrived: make(chan struct{}, 1)}
}

// Renew waits for the next barrier and answers what the state after it says.
// Errors: ErrNotLeading, ErrNoSession, ErrFull, or ctx's.
func (e *Engine) Renew(ctx context.Context, r Renewal) (Confirmed, error) {
	w := &waiter{Renewal: r, at: time.Now(), answer: make(chan outcome, 1)}
	if err := e.admit(w); err != nil {
		e.meters.renewed(err)
		return Confirmed{}, err
	}
	select {
	case o := <-w.answer:
		e.meters.renewed(o.err)
		return o.Confirmed, o.err
	case <-ctx.Done():
		e.meters.renewals.WithLabelValues("gone").Inc()
		return Confirmed{}, context.Cause(ctx)
	}
}

// admit queues a renewal, unless its key is wrong as far as this node knows: so
// nobody keeps another's session alive by it, or crowds workers out.
func (e *Engine) admit(w *waiter) error {
	if !e.Leading() {
		return ErrNotLeading
	}
	s, _ := e.Journal.Watch()
	v, known := s.Session(w.Session)
	if known && !speaksFor(v, w.Key) {
		return ErrNoSession
	}
	return e.enqueue(w, known)
}

func (e *Engine) enqueue(w *waiter, known bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := &e.waiting
	switch {
	case !e.leading:
		return ErrNotLeading
	case len(q.all) >= MaxWaiting || q.of[w.Session] >= maxOfSession || q.named+len(w.Held) > maxNamed || !known && q.strangers >= maxStrangers:
		return ErrFull
	}
	if q.of == nil {
		q.of = map[fsm.SessionID]int{}
	}
	if !known {
		q.strangers++
	}
	q.all, q.named = append(q.all, w), q.named+len(w.Held)
	q.of[w.Session]++
	select {
	case e.arrived <- struct{}{}:
	default:
	}
	return nil
}

// take gives all renewals that wait.
func (e *Engine) take() []*waiter {
	e.mu.Lock()
	defer e.mu.Unlock()
	batch := e.waiting.all
	e.waiting = queue{}
	return batch
}

// waits reports whether a renewal of the session waits.
func (e *Engine) waits(id fsm.SessionID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.waiting.of[id] > 0
}

// lead opens the queue, or closes it and sends those who wait away.
func (e *Engine) lead(on bool) {
	e.mu.Lock()
	e.leading = on
	e.mu.Unlock()
	if on {
		return
	}
	for _, w := range e.take() {
		w.answer <- outcome{err: ErrNotLeading}
	}
	e.meters.stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, all := range e.subs { // streams look, and find another leader
		nudge(all)
	}
}

// Leading reports whether renewals are taken now.
func (e *Engine) Leading() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leading
}

// Subscribe tells through the channel when what a session holds may have changed,
// or when this node ceases to lead. The caller ends it with the function.
func (e *Engine) Subscribe(id fsm.SessionID) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.subs[id] == nil {
		e.subs[id] = map[chan struct{}]struct{}{}
	}
	e.subs[id][c] = struct{}{}
	return c, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if delete(e.subs[id], c); len(e.subs[id]) == 0 {
			delete(e.subs, id)
		}
	}
}

// tell nudges the streams of sessions.
func (e *Engine) tell(changed map[fsm.SessionID]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range changed {
		nudge(e.subs[id])
	}
}

func nudge(all map[chan struct{}]struct{}) {
	for c := range all {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
