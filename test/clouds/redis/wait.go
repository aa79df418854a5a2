package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// permanent ends waitFor at once.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// waitFor tries until nil. When ctx ends first the error names what was missing.
func (l *Lab) waitFor(ctx context.Context, try func() error) error {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for {
		err := try()
		if p, ok := errors.AsType[permanent](err); ok {
			return p.error
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, still: %w", context.Cause(ctx), err)
		case <-t.C:
		}
	}
}

// Master is the address that a majority of the Sentinels names now, or
// ErrNoMajority.
func (l *Lab) Master(ctx context.Context) (string, error) {
	votes := make([]string, len(l.sentinels))
	var wg sync.WaitGroup
	for i, p := range l.sentinels {
		wg.Go(func() {
			if p.pid() == 0 || p.isPaused() {
				return
			}
			v, err := l.do(ctx, p, time.Second, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", l.opt.Name)
			if err == nil {
				votes[i] = hostPort(v)
			}
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, v := range votes {
		count[v]++
		if v != "" && count[v] > len(votes)/2 {
			return v, nil
		}
	}
	return "", fmt.Errorf("%w: %q", ErrNoMajority, votes)
}

// WaitStable returns when all is well: every replica in sync, every Sentinel
// names the same master and knows all nodes, nobody is down, no failover is in
// progress. After a restart of an old master that takes about 20 s: Sentinel
// waits 10 s before it makes a replica of it and refreshes its picture each 10 s.
func (l *Lab) WaitStable(ctx context.Context) error {
	return l.waitFor(ctx, func() error { return l.settled(ctx, true) })
}

// WaitReady returns when another failover can succeed: every running Sentinel
// names the same master and sees no failover, and at least one replica is in
// sync with it in the eyes of all of them. Dead nodes do not matter.
func (l *Lab) WaitReady(ctx context.Context) error {
	return l.waitFor(ctx, func() error { return l.settled(ctx, false) })
}

func (l *Lab) settled(ctx context.Context, all bool) error {
	master, err := l.Master(ctx)
	if err != nil {
		return err
	}
	if all {
		if err := l.inSync(ctx, master, time.Second); err != nil {
			return err
		}
	}
	good := map[string]int{} // replica -> Sentinels that see it in sync
	seen := 0
	for _, s := range l.sentinels {
		if !all && (s.pid() == 0 || s.isPaused()) {
			continue
		}
		seen++
		if err := l.sentinelContent(ctx, s, master, all, good); err != nil {
			return fmt.Errorf("sentinel %s: %w", s.address, err)
		}
	}
	want := 1
	if all {
		want = l.opt.Replicas
	}
	n := 0
	for _, c := range good {
		if c == seen {
			n++
		}
	}
	if n < want {
		return fmt.Errorf("%d of %d replicas are in sync in the eyes of the sentinels", n, want)
	}
	return nil
}

// Converted is nil when no Sentinel that runs takes a replica for a master. One
// that does may still make a replica of it, out of a picture that is up to 10 s
// old, though a failover has promoted it meanwhile (sentinel.c,
// sentinelRefreshInstanceInfo, +convert-to-slave).
func (l *Lab) Converted(ctx context.Context) error {
	for _, s := range l.sentinels {
		if s.pid() == 0 || s.isPaused() {
			continue
		}
		v, err := l.do(ctx, s, time.Second, "SENTINEL", "REPLICAS", l.opt.Name)
		if err != nil {
			return fmt.Errorf("sentinel %s: %w", s.address, err)
		}
		list, _ := v.([]any)
		for _, x := range list {
			if r := pairs(x); r["flags"] == "slave" && r["role-reported"] == "master" {
				return fmt.Errorf("sentinel %s takes replica %s for a master", s.address, r["name"])
			}
		}
	}
	return nil
}

// inSync asks the nodes themselves.
func (l *Lab) inSync(ctx context.Context, master string, timeout time.Duration) error {
	for _, p := range l.redis {
		v, err := l.do(ctx, p, timeout, "ROLE")
		if err != nil {
			return fmt.Errorf("%s: %w", p.address, err)
		}
		list, _ := v.([]any)
		if p.address == master {
			if len(list) == 0 || list[0] != "master" {
				return fmt.Errorf("%s is not master: %v", p.address, v)
			}
			continue
		}
		if len(list) < 4 || list[0] != "slave" || fmt.Sprintf("%v:%v", list[1], list[2]) != master || list[3] != "connected" {
			return fmt.Errorf("%s does not follow %s: %v", p.address, master, v)
		}
	}
	return nil
}

func (l *Lab) sentinelContent(ctx context.Context, s *process, master string, all bool, good map[string]int) error {
	c, err := dial(ctx, s.address, l.opt.Sentinel, l.opt.TLS)
	if err != nil {
		return err
	}
	defer c.Close()
	addr, err := c.do(time.Second, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", l.opt.Name)
	if err != nil {
		return err
	}
	if hostPort(addr) != master {
		return fmt.Errorf("names %s, not %s", hostPort(addr), master)
	}
	v, err := c.do(time.Second, "SENTINEL", "MASTER", l.opt.Name)
	if err != nil {
		return err
	}
	m := pairs(v)
	if m["flags"] != "master" {
		return fmt.Errorf("master has flags %s", m["flags"])
	}
	if all {
		if err := l.complete(c, m); err != nil {
			return err
		}
	}
	return l.replicasOf(c, master, all, good)
}

// complete: this Sentinel knows all the others and all replicas, and they are up.
func (l *Lab) complete(c *conn, master map[string]string) error {
	if got, want := master["num-other-sentinels"], strconv.Itoa(l.opt.Sentinels-1); got != want {
		return fmt.Errorf("knows %s other sentinels, not %s", got, want)
	}
	if got, want := master["num-slaves"], strconv.Itoa(l.opt.Replicas); got != want {
		return fmt.Errorf("knows %s replicas, not %s", got, want)
	}
	v, err := c.do(time.Second, "SENTINEL", "SENTINELS", l.opt.Name)
	if err != nil {
		return err
	}
	list, _ := v.([]any)
	for _, x := range list {
		if s := pairs(x); s["flags"] != "sentinel" {
			return fmt.Errorf("sees sentinel %s with flags %s", s["port"], s["flags"])
		}
	}
	return nil
}

func (l *Lab) replicasOf(c *conn, master string, all bool, good map[string]int) error {
	v, err := c.do(time.Second, "SENTINEL", "REPLICAS", l.opt.Name)
	if err != nil {
		return err
	}
	list, _ := v.([]any)
	for _, x := range list {
		r := pairs(x)
		follows := r["master-host"] + ":" + r["master-port"]
		if r["flags"] == "slave" && r["master-link-status"] == "ok" && follows == master {
			good[r["name"]]++
		} else if all {
			return fmt.Errorf("sees replica %s with flags %s, link %s, master %s", r["name"], r["flags"], r["master-link-status"], strings.TrimPrefix(follows, ":"))
		}
	}
	return nil
}
