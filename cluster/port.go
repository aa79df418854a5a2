package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pointsman/pointsman/fsm"
	journalv1 "github.com/pointsman/pointsman/proto/journal/v1"
)

// The first byte of a connection says what it carries.
const (
	carriesRaft byte = 'R'
	carriesPeer byte = 'P'
)

const helloVersion = 1

// port is a node's one listener and all its connections, in and out. Raft has
// no authentication of its own and identifies nobody: here both sides say who
// they are, and a node with the wrong cluster or another store than the log
// knows gets no further than that. Cut ends every connection at once, which is
// how a failing node stops being a leader to others.
type port struct {
	network Network
	listen  net.Listener
	address string // as others reach it; raft puts it into its messages
	hello   func() *journalv1.Hello
	judge   func(kind byte, them *journalv1.Hello) string     // why not; empty: welcome
	nodeAt  func(address string) fsm.NodeID                   // who is expected there; empty: anybody
	serve   func(context.Context, net.Conn, *journalv1.Hello) // one peer connection, until it ends
	logger  *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	raft   chan net.Conn
	wait   sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	shakes int
	cut    bool
}

var _ raft.StreamLayer = (*port)(nil)

// open binds the port. Connections are answered from accept on.
func (p *port) open(bind string) error {
	l, err := p.network.Listen(bind)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", bind, err)
	}
	p.listen, p.raft, p.conns = l, make(chan net.Conn), map[net.Conn]struct{}{}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wait.Go(p.accept)
	return nil
}

func (p *port) accept() {
	for {
		conn, err := p.listen.Accept()
		if p.ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			p.logger.Error("accept on Raft port", "error", err)
			select {
			case <-time.After(100 * time.Millisecond): // out of file descriptors, as a rule
			case <-p.ctx.Done():
				return
			}
			continue
		}
		if !p.admit(conn) {
			continue
		}
		p.wait.Go(func() { p.welcome(conn) })
	}
}

// admit counts a new connection in, or closes it when there are too many.
func (p *port) admit(conn net.Conn) bool {
	p.mu.Lock()
	full := p.cut || len(p.conns) >= maxConns || p.shakes >= maxHandshakes
	if !full {
		p.conns[conn] = struct{}{}
		p.shakes++
	}
	p.mu.Unlock()
	if full {
		_ = conn.Close()
	}
	return !full
}

// welcome runs the hello of one incoming connection and hands it on.
func (p *port) welcome(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(handshakeDeadline))
	kind, them, err := p.greet(conn)
	p.mu.Lock()
	p.shakes--
	p.mu.Unlock()
	if err != nil {
		p.drop(conn)
		if !errors.Is(err, io.EOF) {
			p.logger.Warn("connection refused on Raft port", "remote", conn.RemoteAddr().String(), "node", them.GetNode(), "error", err)
		}
		return
	}
	_ = conn.SetDeadline(time.Time{})
	if kind == carriesPeer {
		p.serve(p.ctx, conn, them)
		p.drop(conn)
		return
	}
	select {
	case p.raft <- &tracked{Conn: conn, port: p}:
	case <-p.ctx.Done():
		p.drop(conn)
	}
}

// greet reads the other side's hello and answers it. A stranger may still ask
// as a peer, to be told why it is one; Raft it may not speak.
func (p *port) greet(conn net.Conn) (byte, *journalv1.Hello, error) {
	var kind [1]byte
	them := &journalv1.Hello{}
	if _, err := io.ReadFull(conn, kind[:]); err != nil {
		return 0, them, err
	}
	if kind[0] != carriesRaft && kind[0] != carriesPeer {
		return 0, them, fmt.Errorf("%w: first byte is %#02x", errPeer, kind[0])
	}
	if err := readFrame(conn, them, maxHelloBytes); err != nil {
		return 0, them, err
	}
	us := p.hello()
	why := p.judge(kind[0], them)
	if kind[0] == carriesRaft {
		us.Refused = why
	}
	if err := writeFrame(conn, us, maxHelloBytes); err != nil {
		return 0, them, err
	}
	if us.Refused != "" {
		return 0, them, fmt.Errorf("%w: %s", errPeer, why)
	}
	return kind[0], them, nil
}

