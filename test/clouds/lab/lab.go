package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"google.golang.org/grpc"

	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/deploy/samples"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// Lab is a running playground. Failover and Report are called by one goroutine;
// all else may be called concurrently.
type Lab struct {
	Redis    *redis.Lab
	Recorder *redis.Recorder
	Cloud    *Cloud
	Shop     *Shop // nil without Options.Shopify
	Others   Others
	Nodes    *Nodes
	Watch    *Watch
	Writer   *Writer  // nil with Options.Quiet
	Crew     *Crew    // nil without Options.Workers
	Spec     string   // path of the spec as applied
	Missing  []string // what Options.All left out, and what to install for it

	opt      Options
	dir      string
	own      bool // dir is ours to remove
	master   string
	url      string // key of the setting that names the master
	urlValue string // its template

	tales  []tale // one for each Failover
	killed int    // leaders killed by the lab
	close  sync.Once
	err    error // of Close
}

// Start brings everything up and returns when a failover can be made. After an
// error nothing is left.
func Start(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Lab{opt: o, dir: o.Dir, own: o.Dir == ""}
	var telling sync.Mutex
	l.opt.Events = func(e Event) {
		telling.Lock()
		defer telling.Unlock()
		o.Events(e)
	}
	if err := l.boot(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) boot(ctx context.Context) (err error) {
	if l.own {
		l.dir, err = os.MkdirTemp("", "pointsman-lab-")
	} else {
		l.dir, err = filepath.Abs(l.dir)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	s, err := sampleSpec()
	if err != nil {
		return err
	}
	l.master = s.master.Id
	l.url, l.urlValue = s.setting.GetKey(), s.setting.GetValue()
	if err := l.processes(ctx, s); err != nil {
		return err
	}
	if err := l.apply(ctx); err != nil {
		return err
	}
	if l.Recorder, err = l.Redis.Record(ctx); err != nil {
		return err
	}
	l.Watch = startWatch(l.Nodes, l.opt.Events)
	if !l.opt.Quiet {
		l.Writer = startWriter(l.Cloud.Address)
	}
	if l.opt.Workers > 0 {
		if l.Crew, err = startCrew(l.Nodes, l.opt.Workers, l.opt.Events); err != nil {
			return err
		}
	}
	return l.WaitReady(ctx)
}

// processes starts Redis and the coordinators side by side, and the cloud in
// front of Redis.
func (l *Lab) processes(ctx context.Context, s sampled) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.startRedis(ctx, s.master.Sentinel.Name); err != nil {
			cancel(fmt.Errorf("start redis: %w", err))
		}
	})
	wg.Go(func() {
		var err error
		if l.Nodes, err = StartNodes(ctx, l.opt, l.dir); err != nil {
			cancel(fmt.Errorf("start coordinators: %w", err))
		}
	})
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return l.cloud(ctx, s)
}

func (l *Lab) startRedis(ctx context.Context, name string) error {
	down, err := sampleSpan("down-after-milliseconds")
	if err != nil {
		return err
	}
	again, err := sampleSpan("failover-timeout")
	if err != nil {
		return err
	}
	l.Redis, err = redis.Start(ctx, redis.Options{
		Dir: filepath.Join(l.dir, "redis"), Name: name, DownAfter: down, FailoverTimeout: again,
		RedisConf: samples.Redis(), SentinelConf: samples.Sentinel(), SentinelExtra: l.opt.SentinelExtra,
	})
	return err
}

func (l *Lab) cloud(ctx context.Context, s sampled) (err error) {
	nodes, sentinels := addresses(l.Redis.Redis()), addresses(l.Redis.Sentinels())
	if l.Cloud, err = startCloud(s, nodes); err != nil {
		return err
	}
	if l.opt.Reach != nil {
		if err := l.opt.Reach(nodes, sentinels, l.Cloud.URL); err != nil {
			return err
		}
	}
	credentials, err := l.Cloud.credentials(l.dir)
	if err != nil {
		return err
	}
	password := filepath.Join(l.dir, "observer.password")
	if err := os.WriteFile(password, []byte(samples.ObserverPassword), 0o600); err != nil {
		return err
	}
	text, err := renderSpec(sentinels, nodes, l.Cloud.Address, l.Cloud.URL, credentials, password, l.opt)
	if err != nil {
		return err
	}
	list, err := l.besides(ctx, nodes[0])
	if err != nil {
		return err
	}
	if text, err = announce(text, append(list, steps(l.opt.Pools)...)); err != nil {
		return err
	}
	if l.opt.All {
		if text, err = share(text); err != nil {
			return err
		}
	}
	if l.opt.Fence {
		if text, err = fence(text); err != nil {
			return err
		}
	}
	text = declare(text, l.master, l.opt.Pools)
	l.Spec = filepath.Join(l.dir, "spec.yaml")
	return os.WriteFile(l.Spec, []byte(text), 0o600)
}

