package chaos

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// relaying is what a relay does with its connections.
type relaying string

const (
	passing   relaying = "passes"
	resetting relaying = "is reset"  // each connection ends at once
	silent    relaying = "is silent" // connections stay, nothing comes through
)

// relay hands on what is sent to one address. set and close may be called from
// anywhere.
type relay struct {
	listen net.Listener
	to     string
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	mode    relaying
	changed chan struct{} // closed and replaced with the mode
	closed  bool
	conns   map[*net.TCPConn]struct{}
}

// dialWithin bounds the dial of the other side, which is on this machine.
const dialWithin = 2 * time.Second

func startRelay(l net.Listener, to string) *relay {
	r := &relay{listen: l, to: to, mode: passing, changed: make(chan struct{}), conns: map[*net.TCPConn]struct{}{}}
	r.wg.Go(r.accept)
	return r
}

func (r *relay) set(m relaying) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mode = m
	close(r.changed)
	r.changed = make(chan struct{})
	if m == resetting {
		r.resetAll()
	}
}

func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	close(r.changed)
	r.changed = make(chan struct{})
	r.resetAll()
	r.mu.Unlock()
	_ = r.listen.Close()
	r.wg.Wait()
}

// resetAll ends all connections; mu is held.
func (r *relay) resetAll() {
	for c := range r.conns {
		reset(c)
	}
	clear(r.conns)
}

// reset ends a connection as the kernel does for a process that died.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func (r *relay) accept() {
	for {
		c, err := r.listen.Accept()
		if err != nil {
			return
		}
		from := c.(*net.TCPConn)
		if !r.add(from) {
			continue
		}
		r.wg.Go(func() { r.serve(from) })
	}
}

// add counts a connection in, or resets it.
func (r *relay) add(c *net.TCPConn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.mode == resetting {
		reset(c)
		return false
	}
	r.conns[c] = struct{}{}
	return true
}

func (r *relay) serve(from *net.TCPConn) {
	defer r.end(from)
	if !r.pass() {
		return
	}
	c, err := net.DialTimeout("tcp", r.to, dialWithin)
	if err != nil {
		reset(from)
		return
	}
	to := c.(*net.TCPConn)
	if !r.add(to) {
		return
	}
	defer r.end(to)
	back := make(chan struct{})
	go func() {
		defer close(back)
		r.copy(from, to)
	}()
	r.copy(to, from)
	<-back
}

// end forgets a connection. What has been ended in order stays so.
func (r *relay) end(c *net.TCPConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	_ = c.Close()
}

// copy hands on one direction; an end that is not in order ends both.
func (r *relay) copy(to, from *net.TCPConn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !r.pass() {
				break
			}
			if _, failed := to.Write(buffer[:n]); failed != nil {
				break
			}
		}
		if errors.Is(err, io.EOF) && r.pass() {
			_ = to.CloseWrite()
			return
		}
		if err != nil {
			break
		}
	}
	reset(from)
	reset(to)
}

// pass waits until the relay passes again; false: it has been closed or reset.
func (r *relay) pass() bool {
	for {
		r.mu.Lock()
		mode, closed, changed := r.mode, r.closed, r.changed
		r.mu.Unlock()
		switch {
		case closed || mode == resetting:
			return false
		case mode == passing:
			return true
		}
		<-changed
	}
}

// A relay passes, is silent and goes on where it was, is reset, and ends.
func TestRelay(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed below
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with the relay
	if err != nil {
		t.Fatal(err)
	}
	r := startRelay(l, echo.Addr().String())
	defer r.close()
	c, err := net.Dial("tcp", l.Addr().String()) //nolint:noctx // a loopback port that listens
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	said := func(word string, within time.Duration) error {
		if word != "" {
			if _, err := c.Write([]byte(word)); err != nil {
				return err
			}
		}
		_ = c.SetReadDeadline(time.Now().Add(within))
		_, err := io.ReadFull(c, make([]byte, 3))
		return err
	}
	if err := said("one", 5*time.Second); err != nil {
		t.Errorf("passing: %v", err)
	}
	r.set(silent)
	if said("two", 100*time.Millisecond) == nil {
		t.Error("silent: an answer came through")
	}
	r.set(passing)
	if err := said("", 5*time.Second); err != nil {
		t.Errorf("passing again: %v", err)
	}
	r.set(resetting)
	if said("six", 5*time.Second) == nil {
		t.Error("reset: an answer came through")
	}
}
