package sim

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	workers "github.com/pointsman/pointsman/client/leases"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// sinkHost is where workers write: a store that compares tokens.
const sinkHost = "sink"

// crew are the workers of a run's pool and what they did.
type crew struct {
	r    *run
	plan *poolPlan
	sink io.Closer

	mu       sync.Mutex // guards what follows
	living   map[string]*laborer
	back     map[string]time.Duration // until the next life
	highest  map[uint32]uint64        // at the sink, by partition
	beliefs  []*belief
	commits  []commit
	checks   []check
	savings  []saving
	stopping bool
	late     map[string]time.Duration // what the next write of a worker takes to the sink
	stale    map[string]time.Duration // what its next checkpoint takes to the cluster
}

// laborer is one life of a worker.
type laborer struct {
	name   string
	end    *endpoint
	cancel context.CancelFunc
	gone   chan struct{}
	dead   bool      // under crew.mu
	leaves bool      // somebody has asked it to, and starts the next life; under crew.mu
	asleep time.Time // until when it does nothing; under crew.mu
}

// belief is the span in which a worker believed in a lease.
type belief struct {
	worker    string
	partition uint32
	token     uint64
	address   string
	from, to  time.Time // to is zero while it lasts
}

// commit is a write that arrived at the sink.
type commit struct {
	worker    string
	partition uint32
	token     uint64
	at        time.Time
	taken     bool
}

// check is an answer of CheckToken.
type check struct {
	partition   uint32
	token       uint64
	call, ended time.Time
	current     bool
}

func (r *run) startCrew() error {
	if r.plan.Pool == nil {
		return nil
	}
	c := &crew{
		r: r, plan: r.plan.Pool, living: map[string]*laborer{}, back: map[string]time.Duration{}, highest: map[uint32]uint64{}, late: map[string]time.Duration{}, stale: map[string]time.Duration{},
	}
	l, err := r.hub.join(sinkHost).Listen(sinkHost + ":80")
	if err != nil {
		return err
	}
	s := &side{line: c, edge: &sideEdge{run: r, held: map[time.Time]time.Time{}}}
	c.sink, r.crew = r.desk(l, s.converse), c
	return nil
}

// begin starts the workers; called once the spec is in the log.
func (c *crew) begin(began time.Time) {
	for _, name := range c.plan.Workers {
		c.hire(name)
	}
	for _, b := range c.plan.Blows {
		c.r.graves.Go(func() {
			time.Sleep(time.Until(began.Add(b.At)))
			c.strike(b)
		})
	}
}

// hire starts a worker's next life.
func (c *crew) hire(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &laborer{name: name, end: c.r.hub.join(name), cancel: cancel, gone: make(chan struct{})}
	c.living[name] = w
	c.r.graves.Go(func() {
		defer close(w.gone)
		c.labor(ctx, w)
	})
}

func (c *crew) labor(ctx context.Context, w *laborer) {
	conn, err := client.Dial([]string{"n1:7801", "n2:7801", "n3:7801"}, dialing(w.end)...)
	if err != nil {
		c.r.fail("harness", "worker %s: %v", w.name, err)
		return
	}
	defer conn.Close()
	cfg := workers.Config{Pool: poolName, Worker: w.name, Margin: 100 * time.Millisecond, Stop: 2 * time.Second}
	err = workers.Run(ctx, wire{conn.Conn(), c, w}, cfg, func(ctx context.Context, l *workers.Lease) error {
		return c.work(ctx, w, l, pointsmanv1.NewLeaseServiceClient(conn.Conn()))
	})
	c.r.story.add(w.name, "has ended: %v", err)
}

// work is the handler: look at the lease, write, look again, until it is over.
func (c *crew) work(ctx context.Context, w *laborer, l *workers.Lease, calls pointsmanv1.LeaseServiceClient) error {
	b := &belief{worker: w.name, partition: l.Partition, token: l.Token, address: l.Address, from: time.Now()}
	c.mu.Lock()
	c.beliefs = append(c.beliefs, b)
	c.mu.Unlock()
	over := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if b.to.IsZero() {
			b.to = time.Now()
		}
	}
	defer over()
	defer context.AfterFunc(ctx, over)()
	rng := rand.New(rand.NewPCG(c.r.plan.Seed, l.Token))
	for n := 0; ; n++ {
		if l.Check() != nil || c.is(w).dead {
			over()
			return context.Cause(ctx)
		}
		c.rest(ctx, w)
		if c.is(w).dead {
			return context.Cause(ctx)
		}
		if n%4 == 3 {
			c.ask(ctx, l, calls)
		} else if n%4 == 1 && c.plan.Saves {
			c.save(ctx, w, l)
		} else if answer := c.write(ctx, w, fmt.Sprintf("commit %d %d %s", l.Partition, l.Token, w.name)); strings.HasPrefix(answer, "fenced") {
			over()
			return fmt.Errorf("the sink: %s: %w", answer, workers.ErrLost)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.Draining():
			return nil
		case <-time.After(time.Duration(50+rng.IntN(500)) * time.Millisecond):
		}
	}
}

