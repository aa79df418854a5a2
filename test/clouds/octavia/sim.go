package octavia

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Errors of the Go methods. The HTTP API answers refusals as bodies.
var (
	// ErrUnknown is returned when what was named is not there.
	ErrUnknown = errors.New("not found")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("simulator closed")
	// ErrImmutable is returned when a tree takes no change now.
	ErrImmutable = errors.New("load balancer is immutable")
)

// immutable names the load balancer that takes no change.
type immutable string

func (id immutable) Error() string {
	return fmt.Sprintf("Load Balancer %s is immutable and cannot be updated.", string(id))
}

func (immutable) Is(target error) bool { return target == ErrImmutable }

// Bounds.
const (
	// MaxJournal is the number of calls that the journal keeps.
	MaxJournal = 100_000
	// MaxHistory is the number of states of a tree kept for late answers.
	MaxHistory = 1_000
	// MaxBody bounds a request's body, in bytes.
	MaxBody = 1 << 20
)

// Config of a Sim.
type Config struct {
	Knobs    Knobs
	Region   string // of the endpoint in the catalogue; empty: EU-WEST-PAR
	Endpoint string // URL of Octavia without path, for the catalogue; needed
}

// Sim is one simulated project. All methods may be called concurrently.
type Sim struct {
	config Config
	done   chan struct{}  // closed by Close
	work   sync.WaitGroup // handlers and timers

	mu        sync.Mutex // guards what follows
	closed    bool
	knobs     Knobs
	balancers map[string]*balancer
	users     []User
	tokens    map[string]*token
	calls     []*Call
	dropped   int
	seq       int64
	order     int64
	faults    []*rule
	held      map[int64]chan bool // by sequence; true releases, false drops
	recent    map[string][]time.Time
	timers    map[*timer]struct{}
}

// balancer is a tree as it is stored, as it is in effect, and as it was.
type balancer struct {
	stored, effect tree
	next           *tree // what the change under way will leave; nil: none is
	history        []moment
}

type moment struct {
	at   time.Time
	tree tree
}

// New makes a simulator without load balancers. Close it.
func New(c Config) (*Sim, error) {
	if err := c.Knobs.Validate(); err != nil {
		return nil, fmt.Errorf("simulator config: %w", err)
	}
	if c.Region == "" {
		c.Region = "EU-WEST-PAR"
	}
	return &Sim{
		config: c, done: make(chan struct{}), knobs: c.Knobs, balancers: map[string]*balancer{}, tokens: map[string]*token{},
		held: map[int64]chan bool{}, recent: map[string][]time.Time{}, timers: map[*timer]struct{}{},
	}, nil
}

// Handler answers Keystone under /v3 and Octavia under /v2.0/lbaas and /v2/lbaas.
func (s *Sim) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Close drops what is held and returns when no goroutine is left.
func (s *Sim) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
		for t := range s.timers {
			s.stop(t)
		}
	}
	s.mu.Unlock()
	s.work.Wait()
	return nil
}

// Knobs are those that stand.
func (s *Sim) Knobs() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs
}

