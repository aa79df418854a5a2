package webhook_test

import (
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"

	"github.com/pointsman/pointsman/webhook"
)

// A retry is the same event each time it is asked for, another one for the
// ledger than the one that died, and the same one for the sink, also when a
// retry dies and is retried, and when what died was a replay's.
func TestRetried(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		e.ID = webhook.IDOf(e.App, e.Shop, e.WebhookID)
		e.Replay = rapid.SampledFrom([]string{"", "monday", "quarantine-0123456789abcdef"}).Draw(t, "replay of what died")
		want := e.ID.Again(e.Replay).String()
		if e.IdempotencyKey() != want {
			t.Fatalf("key of %q is %s", e.Replay, e.IdempotencyKey())
		}
		keys := map[webhook.ID]string{e.Key(): e.Replay}
		for range rapid.IntRange(1, 5).Draw(t, "retries") {
			again := e.Retried()
			if again.Key() != e.Retried().Key() {
				t.Fatal("asked for twice it is two events")
			}
			if was, ok := keys[again.Key()]; ok {
				t.Fatalf("retry %q has the key of %q", again.Replay, was)
			}
			if again.IdempotencyKey() != want {
				t.Fatalf("retry %q has another idempotency key", again.Replay)
			}
			keys[again.Key()], e = again.Replay, again
		}
	})
}

// What is released from the quarantine is an event of its own, for ledger and
// sink, and another body is another event.
func TestReleased(t *testing.T) {
	e := webhook.Event{ID: webhook.IDOf("orders", "a.example", "1"), Sum: sha256.Sum256([]byte("one"))}
	other := e
	other.Sum = sha256.Sum256([]byte("two"))
	keys := map[string]bool{e.IdempotencyKey(): true}
	for _, r := range []webhook.Event{e.Released(), other.Released()} {
		if keys[r.IdempotencyKey()] || r.IdempotencyKey() != r.Key().String() {
			t.Errorf("%q has the idempotency key %s", r.Replay, r.IdempotencyKey())
		}
		keys[r.IdempotencyKey()] = true
		if again := r.Retried(); again.IdempotencyKey() != r.IdempotencyKey() {
			t.Errorf("its retry %q has another idempotency key", again.Replay)
		}
	}
	once, twice := e.Released(), e.Released()
	if once.Key() != twice.Key() {
		t.Error("released twice it is two events")
	}
}

func TestValidReplay(t *testing.T) {
	for text, want := range map[string]bool{
		"monday": true, "0123456789abcdef": true, "a": true, "": false, "-a": false, "a-": false, "A": false, "a.b": false, "a/b": false,
		"retry-0123456789abcdef": false, "quarantine-1": false, "retry": true,
	} {
		if webhook.ValidReplay(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
