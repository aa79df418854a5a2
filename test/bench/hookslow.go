package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/test/clouds/hooks"
)

// slowed is a receiver with many clients that send a byte a second, which it cuts
// off and which come again; meanwhile others post as fast as they are answered.
type slowed struct {
	Clients int     `json:"clients"`
	Most    float64 `json:"connections_most"` // open ones, as the receiver counts them
	Before  float64 `json:"rss_before_mib"`
	During  float64 `json:"rss_most_mib"`
	Alone   float64 `json:"p99_alone_ms"`
	Among   float64 `json:"p99_among_ms"`
	Rate    float64 `json:"per_second_among"`
	Acks    int     `json:"acks_among"`
	Others  int     `json:"not_2xx_among"`
}

// How slow clients behave, and how the others do.
const (
	slowByte  = time.Second
	slowAgain = 2 * time.Second // from being cut off to the next connection
	slowGood  = 16              // connections of the others
)

// slow measures a receiver of its own.
func (b *bench) slow(ctx context.Context, s *hookStage) (*slowed, error) {
	out := &slowed{Clients: s.o.slow}
	at, err := s.receiver(ctx, "slow", hooks.Bucket(s.store, "slow/"), fmt.Sprintf("  limits: {connections: %d}\n", min(2*s.o.slow+1000, 100000)))
	if err != nil {
		return nil, err
	}
	receiver, metrics := s.last, s.metrics
	out.Alone = percentile(flood(ctx, slowGood, s.o.span, 0, at).spans, 0.99)
	if out.Before, err = s.resident(receiver); err != nil {
		return nil, err
	}
	b.say("webhooks: %d slow clients", s.o.slow)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for i := range s.o.slow {
		wg.Go(func() { crawl(ctx, at, i) })
	}
	if err := rest(ctx, slowByte+slowAgain); err != nil { // all have come once
		return nil, err
	}
	wg.Go(func() {
		for rest(ctx, 100*time.Millisecond) == nil {
			if rss, err := s.resident(receiver); err == nil && rss > out.During {
				out.During = rss
			}
			if m, err := hooks.Metrics(ctx, metrics); err == nil {
				out.Most = max(out.Most, m["pointsman_webhook_connections"])
			}
		}
	})
	a := flood(ctx, slowGood, s.o.span, 0, at)
	cancel()
	wg.Wait()
	out.Among, out.Rate, out.Acks, out.Others = percentile(a.spans, 0.99), a.Rate, a.Acks, a.Others+a.Breaks
	return out, s.group.Kill(receiver)
}

// crawl is one slow client: half of them crawl in the headers, half in the body.
func crawl(ctx context.Context, at string, number int) {
	var head strings.Builder
	if number%2 == 0 {
		fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", hooks.Path, at, hookBody)
		for _, h := range (hooks.Post{Shop: "slow.myshopify.com", ID: fmt.Sprint("slow-", number)}).Headers() {
			fmt.Fprintf(&head, "%s: %s\r\n", h[0], h[1])
		}
		head.WriteString("\r\n")
	}
	for first := true; ctx.Err() == nil; first = false {
		if !first && rest(ctx, slowAgain) != nil {
			return
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", at)
		if err != nil {
			continue
		}
		crawlOn(ctx, c, head.String())
	}
}

// crawlOn sends a byte a second until the receiver has cut the connection.
func crawlOn(ctx context.Context, c net.Conn, head string) {
	text := head
	if text == "" {
		text = "P"
	}
	cut := make(chan struct{})
	go func() { // an answer, or the end
		defer close(cut)
		_, _ = c.Read(make([]byte, 1))
	}()
	defer func() {
		c.Close()
		<-cut
	}()
	t := time.NewTicker(slowByte)
	defer t.Stop()
	for {
		if _, err := c.Write([]byte(text)); err != nil {
			return
		}
		text = "x"
		select {
		case <-t.C:
		case <-cut:
			return
		case <-ctx.Done():
			return
		}
	}
}
