package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"google.golang.org/grpc"

	specs "github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/haproxy"
	"github.com/pointsman/pointsman/test/clouds/lab"
	redislab "github.com/pointsman/pointsman/test/clouds/redis"
)

// The two sides of every Redis node. A cut takes the first one away from the old
// master: it stops listening there and its connections there are closed, while
// the clients' side goes on.
const (
	innerHost = "127.0.0.1" // Sentinels, replicas, coordinators
	outerHost = "127.0.0.2" // HAProxy, and so the clients
)

const fenceMaster = "cache"

// fenceLab is one guard's playground.
type fenceLab struct {
	guard  guard
	dir    string
	redis  *redislab.Lab
	nodes  *lab.Nodes
	ports  *redislab.Ports
	proxy  *haproxy.Process
	fronts map[string]string // address by front
	events int
}

func newFenceLab(ctx context.Context, o lab.Options, g guard) (_ *fenceLab, err error) {
	f := &fenceLab{guard: g, fronts: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if f.dir, err = os.MkdirTemp("", "pointsman-fence-"); err != nil {
		return nil, err
	}
	f.redis, err = redislab.Start(ctx, redislab.Options{
		Dir: filepath.Join(f.dir, "redis"), MinReplicas: g.replicas, FailoverTimeout: fenceAgain,
		RedisExtra: []string{"min-replicas-max-lag 3", "bind " + innerHost + " " + outerHost},
	})
	if err != nil {
		return nil, err
	}
	if f.nodes, err = lab.StartNodes(ctx, o, f.dir); err != nil {
		return nil, err
	}
	if f.ports, err = redislab.ReservePorts(len(fronts())); err != nil {
		return nil, err
	}
	for i, name := range fronts() {
		f.fronts[name] = fmt.Sprintf("%s:%d", innerHost, f.ports.Numbers[i])
	}
	master, err := f.redis.Master(ctx)
	if err != nil {
		return nil, err
	}
	if f.proxy, err = haproxy.Start(ctx, func(dir string) string { return f.proxyConf(dir, master) }); err != nil {
		return nil, err
	}
	if err = f.apply(ctx); err != nil {
		return nil, err
	}
	return f, f.ready(ctx)
}

// Close ends everything. It may be called on half a playground.
func (f *fenceLab) Close() error {
	var errs []error
	if f.proxy != nil {
		errs = append(errs, f.proxy.Close())
	}
	if f.nodes != nil {
		errs = append(errs, f.nodes.Close())
	}
	if f.redis != nil {
		errs = append(errs, f.redis.Close())
	}
	if f.ports != nil {
		f.ports.Release()
	}
	if f.dir != "" {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}

// explain adds what coordinators said that have ended.
func (f *fenceLab) explain(err error) error {
	for _, n := range f.nodes.List() {
		if n.PID() == 0 {
			err = fmt.Errorf("%w; %s has ended: %s", err, n.ID(), n.Log())
		}
	}
	return err
}

// outer is where HAProxy reaches a node.
func outer(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return net.JoinHostPort(outerHost, port)
}

// proxyConf is one HAProxy with the three ways to the master. The role check is
// the common recipe, with its sessions ended as well.
func (f *fenceLab) proxyConf(dir, master string) string {
	text := fmt.Sprintf(`global
    stats socket %s/admin.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 500ms
    timeout client 1h
    timeout server 1h
    default-server inter 1s fall 3 rise 2 on-marked-down shutdown-sessions
`, dir)
	for _, name := range fronts() {
		text += fmt.Sprintf("frontend in-%s\n    bind %s\n    default_backend %s\n", name, f.fronts[name], name)
	}
	for _, name := range []string{frontMoved, frontEnded} {
		text += fmt.Sprintf("backend %s\n    server master %s check\n", name, outer(master))
	}
	text += "backend " + frontChecked + `
    timeout check 500ms
    option tcp-check
    tcp-check connect
    tcp-check send PING\r\n
    tcp-check expect string +PONG
    tcp-check send info\ replication\r\n
    tcp-check expect string role:master
    tcp-check send QUIT\r\n
    tcp-check expect string +OK
`
	for i, n := range f.redis.Redis() {
		text += fmt.Sprintf("    server redis%d %s check\n", i, outer(n.Address))
	}
	return text
}

// spec is the playground's.
func (f *fenceLab) spec() string {
	var sentinels, candidates, backends []string
	for _, s := range f.redis.Sentinels() {
		sentinels = append(sentinels, fmt.Sprintf("%q", s.Address))
	}
	for i, n := range f.redis.Redis() {
		candidates = append(candidates, fmt.Sprintf("{address: %q, zone: zone-%d}", n.Address, i))
		backends = append(backends, fmt.Sprintf("%q: %q", n.Address, outer(n.Address)))
	}
	stage := func(name string, steps ...string) string {
		return "      - stage: " + name + "\n        steps:\n          - " + strings.Join(steps, "\n          - ") + "\n"
	}
	step := "{name: %s, target: edge, haproxy: {backend: %[1]s, server: master, shutdown_sessions: %t, backends: {" + strings.Join(backends, ", ") + "}}}"
	plan := stage("cutover", fmt.Sprintf(step, frontMoved, false), fmt.Sprintf(step, frontEnded, true))
	targets := "targets:\n  edge: {rate: 6000, haproxy: {address: \"unix:" + f.proxy.Socket() + "\"}}\n"
	if f.guard.fence { // at once where it answers, and as soon as it does
		plan = stage("fence", "{name: fence, target: old, redis_fence: {wait: 0.5s}}") + plan +
			stage("late", "{name: late, target: old, redis_fence: {wait: 60s}}")
		targets += "  old: {rate: 6000, redis_fence: {}}\n"
	}
	return fmt.Sprintf("masters:\n  - id: %s\n    sentinel: {name: %s, addresses: [%s]}\n    candidates: [%s]\n    plan:\n%s%s",
		fenceMaster, f.redis.Name(), strings.Join(sentinels, ", "), strings.Join(candidates, ", "), plan, targets)
}

func (f *fenceLab) apply(ctx context.Context) error {
	spec, file, err := specs.ParseSpec("fence.yaml", []byte(f.spec()))
	if err != nil {
		return err
	}
	return lab.Until(ctx, fenceSettle, "the spec to be applied", func(ctx context.Context) error {
		return f.nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			_, err := pointsmanv1.NewSpecServiceClient(c).ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: spec, Source: string(file.Source())})
			return err
		})
	})
}

