package sim

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/pointsman/pointsman/cluster"
)

var (
	errRefused = errors.New("connection refused")
	errHost    = errors.New("this host is down")
)

// hub is the network: hosts by name, and one link for each direction between
// two of them. All methods may be called concurrently.
type hub struct {
	mu      sync.Mutex
	latency time.Duration
	ports   map[string]*port // by address
	links   map[[2]string]*link
	changed chan struct{} // closed at each change of a link
	paused  map[string]int
}

// link is one direction. Bytes on a blocked one wait, as TCP's do.
type link struct {
	blocks int
	delay  time.Duration
}

func newHub(latency time.Duration) *hub {
	return &hub{latency: latency, ports: map[string]*port{}, links: map[[2]string]*link{}, paused: map[string]int{}, changed: make(chan struct{})}
}

func (h *hub) link(from, to string) *link {
	l, ok := h.links[[2]string{from, to}]
	if !ok {
		l = &link{}
		h.links[[2]string{from, to}] = l
	}
	return l
}

// block holds or frees one direction; holds add up.
func (h *hub) block(from, to string, by int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.link(from, to).blocks += by
	h.tell()
}

func (h *hub) open(from, to string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.link(from, to).blocks == 0
}

// tell wakes who waits for a link. The caller holds mu.
func (h *hub) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// endpoint is one process on the network, until it is killed.
type endpoint struct {
	hub   *hub
	host  string
	owner *process // nil: the provider

	mu    sync.Mutex
	dead  bool
	ports []*port
	conns map[*conn]struct{}
	onUse func(call string, write func()) bool // false: the process died of it; nil: none
}

func (h *hub) join(host string) *endpoint {
	return &endpoint{hub: h, host: host, conns: map[*conn]struct{}{}}
}

