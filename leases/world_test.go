package leases

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pointsman/pointsman/fsm"
)

// book is a replicated log of one member whose leadership tests move about.
type book struct {
	mu      sync.Mutex
	state   fsm.State
	changed chan struct{}
	term    fsm.Term
	cut     chan struct{}        // not nil: there is no quorum until it is closed
	passed  int                  // barriers
	slow    func() time.Duration // of an answer that a barrier has committed; nil: none is
	lag     time.Duration        // of the next proposal
	entries int
	most    int // commands of one proposal
}

func newBook() *book { return &book{state: fsm.New(), changed: make(chan struct{}), term: 1} }

func (b *book) Watch() (fsm.State, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.changed
}

var errOver = errors.New("the term is over")

// quorum waits until there is one.
func (b *book) quorum(ctx context.Context) error {
	b.mu.Lock()
	cut := b.cut
	b.mu.Unlock()
	if cut == nil {
		return ctx.Err()
	}
	select {
	case <-cut:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *book) Confirm(ctx context.Context, term fsm.Term) (fsm.State, error) {
	time.Sleep(2 * time.Millisecond) // a round trip
	if err := b.quorum(ctx); err != nil {
		return fsm.State{}, err
	}
	s, err := b.barrier(term)
	if b.slow != nil {
		time.Sleep(b.slow())
	}
	return s, err
}

func (b *book) barrier(term fsm.Term) (fsm.State, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if term != b.term {
		return fsm.State{}, errOver
	}
	b.passed++
	return b.state, nil
}

func (b *book) ProposeAll(ctx context.Context, term fsm.Term, commands ...fsm.Command) ([]fsm.Answer, error) {
	b.mu.Lock()
	lag := b.lag
	b.lag = 0
	b.mu.Unlock()
	time.Sleep(2*time.Millisecond + lag)
	if err := b.quorum(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if term != b.term {
		return nil, errOver
	}
	var answers []fsm.Answer
	b.most = max(b.most, len(commands))
	for _, c := range commands {
		answers = append(answers, b.apply(c))
	}
	return answers, nil
}

func (b *book) apply(c fsm.Command) (a fsm.Answer) {
	b.state, a = b.state.Apply(fsm.Entry{Index: b.state.Index() + 1, Term: b.term, Node: "n1", Command: c})
	close(b.changed)
	b.changed = make(chan struct{})
	b.entries++
	return a
}

// desk is a test's cluster: the log and whoever leads.
type desk struct {
	*testing.T
	*book
	engine  *Engine // under mu
	began   time.Time
	metrics prometheus.Registerer // of the next to lead; nil: none
	end     func()
}

func (d *desk) renew(ctx context.Context, r Renewal) (Confirmed, error) {
	d.mu.Lock()
	e := d.engine
	d.mu.Unlock()
	return e.Renew(ctx, r)
}

const ttl = 15 * time.Second

func newDesk(t *testing.T, partitions int) *desk {
	d := &desk{T: t, book: newBook(), began: time.Now()}
	d.do(fsm.PutSpec{Spec: spec(partitions)})
	d.do(fsm.Observe{Master: "cache", Revision: 1, Address: "a:1", Epoch: 1, As: fsm.Seed})
	d.lead()
	t.Cleanup(func() { d.end() })
	return d
}

func spec(partitions int) fsm.Spec {
	return fsm.Spec{
		Masters: []fsm.MasterSpec{{
			ID: "cache", Candidates: []fsm.Candidate{{Address: "a:1", Zone: "a"}, {Address: "b:1", Zone: "b"}},
			Plan: []fsm.Stage{{Name: "s", Steps: []fsm.Step{{Name: "workers", Kind: "leases", Object: fsm.PoolObject("work"), Class: fsm.InLog}}}},
		}},
		Pools: []fsm.PoolSpec{{ID: "work", Master: "cache", Partitions: partitions, TTL: ttl, Drain: 10 * time.Second, LockDelay: 5 * time.Second, Moves: 4}},
	}
}

func (d *desk) do(c fsm.Command) fsm.Answer {
	d.Helper()
	d.mu.Lock()
	a := d.apply(c)
	d.mu.Unlock()
	if err := a.Err(); err != nil {
		d.Fatalf("%s: %v", c.Kind(), err)
	}
	return a
}

// lead begins the next leader's term, on another node.
func (d *desk) lead() {
	if d.end != nil {
		d.end()
	}
	d.mu.Lock()
	d.term++
	term := d.term
	d.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	e := New(Config{Journal: d.book, Metrics: d.metrics})
	d.mu.Lock()
	d.engine = e
	d.mu.Unlock()
	over := make(chan error, 1)
	go func() { over <- e.Run(ctx, term) }()
	d.end = sync.OnceFunc(func() {
		cancel()
		if err := <-over; err != nil {
			d.Errorf("run of term %d: %v", term, err)
		}
	})
	time.Sleep(10 * time.Millisecond)
}

// worker renews three times a ttl, releases what drains, and believes in what it
// holds as a worker does: 0.9 of what it is told, from before it asked.
type worker struct {
	d       *desk
	id      fsm.SessionID
	name    string
	ttl     time.Duration // that it was told
	mute    atomic.Bool   // releases nothing
	leaving atomic.Bool   // says that it comes to its end
	rate    float64       // of the clock that it believes by
	tick    float64       // of the clock that it tells; 0: none

	held map[int]belief
	quit chan struct{}
	over chan struct{}
}

type belief struct {
	token fsm.Token
	until time.Time
}

func (d *desk) hire(name string, with ...func(*worker)) *worker {
	d.Helper()
	w := &worker{d: d, name: name, rate: 1, id: fsm.SessionID(d.do(fsm.OpenSession{Pool: "work", Worker: name, Key: name}).Token), held: map[int]belief{}}
	s, _ := d.Watch()
	v, _ := s.Session(w.id)
	w.ttl = v.TTL
	for _, do := range with {
		do(w)
	}
	w.wake()
	return w
}

// wake starts the worker; stop is its death or its pause.
func (w *worker) wake() {
	w.quit, w.over = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(w.over)
		for {
			_ = w.renew()
			select {
			case <-w.quit:
				return
			case <-time.After(w.ttl / 6):
			}
		}
	}()
}

func (w *worker) stop() {
	close(w.quit)
	<-w.over
}

func (w *worker) renew() error {
	sent := time.Now()
	r := Renewal{Session: w.id, Key: w.name, Leaving: w.leaving.Load(), Uptime: time.Duration(float64(time.Since(w.d.began)) * w.tick)}
	for n, b := range w.held {
		r.Held = append(r.Held, fsm.LeaseItem{Number: n, Token: b.token})
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.ttl/6)
	defer cancel()
	c, err := w.d.renew(ctx, r)
	if err != nil {
		return err
	}
	held := map[int]belief{}
	for _, a := range c.Assigned {
		if a.State == fsm.Draining && !w.mute.Load() {
			w.d.mu.Lock()
			w.d.apply(fsm.MoveLeases{Pool: "work", Move: fsm.MoveRelease, Session: w.id, Items: []fsm.LeaseItem{{Number: a.Number, Token: a.Token}}})
			w.d.mu.Unlock()
			continue
		}
		held[a.Number] = belief{a.Token, sent.Add(time.Duration(float64(a.ValidFor) * 0.9 / w.rate))}
	}
	w.held = held
	return nil
}

// stands is the pool as a line of text.
func (d *desk) stands() (line string) {
	s, _ := d.Watch()
	for _, l := range s.Leases("work") {
		line += fmt.Sprintf("%d %s %s %s; ", l.Number, l.State, l.Worker, l.Address)
	}
	return line
}

// after waits for so long of virtual time and reports the pool.
func (d *desk) after(wait time.Duration, want string) {
	d.Helper()
	time.Sleep(wait)
	synctest.Wait()
	if got := d.stands(); got != want {
		d.Errorf("after %s: %q, want %q", wait, got, want)
	}
}
