package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/bucket"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/s3"
)

// bodyOf is what is written under a key: no two are alike, and sizes differ.
func bodyOf(key string) []byte {
	return bytes.Repeat([]byte(key+" "), 1+len(key)*len(key)%7*2000)
}

// ledger is what writers were told.
type ledger struct {
	mu      sync.Mutex
	stored  []string // Put returned nil
	unclear []string // Put returned an error that leaves it open
}

func (l *ledger) put(ctx context.Context, s *s3.Store, key string) {
	_, err := s.Put(ctx, key, bodyOf(key), buffer.Condition{Absent: true})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.stored = append(l.stored, key)
	} else {
		l.unclear = append(l.unclear, key)
	}
}

// check reads back all that was stored; of what is unclear, all or nothing is
// there, and one more Put makes it clear.
func (l *ledger) check(t *testing.T, s *s3.Store) {
	t.Helper()
	for _, key := range l.stored {
		if o, err := s.Get(t.Context(), key); err != nil || !bytes.Equal(o.Body, bodyOf(key)) {
			t.Errorf("%s was stored; now %d bytes, %v", key, len(o.Body), err)
		}
	}
	for _, key := range l.unclear {
		if _, err := s.Put(t.Context(), key, bodyOf(key), buffer.Condition{Absent: true}); err != nil && !errors.Is(err, buffer.ErrCondition) {
			t.Errorf("%s again: %v", key, err)
		}
		if o, err := s.Get(t.Context(), key); err != nil || !bytes.Equal(o.Body, bodyOf(key)) {
			t.Errorf("%s was put again; now %d bytes, %v", key, len(o.Body), err)
		}
	}
}

// The store is killed in the middle of puts: each that had returned can be read
// from the next process, and none is there in half.
func TestKilledInMidPut(t *testing.T) {
	p := versitygw(t)
	s := open(t, config(p.Endpoint(), ""))
	var told ledger
	for round := range 3 {
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var puts atomic.Int64
		enough := make(chan struct{})
		for w := range 8 {
			all.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					told.put(t.Context(), s, fmt.Sprintf("in/%d-%d/%04d", round, w, i))
					if puts.Add(1) == 100 {
						close(enough)
					}
				}
			})
		}
		<-enough
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		stop()
		all.Wait()
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	told.check(t, s)
	t.Logf("%d stored, %d unclear", len(told.stored), len(told.unclear))
}

// A store that is stopped answers nobody; each call ends when its ctx does, and
// what comes of it is seen when the store goes on.
func TestStoreThatHangs(t *testing.T) {
	p := versitygw(t)
	s := open(t, config(p.Endpoint(), ""))
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var told ledger
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { told.put(ctx, s, fmt.Sprintf("in/hung/%d", i)) })
	}
	all.Wait()
	if len(told.unclear) != 8 {
		t.Errorf("%d of 8 are unclear", len(told.unclear))
	}
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	told.check(t, s)
}

// Everything goes wrong before a real store: what was told stays true.
func TestVersitygwThroughFaults(t *testing.T) {
	p := versitygw(t)
	way, err := bucket.ProxyTo(p.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	front := &bucket.Front{Next: way}
	server := httptest.NewServer(front)
	defer server.Close()
	s := open(t, config(server.URL, "through/"))
	for range 20 {
		front.Break(http.MethodPut, bucket.None, bucket.Busy, bucket.Drop, bucket.None, bucket.Reset, bucket.Conflict, bucket.Cut, bucket.FalseGood, bucket.BadGateway, bucket.Silent, bucket.None)
	}
	var told ledger
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 50 {
				told.put(t.Context(), s, fmt.Sprintf("in/%d/%04d", w, i))
			}
		})
	}
	all.Wait()
	if len(told.stored) == 0 || len(told.unclear) < 50 {
		t.Fatalf("%d stored, %d unclear", len(told.stored), len(told.unclear))
	}
	front.Mend()
	told.check(t, s)
}
