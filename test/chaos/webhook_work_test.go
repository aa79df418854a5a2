//go:build !failpoints

package chaos

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// What TestWebhookWork sends.
const (
	hookEvents = 600
	hookShops  = 12
	hookWithin = 60 * time.Second
)

// TestWebhookWork: webhooks go from a receiver through a folder and two workers to
// a handler, all processes of their own. One worker is killed in the midst of it.
// Each event that was acknowledged reaches the handler, those of a shop in order;
// what comes twice has the same idempotency key and a newer token.
func TestWebhookWork(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	program := filepath.Join(build(t, "", lab.Program), lab.Program)
	l, err := lab.Start(ctx, lab.Options{
		Pointsman: program, Quiet: true,
		Pools: []lab.Shared{{Name: "hooks", Spec: "partitions: 8, ttl: 2s, drain: 1s, lock_delay: 500ms"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &hookSink{seen: map[string][]hookCall{}, enough: make(chan struct{})}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	ports, err := redislab.ReservePorts(4)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Release()
	dir := t.TempDir()
	start := func(verb string, port int) *exec.Cmd {
		file := filepath.Join(dir, fmt.Sprint(verb, port, ".yaml"))
		text := fmt.Sprintf("name: %s-%d\nstore: {dir: {path: %s}}\napps: {shop: {secrets: [{from: env:HOOK_SECRET}]}}\n"+
			"receive: {listen: 127.0.0.1:%d, metrics: 127.0.0.1:%d}\nwork: {pool: hooks, metrics: 127.0.0.1:%d, handler: {http: {url: %s}}}\n",
			verb, port, filepath.Join(dir, "buffer"), ports.Numbers[0], ports.Numbers[1], port, server.URL)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(ctx, program, "webhook", verb, "--config", file, "--endpoints", l.Nodes.Endpoints())
		cmd.Env = append(os.Environ(), "HOOK_SECRET=s3cret")
		cmd.Stderr = t.Output()
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 10 * time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	receiver := start("receive", ports.Numbers[0])
	first, second := start("work", ports.Numbers[2]), start("work", ports.Numbers[3])
	want := map[string][]string{}
	for i := range hookEvents {
		if i == hookEvents/2 {
			h.wait(t, hookEvents/4)
			_ = first.Process.Kill()
			_ = first.Wait()
		}
		shop, id := fmt.Sprintf("s%d.example.com", i%hookShops), fmt.Sprint("id-", i)
		deliver(ctx, t, fmt.Sprintf("http://127.0.0.1:%d/webhooks/shop", ports.Numbers[0]), shop, id)
		want[shop] = append(want[shop], id)
	}
	h.wait(t, hookEvents)
	for _, cmd := range []*exec.Cmd{second, receiver} {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", cmd.Args[1:3], err)
		}
	}
	h.judge(t, want)
}

// deliver sends one webhook until it is acknowledged, as a shop does.
func deliver(ctx context.Context, t *testing.T, url, shop, id string) {
	t.Helper()
	body := fmt.Appendf(nil, `{"id":%q}`, id)
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write(body)
	for end := time.Now().Add(hookWithin); ; {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Topic": "orders/create", "Shop-Domain": shop, "Api-Version": "2026-10", "Webhook-Id": id,
			"Hmac-Sha256": base64.StdEncoding.EncodeToString(mac.Sum(nil))} {
			r.Header.Set("X-Shopify-"+name, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("answered %d", resp.StatusCode)
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the receiver is starting
	}
}

// hookSink is the handler's end.
type hookSink struct {
	mu     sync.Mutex
	seen   map[string][]hookCall // by webhook id
	order  []hookCall
	target int
	enough chan struct{}
}

type hookCall struct{ id, shop, key, token string }

// ServeHTTP implements http.Handler.
func (h *hookSink) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	c := hookCall{r.Header.Get("X-Shopify-Webhook-Id"), r.Header.Get("X-Shopify-Shop-Domain"), r.Header.Get("Idempotency-Key"), r.Header.Get("Pointsman-Token")}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen[c.id] = append(h.seen[c.id], c)
	h.order = append(h.order, c)
	if h.target > 0 && len(h.seen) >= h.target {
		h.target = 0
		close(h.enough)
	}
}

// wait waits until so many events have come.
func (h *hookSink) wait(t *testing.T, n int) {
	t.Helper()
	h.mu.Lock()
	if len(h.seen) >= n {
		h.mu.Unlock()
		return
	}
	h.target, h.enough = n, make(chan struct{})
	enough := h.enough
	h.mu.Unlock()
	select {
	case <-enough:
	case <-time.After(hookWithin):
		h.mu.Lock()
		defer h.mu.Unlock()
		t.Fatalf("%d of %d events after %s", len(h.seen), n, hookWithin)
	}
}

func (h *hookSink) judge(t *testing.T, want map[string][]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	got, twice := map[string][]string{}, 0
	for _, c := range h.order {
		calls := h.seen[c.id]
		if calls[0] == c && !slices.Contains(got[c.shop], c.id) {
			got[c.shop] = append(got[c.shop], c.id)
		}
	}
	for id, calls := range h.seen {
		for i, c := range calls[1:] {
			twice++
			if c.key != calls[0].key || len(c.token) < len(calls[i].token) || len(c.token) == len(calls[i].token) && c.token < calls[i].token {
				t.Errorf("%s came as %v", id, calls)
			}
		}
	}
	for shop, ids := range want {
		if !slices.Equal(got[shop], ids) {
			t.Errorf("%s: %v, want %v", shop, got[shop], ids)
		}
	}
	t.Logf("%d events, %d calls more than that", len(h.seen), twice)
}
