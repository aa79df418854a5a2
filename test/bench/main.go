package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// errClaims is returned when a count is not what it must be; exit code 3.
var errClaims = errors.New("a claim does not hold")

// config is what a bench is told.
type config struct {
	pointsman string
	parts     []string
	switches  int           // failovers for each side
	days      int           // times that each bad day is played for each side
	day       string        // part of the name of the days to play; empty: all
	reads     time.Duration // span of each measurement of reads
	watchers  int
	changes   int
	hands     int           // hand-overs of a lease, each way
	beats     int           // sessions that renew
	rate      int           // renewals a second that are offered
	etcd      string        // the program of test/bench/etcdpeer; empty: etcd is left out
	leases    int           // held at once
	fences    int           // times that each event of the part fence is played under each guard
	hooks     time.Duration // span of each round of a receiver of webhooks
	rounds    int           // of each receiver
	events    int           // webhooks from end to end
	slow      int           // slow clients of a receiver
	naive     string        // the program of test/bench/naivepeer; empty: it is left out
	json      string        // file; empty: none
}

// The parts of a bench.
const (
	partSwitches = "switches"
	partDays     = "days"
	partReads    = "reads"
	partWatchers = "watchers"
	partFence    = "fence"
	partLeases   = "leases"
	partHooks    = "webhooks"
)

func parts() []string {
	return []string{partSwitches, partDays, partReads, partWatchers, partFence, partLeases, partHooks}
}

func parse(args []string, out io.Writer) (c config, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(out)
	only := ""
	f.StringVar(&c.pointsman, "pointsman", "", "the program to measure; empty: the one in PATH")
	f.StringVar(&only, "parts", strings.Join(parts(), ","), "what to measure")
	f.IntVar(&c.switches, "switches", 30, "failovers for each side")
	f.IntVar(&c.days, "days", 3, "times that each bad day is played for each side")
	f.StringVar(&c.day, "day", "", "part of the name of the days to play")
	f.DurationVar(&c.reads, "reads", 5*time.Second, "span of each measurement of reads")
	f.IntVar(&c.watchers, "watchers", 1000, "watchers of one setting")
	f.IntVar(&c.changes, "changes", 30, "changes that they are told of")
	f.IntVar(&c.fences, "fences", 3, "times that each event of the part fence is played")
	f.IntVar(&c.hands, "hands", 10, "hand-overs of a lease, each way")
	f.IntVar(&c.beats, "beats", 10000, "sessions that renew")
	f.IntVar(&c.rate, "rate", 10000, "renewals a second that are offered")
	f.StringVar(&c.etcd, "etcd", "", "the program of test/bench/etcdpeer; empty: etcd is left out")
	f.IntVar(&c.leases, "leases", 100000, "leases held at once")
	f.DurationVar(&c.hooks, "hooks", 5*time.Second, "span of each round of a receiver of webhooks")
	f.IntVar(&c.rounds, "rounds", 5, "rounds of each receiver of webhooks")
	f.IntVar(&c.events, "events", 100000, "webhooks from end to end")
	f.IntVar(&c.slow, "slow", 10000, "slow clients of a receiver of webhooks")
	f.StringVar(&c.naive, "naive", "", "the program of test/bench/naivepeer; empty: it is left out")
	f.StringVar(&c.json, "json", "", "file for all figures as JSON")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	c.parts = strings.Split(only, ",")
	for _, p := range c.parts {
		if !slices.Contains(parts(), p) {
			return c, fmt.Errorf("part %q: want one of %q", p, parts())
		}
	}
	if c.switches < 1 || c.days < 1 || c.reads <= 0 || c.watchers < 1 || c.changes < 1 || c.fences < 1 || c.hands < 1 || c.beats < 1 || c.rate < 1 || c.leases < 1 || c.hooks <= 0 || c.rounds < 1 || c.events < 1 || c.slow < 1 || f.NArg() > 0 {
		return c, fmt.Errorf("want positive numbers and no arguments, have %q", args)
	}
	return c, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = run(ctx, c, os.Stdout, os.Stderr)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errClaims):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(3)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is a run.
type bench struct {
	config
	python string // empty: the recipe's side is left out
	talk   io.Writer
	began  time.Time
}

// run measures and writes the figures as Markdown. What was measured before an
// error is written too.
func run(ctx context.Context, c config, out, talk io.Writer) error {
	b := &bench{config: c, talk: talk, began: time.Now()}
	f := &figures{Machine: thisMachine()}
	var err error
	if b.python, err = python(ctx); err != nil {
		b.say("%v", err)
		f.Left = err.Error()
	}
	err = b.measure(ctx, f)
	f.markdown(out)
	if c.json != "" {
		text, bad := json.MarshalIndent(f, "", "  ")
		err = errors.Join(err, bad, os.WriteFile(c.json, append(text, '\n'), 0o644))
	}
	return errors.Join(err, f.claims())
}

