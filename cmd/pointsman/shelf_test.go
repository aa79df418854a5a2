package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/proto"

	webhookv1 "github.com/pointsman/pointsman/proto/webhook/v1"
	"github.com/pointsman/pointsman/webhook"
	"github.com/pointsman/pointsman/webhook/buffer"
)

// startShelf makes a folder that webhooks were kept in for three hours, one a
// minute: 180 in one stream, of two shops; every 60th is a dead letter, whose ids
// are $DEAD0 to $DEAD2; one delivery is in quarantine. It writes the webhook file.
func startShelf(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: shelf FILE")
	}
	dir := ts.MkAbs("shelf")
	store, err := buffer.OpenDir(dir)
	ts.Check(err)
	put := func(key string, body []byte) {
		_, err := store.Put(context.Background(), key, body, buffer.Condition{Absent: true})
		ts.Check(err)
	}
	letter := func(key string, e webhook.Event, reason string) {
		b, err := proto.Marshal(&webhookv1.Letter{Event: webhook.Envelope(e), Body: e.Body, Reason: reason, Token: 7, AtNs: e.Arrived.UnixNano(),
			Attempts: []*webhookv1.Attempt{{AtNs: e.Arrived.UnixNano(), TookNs: 12e6, Outcome: "422 \x1b[2J Unprocessable", Worker: "w1", Token: 7}}})
		ts.Check(err)
		put(key, b)
	}
	end := time.Now()
	began := end.Add(-3 * time.Hour)
	ts.Setenv("MIDDLE", end.Add(-time.Hour).UTC().Format(time.RFC3339Nano))
	ts.Setenv("END", end.UTC().Format(time.RFC3339Nano))
	stream := fmt.Sprintf("rx-%012x-0123456789abcdef", began.UnixMilli())
	for n := range 180 {
		body := fmt.Appendf(nil, "{\"n\":%d,\"note\":\"%s\"}\n", n, "\u009b1m")
		shop, topic := fmt.Sprintf("shop-%d.example", n%2), []string{"orders/create", "app/uninstalled"}[n%3/2]
		e := webhook.Event{ID: webhook.IDOf("orders", shop, fmt.Sprint(n)), Sum: sha256.Sum256(body), App: "orders", Shop: shop, Topic: topic,
			WebhookID: fmt.Sprint(n), ContentType: "application/json", Arrived: began.Add(time.Duration(n) * time.Minute), Body: body}
		seg := webhook.Segment{Stream: stream, Number: uint64(n)}
		seg.Slots.Add(e.Slot())
		b, err := webhook.EncodeSegment([]webhook.Event{e})
		ts.Check(err)
		put(seg.Key(), b)
		if n%60 == 0 {
			letter(webhook.DeadKey(e, 7), e, "handler: 422 Unprocessable")
			ts.Setenv(fmt.Sprint("DEAD", n/60), e.Key().String())
		}
		if n == 1 {
			e.Body, e.Sum = []byte("x"), sha256.Sum256([]byte("x"))
			letter(webhook.QuarantineKey(e), e, "its webhook id was delivered before, with another body")
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), fmt.Appendf(nil, "store: {dir: {path: %s}}\n", dir), 0o600))
}
