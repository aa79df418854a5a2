package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// edge stands before the provider's API. It notes who sent what and when,
// answers reads with what stood a while ago, and delivers a request twice.
type edge struct {
	run  *run
	next http.Handler

	mu       sync.Mutex
	arrivals []arrival
	twice    []time.Duration // the next writes are delivered again, each after so long
	pending  int             // second deliveries still to come
	past     map[int64][]version
	reads    int
}

// arrival is one request as the edge handed it on.
type arrival struct {
	at, sent     time.Time
	method, path string
	from         *process
	answered     time.Time // of a second delivery: when the first was answered
	twin         bool
}

// version is what a frontend was until a moment.
type version struct {
	was   ovh.Frontend
	until time.Time
}

type connKey struct{}

func newEdge(r *run) *edge {
	return &edge{run: r, next: r.sim.Handler(), past: map[int64][]version{}}
}

// serve answers for a host of the run's network until its server is closed.
func (r *run) serve(host string, h http.Handler) (*http.Server, error) {
	l, err := r.hub.join(host).Listen(host + ":80")
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: time.Hour, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	r.graves.Go(func() { _ = server.Serve(l) })
	return server, nil
}

// ServeHTTP implements http.Handler.
func (e *edge) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil { // it never came in whole
		panic(http.ErrAbortHandler)
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	a := arrival{at: time.Now(), method: q.Method, path: q.URL.Path}
	if c, ok := q.Context().Value(connKey{}).(*conn); ok {
		a.from = c.peer.owner
		c.in.mu.Lock()
		a.sent = a.at.Add(-c.in.age)
		c.in.mu.Unlock()
	}
	after := e.note(a)
	if after > 0 {
		late, cancel := context.WithTimeout(context.WithoutCancel(q.Context()), after+time.Minute) // who sends it again gives up then
		again := q.Clone(late)
		again.Body = io.NopCloser(bytes.NewReader(body))
		defer func() { // when the first is through, whatever came of it
			a.answered = time.Now()
			e.mu.Lock()
			e.pending++ // not before: a first one that hangs for good has no second
			e.mu.Unlock()
			e.run.graves.Go(func() {
				defer cancel()
				e.again(again, a, after)
			})
		}()
	}
	if id, ok := frontendOf(a.path); ok && q.Method == http.MethodPut {
		defer e.keep(id, e.staged(id))
	} else if ok && e.lags() {
		e.stale(w, q, id)
		return
	}
	e.next.ServeHTTP(w, q)
}

// note journals an arrival and says after how long it is to be delivered again; 0: not.
func (e *edge) note(a arrival) (after time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrivals = append(e.arrivals, a)
	if a.method != http.MethodGet && len(e.twice) > 0 {
		after, e.twice = e.twice[0], e.twice[1:]
	}
	return after
}

// again delivers a request once more; nobody gets its answer.
func (e *edge) again(q *http.Request, a arrival, after time.Duration) {
	defer func() {
		_ = recover() // of http.ErrAbortHandler, as the server does
		e.mu.Lock()
		defer e.mu.Unlock()
		e.pending--
	}()
	time.Sleep(after)
	a.at, a.twin = time.Now(), true
	e.mu.Lock()
	e.arrivals = append(e.arrivals, a)
	e.mu.Unlock()
	e.run.story.add(provider, "gets %s %s of %s a second time", a.method, a.path, a.from.id)
	if id, ok := frontendOf(a.path); ok {
		defer e.keep(id, e.staged(id))
	}
	e.next.ServeHTTP(httptest.NewRecorder(), q)
}

// arrivalOf finds the request that became a call of the provider's journal: the
// latest one like it that was handed on at that moment.
func (e *edge) arrivalOf(c ovh.Call) (arrival, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := len(e.arrivals) - 1; i >= 0; i-- {
		a := e.arrivals[i]
		if a.method == c.Method && a.at.Equal(c.Received) && strings.HasSuffix(a.path, c.Path) {
			return a, true
		}
	}
	return arrival{}, false
}

func (e *edge) coming() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pending
}

func frontendOf(path string) (int64, bool) {
	_, after, ok := strings.Cut(path, "/tcp/frontend/")
	id, err := strconv.ParseInt(after, 10, 64)
	return id, ok && err == nil
}

func (e *edge) staged(id int64) ovh.Frontend {
	f, _ := e.run.sim.Staged(id)
	return f
}

// keep notes what a frontend was before a write, if the write changed it.
func (e *edge) keep(id int64, was ovh.Frontend) {
	if now := e.staged(id); reflect.DeepEqual(now, was) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.past[id] = append(e.past[id], version{was, time.Now()})
}

// lags: every other read is answered by a copy that is behind.
func (e *edge) lags() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reads++
	return e.run.plan.ReadLag > 0 && e.reads%2 == 1
}

// stale answers a read with what stood ReadLag ago.
func (e *edge) stale(w http.ResponseWriter, q *http.Request, id int64) {
	got := httptest.NewRecorder()
	e.next.ServeHTTP(got, q)
	body := got.Body.Bytes()
	if was, ok := e.before(id, time.Now().Add(-e.run.plan.ReadLag)); ok && got.Code == http.StatusOK && len(body) > 0 {
		body, _ = json.Marshal(was)
	}
	for name, values := range got.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(got.Code)
	_, _ = w.Write(body)
}

func (e *edge) before(id int64, at time.Time) (ovh.Frontend, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range e.past[id] {
		if v.until.After(at) {
			return v.was, true
		}
	}
	return ovh.Frontend{}, false
}
