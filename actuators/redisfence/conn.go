package redisfence

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// conn is one connection to a node: what is asked and what is then ordered goes
// over the same one, or not at all.
type conn struct {
	raw    net.Conn
	client *redis.Client
	redis  *redis.Conn
}

// node is how a node answers.
type node struct {
	address fsm.Address
	err     error  // it did not answer
	role    string // "master" or "slave"
	master  string // of a slave
	replid  string
	replid2 string // zeros: none
}

// open dials when the budget lets it.
func (a *actuator) open(ctx context.Context, address fsm.Address) (*conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if a.budget != nil {
		if err := a.budget.Wait(ctx); err != nil {
			return nil, err
		}
	}
	return a.dial(ctx, address)
}

// dial opens a connection for as long as ctx lasts. Whatever was not sent when
// it is closed is dropped, not sent later.
func (a *actuator) dial(ctx context.Context, address fsm.Address) (*conn, error) {
	within, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	raw, err := a.config.Dial(within, "tcp", string(address))
	if err != nil {
		return nil, plain(err)
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	if a.tls != nil {
		conf := a.tls.Clone()
		if conf.ServerName == "" {
			conf.ServerName, _, _ = net.SplitHostPort(string(address))
		}
		secured := tls.Client(raw, conf)
		if err := secured.HandshakeContext(within); err != nil {
			raw.Close()
			return nil, fmt.Errorf("tls: %w", err)
		}
		raw = secured
	}
	return a.over(&bounded{Conn: raw, left: MaxTaken}, address), nil
}

// bounded is a connection of which only so much is read: a line without an end
// would be gathered until the time is up. It has one reader.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// over puts a client around one connection; it never makes another.
func (a *actuator) over(raw net.Conn, address fsm.Address) *conn {
	var handed atomic.Bool
	client := redis.NewClient(&redis.Options{
		Addr: string(address), Protocol: 2, Username: a.user, Password: a.password,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if handed.Swap(true) {
				return nil, net.ErrClosed
			}
			return raw, nil
		},
		DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, PipelinePoolSize: -1, ConnMaxIdleTime: -1,
		DialTimeout: CallTimeout, ReadTimeout: CallTimeout, WriteTimeout: CallTimeout,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return &conn{raw: raw, client: client, redis: client.Conn()}
}

func (c *conn) close() {
	_ = c.redis.Close()
	_ = c.client.Close()
	_ = c.raw.Close()
}

// look asks for role and replication ids.
func (c *conn) look(ctx context.Context, address fsm.Address) (node, error) {
	n := node{address: address}
	var role, info *redis.Cmd
	_, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		role, info = p.Do(ctx, "ROLE"), p.Do(ctx, "INFO", "replication")
		return nil
	})
	if err != nil {
		return n, explain(err)
	}
	words, err := role.Slice()
	if err != nil || len(words) < 3 {
		return n, fmt.Errorf("ROLE: %w", ErrReply)
	}
	n.role, _ = words[0].(string)
	if n.role == "slave" {
		n.master = net.JoinHostPort(fmt.Sprint(words[1]), fmt.Sprint(words[2]))
	}
	text, err := info.Text()
	if err != nil {
		return n, fmt.Errorf("INFO: %w", ErrReply)
	}
	n.replid, n.replid2 = field(text, "master_replid"), field(text, "master_replid2")
	if n.role != "master" && n.role != "slave" || len(n.replid) != 40 {
		return n, fmt.Errorf("role %.16q, master_replid %.64q: %w", n.role, n.replid, ErrReply)
	}
	return n, nil
}

// field is one line of INFO.
func field(info, name string) string {
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// explain says what a server's word means for the action: what names a right or
// a credential is a human's to mend.
func explain(err error) error {
	said, ok := errors.AsType[redis.Error](err)
	if !ok {
		return plain(err)
	}
	text := said.Error()
	if len(text) > MaxReply {
		text = strings.ToValidUTF8(text[:MaxReply], "") + "…"
	}
	word, _, _ := strings.Cut(text, " ")
	out := fmt.Errorf("redis says: %s", text)
	switch word {
	case "NOAUTH", "WRONGPASS", "NOPERM", "EXECABORT":
		return actuators.Permanent(out)
	}
	return out
}

// plain drops ports of this side, which differ each time.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

// ask looks at a node until it answers, a human has to mend something, or wait
// is over. The last error stays in the node.
func (a *actuator) ask(ctx context.Context, address fsm.Address, wait time.Duration) (node, error) {
	began := time.Now()
	for {
		n, err := a.askOnce(ctx, address)
		if err == nil || actuators.Explain(err).Permanent {
			return n, err
		}
		n.err = err
		if time.Since(began)+AskAgain >= wait {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return n, nil
		case <-time.After(AskAgain):
		}
	}
}

func (a *actuator) askOnce(ctx context.Context, address fsm.Address) (node, error) {
	c, err := a.open(ctx, address)
	if err != nil {
		return node{address: address}, err
	}
	defer c.close()
	return c.look(ctx, address)
}