func (b *bench) measure(ctx context.Context, f *figures) (err error) {
	o := lab.Options{Pointsman: b.pointsman, Rejoin: true}
	if slices.Contains(b.parts, partSwitches) {
		if f.Switches, err = b.onStage(ctx, o); err != nil {
			return err
		}
	}
	if slices.Contains(b.parts, partReads) || slices.Contains(b.parts, partWatchers) {
		if err := b.onCluster(ctx, o, f); err != nil {
			return err
		}
	}
	if slices.Contains(b.parts, partDays) {
		if f.Days, err = b.allDays(ctx, o); err != nil {
			return err
		}
	}
	if slices.Contains(b.parts, partFence) {
		if f.Fences, err = b.fences(ctx, o, b.config.fences); err != nil {
			return err
		}
	}
	if slices.Contains(b.parts, partLeases) {
		if f.Leases, err = b.onLeases(ctx, o); err != nil {
			return err
		}
	}
	if slices.Contains(b.parts, partHooks) {
		f.Hooks, err = b.onHooks(ctx, hookOptions{
			program: b.pointsman, naive: b.naive, span: b.config.hooks, rounds: b.rounds, connections: hookConnections, events: b.events, slow: b.config.slow,
		})
	}
	return err
}

// onLeases has clusters of their own, one at a time: many leases leave a log and a
// state behind.
func (b *bench) onLeases(ctx context.Context, nodes lab.Options) (*leased, error) {
	o := leaseOptions{program: nodes.Pointsman, hands: b.hands, beats: b.beats, rate: float64(b.rate), span: b.config.reads, leases: b.leases}
	l := &leased{}
	err := onNodes(ctx, nodes, func(c *cluster) (err error) {
		*l, err = b.move(ctx, c, o)
		return err
	})
	if err != nil {
		return l, err
	}
	err = onNodes(ctx, nodes, func(c *cluster) error {
		m, err := b.hold(ctx, c, o)
		l.Mass = append(l.Mass, m)
		return err
	})
	switch {
	case err != nil:
		return l, err
	case b.etcd == "":
		l.Left = "etcd is left out: test/bench/etcdpeer was not built"
		return l, nil
	}
	return l, b.besides(ctx, b.etcd, o, l)
}

// onNodes plays on a cluster of its own.
func onNodes(ctx context.Context, o lab.Options, do func(*cluster) error) error {
	c, err := newCluster(ctx, o)
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

func (b *bench) onStage(ctx context.Context, o lab.Options) (list []switches, err error) {
	g, err := newStage(ctx, o, b.python)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	return b.duel(ctx, g, b.switches)
}

func (b *bench) onCluster(ctx context.Context, o lab.Options, f *figures) (err error) {
	c, err := newCluster(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if slices.Contains(b.parts, partReads) {
		if f.Reads, err = b.read(ctx, c, b.reads, 1, 256); err != nil {
			return err
		}
	}
	if slices.Contains(b.parts, partWatchers) {
		f.Watchers, err = b.watchers(ctx, c, b.config.watchers, b.changes)
	}
	return err
}

// dayRate is the requests a minute of the sample's spec: on a bad day the
// provider's fair use counts.
const dayRate = 60

// allDays plays every day for each side in turns, on a fresh playground each time.
func (b *bench) allDays(ctx context.Context, o lab.Options) (list []ofDay, err error) {
	o.Rate = dayRate
	for _, d := range days() {
		if !strings.Contains(d.name, b.day) {
			continue
		}
		both := [2]ofDay{{Day: d.name, From: d.from, Side: byPointsman}, {Day: d.name, From: d.from, Side: byRecipe}}
		for i := range b.days {
			for k := range both {
				if both[k].Side == byRecipe && b.python == "" {
					continue
				}
				b.say("%s, %d of %d, %s", d.name, i+1, b.days, both[k].Side)
				one, err := b.live(ctx, o, d, both[k].Side)
				if err != nil {
					return append(list, both[:]...), fmt.Errorf("%s, %s: %w", d.name, both[k].Side, err)
				}
				if d.promotions > 0 && one.Promotions != d.promotions {
					both[k].Dirty++
					continue
				}
				both[k].All = append(both[k].All, one)
			}
		}
		list = append(list, both[:]...)
	}
	return list, nil
}

// live plays one day for one side.
func (b *bench) live(ctx context.Context, o lab.Options, d day, name string) (out outcome, err error) {
	g, err := newStage(ctx, o, b.python)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	s := g.ours
	if name == byRecipe {
		s = g.recipe
	}
	if err := g.enter(ctx, s); err != nil {
		return out, err
	}
	r := s.trace(ctx)
	defer r.stop()
	if out, err = d.play(ctx, g, s); err != nil {
		return out, err
	}
	return out, g.judge(ctx, s, r, &out)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.talk, "%7.1f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}
