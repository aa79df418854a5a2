package linode

import (
	"context"
	"fmt"
	"io"
	"net"
)

// plane is the balancer itself: it looks at what is in effect at each accept and
// forwards. A connection once forwarded keeps its backend.
type plane struct {
	ctx       context.Context // of dials
	cancel    context.CancelFunc
	listeners []net.Listener
	conns     map[net.Conn]struct{}
	turn      int
}

// maxConns bounds the connections open through all listeners.
const maxConns = 1024

func newPlane() plane {
	p := plane{conns: map[net.Conn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// close wants Sim.mu held.
func (p *plane) close() {
	p.cancel()
	for _, l := range p.listeners {
		_ = l.Close()
	}
	for c := range p.conns {
		_ = c.Close()
	}
}

// Listen opens a listener on a loopback port that stands for a configuration's
// port, and returns its address. It forwards until Close.
func (s *Sim) Listen(config int64) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(s.plane.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for configuration %d: %w", config, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = l.Close()
		return "", ErrClosed
	}
	s.plane.listeners = append(s.plane.listeners, l)
	s.work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			s.work.Go(func() { s.forward(client, config) })
		}
	})
	return l.Addr().String(), nil
}

// backend picks where a new connection goes; empty: nowhere.
func (s *Sim) backend(config int64) string {
	serving := s.InEffect(config)
	if len(serving) == 0 {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plane.turn++
	return serving[s.plane.turn%len(serving)]
}

// keep registers a connection so that Close finds it; false when it may not stay.
func (s *Sim) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.plane.conns) >= maxConns {
		_ = c.Close()
		return false
	}
	s.plane.conns[c] = struct{}{}
	return true
}

func (s *Sim) drop(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = c.Close()
	delete(s.plane.conns, c)
}

func (s *Sim) forward(client net.Conn, config int64) {
	if !s.keep(client) {
		return
	}
	defer s.drop(client)
	at := s.backend(config)
	if at == "" {
		return
	}
	server, err := s.config.Dial(s.plane.ctx, "tcp", at)
	if err != nil || !s.keep(server) {
		return
	}
	defer s.drop(server)
	up := make(chan struct{})
	go func() {
		defer close(up)
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
	_ = client.Close()
	<-up
}
