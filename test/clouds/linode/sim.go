package linode

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds.
const (
	// MaxCalls bounds the journal; more is an error of the test that made them.
	MaxCalls = 200_000
	// MaxBody bounds a request's body, in bytes.
	MaxBody = 1 << 20
	// MaxLag bounds the knobs that are spans, and what is kept of the past.
	MaxLag = time.Hour
	// HeaderTimeout bounds how long a client may take to send its header.
	HeaderTimeout = 10 * time.Second
)

// Errors.
var (
	// ErrClosed is returned once the simulator is closed.
	ErrClosed = errors.New("simulator is closed")
	// ErrUnknown is returned for an object or a rule that does not exist.
	ErrUnknown = errors.New("unknown")
)

// Config is what a simulator is made with. The zero value is usable.
type Config struct {
	Knobs *Knobs // nil: DefaultKnobs
	Seed  uint64 // of the order of lists
	// Dial is how listeners reach a backend; nil: TCP to its address.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// moment is what was stored from an instant on.
type moment struct {
	at   time.Time
	tree tree
}

// Sim is one simulated account. All methods may be called concurrently.
type Sim struct {
	config Config
	done   chan struct{}  // closed by Close
	work   sync.WaitGroup // handlers, servers, forwarded connections

	mu      sync.Mutex // guards what follows
	closed  bool
	random  *rand.Rand
	knobs   Knobs
	history []moment // oldest first; the last is what is stored
	tokens  map[string]Token
	rates   map[string]*window
	busy    map[int64]time.Time // NodeBalancers, until when
	calls   []*Call
	order   int64 // of effects
	rules   []*rule
	held    map[int64]chan struct{} // by sequence; closed on release
	nextID  int64
	servers []*http.Server
	plane   plane
}

// New makes a simulator of an empty account. Close it.
func New(c Config) (*Sim, error) {
	knobs := DefaultKnobs()
	if c.Knobs != nil {
		knobs = *c.Knobs
	}
	if err := knobs.Validate(); err != nil {
		return nil, fmt.Errorf("knobs: %w", err)
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 2 * time.Second}).DialContext
	}
	empty := tree{balancers: map[int64]NodeBalancer{}, configs: map[int64]ConfigOf{}, nodes: map[int64]Node{}}
	return &Sim{
		config: c, done: make(chan struct{}), knobs: knobs, random: rand.New(rand.NewPCG(c.Seed, 1)), //nolint:gosec // the order of lists is no secret
		history: []moment{{tree: empty}}, tokens: map[string]Token{}, rates: map[string]*window{}, busy: map[int64]time.Time{},
		held: map[int64]chan struct{}{}, nextID: 900_000, plane: newPlane(),
	}, nil
}

// Handler answers the API under /v4.
func (s *Sim) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Start serves the API on a TCP address and returns its base URL.
func (s *Sim) Start(address string) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen for the simulator: %w", err)
	}
	if err := s.Serve(l); err != nil {
		return "", errors.Join(err, l.Close())
	}
	return "http://" + l.Addr().String() + "/v4", nil
}

// Serve serves the API on a listener until Close.
func (s *Sim) Serve(l net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: HeaderTimeout}
	s.servers = append(s.servers, server)
	s.work.Go(func() { _ = server.Serve(l) }) // ends with Close
	return nil
}

// Close ends every connection and returns when no goroutine of it is left.
func (s *Sim) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	servers := s.servers
	s.servers = nil
	s.plane.close()
	s.mu.Unlock()
	var errs []error
	for _, server := range servers {
		errs = append(errs, server.Close())
	}
	s.work.Wait()
	return errors.Join(errs...)
}

// Knobs is a copy of the knobs as they stand.
func (s *Sim) Knobs() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs
}

// SetKnobs replaces all knobs, from the next request on.
func (s *Sim) SetKnobs(k Knobs) error {
	if err := k.Validate(); err != nil {
		return fmt.Errorf("knobs: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k
	return nil
}

// stored is what is stored now. The caller holds mu.
func (s *Sim) stored() tree { return s.history[len(s.history)-1].tree }

// as is what was stored so long ago. The caller holds mu.
func (s *Sim) as(ago time.Duration) tree {
	at := time.Now().Add(-ago)
	for i := len(s.history) - 1; i > 0; i-- {
		if !s.history[i].at.After(at) {
			return s.history[i].tree
		}
	}
	return s.history[0].tree
}

// store makes a tree what is stored. The caller holds mu.
func (s *Sim) store(t tree) {
	now := time.Now()
	s.history = append(s.history, moment{now, t})
	for len(s.history) > 2 && now.Sub(s.history[1].at) > MaxLag {
		s.history = s.history[1:]
	}
}

// Seed adds objects as they stand before anything happens: what is read of them
// is never too old. Zero fields get the API's defaults.
func (s *Sim) Seed(b NodeBalancer, configs []ConfigOf, nodes []Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.stored().clone()
	t.balancers[b.ID] = b
	for _, c := range configs {
		c.NodeBalancer = b.ID
		t.configs[c.ID] = c.withDefaults()
	}
	for _, n := range nodes {
		t.nodes[n.ID] = n.withDefaults()
	}
	s.history[len(s.history)-1].tree = t
}

func (c ConfigOf) withDefaults() ConfigOf {
	if c.Port == 0 {
		c.Port = 6379
	}
	if c.Protocol == "" {
		c.Protocol = "tcp"
	}
	return c
}

func (n Node) withDefaults() Node {
	if n.Weight == 0 {
		n.Weight = 100
	}
	if n.Mode == "" {
		n.Mode = "accept"
	}
	return n
}

// Stored is a node as it is stored now.
func (s *Sim) Stored(id int64) (Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.stored().nodes[id]
	if !ok {
		return n, fmt.Errorf("node %d: %w", id, ErrUnknown)
	}
	return n, nil
}

// InEffect lists the backends of a configuration that get new connections now.
func (s *Sim) InEffect(config int64) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.as(s.knobs.Propagation).serving(config)
}

// wait sleeps for d, or less if the request or the simulator ends.
func (s *Sim) wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-s.done:
	}
}
