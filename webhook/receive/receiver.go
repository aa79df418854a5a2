package receive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/webhook/buffer"
)

const (
	idleTimeout  = 60 * time.Second
	writeTimeout = answerWithin + time.Second // from the end of the headers to the answer's last byte
	endTry       = 2 * time.Second            // longest write of a stream's end
)

// ErrNotReady is returned by Ready while deliveries cannot be kept.
var ErrNotReady = errors.New("not ready")

// Receiver takes deliveries until it is closed. All methods may be called by
// any number of goroutines.
type Receiver struct {
	c      Config
	log    *slog.Logger
	told   *teller
	meters *meters
	apps   map[string]*keyring

	connections, slots, memory budget

	stream    string
	number    atomic.Uint64 // of the next segment
	beat      uint64        // of lives, then of Close
	known     atomic.Bool   // the stream's object is there
	announced chan struct{} // closed then

	seen     *seen
	gatherer *gatherer
	turn     chan struct{} // has room for one: who takes a batch, until that has its number
	breaker  breaker
	spill    *spill // nil: there is none

	server  *http.Server
	closing atomic.Bool
	stop    context.CancelFunc
	writers sync.WaitGroup
	others  sync.WaitGroup
}

// Open starts a receiver: it reads the secrets, opens the spill, and goes on
// making its stream known in the background. The error says what the
// configuration or this machine lacks; that the store is down is none.
func Open(c Config) (*Receiver, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	began := time.Now()
	r := &Receiver{
		c: c, log: c.Log, told: newTeller(c.Log), meters: newMeters(), apps: map[string]*keyring{},
		connections: budget{most: int64(c.Connections)}, slots: budget{most: int64(c.Requests)}, memory: budget{most: c.Bytes},
		stream: newStream(c.Name, began), announced: make(chan struct{}),
		turn: make(chan struct{}, 1), seen: newSeen(c.Remember), gatherer: newGatherer(c.Linger, c.BatchEvents, began),
	}
	for app, secrets := range c.Apps {
		keys, err := openKeyring(secrets)
		if err != nil {
			return nil, fmt.Errorf("secrets of app %s: %w", app, err)
		}
		r.apps[app] = keys
	}
	r.server = &http.Server{
		Handler: r, ReadHeaderTimeout: c.HeaderTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaders,
		ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug), Protocols: new(http.Protocols),
	}
	r.server.Protocols.SetHTTP1(true)
	var damaged []string
	var err error
	if r.spill, damaged, err = openSpill(c.Spill); err != nil {
		return nil, err
	}
	if err := r.meters.register(c.Registry, r); err != nil {
		r.spill.close()
		return nil, err
	}
	for _, name := range damaged {
		r.meters.damaged.Inc()
		r.log.Error("file of the spill is damaged, kept aside", "name", name)
	}
	if n := r.spill.unreadable(); n > 0 {
		r.log.Error("files of the spill cannot be read, others go on", "files", n)
	}
	r.run()
	return r, nil
}

func (r *Receiver) run() {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	for range r.c.Writes {
		r.writers.Go(r.commits)
	}
	r.others.Go(func() { r.lives(ctx) })
	r.others.Go(func() { r.rereads(ctx) })
	if r.spill != nil {
		r.others.Go(func() { r.ships(ctx) })
	}
}

// Stream is the name of this start's stream.
func (r *Receiver) Stream() string { return r.stream }

// Ready says why deliveries cannot be kept now: an ErrNotReady.
func (r *Receiver) Ready() error {
	switch {
	case r.closing.Load():
		return fmt.Errorf("%w: stopping", ErrNotReady)
	case r.spill.takes() && r.spill.room(onDisk(1)) == "":
		return nil
	case !r.known.Load():
		return fmt.Errorf("%w: the store has not taken the stream's first object yet", ErrNotReady)
	case !r.breaker.closed():
		return fmt.Errorf("%w: the store is down", ErrNotReady)
	}
	return nil
}

// Serve takes deliveries from a listener, with TLS when there is a
// configuration, until Close; then its error is nil.
func (r *Receiver) Serve(l net.Listener, secure *tls.Config) error {
	l = limited{l, &r.connections, r.meters.refused.Inc}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	if err := r.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close takes no more deliveries, answers those that are under way, ships what
// is spilled as long as the store takes it, and says that the stream has ended.
// What is left when ctx ends stays in the spill.
func (r *Receiver) Close(ctx context.Context) error {
	if r.closing.Swap(true) {
		return errors.New("closed twice")
	}
	err := r.server.Shutdown(ctx)
	r.gatherer.stop()
	r.writers.Wait() // each write is bounded
	r.stop()
	r.others.Wait()
	defer r.spill.close()
	if !r.known.Load() {
		return err
	}
	for r.spill.standing().events > 0 && ctx.Err() == nil {
		bounded, cancel := context.WithTimeout(ctx, endTry)
		failed := r.ship(bounded)
		cancel()
		if failed != nil {
			r.log.Warn("spill is left for the next start", "events", r.spill.standing().events, "error", failed)
			break
		}
	}
	bounded, cancel := context.WithTimeout(ctx, endTry)
	defer cancel()
	r.beat++
	return errors.Join(err, r.tell(bounded, r.object(r.number.Load()), buffer.Condition{}))
}

// rereads reads the secrets again, until ctx ends.
func (r *Receiver) rereads(ctx context.Context) {
	tick := time.NewTicker(secretsRead)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for app, keys := range r.apps {
			if err := keys.read(); err != nil {
				r.meters.unread.WithLabelValues(app).Inc()
				r.told.warn("secrets not read again, the last ones stay good", "secrets", "app", app, "error", err)
			}
		}
	}
}

// from is the address that a request came from, for logs: the last one of
// X-Forwarded-For that is no trusted proxy.
func (r *Receiver) from(req *http.Request) string {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		return req.RemoteAddr
	}
	hops := strings.Split(strings.Join(req.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && r.trusts(host); i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		host = addr.String()
	}
	return host
}

func (r *Receiver) trusts(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range r.c.Proxies {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}
