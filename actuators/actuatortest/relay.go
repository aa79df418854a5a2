package actuatortest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Dial connects, as net.Dialer does.
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)

// Sort is what a request is, as far as a bad day goes by it.
type Sort uint8

// Sorts of requests.
const (
	Login  Sort = iota + 1 // proves who asks
	Look                   // tells what the object's value is
	Beside                 // another read
	Write                  // could change the object
)

// Says is an answer. In its body {id} stands for the answer's id, {secret} for a
// secret of the target.
type Says struct {
	Status int
	Header map[string]string
	Body   string
	Size   int64 // instead of Body, so many bytes
}

// JSON is an answer in JSON.
func JSON(status int, body string) *Says {
	return &Says{Status: status, Header: map[string]string{"Content-Type": "application/json"}, Body: body}
}

// Page is what a proxy, a login page or a wrong address answers.
func Page(status int) *Says {
	body := fmt.Sprintf("<!DOCTYPE html><html><head><title>%d %s</title></head><body>Please log in.</body></html>", status, http.StatusText(status))
	return &Says{Status: status, Header: map[string]string{"Content-Type": "text/html; charset=utf-8"}, Body: body}
}

// spoil is what a relay makes of what passes. The zero one lets all pass.
type spoil struct {
	dial   func(address string) error // why no connection can be made
	cert   certificate                // shown to who connects; nil: no TLS
	of     Sort
	also   func(*http.Request, []byte) bool // which of that sort; nil: all
	answer *Says                            // instead of the provider's
	after  bool                             // which carries the request out before
	change func([]byte) []byte              // of the body that the provider answers
}

// relay stands between an actuator and its provider. What it answers itself has
// ids of its own. It may be used concurrently.
type relay struct {
	up      Dial
	sort    func(*http.Request, []byte) Sort // nil: connections are passed on as they are
	id      string                           // header of the provider's ids
	secret  string                           // of the target, for what is said of it
	conns   chan net.Conn
	done    chan struct{}
	forward *http.Transport
	server  *http.Server
	served  chan struct{}

	mu     sync.Mutex // guards what follows
	bad    spoil
	asked  []time.Time     // requests and refused connections
	places map[string]bool // that were dialled
	struck []string        // ids of the answers that were spoilt
	sent   int64           // bytes of the largest spoilt body that were taken
}

// newRelay makes one that lets all pass. It ends with the test.
func newRelay(t testing.TB, up Dial, sort func(*http.Request, []byte) Sort, id string) *relay {
	r := &relay{
		up: up, sort: sort, id: id, conns: make(chan net.Conn), done: make(chan struct{}), served: make(chan struct{}), places: map[string]bool{},
		forward: &http.Transport{DialContext: up, DisableCompression: true},
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() {
		defer close(r.served)
		_ = r.server.Serve(r)
	}()
	t.Cleanup(func() {
		close(r.done)
		_ = r.server.Close()
		<-r.served
		r.forward.CloseIdleConnections()
	})
	return r
}

// Dial is how the actuator connects.
func (r *relay) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	r.mu.Lock()
	bad := r.bad
	r.places[address] = true
	r.mu.Unlock()
	if bad.dial != nil {
		r.count()
		return nil, bad.dial(address)
	}
	if r.sort == nil && bad.cert == nil {
		return r.plain(ctx, address)
	}
	near, far := net.Pipe()
	if bad.cert != nil {
		far = tls.Server(newLoose(far), &tls.Config{GetCertificate: bad.cert, MinVersion: tls.VersionTLS12})
		r.count()
	}
	if r.sort == nil {
		go refuse(far)
		return near, nil
	}
	select {
	case r.conns <- far:
		return near, nil
	case <-r.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept implements net.Listener.
func (r *relay) Accept() (net.Conn, error) {
	select {
	case c := <-r.conns:
		return c, nil
	case <-r.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; the relay ends with its test.
func (r *relay) Close() error { return nil }

// Addr implements net.Listener.
func (r *relay) Addr() net.Addr { return &net.UnixAddr{Name: "relay", Net: "pipe"} }

func (r *relay) set(bad spoil) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad = bad
}

func (r *relay) count() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, time.Now())
}

// ServeHTTP passes a request on, or answers it.
func (r *relay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.count()
	body, err := io.ReadAll(q.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.mu.Lock()
	bad := r.bad
	r.mu.Unlock()
	hit := bad.of == r.sort(q, body) && bad.of != 0 && (bad.also == nil || bad.also(q, body))
	if hit && bad.answer != nil && !bad.after {
		r.say(w, *bad.answer)
		return
	}
	status, header, got := r.pass(q, body)
	switch {
	case hit && bad.answer != nil:
		r.say(w, *bad.answer)
		return
	case hit && bad.change != nil:
		got = bad.change(got)
		header.Del("Content-Length")
		r.note(header.Get(r.id))
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	_, _ = w.Write(got) //nolint:gosec // to a client of this test
}

// pass asks the provider.
func (r *relay) pass(q *http.Request, body []byte) (int, http.Header, []byte) {
	out := q.Clone(q.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", q.Host, ""
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := r.forward.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return resp.StatusCode, resp.Header, got
}

// refuse shows a certificate that nobody takes, and leaves.
func refuse(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 1)) // shakes hands
	_ = conn.Close()
}

// plain connects to a world that speaks no HTTP.
func (r *relay) plain(ctx context.Context, address string) (net.Conn, error) {
	r.count()
	conn, err := r.up(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &weighed{Conn: conn, relay: r}, nil
}

// weighed counts what is taken from a connection.
type weighed struct {
	net.Conn
	relay *relay
	taken int64
}

func (w *weighed) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.taken += int64(n)
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	w.relay.sent = max(w.relay.sent, w.taken)
	return n, err
}

func (r *relay) note(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.struck = append(r.struck, id)
}

// say answers in the provider's place.
func (r *relay) say(w http.ResponseWriter, s Says) {
	r.mu.Lock()
	id := fmt.Sprintf("bad-day-%d", len(r.struck)+1)
	r.struck = append(r.struck, id)
	r.mu.Unlock()
	if r.id != "" {
		w.Header().Set(r.id, id)
	}
	for name, value := range s.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(s.Status)
	if s.Size > 0 {
		r.flood(w, s.Size)
		return
	}
	_, _ = strings.NewReplacer("{id}", id, "{secret}", r.secret).WriteString(w, s.Body)
}

// flood writes blanks until all are written or nobody takes them.
func (r *relay) flood(w io.Writer, size int64) {
	chunk := bytes.Repeat([]byte(" "), 32<<10)
	var sent int64
	for sent < size {
		n, err := w.Write(chunk)
		if sent += int64(n); err != nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = max(r.sent, sent)
}

// traffic is what a relay has seen.
type traffic struct {
	asked  []time.Time
	places map[string]bool
	struck []string
	sent   int64
}

func (r *relay) traffic() traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	return traffic{slices.Clone(r.asked), maps.Clone(r.places), slices.Clone(r.struck), r.sent}
}
