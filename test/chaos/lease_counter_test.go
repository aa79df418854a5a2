//go:build !failpoints

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pointsman/pointsman/test/clouds/lab"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// The pool that is counted in, and its workers.
const (
	countParts  = 32
	countTTL    = 2 * time.Second
	countInside = 12 // workers inside of this process
	countAsides = 4  // workers that are processes of their own
	workWithin  = 30 * time.Second
)

// TestLeaseCounter: sixteen workers raise counters at a fenced Redis while the
// master that their pool depends on fails over, coordinators die and sleep, and
// workers are killed, stopped for three ttl and woken. -chaos.moves says how many
// failovers. Every counter is exact: its journal has each number once, in order,
// under tokens that only rise, and all that any worker was told is in it.
func TestLeaseCounter(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*flags.moves)*time.Minute+2*time.Minute)
	defer cancel()
	l, err := lab.Start(ctx, lab.Options{
		Pointsman: filepath.Join(build(t, "", lab.Program), lab.Program), Quiet: true, Rejoin: true, Hold: 500 * time.Millisecond,
		Pools: []lab.Shared{{Name: countPool, Moved: true, Spec: fmt.Sprintf("partitions: %d, ttl: %s, drain: 1s, lock_delay: 500ms", countParts, countTTL)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	c := newCrew(ctx, t, l.Nodes.Endpoints(), fencedRedis(ctx, t))
	defer c.stop()
	c.everywhere(ctx, "before the first failover")
	shots := []lab.Shot{{Switch: true}, {Switch: true, KillLeader: true}, {}, {Switch: true, PauseLeader: true}}
	for n := range *flags.moves {
		c.badDay(ctx, n, func() error { return l.Failover(ctx, shots[n%len(shots)]) })
		c.everywhere(ctx, fmt.Sprintf("after failover %d", n+1))
	}
	c.stop()
	c.judge(ctx)
}

// fencedRedis is a Redis of its own, which stays where it is.
func fencedRedis(ctx context.Context, t *testing.T) string {
	t.Helper()
	l, err := redislab.Start(ctx, redislab.Options{Replicas: 1, Sentinels: 1, Quorum: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	at, err := l.Master(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// crew is the workers, and what they were told.
type crew struct {
	t         *testing.T
	endpoints string
	sink      string
	redis     *redis.Client
	inside    []*insider
	asides    []*aside

	mu   sync.Mutex
	told map[string]int // "partition token:value" of what was acknowledged
	all  []mark
	late int // attempts that the sink refused
}

func newCrew(ctx context.Context, t *testing.T, endpoints, sink string) *crew {
	c := &crew{t: t, endpoints: endpoints, sink: sink, redis: redis.NewClient(&redis.Options{Addr: sink}), told: map[string]int{}}
	for i := range countInside {
		c.inside = append(c.inside, c.begin(ctx, fmt.Sprint("inside-", i)))
	}
	for i := range countAsides {
		c.asides = append(c.asides, c.spawn(fmt.Sprint("aside-", i)))
	}
	return c
}

func (c *crew) tell(m mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, m)
	switch {
	case m.Said == "fenced":
		c.late++
		return
	case m.Value == 0:
		return
	}
	c.told[fmt.Sprintf("%d %d:%d", m.Partition, m.Token, m.Value)]++
}

func (c *crew) stop() {
	for _, w := range c.inside {
		w.stop()
	}
	for _, w := range c.asides {
		w.end(syscall.SIGTERM)
	}
	c.inside, c.asides = nil, nil
}

// insider is a worker inside of this process.
type insider struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (c *crew) begin(ctx context.Context, name string) *insider {
	w := &insider{done: make(chan struct{})}
	ctx, w.cancel = context.WithCancel(ctx)
	go func() {
		defer close(w.done)
		worker := newCounting(c.sink, c.tell)
		defer worker.sink.Close()
		if err := worker.run(ctx, name, strings.Split(c.endpoints, ",")); err != nil {
			c.t.Errorf("worker %s: %v", name, err)
		}
	}()
	return w
}

func (w *insider) stop() {
	w.cancel()
	<-w.done
}

// aside is a worker that is a process of its own.
type aside struct {
	cmd  *exec.Cmd
	in   io.Closer
	told atomic.Int64 // marks
	done chan struct{}
}

func (c *crew) spawn(name string) *aside {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	w := &aside{cmd: exec.Command(self), done: make(chan struct{})} //nolint:noctx // it ends by a signal or with its stdin
	w.cmd.Env = append(os.Environ(), envCounter+"="+name, envEndpoints+"="+c.endpoints, envSink+"="+c.sink)
	w.cmd.Stderr = os.Stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		marks(out, func(m mark) { w.told.Add(1); c.tell(m) })
		_ = w.cmd.Wait() // killed, mostly
	}()
	return w
}

func (w *aside) end(how syscall.Signal) {
	_ = w.cmd.Process.Signal(how)
	<-w.done
	_ = w.in.Close()
}

// badDay: while something happens to the coordinators and to Redis, one worker
// is stopped for at least three ttl and woken, one is killed and replaced, and
// some of the others leave and come back.
func (c *crew) badDay(ctx context.Context, n int, happens func() error) {
	c.t.Helper()
	sleeper, victim := c.asides[n%countAsides], (n+1)%countAsides
	told := sleeper.told.Load()
	err := lab.Until(ctx, workWithin, "the worker to work that is to sleep", func(context.Context) error {
		if n := sleeper.told.Load(); n == told {
			return fmt.Errorf("it stands at %d", n)
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	asleep := time.Now()
	if err := sleeper.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
	c.asides[victim].end(syscall.SIGKILL)
	for i := n % 3; i < countInside; i += 3 {
		c.inside[i].stop()
		c.inside[i] = c.begin(ctx, fmt.Sprintf("inside-%d", i))
	}
	if err := happens(); err != nil {
		c.t.Fatal(err)
	}
	c.asides[victim] = c.spawn(fmt.Sprintf("aside-%d-%d", victim, n))
	c.everywhere(ctx, "while a worker sleeps")
	if err := rest(ctx, time.Until(asleep.Add(3*countTTL))); err != nil {
		c.t.Fatal(err)
	}
	if err := sleeper.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		c.t.Fatal(err)
	}
}

// everywhere waits until each partition has been counted in from now on: none is
// left without a worker.
func (c *crew) everywhere(ctx context.Context, when string) {
	c.t.Helper()
	before := map[int]int64{}
	for p := range countParts {
		before[p] = c.count(ctx, p)
	}
	err := lab.Until(ctx, workWithin, "work on every partition "+when, func(ctx context.Context) error {
		for p, n := range before {
			if c.count(ctx, p) == n {
				return fmt.Errorf("partition %d stands at %d", p, n)
			}
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *crew) count(ctx context.Context, p int) int64 {
	n, err := c.redis.Get(ctx, fmt.Sprint("count:", p)).Int64()
	if err != nil && !errors.Is(err, redis.Nil) && ctx.Err() == nil {
		c.t.Errorf("read counter %d: %v", p, err)
	}
	return n
}

// judge holds counters, journals and what the workers were told against each other.
func (c *crew) judge(ctx context.Context) {
	c.t.Helper()
	total, told, grants := int64(0), len(c.told), 0
	journals := map[uint32][]mark{}
	for p := range countParts {
		journal, err := c.redis.LRange(ctx, fmt.Sprint("journal:", p), 0, -1).Result()
		if err != nil {
			c.t.Fatal(err)
		}
		if n := c.count(ctx, p); n != int64(len(journal)) {
			c.t.Errorf("counter %d is %d, its journal has %d entries", p, n, len(journal))
		}
		last := uint64(0)
		for i, line := range journal {
			text, value, _ := strings.Cut(line, ":")
			token, err := strconv.ParseUint(text, 10, 64)
			if err != nil || value != fmt.Sprint(i+1) || token < last {
				c.t.Fatalf("counter %d: entry %d is %s after token %d", p, i+1, line, last)
			}
			if token > last {
				grants++
			}
			journals[uint32(p)] = append(journals[uint32(p)], mark{Token: token, Value: int64(i + 1)})
			last = token
			delete(c.told, fmt.Sprintf("%d %s", p, line))
		}
		total += int64(len(journal))
	}
	for line := range c.told {
		c.t.Errorf("a worker was told of %s, which is not in the journal", line)
	}
	c.linear(journals)
	text := fmt.Sprintf("lease counter: %d counted by %d grants, %d told, %d late attempts refused", total, grants, told, c.late)
	fmt.Println(text)
	if c.late == 0 || total == 0 {
		c.t.Errorf("nobody came late, so nothing was tried: %s", text)
	}
	if err := c.redis.Close(); err != nil {
		c.t.Error(err)
	}
}