// accepted is the master as the cluster has it.
func (f *fenceLab) accepted(ctx context.Context) (m *pointsmanv1.Master, err error) {
	err = f.nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
		answer, err := pointsmanv1.NewMasterServiceClient(c).GetMaster(ctx, &pointsmanv1.GetMasterRequest{Id: fenceMaster})
		m = answer.GetMaster()
		return err
	})
	return m, err
}

// ready returns when all nodes follow one master, nothing is open, and that
// master alone takes what comes through each front.
func (f *fenceLab) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fenceSettle, fmt.Errorf("not within %s", fenceSettle))
	defer cancel()
	if err := f.redis.WaitStable(ctx); err != nil {
		return err
	}
	return lab.Until(ctx, fenceSettle, "a steady master behind every front", func(ctx context.Context) error {
		master, err := f.redis.Master(ctx)
		if err != nil {
			return err
		}
		m, err := f.accepted(ctx)
		if err != nil {
			return err
		}
		if m.State != pointsmanv1.MasterState_MASTER_STATE_STEADY || m.Address != master || m.OpenActions > 0 {
			return fmt.Errorf("pointsman has %s at %s with %d open actions, the sentinels say %s; alerts: %v", m.State, m.Address, m.OpenActions, master, m.Alerts)
		}
		return f.leadsTo(ctx, master)
	})
}

// leadsTo asks through each front for the port of whoever answers.
func (f *fenceLab) leadsTo(ctx context.Context, master string) error {
	_, port, err := net.SplitHostPort(master)
	if err != nil {
		return err
	}
	for name, address := range f.fronts {
		got, err := askRedis(ctx, address, "CONFIG", "GET", "port")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if text := fmt.Sprint(got); !strings.Contains(text, port) {
			return fmt.Errorf("%s leads to %s, want port %s", name, text, port)
		}
	}
	return nil
}

// askRedis asks on a connection of its own, as a client does.
func askRedis(ctx context.Context, address string, args ...any) (any, error) {
	c := oneClient(address)
	defer c.Close()
	return c.Do(ctx, args...).Result()
}

// oneClient dials once for what it is asked, and asks once.
func oneClient(address string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: address, Protocol: 2, MaxRetries: -1, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// order asks one Sentinel for a failover.
func (f *fenceLab) order(ctx context.Context) error {
	return lab.Until(ctx, fenceSwitch, "a sentinel to take the order", func(ctx context.Context) error {
		_, err := f.redis.Do(ctx, f.redis.Sentinels()[0].Address, "SENTINEL", "FAILOVER", f.redis.Name())
		return err
	})
}

// cut takes a node away from all but its clients.
func (f *fenceLab) cut(ctx context.Context, node string) error {
	if _, err := askRedis(ctx, outer(node), "CONFIG", "SET", "bind", outerHost); err != nil {
		return err
	}
	_, err := askRedis(ctx, outer(node), "CLIENT", "KILL", "LADDR", node)
	return err
}

// join brings it back.
func (f *fenceLab) join(ctx context.Context, node string) error {
	_, err := askRedis(ctx, outer(node), "CONFIG", "SET", "bind", innerHost+" "+outerHost)
	return err
}