// port is a listener.
type port struct {
	end     *endpoint
	address string
	queue   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

var _ cluster.Network = (*endpoint)(nil)

// Listen implements cluster.Network.
func (e *endpoint) Listen(address string) (net.Listener, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dead {
		return nil, errHost
	}
	p := &port{end: e, address: address, queue: make(chan net.Conn), closed: make(chan struct{})}
	e.ports = append(e.ports, p)
	e.hub.mu.Lock()
	defer e.hub.mu.Unlock()
	e.hub.ports[address] = p
	return p, nil
}

func (p *port) Accept() (net.Conn, error) {
	select {
	case c := <-p.queue:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *port) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *port) Addr() net.Addr { return hostport(p.address) }

type hostport string

func (hostport) Network() string  { return "sim" }
func (a hostport) String() string { return string(a) }

// Dial implements cluster.Network: it needs both directions, as a handshake does.
func (e *endpoint) Dial(ctx context.Context, address string) (net.Conn, error) {
	for {
		e.hub.mu.Lock()
		p, changed := e.hub.ports[address], e.hub.changed
		ok := p == nil || e.hub.link(e.host, p.end.host).blocks == 0 && e.hub.link(p.end.host, e.host).blocks == 0
		e.hub.mu.Unlock()
		if ok {
			return e.connect(ctx, p)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (e *endpoint) connect(ctx context.Context, p *port) (net.Conn, error) {
	if p == nil {
		return nil, errRefused
	}
	out, in := newStream(e.hub, e.host, p.end.host), newStream(e.hub, p.end.host, e.host)
	near := &conn{end: e, peer: p.end, in: in, out: out, remote: hostport(p.address)}
	far := &conn{end: p.end, peer: e, in: out, out: in, remote: hostport(e.host + ":0")}
	if !e.add(near) || !p.end.add(far) {
		_ = near.Close()
		return nil, errRefused
	}
	select {
	case p.queue <- far:
		return near, nil
	case <-p.closed:
		_, _ = near.Close(), far.Close()
		return nil, errRefused
	case <-ctx.Done():
		_, _ = near.Close(), far.Close()
		return nil, ctx.Err()
	}
}

func (e *endpoint) add(c *conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dead {
		return false
	}
	e.conns[c] = struct{}{}
	return true
}

// death is how a host's connections end with it.
type death string

const (
	flushed death = "flushed" // a killed process: its kernel still sends what was written
	reset   death = "reset"   // what was on the way is lost, and the others are told
	silent  death = "silent"  // the machine is gone: lost, and nobody is told
)

// kill ends the process on the network.
func (e *endpoint) kill(how death) {
	e.mu.Lock()
	e.dead = true
	ports, conns := e.ports, e.conns
	e.conns = map[*conn]struct{}{}
	e.mu.Unlock()
	for _, p := range ports {
		_ = p.Close()
	}
	for c := range conns {
		switch how {
		case flushed:
			c.out.finish()
		case reset:
			c.out.fail(syscall.ECONNRESET)
		case silent:
			c.out.lose()
			c.in.lose()
		}
		c.in.fail(net.ErrClosed)
	}
}

// stream is one direction of a connection.
type stream struct {
	hub      *hub
	from, to string

	mu       sync.Mutex
	chunks   []chunk
	finished bool          // no more comes: EOF behind the chunks
	err      error         // read and write fail at once
	lost     bool          // the sender is gone without a word
	age      time.Duration // that the bytes read last were under way
	deadline time.Time
	wake     chan struct{}
}

type chunk struct {
	at, sent time.Time
	data     []byte
}

func newStream(h *hub, from, to string) *stream {
	return &stream{hub: h, from: from, to: to, wake: make(chan struct{})}
}

func (s *stream) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *stream) finish()        { s.change(func() { s.finished = true }) }
func (s *stream) fail(err error) { s.change(func() { s.chunks, s.err = nil, err }) }
func (s *stream) lose()          { s.change(func() { s.chunks, s.lost = nil, true }) }

func (s *stream) write(p []byte) (n int, err error) {
	s.hub.mu.Lock()
	delay, told := s.hub.latency+s.hub.link(s.from, s.to).delay, s.hub.link(s.to, s.from).blocks == 0
	s.hub.mu.Unlock()
	s.change(func() {
		switch {
		case s.lost, s.err != nil && !told: // the word that the other end is gone has not come through
			n = len(p)
		case s.err != nil:
			err = syscall.EPIPE
		case s.finished:
			err = net.ErrClosed
		default:
			at := time.Now().Add(delay)
			if last := len(s.chunks) - 1; last >= 0 && s.chunks[last].at.After(at) {
				at = s.chunks[last].at // a stream keeps its order
			}
			s.chunks = append(s.chunks, chunk{at: at, sent: time.Now(), data: append([]byte(nil), p...)})
			n = len(p)
		}
	})
	return n, err
}

// read gives what has arrived, or says how long to wait (0: for a change).
func (s *stream) take(p []byte, open bool) (n int, wait time.Duration, wake chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.err != nil:
		return 0, 0, nil, s.err
	case !s.deadline.IsZero() && !now.Before(s.deadline):
		return 0, 0, nil, os.ErrDeadlineExceeded
	case open && len(s.chunks) > 0 && !s.chunks[0].at.After(now):
		c := &s.chunks[0]
		n = copy(p, c.data)
		s.age = now.Sub(c.sent)
		if c.data = c.data[n:]; len(c.data) == 0 {
			s.chunks = s.chunks[1:]
		}
		return n, 0, nil, nil
	case open && len(s.chunks) == 0 && s.finished:
		return 0, 0, nil, io.EOF
	}
	if !s.deadline.IsZero() {
		wait = s.deadline.Sub(now)
	}
	if open && len(s.chunks) > 0 {
		if d := s.chunks[0].at.Sub(now); wait == 0 || d < wait {
			wait = d
		}
	}
	return 0, wait, s.wake, nil
}

func (s *stream) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		s.hub.mu.Lock()
		open, changed := s.hub.link(s.from, s.to).blocks == 0, s.hub.changed
		s.hub.mu.Unlock()
		n, wait, wake, err := s.take(p, open)
		if n > 0 || err != nil {
			return n, err
		}
		var timer *time.Timer
		var after <-chan time.Time
		if wait > 0 {
			timer = time.NewTimer(wait)
			after = timer.C
		}
		select {
		case <-wake:
		case <-changed:
		case <-after:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// conn is one end of a connection.
type conn struct {
	end     *endpoint
	peer    *endpoint // the other end's
	in, out *stream
	remote  net.Addr
}

func (c *conn) Read(p []byte) (int, error) { return c.in.read(p) }

func (c *conn) Write(p []byte) (n int, err error) {
	if c.end.onUse == nil || c.in.from != provider {
		return c.out.write(p)
	}
	n, err = 0, errHost
	if !c.end.onUse(verb(p), func() { n, err = c.out.write(p) }) {
		return 0, errHost
	}
	return n, err
}

// verb names the request whose first bytes these are.
func verb(p []byte) string {
	for i, b := range p {
		if b == ' ' {
			return string(p[:i])
		}
		if i > 8 {
			break
		}
	}
	return "bytes"
}

func (c *conn) Close() error {
	c.end.mu.Lock()
	_, mine := c.end.conns[c]
	delete(c.end.conns, c)
	c.end.mu.Unlock()
	if mine {
		c.out.finish()
		c.in.fail(net.ErrClosed)
	}
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return hostport(c.end.host) }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.change(func() { c.in.deadline = t })
	return nil
}

// SetWriteDeadline does nothing: a write never waits.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
