package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// lines is an open stream.
type lines struct {
	*bufio.Scanner
	t      *testing.T
	header http.Header
	cancel context.CancelFunc
}

func (b *web) stream(path string, headers ...string) *lines {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.t.Cleanup(cancel)
	r := b.request(ctx, http.MethodGet, path, "", headers...)
	if r.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(r.Body)
		b.t.Fatalf("%s: %d %s", path, r.StatusCode, text)
	}
	s := bufio.NewScanner(r.Body)
	s.Buffer(nil, 1<<20)
	return &lines{s, b.t, r.Header, cancel}
}

// next reads one line.
func (l *lines) next() string {
	l.t.Helper()
	if !l.Scan() {
		l.t.Fatalf("the stream ended: %v", l.Err())
	}
	return l.Text()
}

// message reads one message of a stream of lines.
func (l *lines) message() any {
	l.t.Helper()
	var v any
	if line := l.next(); json.Unmarshal([]byte(line), &v) != nil {
		l.t.Fatalf("not JSON: %s", line)
	}
	return v
}

// event reads one server-sent event: its fields by name, a comment under "".
func (l *lines) event() map[string]string {
	l.t.Helper()
	fields := map[string]string{}
	for {
		line := l.next()
		if line == "" {
			return fields
		}
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimPrefix(value, " ")
	}
}

func TestStreamOfLines(t *testing.T) {
	w := newWorld(t, 2, Limits{Bookmark: 50 * time.Millisecond})
	w.must(putSetting("a", "1"))
	w.must(putSetting("b", "2"))
	b := w.web("n2", func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 30*time.Millisecond, 30*time.Millisecond })
	s := b.stream("/v1/settings:watch")
	if kind := s.header.Get("Content-Type"); kind != "application/x-ndjson" || s.header.Get("X-Pointsman-Node") != "n2" {
		t.Errorf("header %v", s.header)
	}
	first, second, mark := s.message(), s.message(), s.message()
	if dig(first, "result.setting.value") != "1" || dig(second, "result.setting.value") != "2" || dig(mark, "result.bookmark") == nil {
		t.Fatalf("listing: %v %v %v", first, second, mark)
	}
	// The stream outlasts the time-outs of the port; bookmarks keep it warm.
	for begin := time.Now(); time.Since(begin) < 120*time.Millisecond; {
		if mark = s.message(); dig(mark, "result.bookmark") == nil {
			t.Fatalf("not a bookmark: %v", mark)
		}
	}
	w.must(putSetting("a", "3"))
	for dig(mark, "result.setting.value") != "3" {
		mark = s.message()
	}
	token := dig(mark, "result.resumeToken").(string)
	s.cancel()
	w.must(putSetting("b", "4"))
	again := b.stream("/v1/settings:watch?resumeToken=" + token)
	if m := again.message(); dig(m, "result.setting.value") != "4" {
		t.Errorf("resumed: %v", m)
	}
	again.cancel()
	waitFor(t, func() bool { return w.nodes["n2"].server.gateway.waiting.Load() == 0 })
}

func TestStreamOfEvents(t *testing.T) {
	w := newWorld(t, 1, Limits{Bookmark: 20 * time.Millisecond})
	w.putSpec("cache")
	w.seed("cache")
	f := w.failover("cache")
	b := w.web("n1")
	s := b.stream("/v1/failovers:watch", "Accept: text/event-stream, */*;q=0.1")
	if s.header.Get("Content-Type") != "text/event-stream" || s.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header %v", s.header)
	}
	e := s.event()
	var m any
	if json.Unmarshal([]byte(e["data"]), &m) != nil || dig(m, "failover.id") != "cache/1" || e["id"] != dig(m, "resumeToken") || e["event"] != "" {
		t.Fatalf("event %v", e)
	}
	mark := s.event()
	if mark[""] != "bookmark" || mark["id"] == "" || mark["data"] != "" {
		t.Errorf("bookmark %v", mark)
	}
	s.cancel()
	w.finish(f, "url")
	again := b.stream("/v1/failovers:watch", "Accept: text/event-stream", "Last-Event-ID: "+mark["id"])
	e = again.event()
	if json.Unmarshal([]byte(e["data"]), &m) != nil || dig(m, "failover.actions.0.state") != "ACTION_STATE_DONE" {
		t.Errorf("resumed: %v", e)
	}
	again.cancel()
	// Nothing has changed since: nothing but a comment comes.
	quiet := b.stream("/v1/failovers:watch", "Accept: text/event-stream", "Last-Event-ID: "+e["id"])
	if first := quiet.event(); first[""] != "bookmark" {
		t.Errorf("resumed where nothing happened: %v", first)
	}
}