// SetKnobs replaces all knobs, for calls from now on.
func (s *Sim) SetKnobs(k Knobs) error {
	if err := k.Validate(); err != nil {
		return fmt.Errorf("knobs: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k
	return nil
}

// AddLoadBalancer seeds a load balancer.
func (s *Sim) AddLoadBalancer(l LoadBalancer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.Status = orActive(l.Status)
	b := &balancer{stored: tree{balancer: l, listeners: map[string]Listener{}, pools: map[string]Pool{}}}
	s.balancers[l.ID] = b
	b.seeded()
}

// AddPool seeds a pool with its members. ErrUnknown without its load balancer.
func (s *Sim) AddPool(p Pool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.balancers[p.Balancer]
	if !ok {
		return fmt.Errorf("load balancer %s: %w", p.Balancer, ErrUnknown)
	}
	p.Status, p.Members = orActive(p.Status), slices.Clone(p.Members)
	for i := range p.Members {
		if p.Members[i].Weight == 0 {
			p.Members[i].Weight = 1
		}
	}
	b.stored.pools[p.ID] = p
	b.seeded()
	return nil
}

// AddListener seeds a listener. ErrUnknown without its load balancer.
func (s *Sim) AddListener(l Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.balancers[l.Balancer]
	if !ok {
		return fmt.Errorf("load balancer %s: %w", l.Balancer, ErrUnknown)
	}
	l.Status = orActive(l.Status)
	b.stored.listeners[l.ID] = l
	b.seeded()
	return nil
}

func orActive(s Status) Status {
	if s == "" {
		return Active
	}
	return s
}

func (b *balancer) seeded() {
	b.effect = b.stored.clone()
	b.history = []moment{{tree: b.stored.clone()}}
}

// Stored is a listener as GET answers it when nothing lags.
func (s *Sim) Stored(listener string) (Listener, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.balancers {
		if l, ok := b.stored.listeners[listener]; ok {
			return l, true
		}
	}
	return Listener{}, false
}

// Effect is where a listener's traffic goes: the members of its pool, as they are in effect.
func (s *Sim) Effect(listener string) (Listener, []Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.balancers {
		if l, ok := b.effect.listeners[listener]; ok {
			return l, slices.Clone(b.effect.pools[l.Pool].Members)
		}
	}
	return Listener{}, nil
}

// Recover is what the operator's failover does to a load balancer that takes no change any more: all is built anew
// as it is stored. It is for one whose change will not end by itself.
func (s *Sim) Recover(balancer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.balancers[balancer]
	if !ok {
		return
	}
	t := b.stored.clone()
	if b.next != nil { // its worker is dead
		t = b.next.clone()
	}
	for id := range t.listeners {
		t = t.marked([]string{id}, Active)
	}
	for id := range t.pools {
		t = t.marked([]string{id}, Active)
	}
	b.put(t.marked(nil, Active))
	b.effect, b.next = b.stored.clone(), nil
}

// put stores a tree. The caller holds the simulator's mu.
func (b *balancer) put(t tree) {
	b.stored = t
	b.history = append(b.history, moment{time.Now(), t.clone()})
	if len(b.history) > MaxHistory {
		b.history = b.history[1:]
	}
}

// asOf is the stored tree a while ago.
func (b *balancer) asOf(lag time.Duration) tree {
	if lag == 0 {
		return b.stored
	}
	found := b.history[0].tree
	for _, m := range b.history {
		if time.Since(m.at) >= lag {
			found = m.tree
		}
	}
	return found
}

// change carries out a change of a tree, or refuses it. The caller holds mu.
func (s *Sim) change(b *balancer, touched []string, edit func(*tree) error) error {
	if b.stored.balancer.Status != Active {
		return immutable(b.stored.balancer.ID)
	}
	next := b.stored.clone()
	if err := edit(&next); err != nil {
		return err
	}
	k := s.knobs
	shown := next
	if k.Shows == ShowsActive {
		shown = b.stored
	}
	b.put(shown.marked(touched, PendingUpdate))
	b.next = &next
	if k.Outcome == OutcomeStays {
		return nil
	}
	if k.Provision == 0 {
		s.finish(b, next, touched, k)
		return nil
	}
	s.after(k.Provision, func() { s.finish(b, next, touched, k) })
	return nil
}

// finish ends a change. The caller holds mu.
func (s *Sim) finish(b *balancer, next tree, touched []string, k Knobs) {
	t := next.marked(touched, Active)
	switch k.Outcome {
	case OutcomeListener:
		t = next.marked(touched, Error)
		t.balancer.Status = Active
	case OutcomeBalancer:
		t.balancer.Status = Error
	}
	b.put(t)
	b.next = nil
	if k.Outcome == OutcomeActive || k.ErrorApplies {
		b.effect = t.clone()
	}
}

// Lock plays somebody else's change that takes its time and alters nothing that is watched. ErrImmutable while another one runs.
func (s *Sim) Lock(balancer string, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.balancers[balancer]
	if !ok {
		return fmt.Errorf("load balancer %s: %w", balancer, ErrUnknown)
	}
	if b.stored.balancer.Status != Active {
		return immutable(balancer)
	}
	b.put(b.stored.marked(nil, PendingUpdate))
	s.after(d, func() { b.put(b.stored.marked(nil, Active)) })
	return nil
}

// timer runs a function once, under mu, unless it is stopped first.
type timer struct{ t *time.Timer }

// after schedules f. The caller holds mu, and so does f.
func (s *Sim) after(d time.Duration, f func()) {
	if s.closed {
		return
	}
	t := &timer{}
	s.timers[t] = struct{}{}
	s.work.Add(1)
	t.t = time.AfterFunc(d, func() {
		defer s.work.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, live := s.timers[t]; live && !s.closed {
			delete(s.timers, t)
			f()
		}
	})
}

// stop forgets a timer. The caller holds mu.
func (s *Sim) stop(t *timer) {
	delete(s.timers, t)
	if t.t.Stop() {
		s.work.Done()
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
