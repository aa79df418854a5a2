//go:build !failpoints

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/client/leases/redissink"
	"github.com/pointsman/pointsman/internal/boot"
)

// What a counting worker that is a process of its own is told: the name of the
// worker, the coordinators, and the sink.
const (
	envCounter   = "CHAOS_COUNTER"
	envEndpoints = "CHAOS_ENDPOINTS"
	envSink      = "CHAOS_SINK"
)

// How a worker counts.
const (
	countPool  = "count"
	countPace  = 5 * time.Millisecond
	sinkWithin = time.Second // one call of the sink
)

// TestMain: with envCounter this program is a counting worker, so that one can
// be killed and stopped.
func TestMain(m *testing.M) {
	if name := os.Getenv(envCounter); name != "" {
		os.Exit(countAlone(name))
	}
	os.Exit(m.Run())
}

// countAlone works until SIGTERM, and dies with the test that has its stdin.
func countAlone(name string) int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c := newCounting(os.Getenv(envSink), func(m mark) { fmt.Println(m) })
	defer c.sink.Close()
	if err := c.run(ctx, name, strings.Split(os.Getenv(envEndpoints), ",")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// mark is what the sink said to one attempt to count, or to raise the fence.
type mark struct {
	Said      string // applied, already, raised, or fenced
	Partition uint32
	Token     uint64
	Value     int64         // that was to be counted; 0: the fence was to be raised
	Newest    uint64        // token that the sink had then
	Asked     time.Duration // before the first call, by the clock that all processes share
	Heard     time.Duration // after the answer
}

func (m mark) String() string {
	return fmt.Sprintf("%s %d %d %d %d %d %d", m.Said, m.Partition, m.Token, m.Value, m.Newest, m.Asked, m.Heard)
}

// marks hands on the marks that a worker writes, a line each.
func marks(r io.Reader, tell func(mark)) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var m mark
		if n, _ := fmt.Sscan(lines.Text(), &m.Said, &m.Partition, &m.Token, &m.Value, &m.Newest, &m.Asked, &m.Heard); n == 7 {
			tell(m)
		}
	}
}

// counting is a worker that reads a partition's counter once, when it is granted
// it, and then writes one more and one more. It looks at no clock before it
// writes: nothing but the sink keeps out one that comes late, and a late write
// that got through would be a number twice or one left out.
type counting struct {
	sink   *redis.Client
	script *redis.Script
	tell   func(mark)
}

func newCounting(sink string, tell func(mark)) *counting {
	return &counting{
		sink:   redis.NewClient(&redis.Options{Addr: sink, ReadTimeout: sinkWithin, WriteTimeout: sinkWithin}),
		script: redis.NewScript(redissink.Source()), tell: tell,
	}
}

func (c *counting) run(ctx context.Context, name string, endpoints []string) error {
	conn, err := client.Dial(endpoints)
	if err != nil {
		return err
	}
	defer conn.Close()
	return leases.Run(ctx, conn.Conn(), leases.Config{Pool: countPool, Worker: name, Stop: time.Second}, c.work)
}

func (c *counting) work(ctx context.Context, l *leases.Lease) error {
	fence, counter := "fence:"+l.ID(), fmt.Sprint("count:", l.Partition)
	if err := c.until(ctx, mark{Partition: l.Partition, Token: l.Token}, []string{fence}, l.Token, 60); err != nil {
		return err
	}
	value, err := c.sink.Get(context.WithoutCancel(ctx), counter).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("%w: the counter cannot be read: %w", leases.ErrLost, err)
	}
	for {
		time.Sleep(countPace) // where a pause most likely falls: the attempt after it is made whatever ctx says
		value++
		began := time.Now()
		err := c.until(ctx, mark{Partition: l.Partition, Token: l.Token, Value: value}, []string{fence, fmt.Sprint("done:", l.Partition, ":", l.Token, ":", value), counter, fmt.Sprint("journal:", l.Partition)},
			l.Token, 3600, 3, "SET", counter, value, 3, "RPUSH", fmt.Sprint("journal:", l.Partition), fmt.Sprint(l.Token, ":", value))
		if err != nil {
			return err
		}
		if time.Since(began) > countTTL {
			continue // stopped in the midst of it: another attempt, which comes late
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.Draining():
			return nil
		default:
		}
	}
}

// until calls the sink until it answers, and tells what it said. A call whose
// answer was lost is made again with the same id; ctx ends only the repeats.
func (c *counting) until(ctx context.Context, m mark, keys []string, args ...any) (err error) {
	m.Asked = boot.Time()
	for {
		answer, err := c.script.Run(context.WithoutCancel(ctx), c.sink, keys, args...).StringSlice()
		switch {
		case err == nil:
			m.Said, m.Heard = answer[0], boot.Time()
			if m.Newest, err = strconv.ParseUint(answer[1], 10, 64); err != nil {
				return err
			}
			if c.tell(m); m.Said == "fenced" {
				return redissink.ErrFenced
			}
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		time.Sleep(countPace)
	}
}
