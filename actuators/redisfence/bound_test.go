package redisfence

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pointsman/pointsman/fsm"
)

// endless is a server whose one line has no end.
type endless struct{ net.Conn }

func (e endless) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for i := range p {
		p[i] = 'x'
	}
	p[0] = '+'
	return len(p), nil
}

// TestLineWithoutAnEnd: it is given up after MaxTaken bytes, not when the time is up.
func TestLineWithoutAnEnd(t *testing.T) {
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	defer far.Close()
	a := &actuator{}
	c := a.over(&bounded{Conn: endless{near}, left: MaxTaken}, fsm.Address("10.0.1.20:6379"))
	defer c.close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := c.redis.Do(ctx, "ROLE").Err()
	if !errors.Is(err, ErrTooMuch) || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}
