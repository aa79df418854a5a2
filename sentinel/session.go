package sentinel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// session is one connection with a go-redis client around it. The client's own
// pool redials only once a second after a refused connection and hides when it
// does; a watcher needs both sooner and seen. So the connection is dialed here
// and handed to the client once, and client and connection end together.
type session struct {
	raw    net.Conn
	client *redis.Client
	conn   *redis.Conn // for commands; a subscription makes its own from client
	cancel func() bool
}

func (w *Watcher) open(ctx context.Context, address string, a Access, buffer int) (*session, error) {
	password := ""
	if a.Password != nil {
		p, err := a.Password()
		if err != nil {
			return nil, fmt.Errorf("password for %s: %w", address, err)
		}
		password = p
	}
	raw, err := w.dial(ctx, address, a.TLS)
	if err != nil {
		return nil, err
	}
	var handed atomic.Bool
	s := &session{raw: raw}
	s.client = redis.NewClient(&redis.Options{
		Addr: address, Protocol: 2, Username: a.User, Password: password,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if handed.Swap(true) {
				// A subscription redials by itself before it tells of the loss,
				// and the pool writes a refused dial to stderr: give it one that
				// is already closed.
				return closed(), nil
			}
			return raw, nil
		},
		DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		PoolSize: 1, PipelinePoolSize: -1, ConnMaxIdleTime: -1,
		DialTimeout: w.cfg.Timeout, ReadTimeout: w.cfg.Timeout, WriteTimeout: w.cfg.Timeout,
		ReadBufferSize: buffer, WriteBufferSize: buffer,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	s.conn = s.client.Conn()
	s.cancel = context.AfterFunc(ctx, func() { raw.Close() })
	return s, nil
}

func (w *Watcher) dial(ctx context.Context, address string, conf *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	raw, err := w.cfg.Dial(ctx, "tcp", address)
	if err != nil || conf == nil {
		return raw, err
	}
	conf = conf.Clone()
	if conf.ServerName == "" {
		conf.ServerName, _, _ = net.SplitHostPort(address)
	}
	c := tls.Client(raw, conf)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return c, nil
}

func (s *session) close() {
	s.cancel()
	s.conn.Close()
	s.client.Close()
	s.raw.Close()
}

func closed() net.Conn {
	c, other := net.Pipe()
	c.Close()
	other.Close()
	return c
}

func timedOut(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// plain is the text of an error without local ports: those differ each time.
func plain(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// replied tells an error that a server sent from a lost connection.
func replied(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// newRetry makes the waits before redials: jittered, growing, for ever.
func (w *Watcher) newRetry() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = w.cfg.RetryFirst, w.cfg.RetryMost
	b.RandomizationFactor, b.Multiplier = 0.5, 2
	b.Reset()
	return b
}

// pause waits for d, a nudge, or the end of ctx.
func pause(ctx context.Context, d time.Duration, nudge <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-nudge:
	}
}
