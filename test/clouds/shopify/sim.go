package shopify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds and their defaults.
const (
	// HeaderTimeout bounds how long a client may take to send its header.
	HeaderTimeout = 10 * time.Second
	// MaxBody bounds a request's body, in bytes: Shopify takes 10 MB.
	MaxBody = 10 << 20
	// MaxValue bounds a value of type json, in bytes.
	MaxValue = 128_000
	// MaxSet bounds the metafields of one call.
	MaxSet = 25
	// DefaultJournalWrites bounds the journalled writes; the proof is counted from them.
	DefaultJournalWrites = 100_000
	// DefaultJournalReads bounds the other journalled calls, so that polling never displaces a write.
	DefaultJournalReads = 20_000
	// MaxHistory bounds what is kept of one metafield for reads that lag.
	MaxHistory = 1000
)

// ErrClosed is returned when the simulator was closed.
var ErrClosed = errors.New("simulator is closed")

// Config is what a simulator is made with. The zero value is usable.
type Config struct {
	Shop   string       // default "example.myshopify.com"
	Knobs  *Knobs       // nil: DefaultKnobs
	Logger *slog.Logger // nil: silent
}

// Sim is one shop with one app. All methods may be called concurrently.
type Sim struct {
	config  Config
	started time.Time
	schemas schemas
	done    chan struct{}  // closed by Close
	work    sync.WaitGroup // handlers and servers

	mu       sync.Mutex // guards what follows
	closed   bool
	knobs    Knobs
	journal  journal
	faults   []*rule
	nextRule int64
	held     map[int64]chan bool // by sequence; true releases, false drops
	tokens   map[string]time.Time
	apps     map[string]string // client secrets by id
	issued   int
	chains   []*chain // of refresh tokens
	fields   map[place]*metafield
	writes   int     // of metafields, for digests that are new with each write
	hooks    []*hook // by age
	lastHook int     // number of the newest
	points   float64
	filled   time.Time // when points were counted
	servers  []*http.Server
	pipes    *pipes // nil before the first DialPipe
}

// New makes a shop without metafields and tokens. Close it.
func New(c Config) (*Sim, error) {
	if c.Shop == "" {
		c.Shop = "example.myshopify.com"
	}
	if c.Knobs == nil {
		c.Knobs = new(DefaultKnobs())
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if err := c.Knobs.Validate(); err != nil {
		return nil, fmt.Errorf("simulator config: %w", err)
	}
	return &Sim{
		config: c, started: time.Now(), schemas: newSchemas(), done: make(chan struct{}), knobs: *c.Knobs,
		held: map[int64]chan bool{}, tokens: map[string]time.Time{}, apps: map[string]string{}, fields: map[place]*metafield{},
		points: float64(c.Knobs.Bucket), filled: time.Now(),
		journal: journal{writes: ring{bound: DefaultJournalWrites}, reads: ring{bound: DefaultJournalReads}, waiters: map[*waiter]struct{}{}},
	}, nil
}

// AddToken makes a static token known to the shop.
func (s *Sim) AddToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = time.Time{}
}

// AddApp makes an app's client id and secret known to the shop.
func (s *Sim) AddApp(id, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps[id] = secret
}

// AddRefresh makes a refresh token known, as an app gets one when it is installed.
func (s *Sim) AddRefresh(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chains = append(s.chains, &chain{current: token})
}

// Revoke makes every token that was ever granted or added invalid.
func (s *Sim) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Knobs returns the knobs as they stand.
func (s *Sim) Knobs() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs
}

// SetKnobs replaces all knobs.
func (s *Sim) SetKnobs(k Knobs) error {
	if err := k.Validate(); err != nil {
		return fmt.Errorf("knobs: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k
	return nil
}

// Handler answers the API. It ends a connection without an answer by panicking
// with http.ErrAbortHandler, which every http.Server understands.
func (s *Sim) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Start serves the shop on a TCP address and returns its URL, "http://127.0.0.1:PORT".
func (s *Sim) Start(address string) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen for the simulator: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", errors.Join(ErrClosed, l.Close())
	}
	s.serveOn(l)
	return "http://" + l.Addr().String(), nil
}

// serveOn serves until Close. The caller holds mu.
func (s *Sim) serveOn(l net.Listener) {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: HeaderTimeout, ErrorLog: slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug),
	}
	s.servers = append(s.servers, server)
	s.work.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.config.Logger.Error("simulator stopped serving", "address", l.Addr(), "error", err)
		}
	})
}

// Close drops everything that is held, ends every connection, and returns when
// no goroutine is left. A server that the caller put around Handler must be
// closed by the caller.
func (s *Sim) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.work.Wait()
		return nil
	}
	s.closed = true
	close(s.done)
	servers := s.servers
	s.mu.Unlock()
	var errs []error
	for _, server := range servers {
		errs = append(errs, server.Close())
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

// pipes is a listener without a network: a dial hands its other end to Accept.
type pipes struct {
	conns chan net.Conn
	done  <-chan struct{}
}

// DialPipe connects to the shop over net.Pipe, whatever address is asked for:
// use it where there are no sockets, as in a testing/synctest bubble. Make the
// simulator in that bubble.
func (s *Sim) DialPipe(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	if s.pipes == nil {
		s.pipes = &pipes{conns: make(chan net.Conn), done: s.done}
		s.serveOn(s.pipes)
	}
	l := s.pipes
	s.mu.Unlock()
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-s.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept waits for a dial.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, http.ErrServerClosed
	}
}

// Close does nothing: the simulator's end is the listener's.
func (p *pipes) Close() error { return nil }

// Addr names no place.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
