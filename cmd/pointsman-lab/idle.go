package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// idle starts the nodes to compare with, waits until all is quiet, and measures
// all of them over the same seconds.
func (b *bench) idle(ctx context.Context, l *lab.Lab, dir string) (out idle, err error) {
	bare, err := startBare(ctx, dir)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, bare.Close()) }()
	empty, err := lab.StartNodes(ctx, b.options, dir)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, empty.Close()) }()
	b.screen.say("idle for %s", idleFor)
	if err := sit(ctx, idleAfter); err != nil {
		return out, err
	}
	return measure(ctx, pids(l.Nodes), pids(empty), bare.PIDs())
}

func pids(n *lab.Nodes) (list []int) {
	for _, node := range n.List() {
		list = append(list, node.PID())
	}
	return list
}

// startBare starts three bare nodes, which are this program, and waits for their
// leader.
func startBare(ctx context.Context, dir string) (*lab.Group, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ports, err := redis.ReservePorts(3)
	if err != nil {
		return nil, err
	}
	defer ports.Release()
	var peers []string
	for _, p := range ports.Numbers {
		peers = append(peers, net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
	}
	var commands [][]string
	for i := range peers {
		commands = append(commands, bareArgs(self, dir, i, peers))
	}
	g, err := lab.StartGroup(dir, commands...)
	if err != nil {
		return nil, err
	}
	err = lab.Until(ctx, bareStart, "a leader of the bare nodes", func(context.Context) error { return g.Said(bareReady) })
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// measure takes the three kinds of nodes over the same seconds.
func measure(ctx context.Context, kinds ...[]int) (out idle, err error) {
	begin, before := time.Now(), make([]time.Duration, len(kinds))
	for i, k := range kinds {
		if before[i], _, err = taken(k); err != nil {
			return out, err
		}
	}
	if err := sit(ctx, idleFor); err != nil {
		return out, err
	}
	span := time.Since(begin).Seconds()
	var spent []float64
	for i, into := range []*rest{&out.Watching, &out.Empty, &out.Bare} {
		cpu, rss, err := taken(kinds[i])
		if err != nil {
			return out, err
		}
		seconds := (cpu - before[i]).Seconds()
		spent = append(spent, seconds)
		*into = rest{CPU: hundredth(seconds / span / float64(len(kinds[i])) * 100), RSS: tenth(float64(rss) / 1e6)}
	}
	out.Seconds = tenth(span)
	if spent[2] > 0 {
		out.WatchingRatio, out.EmptyRatio = hundredth(spent[0]/spent[2]), hundredth(spent[1]/spent[2])
	}
	return out, nil
}

// taken is what the processes have taken so far: CPU in sum, RSS at most.
func taken(pids []int) (cpu time.Duration, rss int64, err error) {
	for _, pid := range pids {
		u, err := lab.UsageOf(pid)
		if err != nil {
			return 0, 0, err
		}
		cpu, rss = cpu+u.CPU, max(rss, u.RSS)
	}
	return cpu, rss, nil
}

// sit lets time pass.
func sit(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
