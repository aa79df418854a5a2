package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pointsman/pointsman/test/clouds/bucket"
	"github.com/pointsman/pointsman/test/clouds/hooks"
	"github.com/pointsman/pointsman/test/clouds/lab"
	"github.com/pointsman/pointsman/test/clouds/redis"
)

// Sides of the part webhooks beside Pointsman.
const (
	byNaive = "one PUT per request (Go, minio-go)"
	byFlask = "Flask + boto3 (gunicorn, 2 × 32 threads)"
)

// hookOptions says how webhooks are measured.
type hookOptions struct {
	program, naive, python string // pointsman; naivepeer and python, empty: that side is left out
	span                   time.Duration
	rounds, connections    int
	events                 int // from end to end
	slow                   int // slow clients
}

// hooked is what the part came to.
type hooked struct {
	Sides []hookSide `json:"receivers"`
	Flows []hookFlow `json:"end_to_end"`
	Slow  *slowed    `json:"slow_clients,omitempty"`
	Left  []string   `json:"left_out,omitempty"`
}

// hookSide is what one receiver came to, each spread over its rounds.
type hookSide struct {
	Side    string  `json:"side"`
	Rate    spread  `json:"per_second"`
	P50     spread  `json:"p50_ms"`
	P99     spread  `json:"p99_ms"`
	Objects float64 `json:"objects_per_1000"` // in its bucket, for 1,000 events acknowledged
	Others  int     `json:"not_2xx"`          // answers, and connections that broke

	prefix, at string
	acks       int
	rounds     [3][]float64
}

// hookStage is one object store, with receivers that have a bucket each.
type hookStage struct {
	o       hookOptions
	dir     string
	ports   *redis.Ports
	next    int
	group   *lab.Group
	store   *bucket.Process
	metrics string // address of our receiver's
	last    int    // number in the group of what was started last
}

// hookWithin bounds the start of one program.
const hookWithin = 30 * time.Second

func newHookStage(ctx context.Context, o hookOptions) (_ *hookStage, err error) {
	s := &hookStage{o: o}
	if s.dir, err = os.MkdirTemp("", "pointsman-bench-hooks-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.ports, err = redis.ReservePorts(16); err != nil {
		return nil, err
	}
	if s.group, err = lab.StartGroup(s.dir); err != nil {
		return nil, err
	}
	s.store, err = bucket.Start(ctx)
	return s, err
}

func (s *hookStage) port() int {
	s.next++
	return s.ports.Numbers[s.next-1]
}

func (s *hookStage) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port())) }

// add starts a program and waits until it listens.
func (s *hookStage) add(ctx context.Context, name, at string, command ...string) (int, error) {
	i, err := s.group.Add(s.dir, name, command...)
	if err != nil {
		return i, err
	}
	err = lab.Until(ctx, hookWithin, name+" to listen at "+at, func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", at)
		if err != nil {
			return fmt.Errorf("%w; its log ends:\n%s", err, s.group.Log(i))
		}
		return c.Close()
	})
	return i, err
}

