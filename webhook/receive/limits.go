package receive

import (
	"net"
	"sync"
	"sync/atomic"
)

// budget is an amount of something that many take from.
type budget struct {
	most int64
	now  atomic.Int64
}

// take takes so much, if it is there.
func (b *budget) take(n int64) bool {
	if b.now.Add(n) > b.most {
		b.now.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.now.Add(-n) }

func (b *budget) used() int64 { return b.now.Load() }

// limited closes connections beyond the budget as soon as they come, so that a
// shop tries again instead of waiting.
type limited struct {
	net.Listener
	open    *budget
	refused func()
}

// Accept implements net.Listener.
func (l limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.take(1) {
			return &counted{Conn: conn, open: l.open}, nil
		}
		l.refused()
		conn.Close()
	}
}

// counted is a connection that gives its place back once.
type counted struct {
	net.Conn
	open *budget
	once sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.open.give(1) })
	return c.Conn.Close()
}
