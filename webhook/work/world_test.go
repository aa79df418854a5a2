package work

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
	"github.com/pointsman/pointsman/webhook/ledger"
)

// world is a buffer, and the sink that handlers reach. Its tests run in a bubble
// of synctest.
type world struct {
	t     *testing.T
	mem   *buffertest.Memory
	store buffer.Store
	cfg   Config
	sink  *sink
}

// inWorld runs a test in a bubble.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		mem := &buffertest.Memory{}
		w := &world{t: t, mem: mem, store: mem, sink: &sink{tries: map[string]int{}, busy: map[string]bool{}}}
		w.cfg = Config{Partitions: 1, Worker: "w", Poll: 100 * time.Millisecond, Handler: w.sink, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		test(t, w)
	})
}

// sink is a handler that remembers its calls.
type sink struct {
	answer func(d Delivery, try int) error                // nil: nil
	hold   func(ctx context.Context, d Delivery, try int) // while the call is under way

	mu    sync.Mutex
	calls []Delivery
	tries map[string]int
	busy  map[string]bool
	twice []string // shops that had two calls at once
	most  int      // calls at once
}

func (s *sink) Handle(ctx context.Context, d Delivery) error {
	s.mu.Lock()
	if s.busy[d.Event.Shop] {
		s.twice = append(s.twice, d.Event.Shop)
	}
	s.busy[d.Event.Shop] = true
	s.most = max(s.most, len(s.busy))
	s.tries[d.Key]++
	s.calls = append(s.calls, d)
	try := s.tries[d.Key]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.busy, d.Event.Shop)
	}()
	if s.hold != nil {
		s.hold(ctx, d, try)
	}
	if s.answer != nil {
		return s.answer(d, try)
	}
	return nil
}

// bodies are those of the calls for a shop; empty: for all.
func (s *sink) bodies(shop string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, d := range s.calls {
		if shop == "" || d.Event.Shop == shop {
			out = append(out, string(d.Event.Body))
		}
	}
	return out
}

// receiver writes a stream as a receiver does.
type receiver struct {
	w      *world
	stream string
	next   uint64
	beat   uint64
}

func (w *world) receiver(name string) *receiver {
	r := &receiver{w: w, stream: fmt.Sprintf("%s-%012x-%016x", name, time.Now().UnixMilli(), len(w.mem.Keys(webhook.PrefixReceivers)))}
	r.heard(0)
	return r
}

func (r *receiver) heard(end uint64) {
	r.beat++
	b, err := proto.Marshal(&webhookv1.Receiver{Name: "r", Beat: r.beat, End: end})
	if err == nil {
		_, err = r.w.mem.Put(r.w.t.Context(), webhook.ReceiverKey(r.stream), b, buffer.Condition{})
	}
	if err != nil {
		r.w.t.Fatal(err)
	}
}

func ev(shop, id, body string) webhook.Event {
	return webhook.Event{ID: webhook.IDOf("app", shop, id), Sum: sha256.Sum256([]byte(body)), App: "app", Shop: shop, Topic: "orders/create",
		WebhookID: id, Arrived: time.Now(), Body: []byte(body)}
}

// segment encodes events under a number.
func (r *receiver) segment(number uint64, events ...webhook.Event) (key string, body []byte) {
	s := webhook.Segment{Stream: r.stream, Number: number}
	for _, e := range events {
		s.Slots.Add(e.Slot())
	}
	b, err := webhook.EncodeSegment(events)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return s.Key(), b
}

func (r *receiver) put(number uint64, events ...webhook.Event) {
	key, b := r.segment(number, events...)
	if _, err := r.w.mem.Put(r.w.t.Context(), key, b, buffer.Condition{Absent: true}); err != nil {
		r.w.t.Fatal(err)
	}
	r.next = max(r.next, number+1)
}

func (r *receiver) add(events ...webhook.Event) { r.put(r.next, events...) }

// worker is one process with one lease per partition.
type worker struct {
	*Worker
	w        *world
	registry *prometheus.Registry
	cancel   context.CancelFunc
	draining chan struct{}
	believes func() error
	goes     sync.WaitGroup
	mu       sync.Mutex
	ends     []error
}

// start begins to work on all partitions under a token.
func (w *world) start(token uint64) *worker {
	return w.startWith(token, nil)
}

func (w *world) startWith(token uint64, believes func() error) *worker {
	cfg := w.cfg
	cfg.Store = w.store
	k := &worker{w: w, registry: prometheus.NewRegistry(), draining: make(chan struct{})}
	if k.believes = believes; believes == nil {
		k.believes = func() error { return nil }
	}
	cfg.Registerer = k.registry
	var err error
	if k.Worker, err = New(cfg); err != nil {
		w.t.Fatal(err)
	}
	var ctx context.Context
	ctx, k.cancel = context.WithCancel(w.t.Context())
	k.goes.Go(func() {
		if err := k.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	for p := range cfg.Partitions {
		k.goes.Go(func() {
			err := k.Work(ctx, Lease{Partition: uint32(p), Token: token, Check: k.believes, Draining: k.draining, Commits: ledger.CAS{}})
			k.mu.Lock()
			defer k.mu.Unlock()
			k.ends = append(k.ends, err)
		})
	}
	return k
}

// ended are the ends of its partitions' work so far.
func (k *worker) ended() []error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.ends)
}

// crash ends it at once.
func (k *worker) crash() {
	k.cancel()
	k.goes.Wait()
}

// drain hands all partitions over.
func (k *worker) drain() {
	close(k.draining)
	for len(k.ended()) < k.w.cfg.Partitions {
		time.Sleep(10 * time.Millisecond)
	}
	for _, err := range k.ended() {
		if err != nil {
			k.w.t.Errorf("drained: %v", err)
		}
	}
	k.crash()
}

// count is the sum of a counter or gauge over its labels that hold all words.
func (k *worker) count(name string, words ...string) float64 {
	families, err := k.registry.Gather()
	if err != nil {
		k.w.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "pointsman_webhook_work_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			fits := true
			for _, w := range words {
				fits = fits && strings.Contains(fmt.Sprint(m.GetLabel()), `"`+w+`"`)
			}
			if fits {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func (k *worker) wants(name string, want float64, words ...string) {
	k.w.t.Helper()
	if got := k.count(name, words...); got != want {
		k.w.t.Errorf("%s %v is %g, want %g", name, words, got, want)
	}
}

// unreadable is a store one of whose objects cannot be read.
type unreadable struct {
	buffer.Store
	key   string
	fault buffertest.Fault
}

func (u *unreadable) Get(ctx context.Context, key string) (buffer.Object, error) {
	if key != u.key {
		return u.Store.Get(ctx, key)
	}
	if u.fault == buffertest.Hang {
		<-ctx.Done()
	}
	return buffer.Object{}, buffertest.ErrBroken
}
