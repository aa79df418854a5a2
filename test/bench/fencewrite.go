package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// How clients write: 100 a second through each front, half of them on
// connections that are kept, half on a new one for each write.
const (
	fenceEvery  = 20 * time.Millisecond // of each of the two
	fenceAnswer = 500 * time.Millisecond
	fenceBatch  = 500 // keys in one question
)

// fenceWriters write keys that no other write has, and keep those that were
// acknowledged.
type fenceWriters struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex // guards what follows
	acked map[string][]string
}

func startFenceWriters(fronts map[string]string, event string) *fenceWriters {
	ctx, cancel := context.WithCancel(context.Background())
	w := &fenceWriters{cancel: cancel, acked: map[string][]string{}}
	for name, address := range fronts {
		for _, keep := range []bool{true, false} {
			w.wg.Go(func() { w.run(ctx, name, address, fmt.Sprintf("%s/%s/kept=%t", event, name, keep), keep) })
		}
	}
	return w
}

// stop ends the writing; an answer that is still due is waited for.
func (w *fenceWriters) stop() {
	w.cancel()
	w.wg.Wait()
}

// run writes at a steady beat. A write without a clear answer is not counted,
// and ends its connection.
func (w *fenceWriters) run(ctx context.Context, front, address, prefix string, keep bool) {
	beat := time.NewTicker(fenceEvery)
	defer beat.Stop()
	dialer := net.Dialer{Timeout: fenceAnswer}
	var c net.Conn
	drop := func() {
		if c != nil {
			_ = c.Close()
			c = nil
		}
	}
	defer drop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		var err error
		if c == nil {
			if c, err = dialer.DialContext(ctx, "tcp", address); err != nil {
				c = nil
				continue
			}
		}
		key := fmt.Sprintf("%s/%d", prefix, n)
		if err = setOnce(c, key); err == nil {
			w.mu.Lock()
			w.acked[front] = append(w.acked[front], key)
			w.mu.Unlock()
		}
		if err != nil || !keep {
			drop()
		}
	}
}

// setOnce returns nil only for an acknowledged write.
func setOnce(c net.Conn, key string) error {
	if err := c.SetDeadline(time.Now().Add(fenceAnswer)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\n1\r\n", len(key), key); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != "+OK\r\n" {
		err = errors.New(line)
	}
	return err
}

// count asks the surviving master for every key that was acknowledged.
func (w *fenceWriters) count(ctx context.Context, master string) (spent, error) {
	out := spent{Acked: map[string]int{}, Lost: map[string]int{}}
	c := oneClient(master)
	defer c.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for front, keys := range w.acked {
		there := 0
		for from := 0; from < len(keys); from += fenceBatch {
			n, err := c.Exists(ctx, keys[from:min(from+fenceBatch, len(keys))]...).Result()
			if err != nil {
				return out, fmt.Errorf("count at %s: %w", master, err)
			}
			there += int(n)
		}
		out.Acked[front], out.Lost[front] = len(keys), len(keys)-there
	}
	return out, nil
}
