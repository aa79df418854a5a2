package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/buffertest"
	"github.com/pointsman/pointsman/webhook/ledger"
)

func event(n int) webhook.Event {
	id := fmt.Sprint(n)
	return webhook.Event{ID: webhook.IDOf("app", "shop", id), WebhookID: id, Sum: sha256.Sum256([]byte(id))}
}

// checkpoints is the coordinators' log for one partition, as one token sees it.
type checkpoints struct {
	log   *checkpointLog
	token uint64
}

type checkpointLog struct {
	mu      sync.Mutex
	rand    *rand.Rand // nil: nothing goes wrong
	current ledger.Checkpoint
	granted uint64
}

func (l *checkpointLog) draw() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rand == nil {
		return -1
	}
	return l.rand.IntN(20)
}

var errLog = errors.New("no answer from the log")

func (c checkpoints) Checkpoint(context.Context) (ledger.Checkpoint, error) {
	if c.log.draw() == 0 {
		return ledger.Checkpoint{}, errLog
	}
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.log.current, nil
}

func (c checkpoints) SaveCheckpoint(_ context.Context, version uint64, data []byte) error {
	switch c.log.draw() {
	case 0: // never arrives
		return errLog
	case 1: // the answer is lost
		_ = c.save(version, data)
		return errLog
	case 2: // arrives late
		time.AfterFunc(time.Second, func() { _ = c.save(version, data) })
		return errLog
	}
	return c.save(version, data)
}

func (c checkpoints) save(version uint64, data []byte) error {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	switch now := c.log.current; {
	case c.token != c.log.granted:
		return ledger.ErrFenced
	case now.Version == version && now.Token == c.token && string(now.Data) == string(data):
		return nil
	case version != now.Version+1:
		return ledger.ErrMoved
	}
	c.log.current = ledger.Checkpoint{Version: version, Token: c.token, Data: data}
	return nil
}

// story plays holders that come and go while the store and the log go wrong.
type story struct {
	t       *testing.T
	r       *rand.Rand
	store   *buffertest.Faulty
	log     *checkpointLog
	mode    string
	token   uint64
	holders []*holder
	durable map[int]bool // events of a commit that was answered with nil
	events  int
}

type holder struct {
	*ledger.Ledger
	token    uint64
	finished map[int]bool // seen as finished when it was opened, or by itself
	next     int          // all events below are finished
}

func (s *story) commits(token uint64) ledger.Commits {
	if s.mode == "cas" {
		return ledger.CAS{}
	}
	return ledger.Log{Checkpoints: checkpoints{log: s.log, token: token}}
}

