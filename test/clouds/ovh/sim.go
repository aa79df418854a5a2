package ovh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of the server that Start opens.
const (
	// HeaderTimeout bounds how long a client may take to send its header.
	HeaderTimeout = 10 * time.Second
	// DialTimeout bounds a connection attempt to a farm server.
	DialTimeout = 2 * time.Second
	// AcceptPause is the wait after a listener of the data plane could not accept.
	AcceptPause = 20 * time.Millisecond
)

// Sim is one simulated provider account. All methods may be called concurrently.
type Sim struct {
	config  Config
	log     *slog.Logger
	started time.Time
	routes  []route
	done    chan struct{}  // closed by Close
	work    sync.WaitGroup // handlers, timers, servers, forwarded connections
	plane   *plane         // nil: no data plane

	mu       sync.Mutex // guards what follows
	closed   bool
	random   *rand.Rand
	knobs    Knobs
	journal  journal
	faults   []*rule
	nextRule int64
	held     map[int64]chan bool // by sequence; true releases, false drops
	services map[string]*service
	keys     []*credential
	ips      map[string]*ip // by block
	ipKnobs  IPKnobs
	ipMoves  []IPMove // carried out, oldest first
	nextID   int64    // of farms, servers and frontends
	nextTask int64
	timers   map[*timer]struct{}
	servers  []*http.Server
	pipes    *pipes // nil before the first DialPipe
}

// New makes a simulator without services. Close it.
func New(c Config) (*Sim, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("simulator config: %w", err)
	}
	c = c.withDefaults()
	s := &Sim{
		config: c, log: c.Logger, started: time.Now(), routes: routes(), done: make(chan struct{}),
		random: rand.New(rand.NewPCG(c.Seed, c.Seed)), //nolint:gosec // the order of lists is no secret
		knobs:  c.Knobs.clone(),
		held:   map[int64]chan bool{}, services: map[string]*service{}, ips: map[string]*ip{}, ipKnobs: DefaultIPKnobs(), timers: map[*timer]struct{}{},
		nextID: 100_000, nextTask: 1_000,
		journal: journal{
			writes:  ring{bound: c.JournalWrites},
			reads:   ring{bound: c.JournalReads},
			waiters: map[*waiter]struct{}{},
		},
	}
	if c.DataPlane {
		s.plane = newPlane(s)
	}
	return s, nil
}

// Started is the zero of the journal's nanoseconds.
func (s *Sim) Started() time.Time { return s.started }

// Handler answers the API under /1.0 and /v1. It ends a connection without an answer by hijacking it, and where
// that is not possible by panicking with http.ErrAbortHandler, which every http.Server understands.
func (s *Sim) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Start serves the API on a TCP address and returns the base URL, "http://127.0.0.1:PORT/1.0".
func (s *Sim) Start(address string) (string, error) {
	bound, err := s.listen(address, s.Handler())
	if err != nil {
		return "", err
	}
	return "http://" + bound + "/1.0", nil
}

// StartControl serves the control endpoint on a TCP address and returns its URL. It has no authentication.
func (s *Sim) StartControl(address string) (string, error) {
	bound, err := s.listen(address, s.ControlHandler())
	if err != nil {
		return "", err
	}
	return "http://" + bound, nil
}

func (s *Sim) listen(address string, h http.Handler) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen for the simulator: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", errors.Join(ErrClosed, l.Close())
	}
	s.serveOn(l, h)
	return l.Addr().String(), nil
}

// serveOn serves until Close. The caller holds mu.
func (s *Sim) serveOn(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: HeaderTimeout, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	s.servers = append(s.servers, server)
	s.work.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("simulator stopped serving", "address", l.Addr(), "error", err)
		}
	})
}

// Close drops everything that is held, ends every connection and timer, and returns when no goroutine is left.
// A server that the caller put around Handler must be closed by the caller.
func (s *Sim) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.work.Wait()
		return nil
	}
	s.closed = true
	close(s.done)
	for t := range s.timers {
		s.stop(t)
	}
	servers := s.servers
	s.mu.Unlock()
	var errs []error
	for _, server := range servers {
		errs = append(errs, server.Close())
	}
	if s.plane != nil {
		s.plane.close()
	}
	s.work.Wait()
	return errors.Join(errs...)
}

// enter admits a request unless the simulator is closed; the caller then calls s.work.Done.
func (s *Sim) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// Knobs returns a copy of the knobs as they stand.
func (s *Sim) Knobs() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs.clone()
}

// SetKnobs replaces all knobs. Tasks already created keep their plan.
func (s *Sim) SetKnobs(k Knobs) error {
	if err := k.Validate(); err != nil {
		return fmt.Errorf("knobs: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k.clone()
	return nil
}

func (k Knobs) clone() Knobs {
	k.ZoneDelay = maps.Clone(k.ZoneDelay)
	return k
}

// timer runs a function once, under mu, unless it is stopped first.
type timer struct{ t *time.Timer }

// after schedules f. The caller holds mu, and so does f.
func (s *Sim) after(d time.Duration, f func()) *timer {
	t := &timer{}
	if s.closed {
		return t
	}
	s.timers[t] = struct{}{}
	s.work.Add(1)
	t.t = time.AfterFunc(d, func() {
		defer s.work.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, live := s.timers[t]; !live || s.closed {
			return
		}
		delete(s.timers, t)
		f()
	})
	return t
}

// stop forgets a timer. The caller holds mu.
func (s *Sim) stop(t *timer) {
	if _, live := s.timers[t]; !live {
		return
	}
	delete(s.timers, t)
	if t.t.Stop() {
		s.work.Done()
	}
}

// now is the provider's clock. The caller holds mu.
func (s *Sim) now() time.Time { return time.Now().Add(s.knobs.ClockSkew) }

// wait sleeps for d, or less if the context or the simulator ends.
func (s *Sim) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-s.done:
	}
}
