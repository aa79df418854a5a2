package apps

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// The pool that the samples share.
const (
	parts      = 8
	leaseTTL   = 3 * time.Second
	orderEvery = 5 * time.Millisecond
	poolSpec   = "pools: {orders: {partitions: 8, ttl: 3s, drain: 2s, lock_delay: 500ms}}"
)

// TestLeaseSamplesShareAPool: workers in Python, PHP, Go and shell do the orders
// of one pool while one of them is stopped for three ttl, one is killed, one
// leaves, and the leading coordinator dies. Each order counts once, and none is
// left.
func TestLeaseSamplesShareAPool(t *testing.T) {
	interpreters(t)
	pointsman, sample := build(t, leaseSamples+"/worker.go")
	ctx, cancel := context.WithTimeout(t.Context(), runWithin)
	defer cancel()
	nodes := coordinators(ctx, t, pointsman)
	q := newQueue(ctx, t)
	w := workers(t, nodes, q.at, pointsman, sample)
	run, halt := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer halt()
	running.Go(func() { q.feed(run) })
	for _, a := range w {
		running.Go(func() { a.run(run) })
		a.wait(t, time.Time{}, "applied", 30*time.Second)
	}
	shell, another, python, php, golang := w[0], w[1], w[2], w[3], w[4]
	asleep := time.Now()
	php.signal(t, syscall.SIGSTOP)
	golang.signal(t, syscall.SIGKILL)
	leader, err := nodes.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	q.moves(ctx, "with a worker asleep, one dead, and another leader")
	if err := nodes.Restart(leader); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(asleep.Add(3 * leaseTTL))) // the pause that is tried
	php.signal(t, syscall.SIGCONT)
	python.signal(t, syscall.SIGTERM)
	woken := time.Now()
	python.wait(t, woken, "ended: by itself", 20*time.Second)
	php.wait(t, woken, "applied", 30*time.Second)
	shell.wait(t, woken, "applied", 30*time.Second)
	q.finish(ctx)
	for _, a := range []*app{shell, another, php} {
		if text := a.odd(); text != "" {
			t.Errorf("%s: %s\n%s", a.name, text, a.tail())
		}
	}
}

// coordinators are three, with the pool and nothing else.
func coordinators(ctx context.Context, t *testing.T, pointsman string) *lab.Nodes {
	t.Helper()
	nodes, err := lab.StartNodes(ctx, lab.Options{Pointsman: pointsman}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nodes.Close(); err != nil {
			t.Error(err)
		}
	})
	spec, _, err := config.ParseSpec("spec.yaml", []byte(poolSpec))
	if err != nil {
		t.Fatal(err)
	}
	err = lab.Until(ctx, 30*time.Second, "the spec to be applied", func(ctx context.Context) error {
		return nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			_, err := pointsmanv1.NewSpecServiceClient(c).ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: spec, Source: poolSpec})
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

// workers are two in shell, which take one partition each, and one in each other
// language. Shares go by capacity, and who holds one keeps it: so they begin in
// this order.
func workers(t *testing.T, nodes *lab.Nodes, redis, pointsman, sample string) []*app {
	t.Helper()
	env := surroundings(t, nodes, redis, strings.Join(webs(nodes), ","))
	shell := []string{pointsman, "leases", "run", "orders", "--again", "--", "sh", leaseSamples + "/worker.sh"}
	return []*app{
		{name: "worker.sh", command: shell, env: env},
		{name: "worker.sh, another", command: shell, env: env},
		{name: "worker.py", command: []string{"/usr/bin/python3", leaseSamples + "/worker.py", "orders"}, env: env},
		{name: "worker.php", command: []string{"php", leaseSamples + "/worker.php", "orders"}, env: env},
		{name: "worker.go", command: []string{sample, "orders"}, env: env},
	}
}

// webs are where the coordinators speak HTTP.
func webs(nodes *lab.Nodes) (list []string) {
	for _, n := range nodes.List() {
		list = append(list, "http://"+n.HTTP())
	}
	return list
}

// surroundings are the environment of a worker that is given these nodes.
func surroundings(t *testing.T, nodes *lab.Nodes, redis, web string) []string {
	t.Helper()
	script, err := filepath.Abs(fence)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"POINTSMAN=" + web, "POINTSMAN_ENDPOINTS=" + nodes.Endpoints(), "REDIS=" + redis, "FENCE=" + script}
}

// queue is a Redis with the lists of orders.
type queue struct {
	t  *testing.T
	l  *redislab.Lab
	at string

	mu  sync.Mutex
	fed int
	end bool
}

func newQueue(ctx context.Context, t *testing.T) *queue {
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
	return &queue{t: t, l: l, at: at}
}

// feed adds an order to one list after another.
func (q *queue) feed(ctx context.Context) {
	tick := time.NewTicker(orderEvery)
	defer tick.Stop()
	for ctx.Err() == nil && q.add(ctx) {
		<-tick.C
	}
}

func (q *queue) add(ctx context.Context) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.end {
		return false
	}
	if _, err := q.l.Do(ctx, q.at, "RPUSH", fmt.Sprint("todo:", q.fed%parts), fmt.Sprint("order-", q.fed)); err != nil {
		if ctx.Err() == nil {
			q.t.Errorf("add an order: %v", err)
		}
		return false
	}
	q.fed++
	return true
}

// first is the order that is next in a list; empty: none is left.
func (q *queue) first(ctx context.Context, part int) string {
	v, err := q.l.Do(ctx, q.at, "LINDEX", fmt.Sprint("todo:", part), "0")
	if err != nil && ctx.Err() == nil {
		q.t.Errorf("read a list: %v", err)
	}
	word, _ := v.(string)
	return word
}

// moves waits until every list has gone on from where it stands.
func (q *queue) moves(ctx context.Context, when string) {
	q.t.Helper()
	q.mu.Lock()
	fed := q.fed
	q.mu.Unlock()
	err := lab.Until(ctx, 30*time.Second, "every list to go on "+when, func(ctx context.Context) error {
		for p := range parts {
			if at := q.first(ctx, p); at != "" && number(at) < fed {
				return fmt.Errorf("list %d stands at %s, %d were there", p, at, fed)
			}
		}
		return nil
	})
	if err != nil {
		q.t.Fatal(err)
	}
}

func number(order string) (n int) {
	_, _ = fmt.Sscanf(order, "order-%d", &n)
	return n
}

// finish adds no more, waits until all are done, and counts.
func (q *queue) finish(ctx context.Context) {
	q.t.Helper()
	q.mu.Lock()
	q.end = true
	fed := q.fed
	q.mu.Unlock()
	q.moves(ctx, "to its end")
	v, err := q.l.Do(ctx, q.at, "GET", "orders")
	if done := fmt.Sprint(v); err != nil || done != fmt.Sprint(fed) {
		q.t.Errorf("%s of %d orders are counted, %v", done, fed, err)
	}
	q.t.Logf("%d orders", fed)
}