func (s *hookStage) Close() error {
	var err error
	if s.group != nil {
		err = s.group.Close()
	}
	if s.store != nil {
		err = errors.Join(err, s.store.Close())
	}
	if s.ports != nil {
		s.ports.Release()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// receiver starts one of ours on a store, which may be a bucket or a folder.
func (s *hookStage) receiver(ctx context.Context, name, store, more string) (at string, err error) {
	f := hooks.Files{Dir: filepath.Join(s.dir, name), Store: store}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return "", err
	}
	at, s.metrics = s.address(), s.address()
	path, err := f.Receiver(hooks.Receiver{Name: name, Listen: at, Metrics: s.metrics, More: more})
	if err != nil {
		return "", err
	}
	s.last, err = s.add(ctx, name, at, s.o.program, "webhook", "receive", "--config", path)
	return at, err
}

// sides starts the receivers that are compared, on one store.
func (s *hookStage) sides(ctx context.Context) (list []*hookSide, err error) {
	at, err := s.receiver(ctx, "receiver", hooks.Bucket(s.store, "ours/"), "")
	if err != nil {
		return nil, err
	}
	list = append(list, &hookSide{Side: byPointsman, prefix: "ours/", at: at})
	if s.o.naive != "" {
		if at, err = s.naive(ctx); err != nil {
			return nil, err
		}
		list = append(list, &hookSide{Side: byNaive, prefix: "naive/", at: at})
	}
	if s.o.python == "" {
		return list, nil
	}
	flask, err := s.flask(ctx)
	return append(list, flask), err
}

func (s *hookStage) naive(ctx context.Context) (string, error) {
	at := s.address()
	_, err := s.add(ctx, "naive", at, append(s.env("naive/"), s.o.naive, at)...)
	return at, err
}

// env begins a command line with what the others are told of the store.
func (s *hookStage) env(prefix string) []string {
	return []string{
		"env", "S3_ENDPOINT=" + s.store.Endpoint(), "S3_BUCKET=" + bucket.Name, "S3_PREFIX=" + prefix, "WEBHOOK_SECRET=" + hooks.Secret,
		"AWS_ACCESS_KEY_ID=" + bucket.AccessKey, "AWS_SECRET_ACCESS_KEY=" + bucket.SecretKey, "AWS_DEFAULT_REGION=" + bucket.Region,
	}
}

func (s *hookStage) flask(ctx context.Context) (*hookSide, error) {
	folder := filepath.Join(s.dir, "flask")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	text, err := files.ReadFile("recipe/webhooks.py")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "webhooks.py"), text, 0o600); err != nil {
		return nil, err
	}
	at := s.address()
	env := s.env("flask/")
	_, err = s.add(ctx, "flask", at, append(env, s.o.python, "-m", "gunicorn", "--chdir", folder, "-b", at, "-k", "gthread",
		"-w", "2", "--threads", "32", "--keep-alive", "60", "--log-level", "warning", "webhooks:app")...)
	return &hookSide{Side: byFlask, prefix: "flask/", at: at}, err
}

// flaskPython finds an interpreter that has all of the recipe's modules.
func flaskPython(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(ctx, name, "-c", "import flask, boto3, gunicorn").Run() == nil {
			return name, nil
		}
	}
	return "", errors.New("no python3 with flask, boto3 and gunicorn: that side of webhooks is left out (Debian: apt-get install python3-flask python3-boto3 python3-gunicorn)")
}

// turns lets each side have its turn in each round, another one first each time.
func (b *bench) turns(ctx context.Context, s *hookStage) (out []hookSide, err error) {
	list, err := s.sides(ctx)
	if err != nil {
		return nil, err
	}
	for _, side := range list { // connections and interpreters get warm
		flood(ctx, s.o.connections, s.o.span/4, 0, side.at)
	}
	for round := range s.o.rounds {
		for i := range list {
			side := list[(round+i)%len(list)]
			a := flood(ctx, s.o.connections, s.o.span, 0, side.at)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			b.say("webhooks, round %d: %s: %.0f a second, p99 %.1f ms", round+1, side.Side, a.Rate, percentile(a.spans, 0.99))
			side.acks, side.Others = side.acks+a.Acks, side.Others+a.Others+a.Breaks
			for k, v := range []float64{a.Rate, percentile(a.spans, 0.5), percentile(a.spans, 0.99)} {
				side.rounds[k] = append(side.rounds[k], v)
			}
		}
	}
	for _, side := range list {
		side.Rate, side.P50, side.P99 = spreadOf(side.rounds[0]), fineSpreadOf(side.rounds[1]), fineSpreadOf(side.rounds[2])
		if side.Objects, err = s.perThousand(ctx, side); err != nil {
			return nil, err
		}
		out = append(out, *side)
	}
	return out, nil
}

// perThousand posts for a moment more, and counts what comes into the bucket.
func (s *hookStage) perThousand(ctx context.Context, side *hookSide) (float64, error) {
	before, err := hooks.Objects(s.store.Data(), side.prefix)
	if err != nil {
		return 0, err
	}
	a := flood(ctx, s.o.connections, s.o.span/4, 0, side.at)
	after, err := hooks.Objects(s.store.Data(), side.prefix)
	return tenth(1000 * float64(len(after)-len(before)) / float64(max(a.Acks, 1))), err
}
