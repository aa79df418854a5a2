package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Node is one process of the Lab as it is now.
type Node struct {
	Address string `json:"address"`
	PID     int    `json:"pid"`            // 0: not running
	Role    string `json:"role,omitempty"` // Redis only: master, slave, paused, unreachable or dead
}

// Lab is a running set of Redis and Sentinel processes. All methods may be
// called concurrently; two that start or stop the same node race for it, and
// one gets ErrRunning or ErrNotRunning.
type Lab struct {
	opt       Options
	dir       string
	spawner   *spawner
	ports     *Ports
	redis     []*process
	sentinels []*process
	close     sync.Once
	closeErr  error
}

// Bounds of Start.
const (
	startAttempts = 5                // with other ports each time
	startTimeout  = 60 * time.Second // when ctx has no earlier end
	pollEvery     = 20 * time.Millisecond
)

var errPortTaken = errors.New("port taken")

// Start brings everything up and returns when the replicas are in sync and the
// Sentinels know each other. After an error nothing is left running.
func Start(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		l, err := start(ctx, o)
		if err == nil || !errors.Is(err, errPortTaken) || attempt == startAttempts {
			return l, err
		}
		o.Progress("a port was taken meanwhile, trying others")
	}
}

func start(ctx context.Context, o Options) (*Lab, error) {
	l := &Lab{opt: o, dir: o.Dir, spawner: newSpawner()}
	if err := l.lay(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := l.boot(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// lay makes folders, ports and configuration files.
func (l *Lab) lay() (err error) {
	if l.dir == "" {
		if l.dir, err = os.MkdirTemp("", "pointsman-redis-"); err != nil {
			return err
		}
	}
	if l.dir, err = filepath.Abs(l.dir); err != nil {
		return err
	}
	if l.ports, err = ReservePorts(1 + l.opt.Replicas + l.opt.Sentinels); err != nil {
		return err
	}
	for i, port := range l.ports.Numbers {
		name, sentinel := fmt.Sprintf("redis-%d", i+1), i > l.opt.Replicas
		if sentinel {
			name = fmt.Sprintf("sentinel-%d", i-l.opt.Replicas)
		}
		p := &process{host: "127.0.0.1", port: port, dir: filepath.Join(l.dir, name), sentinel: sentinel}
		p.address = net.JoinHostPort(p.host, strconv.Itoa(port))
		if sentinel {
			l.sentinels = append(l.sentinels, p)
		} else {
			l.redis = append(l.redis, p)
		}
		if err := l.write(p); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) write(p *process) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	c := Conf{Host: p.host, Port: p.port, Dir: p.dir, Name: l.opt.Name, Quorum: l.opt.Quorum}
	if first := l.redis[0]; p != first {
		c.MasterHost, c.MasterPort = first.host, first.port
	}
	text, err := l.opt.redisConf(c)
	if p.sentinel {
		text, err = l.opt.sentinelConf(c)
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.seed(), []byte(text), 0o600); err != nil {
		return err
	}
	return os.WriteFile(p.conf(), []byte(text), 0o600)
}

func (l *Lab) boot(ctx context.Context) error {
	for _, group := range [][]*process{l.redis, l.sentinels} {
		for _, p := range group {
			if err := p.start(l.spawner, l.opt.Binary); err != nil {
				return err
			}
		}
		for _, p := range group {
			if err := l.answers(ctx, p); err != nil {
				return err
			}
		}
		if group[0].sentinel {
			l.opt.Progress("sentinels are up, waiting until they know each other")
			return l.WaitStable(ctx)
		}
		l.opt.Progress("redis is up, waiting for replication")
		if err := l.waitFor(ctx, func() error { return l.inSync(ctx, l.redis[0].address, 500*time.Millisecond) }); err != nil {
			return fmt.Errorf("replication: %w", err)
		}
	}
	return nil
}

// answers waits for PING, and tells a taken port from another early end.
func (l *Lab) answers(ctx context.Context, p *process) error {
	return l.waitFor(ctx, func() error {
		if p.pid() == 0 {
			if !free(p.port) {
				return permanent{fmt.Errorf("%s: %w", p.address, errPortTaken)}
			}
			return permanent{fmt.Errorf("%s ended at start: %s", p.address, p.log())}
		}
		_, err := l.do(ctx, p, time.Second, "PING")
		return err
	})
}

// Close kills every process, waits for their ends and removes the folder
// unless Keep is set. It may be called again.
func (l *Lab) Close() error {
	l.close.Do(func() {
		for _, p := range l.all() {
			if err := p.kill(); err != nil && !errors.Is(err, ErrNotRunning) {
				l.closeErr = errors.Join(l.closeErr, err)
			}
		}
		l.spawner.stop()
		if l.ports != nil {
			l.ports.Release()
		}
		if !l.opt.Keep && l.dir != "" {
			l.closeErr = errors.Join(l.closeErr, l.removeFiles())
		}
	})
	return l.closeErr
}

// removeFiles takes away what the Lab made. A folder given by the caller is
// removed only when nothing else lies in it.
func (l *Lab) removeFiles() error {
	for _, p := range l.all() {
		if err := os.RemoveAll(p.dir); err != nil {
			return err
		}
	}
	if l.opt.Dir == "" {
		return os.RemoveAll(l.dir)
	}
	_ = os.Remove(l.dir) // refused when the caller keeps something else there
	return nil
}

func (l *Lab) all() []*process { return append(append([]*process{}, l.redis...), l.sentinels...) }

// Dir is the work folder.
func (l *Lab) Dir() string { return l.dir }

// Name is the Sentinels' name for the master.
func (l *Lab) Name() string { return l.opt.Name }

// Redis lists the Redis nodes, the first master first, with their present role.
func (l *Lab) Redis() []Node {
	out := make([]Node, len(l.redis))
	var wg sync.WaitGroup
	for i, p := range l.redis {
		wg.Go(func() { out[i] = Node{Address: p.address, PID: p.pid(), Role: l.role(p)} })
	}
	wg.Wait()
	return out
}

func (l *Lab) role(p *process) string {
	if p.pid() == 0 {
		return "dead"
	}
	if p.isPaused() {
		return "paused"
	}
	v, err := l.do(context.Background(), p, 300*time.Millisecond, "ROLE")
	list, _ := v.([]any)
	if err != nil || len(list) == 0 {
		return "unreachable"
	}
	role, _ := list[0].(string)
	return cmp.Or(role, "unreachable")
}

// Sentinels lists the Sentinel processes.
func (l *Lab) Sentinels() []Node {
	out := make([]Node, len(l.sentinels))
	for i, p := range l.sentinels {
		out[i] = Node{Address: p.address, PID: p.pid()}
	}
	return out
}

// Kill ends a node with SIGKILL and returns when the kernel has let it go.
func (l *Lab) Kill(address string) error {
	return l.with(address, func(p *process) error { return p.kill() })
}

// Pause stops a node with SIGSTOP: its connections stay open and silent.
func (l *Lab) Pause(address string) error {
	return l.with(address, func(p *process) error { return p.signal(syscall.SIGSTOP) })
}

// Resume continues a paused node.
func (l *Lab) Resume(address string) error {
	return l.with(address, func(p *process) error { return p.signal(syscall.SIGCONT) })
}

// Restart starts a dead node, or kills a running one first, with the files it
// had. It returns once the node has been started, not once it answers.
func (l *Lab) Restart(address string) error {
	return l.with(address, func(p *process) error { return l.restart(p) })
}

// WipeSentinel restarts a Sentinel from the configuration of the very start:
// it has a new id, epoch 0, and believes in the first master.
func (l *Lab) WipeSentinel(address string) error {
	return l.with(address, func(p *process) error {
		if !p.sentinel {
			return fmt.Errorf("wipe %s: not a sentinel", address)
		}
		if err := p.kill(); err != nil && !errors.Is(err, ErrNotRunning) {
			return err
		}
		text, err := os.ReadFile(p.seed())
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.conf(), text, 0o600); err != nil { //nolint:gosec // a path of the lab's own
			return err
		}
		return p.start(l.spawner, l.opt.Binary)
	})
}

func (l *Lab) restart(p *process) error {
	if err := p.kill(); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	return p.start(l.spawner, l.opt.Binary)
}

func (l *Lab) with(address string, f func(*process) error) error {
	for _, p := range l.all() {
		if p.address == address {
			return f(p)
		}
	}
	return unknown(address)
}

// Do sends one command as the administrator of that node. The answer is a
// string, int64, nil or []any; an error reply comes back as Error.
func (l *Lab) Do(ctx context.Context, address string, args ...string) (v any, err error) {
	err = l.with(address, func(p *process) error {
		v, err = l.do(ctx, p, 2*time.Second, args...)
		return err
	})
	return v, err
}

func (l *Lab) login(p *process) Login {
	if p.sentinel {
		return l.opt.Sentinel
	}
	return l.opt.Redis
}

func (l *Lab) do(ctx context.Context, p *process, timeout time.Duration, args ...string) (any, error) {
	c, err := dial(ctx, p.address, l.login(p), l.opt.TLS)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return c.do(timeout, args...)
}
