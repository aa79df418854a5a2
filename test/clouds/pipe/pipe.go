// Package pipe is a network without sockets: a server on one end, any number of
// dials on the other, for simulated clouds inside a testing/synctest bubble.
package pipe

import (
	"context"
	"errors"
	"net"
	"sync"
)

// ErrDown is returned by Dial while the network is down, or for good once it is
// closed.
var ErrDown = errors.New("connection refused")

// Net is the network; it is its server's listener. All methods may be called
// concurrently.
type Net struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once

	mu    sync.Mutex // guards what follows
	down  bool
	dials int
}

var _ net.Listener = (*Net)(nil)

// New makes a network that is up.
func New() *Net { return &Net{conns: make(chan net.Conn), done: make(chan struct{})} }

// Dial connects to whoever accepts, whatever address is asked for.
func (n *Net) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	down := n.down
	n.dials++
	n.mu.Unlock()
	if down {
		return nil, ErrDown
	}
	near, far := net.Pipe()
	select {
	case n.conns <- far:
		return near, nil
	case <-n.done:
		return nil, ErrDown
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// SetDown refuses dials, or takes them again. Connections that exist stay.
func (n *Net) SetDown(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

// Dials counts the dials so far, refused ones too.
func (n *Net) Dials() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// Accept implements net.Listener.
func (n *Net) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (n *Net) Close() error {
	n.once.Do(func() { close(n.done) })
	return nil
}

// Addr implements net.Listener; it names no place.
func (n *Net) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
