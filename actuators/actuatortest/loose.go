package actuatortest

import (
	"bytes"
	"net"
	"sync"
)

// loose is a connection whose writes do not wait for a reader, as those of a
// network do not: two ends of a pipe that speak TLS may both be writing.
type loose struct {
	net.Conn

	mu    sync.Mutex // guards what follows
	some  sync.Cond  // more to write, or the end
	queue bytes.Buffer
	ended bool
	gone  sync.WaitGroup
}

func newLoose(c net.Conn) *loose {
	l := &loose{Conn: c}
	l.some.L = &l.mu
	l.gone.Go(l.pump)
	return l
}

func (l *loose) pump() {
	for {
		l.mu.Lock()
		for l.queue.Len() == 0 && !l.ended {
			l.some.Wait()
		}
		chunk := bytes.Clone(l.queue.Bytes())
		l.queue.Reset()
		l.mu.Unlock()
		if len(chunk) == 0 {
			return
		}
		if _, err := l.Conn.Write(chunk); err != nil {
			return
		}
	}
}

func (l *loose) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return 0, net.ErrClosed
	}
	l.some.Signal()
	return l.queue.Write(b)
}

// Close ends the connection; what nobody has read by then is lost.
func (l *loose) Close() error {
	l.mu.Lock()
	l.ended = true
	l.some.Signal()
	l.mu.Unlock()
	err := l.Conn.Close()
	l.gone.Wait()
	return err
}