func (c *crew) is(w *laborer) laborer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *w
}

// rest is where a paused worker stands: after its look at the lease, before what
// it sends, whatever its context says meanwhile.
func (c *crew) rest(_ context.Context, w *laborer) { time.Sleep(time.Until(c.is(w).asleep)) }

// write sends a line to the sink and waits for its answer; empty: there was none.
func (c *crew) write(ctx context.Context, w *laborer, line string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if held := c.held(c.late, w.name); held > 0 { // on its way: nobody can call it back
		c.r.graves.Go(func() {
			time.Sleep(held)
			c.carry(line)
		})
		return ""
	}
	conn, err := w.end.Dial(ctx, sinkHost+":80")
	if err != nil {
		return ""
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return ""
	}
	return readAll(conn)
}

// held is for how long the next that a worker sends is on its way; it is asked once
// for each.
func (c *crew) held(what map[string]time.Duration, worker string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer delete(what, worker)
	return what[worker]
}

func readAll(conn net.Conn) string {
	text, _ := io.ReadAll(io.LimitReader(conn, 256))
	return strings.TrimSpace(string(text))
}

// ask has the cluster say whether the token is current.
func (c *crew) ask(ctx context.Context, l *workers.Lease, calls pointsmanv1.LeaseServiceClient) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	asked := check{partition: l.Partition, token: l.Token, call: time.Now()}
	_, err := calls.CheckToken(ctx, &pointsmanv1.CheckTokenRequest{Id: l.ID(), Token: l.Token})
	if err != nil && status.Code(err) != codes.Aborted {
		return
	}
	asked.ended, asked.current = time.Now(), err == nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checks = append(c.checks, asked)
}

// The sink is a liner: it compares tokens and keeps the highest.
func (c *crew) writes(string) bool     { return true }
func (c *crew) excuse(sideDeed) string { return "" }

func (c *crew) carry(line string) string {
	var one commit
	if _, err := fmt.Sscanf(line, "commit %d %d %s", &one.partition, &one.token, &one.worker); err != nil {
		return "not understood\n"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one.at, one.taken = time.Now(), one.token >= c.highest[one.partition]
	c.commits = append(c.commits, one)
	if !one.taken {
		return fmt.Sprintf("fenced by %d\n", c.highest[one.partition])
	}
	c.highest[one.partition] = one.token
	return "ok\n"
}

// strike plays a blow and what comes after it.
func (c *crew) strike(b blow) {
	c.mu.Lock()
	w := c.living[b.Worker]
	over := c.stopping || w == nil || w.dead || w.leaves
	if !over && (b.Do == blowLeave || b.Do == blowKill) {
		w.leaves = true
	}
	c.mu.Unlock()
	if over {
		return
	}
	c.r.story.add("plan", "%s of %s for %s", b.Do, b.Worker, b.For)
	switch b.Do {
	case blowKill:
		c.kill(w)
		<-w.gone
		time.Sleep(b.For)
		c.hire(b.Worker)
	case blowLeave:
		w.cancel()
		<-w.gone
		time.Sleep(b.For)
		c.hire(b.Worker)
	case blowPause:
		c.mu.Lock()
		w.asleep = time.Now().Add(b.For)
		c.mu.Unlock()
	case blowLate, blowStale:
		c.mu.Lock()
		map[blowDeed]map[string]time.Duration{blowLate: c.late, blowStale: c.stale}[b.Do][b.Worker] = b.For
		c.mu.Unlock()
	case blowCut:
		for _, id := range nodeIDs() {
			c.r.hub.block(b.Worker, id, 1)
			c.r.hub.block(id, b.Worker, 1)
		}
		time.Sleep(b.For)
		for _, id := range nodeIDs() {
			c.r.hub.block(b.Worker, id, -1)
			c.r.hub.block(id, b.Worker, -1)
		}
	}
}

// kill ends a life: from this instant on it believes nothing and sends nothing.
func (c *crew) kill(w *laborer) {
	c.mu.Lock()
	w.dead = true
	for _, b := range c.beliefs {
		if b.worker == w.name && b.to.IsZero() {
			b.to = time.Now()
		}
	}
	c.mu.Unlock()
	w.end.kill(flushed)
	w.cancel()
}

// dismiss ends the crew.
func (c *crew) dismiss() {
	c.mu.Lock()
	c.stopping = true
	var all []*laborer
	for _, w := range c.living {
		all = append(all, w)
	}
	c.mu.Unlock()
	for _, w := range all {
		c.kill(w)
	}
	for _, w := range all {
		<-w.gone
	}
	_ = c.sink.Close()
}
