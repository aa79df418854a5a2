package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// readKey is the setting that is read.
const readKey = "bench/key"

// reads is one way to read a setting.
type reads struct {
	Level   string  `json:"level"`
	Where   string  `json:"where"`
	Clients int     `json:"clients"` // each with a connection of its own, one call at a time
	Rate    float64 `json:"per_second"`
	Latency spread  `json:"latency_ms"`
	P99     float64 `json:"p99_ms"`
}

// cluster is three coordinators without a spec, processes of their own.
type cluster struct {
	*lab.Nodes
	dir    string
	leader string
	any    []string
}

func newCluster(ctx context.Context, o lab.Options) (_ *cluster, err error) {
	c := &cluster{}
	if c.dir, err = os.MkdirTemp("", "pointsman-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.Nodes, err = lab.StartNodes(ctx, o, c.dir); err != nil {
		return nil, err
	}
	leader, err := c.WaitLeader(ctx)
	if err != nil {
		return nil, err
	}
	c.leader, c.any = leader.GRPC(), strings.Split(c.Endpoints(), ",")
	return c, c.seed(ctx)
}

// seed writes what is read.
func (c *cluster) seed(ctx context.Context) error {
	conn, err := client.DialNode(c.leader)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Settings().PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: readKey, Value: "redis://127.0.0.1:6379/0"})
	return err
}

func (c *cluster) Close() error {
	var err error
	if c.Nodes != nil {
		err = c.Nodes.Close()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// read measures the four ways for each number of clients.
func (b *bench) read(ctx context.Context, c *cluster, span time.Duration, clients ...int) (out []reads, err error) {
	for _, way := range []struct {
		level pointsmanv1.ReadLevel
		name  string
		where string
		at    []string
	}{
		{pointsmanv1.ReadLevel_READ_LEVEL_STALE, "stale", "one node", []string{c.leader}},
		{pointsmanv1.ReadLevel_READ_LEVEL_STALE, "stale", "all three nodes", c.any},
		{pointsmanv1.ReadLevel_READ_LEVEL_LINEARIZABLE, "linearizable", "the leader", []string{c.leader}},
		{pointsmanv1.ReadLevel_READ_LEVEL_LINEARIZABLE, "linearizable", "all three nodes", c.any},
	} {
		for _, n := range clients {
			b.say("%s reads at %s by %d clients for %s", way.name, way.where, n, span)
			r, err := load(ctx, way.level, way.at, n, span)
			if err != nil {
				return nil, fmt.Errorf("%s reads by %d clients: %w", way.name, n, err)
			}
			r.Level, r.Where = way.name, way.where
			out = append(out, r)
		}
	}
	return out, nil
}

// load lets n clients read, one call after another, and counts.
func load(ctx context.Context, level pointsmanv1.ReadLevel, at []string, n int, span time.Duration) (reads, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	spans := make([][]float64, n)
	var counting, counted, over atomic.Bool
	var wg, warm sync.WaitGroup
	warm.Add(n)
	for i := range n {
		wg.Go(func() {
			once := sync.OnceFunc(warm.Done)
			defer once()
			conn, err := client.DialNode(at[i%len(at)])
			if err != nil {
				cancel(err)
				return
			}
			defer conn.Close()
			req := &pointsmanv1.GetSettingRequest{Key: readKey, Read: &pointsmanv1.ReadOptions{Level: level}}
			for !over.Load() {
				began := time.Now()
				if _, err := conn.Settings().GetSetting(ctx, req); err != nil {
					cancel(err)
					return
				}
				if counting.Load() && !over.Load() {
					spans[i] = append(spans[i], float64(time.Since(began))/float64(time.Millisecond))
					counted.Store(true)
				}
				once()
			}
		})
	}
	warm.Wait()
	counting.Store(true)
	began := time.Now()
	err := rest(ctx, span)
	for err == nil && !counted.Load() { // a machine so busy that none fitted in
		err = rest(ctx, time.Millisecond)
	}
	over.Store(true)
	took := time.Since(began)
	wg.Wait()
	var all []float64
	for _, s := range spans {
		all = append(all, s...)
	}
	return reads{Clients: n, Rate: tenth(float64(len(all)) / took.Seconds()), Latency: fineSpreadOf(all), P99: percentile(all, 0.99)}, err
}
