package ovh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// spot is a frontend in a zone.
type spot struct {
	frontend int64
	zone     string
}

// plane is the balancer itself: it reads applied state at each accept and forwards. A connection once forwarded
// keeps its server, whatever is applied later, as with the provider's reloads.
type plane struct {
	sim    *Sim
	ctx    context.Context // of dials
	cancel context.CancelFunc
	turn   atomic.Uint64 // of the servers of a farm

	mu        sync.Mutex // taken after Sim.mu, never before it
	closed    bool
	listeners map[spot]net.Listener
	conns     map[net.Conn]struct{}
	clients   int
	refused   int64 // connections above the bound
}

func newPlane(s *Sim) *plane {
	p := &plane{sim: s, listeners: map[spot]net.Listener{}, conns: map[net.Conn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// follow opens a listener for each applied frontend and closes those of frontends that are gone. The caller
// holds Sim.mu.
func (p *plane) follow(svc *service) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	for at, l := range p.listeners {
		here, ours := svc.applied[at.zone]
		if _, applied := here.frontends[at.frontend]; ours && !applied && p.sim.belongs(svc, at) {
			delete(p.listeners, at)
			_ = l.Close()
		}
	}
	for zone, l := range svc.applied {
		for id := range l.frontends {
			at := spot{id, zone}
			if _, open := p.listeners[at]; open {
				continue
			}
			listener, err := (&net.ListenConfig{}).Listen(p.ctx, "tcp", "127.0.0.1:0")
			if err != nil {
				return fmt.Errorf("listen for frontend %d in %s: %w", id, zone, err)
			}
			p.listeners[at] = listener
			p.sim.work.Go(func() { p.accept(at, listener) })
		}
	}
	return nil
}

// belongs says whether no other service has the frontend applied in that zone: zone names are shared.
func (s *Sim) belongs(svc *service, at spot) bool {
	for _, other := range s.services {
		if _, has := other.applied[at.zone].frontends[at.frontend]; has && other != svc {
			return false
		}
	}
	return true
}

func (p *plane) address(at spot) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.listeners[at]
	if !ok {
		return "", fmt.Errorf("frontend %d in zone %s: %w", at.frontend, at.zone, ErrUnknown)
	}
	return l.Addr().String(), nil
}

func (p *plane) accept(at spot, l net.Listener) {
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, most likely: that passes
			p.sim.log.Error("data plane does not accept", "frontend", at.frontend, "zone", at.zone, "error", err)
			p.sim.wait(p.ctx, AcceptPause)
			continue
		}
		target, ok := p.sim.backend(at, p.turn.Add(1))
		if !ok || !p.admit(client) {
			_ = client.Close()
			continue
		}
		p.sim.work.Go(func() { p.forward(client, target) })
	}
}

// backend is the address of an applied, active server. Backup servers serve only where no other is active.
func (s *Sim) backend(at spot, turn uint64) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, svc := range s.services {
		l := svc.applied[at.zone]
		f, ok := l.frontends[at.frontend]
		if !ok {
			continue
		}
		if f.Disabled || f.DefaultFarmID == nil {
			return "", false
		}
		return l.server(f, turn)
	}
	return "", false
}

func (l layout) server(f Frontend, turn uint64) (string, bool) {
	servers := l.servers[*f.DefaultFarmID]
	var main, backup []Server
	for _, id := range slices.Sorted(maps.Keys(servers)) {
		switch s := servers[id]; {
		case s.Status != "active":
		case s.Backup:
			backup = append(backup, s)
		default:
			main = append(main, s)
		}
	}
	if len(main) == 0 {
		main = backup
	}
	if len(main) == 0 {
		return "", false
	}
	s := main[turn%uint64(len(main))]
	port := f.Port
	if p := l.farms[*f.DefaultFarmID].Port; p != nil {
		port = strconv.FormatInt(*p, 10)
	}
	if s.Port != nil {
		port = strconv.FormatInt(*s.Port, 10)
	}
	return net.JoinHostPort(s.Address, port), true
}

// admit counts a client's connection unless there are too many.
func (p *plane) admit(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if p.clients >= p.sim.config.MaxConns {
		p.refused++
		return false
	}
	p.clients++
	p.conns[client] = struct{}{}
	return true
}

// keep registers the connection to a server, so that close finds it.
func (p *plane) keep(server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.conns[server] = struct{}{}
	}
	return !p.closed
}

func (p *plane) forward(client net.Conn, target string) {
	defer p.release(client, true)
	server, err := p.sim.config.Dial(p.ctx, "tcp", target)
	if err != nil {
		p.sim.log.Debug("no connection to server", "server", target, "error", err)
		return
	}
	defer p.release(server, false)
	if !p.keep(server) {
		return
	}
	up := make(chan struct{})
	go func() {
		defer close(up)
		pass(server, client)
	}()
	pass(client, server)
	<-up
}

// pass copies one direction, then tells the reader that no more comes; a broken direction ends both.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		_ = to.Close()
		_ = from.Close()
	}
}

func (p *plane) release(c net.Conn, client bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = c.Close()
	delete(p.conns, c)
	if client {
		p.clients--
	}
}

// figures are the open connections of clients and those turned away at the bound.
func (p *plane) figures() (open int, refused int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clients, p.refused
}

func (p *plane) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.cancel()
	for _, l := range p.listeners {
		_ = l.Close()
	}
	for c := range p.conns {
		_ = c.Close()
	}
}
