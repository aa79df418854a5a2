package redissink

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/pointsman/pointsman/client/leases"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a real Redis, and a client of it.
func server(t *testing.T) *redis.Client {
	t.Helper()
	l, err := redislab.Start(t.Context(), redislab.Options{Replicas: 1, Sentinels: 1, Quorum: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	at, err := l.Master(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: at})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestSink(t *testing.T) {
	c := server(t)
	s := New(c, Config{Prefix: "pm:", Keep: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	add := Command{"INCRBY", "orders", "1"}
	for i, row := range []struct {
		token uint64
		id    string
		want  Outcome
		err   error
		total string
	}{
		{9, "a", Applied, nil, "1"},
		{9, "a", Already, nil, "1"},
		{9, "b", Applied, nil, "2"},
		{10, "b", Already, nil, "2"}, // 10 is more than 9, as a text it is less
		{9, "c", "", ErrFenced, "2"},
		{9, "a", "", ErrFenced, "2"},
		{10, "c", Applied, nil, "3"},
		{1<<53 + 1, "d", Applied, nil, "4"},
		{1 << 53, "e", "", ErrFenced, "4"}, // as numbers of Lua they are equal
		{math.MaxUint64, "f", Applied, nil, "5"},
		{math.MaxUint64 - 1, "g", "", ErrFenced, "5"},
	} {
		got, err := s.run(ctx, "jobs/3", row.token, row.id, []Command{add})
		total, _ := c.Get(ctx, "orders").Result()
		if got != row.want || !errors.Is(err, row.err) || total != row.total {
			t.Errorf("%d: token %d, id %s: %q, %v, orders %s", i, row.token, row.id, got, err, total)
		}
	}
	if _, err := s.run(ctx, "jobs/4", 1, "h", []Command{add}); err != nil {
		t.Errorf("another partition has its own fence: %v", err)
	}
	if _, err := s.run(ctx, "jobs/4", 0, "i", nil); err == nil || !strings.Contains(err.Error(), "above 0") {
		t.Errorf("token 0: %v", err)
	}
	if life := c.TTL(ctx, "pm:done:a").Val(); life <= 0 || life > time.Minute {
		t.Errorf("ids are kept for %s", life)
	}
	// What Redis refuses is told, and may be tried again.
	if _, err := s.run(ctx, "jobs/4", 1, "j", []Command{{"LPUSH", "orders", "x"}}); err == nil || c.Exists(ctx, "pm:done:j").Val() != 0 {
		t.Errorf("a command that is refused: %v", err)
	}
	raised := &leases.Lease{Pool: "jobs", Partition: 5, Token: 4}
	if err := s.Raise(ctx, raised); err == nil {
		t.Error("a lease that nobody granted raises the fence")
	}
	if _, err := s.Apply(ctx, raised, "k", add); err == nil {
		t.Error("a lease that nobody granted applies")
	}
}

// TestWorkNeedsAnID: without one nothing is sent, least of all over a user's key.
func TestWorkNeedsAnID(t *testing.T) {
	c := server(t)
	if err := c.Set(t.Context(), "orders", 7, 0).Err(); err != nil {
		t.Fatal(err)
	}
	_, err := New(c, Config{}).Apply(t.Context(), &leases.Lease{}, "", Command{"INCRBY", "orders", "1"})
	if left, _ := c.Get(t.Context(), "orders").Result(); !errors.Is(err, ErrID) || left != "7" {
		t.Errorf("%v, orders is %q", err, left)
	}
}

// Sixteen workers count to what there is to count, each piece of work offered to
// several under tokens that only rise; whoever is late is refused. The counter
// is exact, and so is what the last holder saw.
func TestCounterIsExact(t *testing.T) {
	const workers, pieces = 16, 400
	c := server(t)
	s := New(c, Config{Prefix: "{n}:"})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var mu sync.Mutex
	token, fenced, applied := uint64(0), 0, 0
	next := func() uint64 { mu.Lock(); defer mu.Unlock(); token++; return token }
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			mine := next()
			for i := range pieces {
				if (i+w)%50 == 0 {
					mine = next() // the partition moved here
				}
				got, err := s.run(ctx, "n/0", mine, fmt.Sprint(i), []Command{{"INCRBY", "{n}:total", "1"}})
				mu.Lock()
				switch {
				case errors.Is(err, ErrFenced):
					fenced++
				case err != nil:
					t.Error(err)
				case got == Applied:
					applied++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	last := next()
	for i := range pieces {
		got, err := s.run(ctx, "n/0", last, fmt.Sprint(i), []Command{{"INCRBY", "{n}:total", "1"}})
		if err != nil {
			t.Fatal(err)
		}
		if got == Applied {
			applied++
		}
	}
	total, err := c.Get(ctx, "{n}:total").Int()
	if err != nil || total != pieces || applied != pieces || fenced == 0 {
		t.Errorf("counted %d of %d (%v), applied %d, %d were fenced", total, pieces, err, applied, fenced)
	}
}
