package ovh

import (
	"context"
	"net"
	"net/http"
)

// pipes is a listener without a network: a dial hands its other end to Accept.
type pipes struct {
	conns chan net.Conn
	done  <-chan struct{}
}

// DialPipe connects to the API over net.Pipe, whatever address is asked for: use it as http.Transport's DialContext
// where there are no sockets, as in a testing/synctest bubble. Start the simulator in that bubble. A client signs
// the host that it believes to call, so any base URL with http will do, such as "http://api.example/1.0".
func (s *Sim) DialPipe(ctx context.Context, _, _ string) (net.Conn, error) {
	l, err := s.pipeListener()
	if err != nil {
		return nil, err
	}
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

// pipeListener serves pipes from the first dial on.
func (s *Sim) pipeListener() (*pipes, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.pipes == nil {
		s.pipes = &pipes{conns: make(chan net.Conn), done: s.done}
		s.serveOn(s.pipes, s.Handler())
	}
	return s.pipes, nil
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