func addresses(nodes []redis.Node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.Address
	}
	return out
}

// apply gives the spec to the cluster, as `pointsman apply -f` does.
func (l *Lab) apply(ctx context.Context) error {
	spec, file, err := config.LoadSpec(l.Spec)
	if err != nil {
		return err
	}
	return Until(ctx, waitProgram, "the spec to be applied", func(ctx context.Context) error {
		return l.Nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
			_, err := pointsmanv1.NewSpecServiceClient(c).ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: spec, Source: string(file.Source())})
			return err
		})
	})
}

// WaitReady returns when the next failover can be made: three voters with one
// leader, a replica in sync, every Sentinel content, nothing open, and every lease
// of a Crew held for the master.
func (l *Lab) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, waitReady, fmt.Errorf("not within %s", waitReady))
	defer cancel()
	if _, err := l.Nodes.WaitLeader(ctx); err != nil {
		return err
	}
	if err := l.Redis.WaitReady(ctx); err != nil {
		return fmt.Errorf("wait for a replica in sync and content sentinels: %w", err)
	}
	at := ""
	err := Until(ctx, waitReady, "a steady master", func(ctx context.Context) error {
		master, err := l.Redis.Master(ctx)
		if err != nil {
			return err
		}
		m, err := l.Master(ctx)
		if err != nil {
			return err
		}
		if m.State != pointsmanv1.MasterState_MASTER_STATE_STEADY || m.Address != master || m.OpenActions > 0 {
			return fmt.Errorf("pointsman has %s at %s with %d open actions, the sentinels say %s; alerts: %v", m.State, m.Address, m.OpenActions, master, m.Alerts)
		}
		at = master
		return nil
	})
	if err != nil || l.Crew == nil {
		return err
	}
	return l.Crew.waitHeld(ctx, at)
}

// Program is the path of the program that the coordinators run.
func (l *Lab) Program() string { return l.opt.Pointsman }

// Master is the Redis master as the cluster has it, linearizable.
func (l *Lab) Master(ctx context.Context) (m *pointsmanv1.Master, err error) {
	err = l.Nodes.Ask(ctx, func(ctx context.Context, c grpc.ClientConnInterface) error {
		answer, err := pointsmanv1.NewMasterServiceClient(c).GetMaster(ctx, &pointsmanv1.GetMasterRequest{Id: l.master})
		m = answer.GetMaster()
		return err
	})
	return m, err
}

// Close ends everything and removes every file. It may be called again.
func (l *Lab) Close() error {
	l.close.Do(func() {
		if l.Crew != nil {
			l.Crew.stop()
		}
		if l.Writer != nil {
			l.Writer.stop()
		}
		if l.Watch != nil {
			l.Watch.stop()
		}
		if l.Recorder != nil {
			l.Recorder.Stop()
		}
		if l.Nodes != nil {
			l.err = errors.Join(l.err, l.Nodes.Close())
		}
		if l.Redis != nil {
			l.err = errors.Join(l.err, l.Redis.Close())
		}
		if l.Cloud != nil {
			l.err = errors.Join(l.err, l.Cloud.Sim.Close())
		}
		if l.Shop != nil {
			l.err = errors.Join(l.err, l.Shop.Sim.Close())
		}
		l.err = errors.Join(l.err, l.Others.close())
		l.err = errors.Join(l.err, l.removeFiles())
	})
	return l.err
}

func (l *Lab) removeFiles() error {
	if l.own {
		return os.RemoveAll(l.dir)
	}
	var err error
	for _, name := range []string{"spec.yaml", "ovh.conf", "observer.password", shopTokenFile, "redis"} {
		err = errors.Join(err, gone(os.Remove(filepath.Join(l.dir, name))))
	}
	_ = os.Remove(l.dir) // refused when the caller keeps something else there
	return err
}
