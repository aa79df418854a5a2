package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// How the Writer writes.
const (
	writeEvery   = 5 * time.Millisecond
	writeTimeout = 500 * time.Millisecond // for a connection, and for an answer
	writesOnConn = 50                     // then a fresh connection, like a client without a pool
)

// Client is what the Writer has seen.
type Client struct {
	// WritesOK counts the SETs that were acknowledged.
	WritesOK int64 `json:"writes_ok"`
	// LongestGapMS is the longest time between two acknowledged SETs, in
	// milliseconds, the unfinished gap at the end included.
	LongestGapMS float64 `json:"longest_gap_ms"`
}

// Writer sets one key to a rising number through the load balancer, again and
// again, until it is stopped. It speaks RESP by itself.
type Writer struct {
	address string
	cancel  context.CancelFunc
	ended   chan struct{}

	mu      sync.Mutex // guards what follows
	ok      int64
	last    time.Time // of the newest acknowledged SET; zero before the first
	longest time.Duration
	stopped bool
	why     error // the newest failure; nil before the first
}

func startWriter(address string) *Writer {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{address: address, cancel: cancel, ended: make(chan struct{})}
	go w.run(ctx)
	return w
}

func (w *Writer) run(ctx context.Context) {
	defer close(w.ended)
	for n := int64(1); ctx.Err() == nil; {
		done, err := w.session(ctx, n)
		n += done
		if err != nil {
			w.mu.Lock()
			w.why = err
			w.mu.Unlock()
			pause(ctx, writeEvery)
		}
	}
}

// session writes on one connection and says how many SETs were acknowledged.
func (w *Writer) session(ctx context.Context, n int64) (done int64, err error) {
	d := net.Dialer{Timeout: writeTimeout}
	c, err := d.DialContext(ctx, "tcp", w.address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for ; done < writesOnConn && ctx.Err() == nil; done++ {
		if err := set(c, r, n+done); err != nil {
			return done, err
		}
		w.acknowledged(time.Now())
		pause(ctx, writeEvery)
	}
	return done, nil
}

func set(c net.Conn, r *bufio.Reader, n int64) error {
	if err := c.SetDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	value := strconv.FormatInt(n, 10)
	if _, err := fmt.Fprintf(c, "*3\r\n$3\r\nSET\r\n$15\r\npointsman:count\r\n$%d\r\n%s\r\n", len(value), value); err != nil {
		return err
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if line != "+OK\r\n" {
		return errors.New(line)
	}
	return nil
}

func (w *Writer) acknowledged(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.last.IsZero() {
		w.longest = max(w.longest, at.Sub(w.last))
	}
	w.ok, w.last = w.ok+1, at
}

// Seen is what the Writer has seen so far.
func (w *Writer) Seen() Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	longest := w.longest
	if !w.last.IsZero() && !w.stopped {
		longest = max(longest, time.Since(w.last))
	}
	return Client{WritesOK: w.ok, LongestGapMS: millis(longest)}
}

// wrote waits until a SET sent after a moment has been acknowledged.
func (w *Writer) wrote(ctx context.Context, after time.Time) error {
	return Until(ctx, waitAnswer, "a write through the load balancer", func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.last.After(after) {
			return nil
		}
		if w.why == nil {
			return fmt.Errorf("none yet, %d before", w.ok)
		}
		return fmt.Errorf("%d writes so far, newest failure: %w", w.ok, w.why)
	})
}

// stop ends the writing; Seen stays. It may be called again.
func (w *Writer) stop() {
	w.cancel()
	<-w.ended
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.last.IsZero() && !w.stopped {
		w.longest = max(w.longest, time.Since(w.last))
	}
	w.stopped = true
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// millis is a duration in milliseconds, a tenth exact.
func millis(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
