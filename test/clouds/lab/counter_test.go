package lab

import (
	"bufio"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// counter is a server that understands SET and can be away for a while.
type counter struct {
	address string
	mu      sync.Mutex
	until   time.Time // refuses before
	conns   map[net.Conn]bool
	value   int64
}

func newCounter(t *testing.T) *counter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &counter{address: l.Addr().String(), conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.breakFor(0)
		wg.Wait()
	})
	return s
}

func (s *counter) serve(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	if time.Now().Before(s.until) {
		s.mu.Unlock()
		return
	}
	s.conns[c] = true
	s.mu.Unlock()
	r := bufio.NewReader(c)
	for {
		var line string
		for range 7 { // *3, $3, SET, $15, key, $n, value
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				return
			}
		}
		n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.value = max(s.value, n)
		s.mu.Unlock()
		if _, err := c.Write([]byte("+OK\r\n")); err != nil {
			return
		}
	}
}

// breakFor closes every connection and refuses new ones for a while.
func (s *counter) breakFor(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Now().Add(d)
	for c := range s.conns {
		c.Close()
		delete(s.conns, c)
	}
}

func (s *counter) highest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value
}
