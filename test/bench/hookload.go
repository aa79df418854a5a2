package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pointsman/pointsman/test/clouds/hooks"
)

// The load of a shop: bodies of so many bytes, over so many shops.
const (
	hookBody  = 4 << 10
	hookShops = 200

	hookConnections = 64
	hookWait        = 10 * time.Second // for one answer
)

// answers is what a load came to.
type answers struct {
	Acks    int // 2xx
	Others  int // another status
	Breaks  int // connections that broke
	Rate    float64
	spans   []float64 // ms of each 2xx
	elapsed time.Duration
}

// poster sends deliveries over one connection that stays open. The request is
// rendered once: only shop and webhook id differ, so that the load takes little
// from the machine that it measures.
type poster struct {
	at   string
	conn net.Conn
	in   *bufio.Reader
	head []byte // up to the shop
	tail []byte // from the line after the id on, with the body
	mark string
	n    int
}

func newPoster(at string, number int) *poster {
	p := &poster{at: at, mark: rand.Text()[:8] + "-" + strconv.Itoa(number)}
	body := bytes.Repeat([]byte("webhook "), hookBody/8)
	var head strings.Builder
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", hooks.Path, at, len(body))
	for _, h := range (hooks.Post{Body: body}).Headers() {
		if h[1] != "" {
			fmt.Fprintf(&head, "%s: %s\r\n", h[0], h[1])
		}
	}
	p.head = []byte(head.String() + "X-Shopify-Shop-Domain: ")
	p.tail = append([]byte("\r\n\r\n"), body...)
	return p
}

// post makes one delivery and answers its status.
func (p *poster) post(ctx context.Context) (int, error) {
	if p.conn == nil {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", p.at)
		if err != nil {
			return 0, err
		}
		p.conn, p.in = c, bufio.NewReader(c)
	}
	if err := p.conn.SetDeadline(time.Now().Add(hookWait)); err != nil {
		return 0, err
	}
	p.n++
	req := make([]byte, 0, len(p.head)+len(p.tail)+128)
	req = fmt.Appendf(append(req, p.head...), "shop-%d.myshopify.com\r\nX-Shopify-Webhook-Id: %s-%d", p.n%hookShops, p.mark, p.n)
	if _, err := p.conn.Write(append(req, p.tail...)); err != nil {
		return 0, err
	}
	status, keep, err := readAnswer(p.in)
	if err == nil && !keep {
		p.close()
	}
	return status, err
}

func (p *poster) close() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// readAnswer reads an answer with a Content-Length, and whether the connection
// stays.
func readAnswer(in *bufio.Reader) (status int, keep bool, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if len(line) < 12 {
		return 0, false, errors.New("answer is too short")
	}
	keep = string(line[:8]) == "HTTP/1.1"
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, err
	}
	size := -1
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return 0, false, err
		}
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), ":")
		if !ok {
			break
		}
		switch value = strings.TrimSpace(value); strings.ToLower(name) {
		case "content-length":
			size, err = strconv.Atoi(value)
		case "connection":
			keep = keep && !strings.EqualFold(value, "close")
		}
		if err != nil {
			return 0, false, err
		}
	}
	if size < 0 {
		return status, false, nil
	}
	_, err = in.Discard(size)
	return status, keep, err
}

// flood posts over so many connections at once, each one after another, for a
// span or until so many are acknowledged (0: no bound).
func flood(ctx context.Context, connections int, span time.Duration, enough int, at ...string) answers {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	each := make([]answers, connections)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() {
			p := newPoster(at[i%len(at)], i)
			defer p.close()
			quota := enough/connections + min(1, max(0, enough%connections-i))
			for ctx.Err() == nil && (enough == 0 || each[i].Acks < quota) {
				each[i].one(ctx, p)
			}
		})
	}
	wg.Wait()
	all := answers{elapsed: time.Since(began)}
	for _, a := range each {
		all.Acks, all.Others, all.Breaks, all.spans = all.Acks+a.Acks, all.Others+a.Others, all.Breaks+a.Breaks, append(all.spans, a.spans...)
	}
	all.Rate = tenth(float64(all.Acks) / all.elapsed.Seconds())
	return all
}

func (a *answers) one(ctx context.Context, p *poster) {
	began := time.Now()
	status, err := p.post(ctx)
	switch {
	case err != nil:
		p.close()
		a.Breaks++
		_ = rest(ctx, 10*time.Millisecond) // over then
	case status/100 == 2:
		a.Acks++
		a.spans = append(a.spans, float64(time.Since(began))/float64(time.Millisecond))
	default:
		a.Others++
	}
}
