package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	if err := a.budget.Wait(ctx); err != nil {
		return "", fmt.Errorf("not sent: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	conn, err := a.config.Dial(ctx, a.network, a.address)
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

// quote makes HAProxy's words fit for a log: short and one line.
func quote(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.TrimSpace(text))
	if len(text) > MaxMessage {
		text = strings.ToValidUTF8(text[:MaxMessage], "")
	}
	return text
}

// refused reports whether an answer holds one of HAProxy's refusals that only a
// human can end.
func refused(text string) bool {
	for _, words := range []string{"Permission denied", "No such server", "No such backend", "Can't find backend", "Invalid addr", "Invalid port", "must be in maintenance"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}
