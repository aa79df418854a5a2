package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

const killedSecret = "hush"

// receiver is a real process.
type receiver struct {
	cmd    *exec.Cmd
	url    string
	client *http.Client // nil: the default one
}

func startReceiver(t *testing.T, config string) *receiver {
	t.Helper()
	r := &receiver{cmd: exec.CommandContext(t.Context(), "pointsman", "webhook", "receive", "--config", config)}
	said, err := r.cmd.StderrPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	listens := regexp.MustCompile(`msg=receiving .*listen=(\S+)`)
	for lines.Scan() {
		if m := listens.FindStringSubmatch(lines.Text()); m != nil {
			r.url = "http://" + m[1] + "/webhooks/orders"
			go func() {
				for lines.Scan() { // so that it never waits for a reader
				}
			}()
			return r
		}
		t.Log(lines.Text())
	}
	t.Fatalf("it does not receive: %v", r.cmd.Wait())
	return nil
}

// load delivers events until ctx ends, and answers those that were acknowledged.
func (r *receiver) load(ctx context.Context, round int) map[string]bool {
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d-%d-%d", round, worker, i)
				if r.deliver(ctx, id) {
					mu.Lock()
					acknowledged[id] = true
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return acknowledged
}

func (r *receiver) deliver(ctx context.Context, id string) bool {
	body := bodyOf(id)
	h := hmac.New(sha256.New, []byte(killedSecret))
	h.Write([]byte(body))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(body))
	if err != nil {
		return false
	}
	for name, value := range map[string]string{
		"Topic": "orders/create", "Shop-Domain": "a.myshopify.com", "Api-Version": "2026-10", "Webhook-Id": id, "Hmac-Sha256": base64.StdEncoding.EncodeToString(h.Sum(nil)),
	} {
		req.Header.Set("X-Shopify-"+name, value)
	}
	resp, err := cmp.Or(r.client, http.DefaultClient).Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func bodyOf(id string) string { return strings.Repeat(id+" ", 100) }

// TestReceiverKilled kills a receiver under load twenty times, while its store
// takes everything or nothing, and reads back whatever was acknowledged.
func TestReceiverKilled(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"), killedSecret+"\n")
	config, store := receiverFile(t, dir, "  spill: {policy: when_store_fails, dir: "+dir+"/spill, disk_floor: 0}\n"), filepath.Join(dir, "store")
	acknowledged := map[string]bool{}
	for round := range 20 {
		r := startReceiver(t, config)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(100+rand.IntN(250))*time.Millisecond, func() {
			_ = r.cmd.Process.Kill()
			cancel()
		})
		if round%2 == 1 { // from now on nothing can be written to the store
			time.AfterFunc(60*time.Millisecond, func() { _ = os.Rename(filepath.Join(store, "tmp"), filepath.Join(store, fmt.Sprint("tmp", round))) })
		}
		for id := range r.load(ctx, round) {
			acknowledged[id] = true
		}
		_ = r.cmd.Wait()
	}
	spilled, _ := filepath.Glob(filepath.Join(dir, "spill", "*.batch"))
	last := startReceiver(t, config)
	for !last.deliver(t.Context(), "last") {
		time.Sleep(10 * time.Millisecond)
	}
	_ = last.cmd.Process.Signal(syscall.SIGTERM)
	if err := last.cmd.Wait(); err != nil {
		t.Errorf("a clean end: %v", err)
	}
	have := storedBodies(t, store)
	for id := range acknowledged {
		if have[id] != bodyOf(id) {
			t.Errorf("%s was acknowledged, and its body is %.40q", id, have[id])
		}
	}
	if len(acknowledged) < 500 {
		t.Errorf("only %d were acknowledged", len(acknowledged))
	}
	left, _ := filepath.Glob(filepath.Join(dir, "spill", "*.batch"))
	if len(left) > 0 {
		t.Errorf("the spill is left with %d batches", len(left))
	}
	t.Logf("%d acknowledged in 20 runs, %d stored, %d batches were spilled at the last kill", len(acknowledged), len(have), len(spilled))
}

// receiverFile is the webhook file of a receiver, with more lines of its section.
func receiverFile(t *testing.T, dir string, more ...string) string {
	t.Helper()
	path := filepath.Join(dir, "webhook.yaml")
	write(t, path, "name: rx\nstore: {dir: {path: "+dir+"/store}}\n"+
		"apps: {orders: {secrets: [{from: \"file:"+dir+"/secret\"}]}}\n"+
		"receive:\n  listen: 127.0.0.1:0\n  metrics: 127.0.0.1:0\n"+strings.Join(more, ""))
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// storedBodies reads every event of a folder, by webhook id.
func storedBodies(t *testing.T, path string) map[string]string {
	t.Helper()
	store, err := buffer.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for after, more := "", true; more; {
		var page []buffer.Info
		if page, more, err = store.List(t.Context(), webhook.PrefixSegments, after, 1000); err != nil {
			t.Fatal(err)
		}
		for _, info := range page {
			after = info.Key
			o, err := store.Get(t.Context(), info.Key)
			if err != nil {
				t.Fatal(err)
			}
			events, err := webhook.DecodeSegment(o.Body)
			if err != nil {
				t.Fatalf("%s: %v", info.Key, err)
			}
			for _, e := range events {
				have[e.WebhookID] = string(e.Body)
			}
		}
	}
	return have
}