// connect dials, says hello and judges the answer. The address is resolved
// anew each time.
func (p *port) connect(ctx context.Context, address string, kind byte) (net.Conn, *journalv1.Hello, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(p.ctx, stop)()
	raw, err := p.network.Dial(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	cut := p.cut
	if !cut {
		p.conns[raw] = struct{}{}
	}
	p.mu.Unlock()
	if cut {
		return nil, nil, errors.Join(ErrClosed, raw.Close())
	}
	conn := &tracked{Conn: raw, port: p}
	them, err := p.introduce(ctx, conn, address, kind)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, them, nil
}

// introduce gives up when ctx ends: the kernel of a node that is stopped still
// accepts, and nobody answers the hello.
func (p *port) introduce(ctx context.Context, conn net.Conn, address string, kind byte) (*journalv1.Hello, error) {
	_ = conn.SetDeadline(time.Now().Add(handshakeDeadline))
	leave := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer leave()
	if _, err := conn.Write([]byte{kind}); err != nil {
		return nil, err
	}
	if err := writeFrame(conn, p.hello(), maxHelloBytes); err != nil {
		return nil, err
	}
	them := &journalv1.Hello{}
	if err := readFrame(conn, them, maxHelloBytes); err != nil {
		return nil, err
	}
	if them.GetRefused() != "" {
		return nil, fmt.Errorf("%w: %s says: %s", errPeer, address, them.GetRefused())
	}
	if want := p.nodeAt(address); want != "" && fsm.NodeID(them.GetNode()) != want {
		return nil, fmt.Errorf("%w: at %s answers node %q, expected was %q", errPeer, address, them.GetNode(), want)
	}
	if why := p.judge(kind, them); why != "" && kind == carriesRaft {
		return nil, fmt.Errorf("%w: %s: %s", errPeer, address, why)
	}
	if !leave() { // its deadline may come after the one below
		return nil, context.Cause(ctx)
	}
	return them, conn.SetDeadline(time.Time{})
}

// Accept implements raft.StreamLayer.
func (p *port) Accept() (net.Conn, error) {
	select {
	case conn := <-p.raft:
		return conn, nil
	case <-p.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Dial implements raft.StreamLayer.
func (p *port) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, _, err := p.connect(ctx, string(address), carriesRaft)
	return conn, err
}

// Addr implements raft.StreamLayer. It is the address that others use.
func (p *port) Addr() net.Addr { return advertised(p.address) }

// Close implements raft.StreamLayer: it is cutOff.
func (p *port) Close() error { p.cutOff(); return nil }

// cutOff closes the listener and every connection, and lets no new one in. It
// does not wait.
func (p *port) cutOff() {
	p.mu.Lock()
	p.cut = true
	conns := p.conns
	p.conns = map[net.Conn]struct{}{}
	p.mu.Unlock()
	p.cancel()
	_ = p.listen.Close()
	for conn := range conns {
		_ = conn.Close()
	}
}

func (p *port) drop(conn net.Conn) {
	p.mu.Lock()
	delete(p.conns, conn)
	p.mu.Unlock()
	_ = conn.Close()
}

// tracked forgets its connection when it is closed.
type tracked struct {
	net.Conn
	port *port
}

// Close implements net.Conn.
func (t *tracked) Close() error { t.port.drop(t.Conn); return nil }

type advertised string

// Network implements net.Addr.
func (advertised) Network() string { return "tcp" }

func (a advertised) String() string { return string(a) }

// tcp is the Network used when the config names none.
type tcp struct{}

// Listen implements Network.
func (tcp) Listen(address string) (net.Listener, error) { return net.Listen("tcp", address) }

// Dial implements Network. The resolver is asked at each call.
func (tcp) Dial(ctx context.Context, address string) (net.Conn, error) {
	return (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, "tcp", address)
}