func (s *story) open() {
	s.token++
	s.log.mu.Lock()
	s.log.granted = s.token
	s.log.mu.Unlock()
	for range 200 {
		l, err := ledger.Open(s.t.Context(), ledger.Config{Store: s.store, Commits: s.commits(s.token), Partition: 7, Token: s.token, Worker: "w"})
		if err == nil {
			s.holders = append(s.holders, s.check(l))
			return
		}
		if errors.Is(err, ledger.ErrFenced) || errors.Is(err, ledger.ErrHead) {
			s.t.Fatalf("token %d: Open: %v", s.token, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("token %d could not be opened", s.token)
}

// check compares what a fresh ledger knows with what was promised.
func (s *story) check(l *ledger.Ledger) *holder {
	h := &holder{Ledger: l, token: s.token, finished: map[int]bool{}}
	for n := range s.events {
		known := l.Seen(event(n)) == ledger.WasDone
		if s.durable[n] && !known {
			s.t.Fatalf("token %d does not know event %d, whose commit was answered", s.token, n)
		}
		h.finished[n] = known
	}
	h.next = int(l.Positions()["stream"].Next)
	for n := range h.next {
		if !h.finished[n] {
			s.t.Fatalf("token %d: position %d is past event %d, which is not finished", s.token, h.next, n)
		}
	}
	return h
}

func (s *story) work(h *holder) {
	for range s.r.IntN(40) {
		n := min(h.next+s.r.IntN(8), s.events)
		s.events = max(s.events, n+1)
		if !h.finished[n] && h.Seen(event(n)) == ledger.New {
			h.Finish(event(n), ledger.Done)
		}
		h.finished[n] = true
		for h.finished[h.next] {
			h.next++
		}
	}
	h.Follow(ledger.Position{Stream: "stream", Next: uint64(h.next)})
}

func (s *story) commit(h *holder, tidy bool) {
	newest := s.holders[len(s.holders)-1]
	var err error
	if tidy {
		_, err = h.Tidy(s.t.Context())
	} else {
		err = h.Commit(s.t.Context())
	}
	switch {
	case err == nil && h.token < newest.token && h.Staged() == 0 && !tidy && len(h.finished) > 0 && s.wrote(h):
		s.t.Fatalf("token %d committed after %d had opened", h.token, newest.token)
	case err == nil && h.token == newest.token:
		for n, ok := range h.finished {
			s.durable[n] = s.durable[n] || ok
		}
	case errors.Is(err, ledger.ErrHead):
		s.t.Fatal(err)
	case errors.Is(err, ledger.ErrFenced) && h.token == newest.token:
		s.t.Fatalf("the newest token was fenced: %v", err)
	}
}

// wrote reports whether the head is of this holder: then it wrote after a newer one
// had opened.
func (s *story) wrote(h *holder) bool {
	h.Follow(ledger.Position{Stream: "late", Next: 1})
	return h.Commit(s.t.Context()) == nil
}

func (s *story) play() {
	s.open()
	for range 60 {
		h := s.holders[s.r.IntN(len(s.holders))]
		if s.r.IntN(2) == 0 {
			h = s.holders[len(s.holders)-1]
		}
		switch s.r.IntN(10) {
		case 0:
			s.open()
		case 1:
			time.Sleep(time.Duration(s.r.IntN(2000)) * time.Millisecond)
		case 2:
			s.commit(h, true)
		case 3, 4, 5:
			s.commit(h, false)
		default:
			s.work(h)
		}
	}
	s.open()
}

// TestHoldersComeAndGo: whatever a store and the log do, an answered commit is
// known to every later holder, no position is past what is not finished, and no
// older token commits after a newer one has opened.
func TestHoldersComeAndGo(t *testing.T) {
	for _, mode := range []string{"cas", "log"} {
		t.Run(mode, func(t *testing.T) {
			for seed := range uint64(400) {
				synctest.Test(t, func(t *testing.T) {
					s := &story{t: t, r: rand.New(rand.NewPCG(seed, 7)), mode: mode, durable: map[int]bool{}, log: &checkpointLog{}}
					s.store = buffertest.NewFaulty(&buffertest.Memory{}, seed)
					puts := buffertest.Odds{buffertest.Fail: 0.05, buffertest.Lost: 0.07, buffertest.Late: 0.05, buffertest.Slow: 0.05}
					if mode == "log" {
						puts[buffertest.Ignore] = 0.3
						s.log.rand = rand.New(rand.NewPCG(seed, 9))
					}
					s.store.Odds(buffertest.Put, puts)
					s.store.Odds(buffertest.Get, buffertest.Odds{buffertest.Fail: 0.05})
					s.store.Odds(buffertest.Delete, buffertest.Odds{buffertest.Fail: 0.1, buffertest.Lost: 0.1, buffertest.Late: 0.1})
					s.play()
					s.store.Wait()
					if t.Failed() {
						t.Fatalf("seed %d", seed)
					}
				})
			}
		})
	}
}

func open(t *testing.T, store buffer.Store, token uint64) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{Store: store, Commits: ledger.CAS{}, Partition: 7, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestVerdicts(t *testing.T) {
	store := &buffertest.Memory{}
	l := open(t, store, 5)
	l.Finish(event(1), ledger.Done)
	l.Finish(event(2), ledger.Dead)
	l.Finish(event(2), ledger.Done) // stays what it was
	if err := l.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := event(1)
	other.Sum = sha256.Sum256([]byte("another body"))
	again := event(1)
	again.Replay = "r1"
	for _, l := range []*ledger.Ledger{l, open(t, store, 6)} {
		for _, c := range []struct {
			event webhook.Event
			want  ledger.Verdict
		}{{event(1), ledger.WasDone}, {event(2), ledger.WasDead}, {event(3), ledger.New}, {other, ledger.OtherBody}, {again, ledger.New}} {
			if got := l.Seen(c.event); got != c.want {
				t.Errorf("Seen(%s %s) = %d, want %d", c.event.WebhookID, c.event.Replay, got, c.want)
			}
		}
	}
}

// TestManyEvents: what the head cannot hold goes to files, which are joined, and
// all of it is known to the next holder.
func TestManyEvents(t *testing.T) {
	store := &buffertest.Memory{}
	l := open(t, store, 5)
	const events, each = 30_000, 500
	for n := range events {
		l.Finish(event(n), ledger.Done)
		if n%each == each-1 {
			if err := l.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := l.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, _, err := store.List(t.Context(), webhook.PartitionPrefix(7), "", 1000)
	if err != nil || len(page) > 10 {
		t.Errorf("%d objects are left after tidying up: %v", len(page), err)
	}
	if l.Events() != events {
		t.Errorf("%d events are remembered", l.Events())
	}
	next := open(t, store, 6)
	for n := range events {
		if next.Seen(event(n)) != ledger.WasDone {
			t.Fatalf("event %d is not known", n)
		}
	}
}

// TestOldEventsAreForgotten: by the store's clock, and no earlier than Keep.
func TestOldEventsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, &buffertest.Memory{}, 5)
		for n := range ledger.MaxRecent + 1 { // a file
			l.Finish(event(n), ledger.Done)
		}
		for day := range 10 {
			if err := l.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Tidy(t.Context()); err != nil {
				t.Fatal(err)
			}
			if known := l.Seen(event(1)) == ledger.WasDone; known != (day < 8) {
				t.Errorf("day %d: event is known: %v", day, known)
			}
			time.Sleep(24 * time.Hour)
			l.Follow(ledger.Position{Stream: "s", Next: uint64(day)})
		}
	})
}

// TestModesFollowEachOther: the head of compare-and-swap is taken over by the log,
// and who still swaps it is fenced.
func TestModesFollowEachOther(t *testing.T) {
	store, log := &buffertest.Memory{}, &checkpointLog{granted: 6}
	old := open(t, store, 5)
	old.Finish(event(1), ledger.Done)
	if err := old.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := ledger.Config{Store: store, Commits: ledger.Log{Checkpoints: checkpoints{log: log, token: 6}}, Partition: 7, Token: 6}
	l, err := ledger.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if l.Seen(event(1)) != ledger.WasDone {
		t.Error("what was finished by compare-and-swap is not known")
	}
	old.Finish(event(2), ledger.Done)
	if err := old.Commit(t.Context()); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("commit by compare-and-swap afterwards: %v", err)
	}
	if err := old.Commit(t.Context()); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("and again: %v", err)
	}
}

