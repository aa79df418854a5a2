package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pointsman/pointsman/test/clouds/bucket"
	"github.com/pointsman/pointsman/test/clouds/hooks"
	"github.com/pointsman/pointsman/test/clouds/lab"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// The pool that webhooks are worked in.
const (
	poolName  = "webhooks"
	poolSpec  = "partitions: 64, ttl: 2s, drain: 1s, lock_delay: 500ms"
	receivers = 2
	upWithin  = time.Minute
)

// ground is every process of a soak.
type ground struct {
	lab    *lab.Lab
	redis  *redislab.Lab // of the fenced sink
	client *redis.Client
	store  *bucket.Process // nil: a folder
	data   string          // folder with an object in each file
	dir    string
	ports  *redislab.Ports
	group  *lab.Group
	server *http.Server
	sinks  *sinks

	at      []string // receivers
	metrics []string // of receivers, then workers; the numbers are those of the group
}

// newGround starts everything. After an error nothing is left.
func newGround(ctx context.Context, c config) (_ *ground, err error) {
	g := &ground{}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if g.dir, err = os.MkdirTemp("", "pointsman-soak-"); err != nil {
		return nil, err
	}
	g.lab, err = lab.Start(ctx, lab.Options{
		Pointsman: c.pointsman, Quiet: true, Rejoin: true, Hold: 500 * time.Millisecond,
		Pools: []lab.Shared{{Name: poolName, Moved: true, Spec: poolSpec}},
	})
	if err != nil {
		return nil, err
	}
	if err := g.startSinks(ctx); err != nil {
		return nil, err
	}
	f := hooks.Files{Dir: g.dir, Store: hooks.Folder(filepath.Join(g.dir, "store"))}
	g.data = filepath.Join(g.dir, "store", "objects")
	if c.store == inBucket {
		if g.store, err = bucket.Start(ctx); err != nil {
			return nil, err
		}
		f.Store, g.data = hooks.Bucket(g.store, ""), g.store.Data()
	}
	return g, g.startGroup(ctx, c, f)
}

// startSinks has a Redis of its own, which stays where it is.
func (g *ground) startSinks(ctx context.Context) (err error) {
	if g.redis, err = redislab.Start(ctx, redislab.Options{Replicas: 1, Sentinels: 1, Quorum: 1}); err != nil {
		return err
	}
	at, err := g.redis.Master(ctx)
	if err != nil {
		return err
	}
	g.client = redis.NewClient(&redis.Options{Addr: at})
	g.sinks = newSinks(g.client)
	return nil
}

func (g *ground) startGroup(ctx context.Context, c config, f hooks.Files) (err error) {
	if g.ports, err = redislab.ReservePorts(2*receivers + c.workers); err != nil {
		return err
	}
	next := 0
	address := func() string {
		next++
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(g.ports.Numbers[next-1]))
	}
	var l net.ListenConfig
	in, err := l.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g.server = &http.Server{Handler: g.sinks, ReadHeaderTimeout: upWithin}
	go func() { _ = g.server.Serve(in) }() // until Close
	if g.group, err = lab.StartGroup(g.dir); err != nil {
		return err
	}
	for i := range receivers {
		r := hooks.Receiver{Name: fmt.Sprint("receiver-", i), Listen: address(), Metrics: address(), Spill: i == 0}
		path, err := f.Receiver(r)
		if err != nil {
			return err
		}
		if _, err := g.group.Add(g.dir, r.Name, g.lab.Program(), "webhook", "receive", "--config", path); err != nil {
			return err
		}
		g.at, g.metrics = append(g.at, r.Listen), append(g.metrics, r.Metrics)
	}
	for i := range c.workers {
		w := hooks.Worker{
			Name: fmt.Sprint("worker-", i), Metrics: address(), Pool: poolName, Handler: "http://" + in.Addr().String() + "/",
			More: "  retry: {backoff: 200ms, max_backoff: 5s}\n",
		}
		path, err := f.Worker(w)
		if err != nil {
			return err
		}
		if _, err := g.group.Add(g.dir, w.Name, g.lab.Program(), "webhook", "work", "--config", path, "--endpoints", g.lab.Nodes.Endpoints()); err != nil {
			return err
		}
		g.metrics = append(g.metrics, w.Metrics)
	}
	return g.up(ctx)
}

// up waits until every receiver and worker answers.
func (g *ground) up(ctx context.Context) error {
	return lab.Until(ctx, upWithin, "receivers and workers to answer", func(ctx context.Context) error {
		for i, at := range g.metrics {
			if _, err := hooks.Metrics(ctx, at); err != nil {
				return fmt.Errorf("%w; its log ends:\n%s", err, g.group.Log(i))
			}
		}
		return nil
	})
}

// Close ends everything.
func (g *ground) Close() error {
	var errs []error
	if g.group != nil {
		errs = append(errs, g.group.Close())
	}
	if g.server != nil {
		g.server.Close()
	}
	if g.store != nil {
		errs = append(errs, g.store.Close())
	}
	if g.client != nil {
		g.client.Close()
	}
	if g.redis != nil {
		errs = append(errs, g.redis.Close())
	}
	if g.lab != nil {
		errs = append(errs, g.lab.Close())
	}
	if g.ports != nil {
		g.ports.Release()
	}
	return errors.Join(append(errs, os.RemoveAll(g.dir))...) //nolint:gosec // a folder that newGround made
}
