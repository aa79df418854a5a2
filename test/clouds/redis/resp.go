package redis

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Error is an error reply of a server, for example "NOAUTH …".
type Error string

func (e Error) Error() string { return string(e) }

// conn is one RESP2 connection. Not for concurrent use.
type conn struct {
	net.Conn
	r *bufio.Reader
}

const (
	dialTimeout = 300 * time.Millisecond
	maxReply    = 1 << 20 // elements of one array, bytes of one string
)

func dial(ctx context.Context, address string, login Login, t *TLS) (*conn, error) {
	d := &net.Dialer{Timeout: dialTimeout}
	var raw net.Conn
	var err error
	if t != nil {
		raw, err = (&tls.Dialer{NetDialer: d, Config: t.Client}).DialContext(ctx, "tcp", address)
	} else {
		raw, err = d.DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, r: bufio.NewReader(raw)}
	if login.Password == "" {
		return c, nil
	}
	auth := []string{"AUTH", login.Password}
	if login.User != "" {
		auth = []string{"AUTH", login.User, login.Password}
	}
	if _, err := c.do(time.Second, auth...); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func encode(b []byte, args ...string) []byte {
	b = fmt.Appendf(b, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}

// do sends one command; an error reply is returned as the error.
func (c *conn) do(timeout time.Duration, args ...string) (any, error) {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if _, err := c.Write(encode(nil, args...)); err != nil {
		return nil, err
	}
	v, err := c.read()
	if e, bad := v.(Error); bad && err == nil {
		return nil, e
	}
	return v, err
}

// read returns string, int64, nil, Error or []any.
func (c *conn) read() (any, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return nil, errors.New("empty line in reply")
	}
	switch line[0] {
	case '+':
		return line[1:], nil
	case '-':
		return Error(line[1:]), nil
	case ':':
		return strconv.ParseInt(line[1:], 10, 64)
	case '$', '*':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n > maxReply {
			return nil, fmt.Errorf("bad length in reply %q", line)
		}
		if n < 0 {
			return nil, nil
		}
		if line[0] == '$' {
			return c.bulk(n)
		}
		return c.array(n)
	}
	return nil, fmt.Errorf("bad reply %q", line)
}

func (c *conn) bulk(n int) (any, error) {
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, err
	}
	return string(b[:n]), nil
}

func (c *conn) array(n int) (any, error) {
	a := make([]any, n)
	for i := range a {
		v, err := c.read()
		if err != nil {
			return nil, err
		}
		a[i] = v
	}
	return a, nil
}

// pairs reads a flat list of names and values; anything else gives an empty map.
func pairs(v any) map[string]string {
	list, _ := v.([]any)
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		name, ok := list[i].(string)
		value, ok2 := list[i+1].(string)
		if ok && ok2 {
			m[name] = value
		}
	}
	return m
}

// hostPort reads the getter's answer; "" when there is none.
func hostPort(v any) string {
	list, _ := v.([]any)
	if len(list) != 2 {
		return ""
	}
	host, ok := list[0].(string)
	port, ok2 := list[1].(string)
	if !ok || !ok2 {
		return ""
	}
	return net.JoinHostPort(host, port)
}
