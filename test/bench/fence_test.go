package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// playground is real Redis with the two sides that a cut needs.
func playground(t *testing.T) (*fenceLab, string) {
	t.Helper()
	l, err := redislab.Start(t.Context(), redislab.Options{RedisExtra: []string{"bind " + innerHost + " " + outerHost}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	master, err := l.Master(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &fenceLab{redis: l}, master
}

// TestFenceCount: every acknowledged key is asked for, and what is gone is
// counted, by front.
func TestFenceCount(t *testing.T) {
	f, master := playground(t)
	w := startFenceWriters(map[string]string{frontMoved: master, frontChecked: outer(master)}, "test")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		moved, checked := len(w.acked[frontMoved]), len(w.acked[frontChecked])
		w.mu.Unlock()
		if moved > 5 && checked > 5 {
			break
		}
		if time.Now().After(end) {
			w.stop()
			t.Fatalf("%d and %d writes in 20 s", moved, checked)
		}
	}
	w.stop()
	one, err := w.count(t.Context(), master)
	if err != nil || one.Lost[frontMoved] != 0 || one.Lost[frontChecked] != 0 || one.Acked[frontMoved] != len(w.acked[frontMoved]) {
		t.Errorf("%+v, %v", one, err)
	}
	for _, key := range w.acked[frontMoved][:3] {
		if _, err := askRedis(t.Context(), master, "DEL", key); err != nil {
			t.Fatal(err)
		}
	}
	if one, err = w.count(t.Context(), master); err != nil || one.Lost[frontMoved] != 3 || one.Lost[frontChecked] != 0 {
		t.Errorf("with three keys gone: %+v, %v", one, err)
	}
	if err := f.redis.Kill(master); err != nil {
		t.Fatal(err)
	}
	if _, err := w.count(t.Context(), master); err == nil {
		t.Error("counted at a dead node")
	}
}

// TestFenceCut: the rest does not reach the node, on old connections or new
// ones, and clients do; join ends it.
func TestFenceCut(t *testing.T) {
	f, master := playground(t)
	inner, err := net.Dial("tcp", master)
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := setOnce(inner, "a"); err != nil {
		t.Fatal(err)
	}
	if err := f.cut(ctx, master); err != nil {
		t.Fatal(err)
	}
	if setOnce(inner, "b") == nil {
		t.Error("a connection from inside outlived the cut")
	}
	if _, err := askRedis(ctx, master, "PING"); err == nil {
		t.Error("a new connection from inside came through")
	}
	if got, err := askRedis(ctx, outer(master), "EXISTS", "a", "b"); err != nil || got != int64(1) {
		t.Errorf("a client's question: %v, %v", got, err)
	}
	if err := f.join(ctx, master); err != nil {
		t.Fatal(err)
	}
	if _, err := askRedis(ctx, master, "PING"); err != nil {
		t.Errorf("after the cut: %v", err)
	}
}

func TestFenceTable(t *testing.T) {
	f := figures{Fences: []losses{{Event: "a cut", Guard: "none", Dirty: 1, All: []spent{
		{Acked: map[string]int{frontMoved: 100, frontEnded: 90, frontChecked: 80}, Lost: map[string]int{frontMoved: 7, frontChecked: 50}},
		{Acked: map[string]int{frontMoved: 100, frontEnded: 90, frontChecked: 80}, Lost: map[string]int{frontMoved: 9, frontEnded: 1, frontChecked: 60}},
	}}}}
	var out bytes.Buffer
	f.fenceTable(&out)
	if want := "| a cut | none | 2 (1) | 7 / 9 | 0 / 1 | 50 / 60 | 90 |"; !strings.Contains(out.String(), want) {
		t.Errorf("%q is missing in\n%s", want, out.String())
	}
}
