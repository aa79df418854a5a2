//go:build ignore

// A worker of a pool in Go: go run worker.go POOL. Does the orders in the lists
// todo:0, todo:1 ... of Redis, each list under the lease of its partition.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/client/leases"
	"github.com/pointsman/pointsman/client/leases/redissink"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	nodes := cmp.Or(os.Getenv(client.EndpointsEnv), client.DefaultEndpoint)
	c, err := client.Dial(strings.Split(nodes, ","))
	if err == nil {
		host, _ := os.Hostname()
		err = leases.Run(ctx, c.Conn(), leases.Config{Pool: os.Args[1], Worker: fmt.Sprintf("%s-%d", host, os.Getpid())}, work)
	}
	if err != nil {
		slog.Error("worker ends", "error", err)
		os.Exit(1)
	}
}

// work does the orders of one partition until the lease is lost, a sink refuses
// its token, or the partition is to be handed over.
func work(ctx context.Context, l *leases.Lease) error {
	r := redis.NewClient(&redis.Options{Addr: cmp.Or(l.Address, os.Getenv("REDIS"), "127.0.0.1:6379")})
	defer r.Close()
	sink, todo := redissink.New(r, redissink.Config{}), fmt.Sprint("todo:", l.Partition)
	step := func() (bool, error) { return true, sink.Raise(ctx, l) } // from now on older tokens are refused
	for {
		done, err := step()
		if leases.Lost(err) {
			return err
		}
		if err == nil {
			step = func() (bool, error) { return one(ctx, r, sink, l, todo) }
		}
		wait := time.Duration(0)
		if err != nil || !done {
			wait = 50 * time.Millisecond // Redis is away, or there is nothing to do
		}
		select {
		case <-ctx.Done(): // the lease is lost
			return context.Cause(ctx)
		case <-l.Draining(): // to be handed over: nothing is under way
			return nil
		case <-time.After(wait):
		}
	}
}

func one(ctx context.Context, r *redis.Client, sink *redissink.Sink, l *leases.Lease, todo string) (bool, error) {
	order, err := r.LIndex(ctx, todo, 0).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	done, err := sink.Apply(ctx, l, order, redissink.Command{"INCRBY", "orders", "1"})
	if err != nil {
		return false, err
	}
	fmt.Println(done, order)
	return true, r.LRem(ctx, todo, 1, order).Err()
}