// A watch that cannot begin is an ordinary error.
func TestStreamRefused(t *testing.T) {
	w := newWorld(t, 1, Limits{HTTPStreams: 1})
	b := w.web("n1")
	elsewhere := cursor{cluster: "another", index: 1}.token()
	for _, accept := range []string{"Accept: text/event-stream", "Accept: application/x-ndjson"} {
		wantStatus(t, b.get("/v1/actions:watch?resumeToken=x", accept), http.StatusBadRequest, codes.InvalidArgument, ReasonInvalid)
		wantStatus(t, b.get("/v1/actions:watch?filter=x", accept), http.StatusBadRequest, codes.InvalidArgument, ReasonInvalid)
		wantStatus(t, b.get("/v1/actions:watch", accept, "Last-Event-ID: "+elsewhere), http.StatusGone, codes.OutOfRange, ReasonCompacted)
	}
	s := b.stream("/v1/actions:watch")
	s.next()
	if _, text := w.nodes["n1"].get("/metrics"); !strings.Contains(text, `pointsman_http_streams{sort="watch"} 1`) {
		t.Error("the stream is not counted")
	}
	g := b.get("/v1/settings:watch")
	wantStatus(t, g, http.StatusServiceUnavailable, codes.ResourceExhausted, ReasonStreams)
	if g.header.Get("Retry-After") != "1" {
		t.Errorf("no Retry-After: %v", g.header)
	}
	s.cancel()
	waitFor(t, func() bool { return b.get("/v1/settings:watch?resumeToken=x").code == http.StatusBadRequest })
}

func TestStreamEndsWithTheServer(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	b := w.web("n1")
	plain, events := b.stream("/v1/actions:watch"), b.stream("/v1/actions:watch", "Accept: text/event-stream")
	plain.next()
	events.event()
	w.nodes["n1"].server.Close()
	if m := plain.message(); dig(m, "error.details.0.reason") != ReasonClosing {
		t.Errorf("last line %v", m)
	}
	e := events.event()
	var m any
	if e["event"] != "end" || json.Unmarshal([]byte(e["data"]), &m) != nil || dig(m, "details.0.reason") != ReasonClosing {
		t.Errorf("last event %v", e)
	}
	if plain.Scan() || events.Scan() {
		t.Error("something follows the end")
	}
}

// More streams than one gRPC connection of a client may carry.
func TestManyStreams(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	b := w.web("n1")
	for range maxStreamsPerConn + 20 {
		b.stream("/v1/actions:watch").next()
	}
	if g := b.get("/v1/masters"); g.code != http.StatusOK {
		t.Errorf("a call beside them: %d", g.code)
	}
}

// A reader that stops is cut off, and nobody waits for it.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, 1, Limits{SlowConsumer: 100 * time.Millisecond, StreamBuffer: 1})
	b := w.web("n1", func(s *http.Server) {
		s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
			return ctx
		}
	})
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	if _, err := fmt.Fprintf(c, "GET /v1/settings:watch HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	gate := w.nodes["n1"].server.gateway
	waitFor(t, func() bool { return gate.waiting.Load() == 1 })
	n := 0
	waitFor(t, func() bool {
		n++
		w.must(putSetting("k", strings.Repeat(string(rune('a'+n%26)), 60_000)))
		return gate.waiting.Load() == 0
	})
}
