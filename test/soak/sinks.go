package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pointsman/pointsman/client/leases/redissink"
	"github.com/pointsman/pointsman/test/clouds/hooks"
)

// effectKey begins the keys of the fenced sink's effects.
const effectKey = "effect:"

// effectKeep is how long the fenced sink keeps ids, in seconds: longer than a soak.
const effectKeep = 86400

// sinks is the handler: it takes each event at a plain sink, which counts calls,
// and at a fenced one, where one script compares the token, keeps the key and
// carries the effect out. Its methods may be called concurrently.
type sinks struct {
	client *redis.Client
	script *redis.Script

	mu    sync.Mutex
	calls map[string]int       // by webhook id
	first map[string]time.Time // when the fenced sink took it
	order map[string][]string  // webhook ids by shop, as the fenced sink took them
	count sinkCounts
}

// sinkCounts is what the handler answered besides.
type sinkCounts struct {
	Calls   int // in all
	Applied int // by the fenced sink
	Already int // it had the key
	Fenced  int // a newer token was seen there
	Failed  int // on purpose, after the effect
	Broken  int // the sink itself failed
	Foreign int // bodies that are not the event's
}

func newSinks(client *redis.Client) *sinks {
	return &sinks{client: client, script: redis.NewScript(redissink.Source()), calls: map[string]int{}, first: map[string]time.Time{}, order: map[string][]string{}}
}

// ServeHTTP is one call of the handler. Every hundredth event fails once after
// its effect, as if the worker had died there.
func (s *sinks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, shop := r.Header.Get("X-Shopify-Webhook-Id"), r.Header.Get("X-Shopify-Shop-Domain")
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, "body", http.StatusBadRequest)
		return
	}
	calls := s.called(id, bytes.Equal(body, bodyOf(id)))
	said, err := s.fenced(r.Context(), id, r.Header)
	if s.take(id, shop, said, err); err != nil {
		http.Error(w, "sink", http.StatusServiceUnavailable)
		return
	}
	switch {
	case said == "fenced":
		w.Header().Set("Pointsman-Fenced", "1")
		w.WriteHeader(http.StatusConflict)
	case calls == 1 && unlucky(id):
		s.mu.Lock()
		s.count.Failed++
		s.mu.Unlock()
		http.Error(w, "on purpose", http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func unlucky(id string) bool {
	h := fnv.New32a()
	h.Write([]byte(id))
	return h.Sum32()%100 == 0
}

// called is the plain sink.
func (s *sinks) called(id string, own bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.Calls++
	s.calls[id]++
	if !own {
		s.count.Foreign++
	}
	return s.calls[id]
}

// fenced is the fenced sink. A call that the worker gave up is carried out all
// the same: only its token decides.
func (s *sinks) fenced(ctx context.Context, id string, h http.Header) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	keys := []string{"fence:" + poolName + "/" + h.Get("Pointsman-Partition"), "done:" + h.Get("Idempotency-Key"), effectKey + id}
	answer, err := s.script.Run(ctx, s.client, keys, h.Get("Pointsman-Token"), effectKeep, 2, "INCR", effectKey+id).StringSlice()
	if err != nil {
		return "", err
	}
	return answer[0], nil
}

func (s *sinks) take(id, shop, said string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.count.Broken++
	case said == "applied":
		s.count.Applied++
		s.first[id] = time.Now()
		s.order[shop] = append(s.order[shop], id)
	case said == "already":
		s.count.Already++
	case said == "fenced":
		s.count.Fenced++
	}
}

// has is how many of these ids the fenced sink has taken.
func (s *sinks) has(ids map[string]hooks.Ack) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range ids {
		if _, ok := s.first[id]; ok {
			n++
		}
	}
	return n
}

// effects reads all of the fenced sink: how often each event's effect stands
// there.
func (s *sinks) effects(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	for cursor := uint64(0); ; {
		keys, next, err := s.client.Scan(ctx, cursor, effectKey+"*", 1000).Result()
		if err != nil {
			return nil, err
		}
		if len(keys) > 0 {
			values, err := s.client.MGet(ctx, keys...).Result()
			if err != nil {
				return nil, err
			}
			for i, v := range values {
				out[strings.TrimPrefix(keys[i], effectKey)] = fmt.Sprint(v)
			}
		}
		if cursor = next; cursor == 0 {
			return out, nil
		}
	}
}
