package haproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/pointsman/pointsman/actuators"
)

// ask sends one line and gives all that comes back until HAProxy ends the
// connection, as it does after each line. A line that may change something is
// in doubt from its first byte until the end of the answer.
func (a *actuator) ask(ctx context.Context, line string, mutates bool) (string, error) {
	if ctx.Err() != nil {
		return "", fmt.Errorf("not sent: %w", context.Cause(ctx))
	}
	if a.budget != nil {
		if err := a.budget.Wait(ctx); err != nil {
			return "", fmt.Errorf("not sent: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	conn, err := a.dial(ctx)
	if err != nil {
		return "", fmt.Errorf("not sent: %w", err)
	}
	defer conn.Close()
	ended := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer ended()
	if mutates {
		actuators.Sending(ctx)
	}
	text, err := exchange(conn, line)
	if err == nil {
		return text, nil
	}
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	if mutates {
		return "", actuators.InDoubt(err)
	}
	return "", err
}

// dial opens a connection; what speaks TLS has shaken hands.
func (a *actuator) dial(ctx context.Context) (net.Conn, error) {
	raw, err := a.config.Dial(ctx, a.network, a.address)
	if err != nil || a.tls == nil {
		return raw, err
	}
	conf := a.tls.Clone()
	if conf.ServerName == "" {
		conf.ServerName, _, _ = net.SplitHostPort(a.address)
	}
	secured := tls.Client(raw, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	return secured, nil
}

func exchange(conn io.ReadWriter, line string) (string, error) {
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(conn, MaxAnswer+1))
	switch {
	case err != nil:
		return "", err
	case len(text) == 0:
		return "", fmt.Errorf("connection ended without an answer: %w", io.ErrUnexpectedEOF)
	case len(text) > MaxAnswer:
		return "", fmt.Errorf("more than %d bytes: %w", MaxAnswer, ErrAnswer)
	}
	return string(text), nil
}

// pidOf is the process id that "show info" tells; empty when the answer has no
// such line, as one that was cut has not.
func pidOf(text string) string {
	if p := regexp.MustCompile(`(?m)^Pid: ([0-9]{1,10})\r?$`).FindStringSubmatch(text); p != nil {
		return p[1]
	}
	return ""
}

// idsOf is what stands for the id of an answer, which HAProxy has not.
func idsOf(pid string) []string {
	if pid == "" {
		return nil
	}
	return []string{"pid " + pid}
}

// refusal is the line of an answer with which HAProxy refuses what only a human
// can grant or mend; nil when there is none.
func refusal(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "Permission denied") {
			return actuators.Permanent(fmt.Errorf("%w: %s (is the socket's level admin?)", ErrRefused, quote(line)))
		}
		for _, words := range []string{"No such server.", "No such backend.", "Can't find backend.", "Invalid addr ", "Require 'backend/server'."} {
			if strings.HasPrefix(line, words) {
				return actuators.Permanent(fmt.Errorf("%w: %s", ErrRefused, quote(line)))
			}
		}
	}
	return nil
}

// strange is an answer that is none of those that are known.
func strange(text string) error { return fmt.Errorf("%w: %q", ErrAnswer, quote(text)) }

// quote makes HAProxy's words fit for a log: short and one line.
func quote(text string) string {
	if len(text) > MaxMessage {
		text = text[:MaxMessage]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}