// TestDamage: a head or file that is not what was written is told, not believed.
func TestDamage(t *testing.T) {
	store := &buffertest.Memory{}
	l := open(t, store, 5)
	for n := range ledger.MaxRecent + 1 {
		l.Finish(event(n), ledger.Done)
	}
	if err := l.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, _, err := store.List(t.Context(), webhook.PartitionPrefix(7), "", 1000)
	if err != nil || len(page) != 2 {
		t.Fatal(page, err)
	}
	for _, i := range page {
		o, err := store.Get(t.Context(), i.Key)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{o.Body[:len(o.Body)-1], append([]byte("x"), o.Body...), nil} {
			if _, err := store.Put(t.Context(), i.Key, bad, buffer.Condition{}); err != nil {
				t.Fatal(err)
			}
			_, err := ledger.Open(t.Context(), ledger.Config{Store: store, Commits: ledger.CAS{}, Partition: 7, Token: 6})
			if !errors.Is(err, ledger.ErrHead) {
				t.Errorf("%s with %d bytes of %d: %v", i.Key, len(bad), len(o.Body), err)
			}
		}
		if _, err := store.Put(t.Context(), i.Key, o.Body, buffer.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyStreams: more streams or missing numbers than a head holds keep nobody
// from committing, and what is not held is read again.
func TestManyStreams(t *testing.T) {
	store := &buffertest.Memory{}
	l := open(t, store, 5)
	for n := range ledger.MaxStreams + 10 {
		l.Follow(ledger.Position{Stream: fmt.Sprintf("z%d-%012x-%016x", 9999-n, n, n), Next: 1})
	}
	lacks := ledger.Position{Stream: fmt.Sprintf("a-%012x-%016x", 1<<40, 0), Next: 5000}
	for n := range uint64(ledger.MaxMissing + 10) {
		lacks.Missing = append(lacks.Missing, 2*n)
	}
	l.Follow(lacks)
	l.Finish(event(1), ledger.Done)
	if err := l.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := open(t, store, 6)
	at := next.Positions()
	if len(at) != ledger.MaxStreams || next.Seen(event(1)) != ledger.WasDone {
		t.Errorf("%d streams are held", len(at))
	}
	if _, old := at[fmt.Sprintf("z%d-%012x-%016x", 9999, 0, 0)]; old {
		t.Error("the oldest stream was held, a newer one was not")
	}
	if p := at[lacks.Stream]; len(p.Missing) != ledger.MaxMissing || p.Next != 2*ledger.MaxMissing {
		t.Errorf("position with too many missing numbers: next %d, %d missing", p.Next, len(p.Missing))
	}
}

// TestFilesStayFew: also when nobody tidies.
func TestFilesStayFew(t *testing.T) {
	store := &buffertest.Memory{}
	l := open(t, store, 5)
	for n := range 100 * (ledger.MaxRecent + 1) {
		l.Finish(event(n), ledger.Done)
		if n%(ledger.MaxRecent+1) == ledger.MaxRecent {
			if err := l.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := store.Keys(webhook.PartitionPrefix(7))
	if _, err := l.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := store.Keys(webhook.PartitionPrefix(7)); len(after) > 12 || len(before) < 100 || l.Events() != 100*(ledger.MaxRecent+1) {
		t.Errorf("%d objects, %d events", len(after), l.Events())
	}
}

func TestPin(t *testing.T) {
	store := &buffertest.Memory{}
	for _, c := range []struct {
		partitions int
		ok         bool
	}{{0, false}, {257, false}, {64, true}, {64, true}, {128, false}} {
		if err := ledger.Pin(t.Context(), store, c.partitions); (err == nil) != c.ok {
			t.Errorf("Pin(%d): %v", c.partitions, err)
		}
	}
}
