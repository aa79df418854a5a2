package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/cli"
)

// programmers are words that gRPC, Go and cobra say to programmers. None of
// them may reach a user.
func programmers() []string {
	return []string{
		"rpc error", "code =", "desc =", "transport:", "connection error", "context deadline exceeded", "context canceled",
		"RST_STREAM", "http2", "goroutine", "panic", "%!", "<nil>", "name resolver", "passthrough",
	}
}

// TestNoRawText runs each command against what may stand at an endpoint when
// something is wrong: nobody, a port that is silent, one that speaks HTTP, one
// that hangs up, a port that is none. Each error says what happened and, where
// the cluster was asked, what to type next.
func TestNoRawText(t *testing.T) {
	if testing.Short() {
		t.Skip("each command waits for an answer that never comes")
	}
	app := &cli.App{Env: func(string) (string, bool) { return "", false }}
	for what, endpoint := range wrongEndpoints(t) {
		t.Run(what, func(t *testing.T) {
			for _, c := range cli.Commands(app.Root()) {
				words := strings.Fields(c.CommandPath())[1:]
				if calls, ok := row(surface(), c.CommandPath()); !ok || calls[0] == local {
					continue
				}
				args := append(words, argumentsOf(strings.Join(words, " "))...)
				args = append(args, "--endpoints", endpoint, "--timeout", "300ms")
				t.Run(strings.Join(words, " "), func(t *testing.T) {
					t.Parallel()
					complains(t, args)
				})
			}
		})
	}
}

// argumentsOf is what a command needs to come as far as asking somebody.
func argumentsOf(words string) []string {
	return map[string][]string{
		"actions show": {"cache/1/lb"}, "actions retry": {"cache/1/lb"}, "actions abandon": {"cache/1/lb", "--reason", "x"},
		"apply": {"-f", "../../deploy/samples/spec.yaml"}, "failovers show": {"cache/1"}, "failovers export": {"cache/1"},
		"masters show": {"cache"}, "settings get": {"a"}, "settings put": {"a", "b"}, "settings delete": {"a"},
		"spec diff": {"1"}, "spec rollback": {"--to", "1"},
	}[words]
}

func complains(t *testing.T, args []string) {
	t.Helper()
	var out, said bytes.Buffer
	app := &cli.App{
		In: strings.NewReader(""), Out: &out, Err: &said, Kinds: kinds(), Version: "test",
		Env: func(string) (string, bool) { return "", false },
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // ends a watch, which has no end
	defer cancel()
	code := app.Run(ctx, args)
	if args[0] == "notify" {
		return // a hook of Sentinel's must never fail it: it says nothing here
	}
	text := out.String() + said.String()
	for _, word := range programmers() {
		if strings.Contains(text, word) {
			t.Errorf("%v says %q to a user:\n%s", args, word, text)
		}
	}
	if args[1] == "watch" {
		return // it goes on until it is interrupted, which is its good end
	}
	if code == 0 || len(strings.TrimSpace(text)) == 0 {
		t.Errorf("%v: exit code %d and said %q", args, code, text)
	}
	if strings.Contains(text, "error: ") && !strings.Contains(text, "  try: ") && !strings.Contains(text, "interrupted") {
		t.Errorf("%v does not say what to type next:\n%s", args, text)
	}
}

func wrongEndpoints(t *testing.T) map[string]string {
	t.Helper()
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	gone := listen()
	_ = gone.Close()
	web := listen()
	go func() { _ = http.Serve(web, http.NotFoundHandler()) }() //nolint:gosec // it lasts as long as the test
	hangs := listen()
	go func() {
		for {
			c, err := hangs.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	tls := listen()
	go func() {
		for {
			c, err := tls.Accept()
			if err != nil {
				return
			}
			// What a TLS server says to one that speaks without: an alert.
			_, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 70})
			_, _ = io.CopyN(io.Discard, c, 1<<10)
			_ = c.Close()
		}
	}()
	return map[string]string{
		"nobody listens": gone.Addr().String(), "silent": listen().Addr().String(), "http": web.Addr().String(),
		"hangs up": hangs.Addr().String(), "tls": tls.Addr().String(), "no port": "localhost",
	}
}
