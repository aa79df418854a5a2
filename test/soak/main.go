package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// errHeld is returned when something did not hold; exit code 3.
var errHeld = errors.New("did not hold")

// config is what a soak is told.
type config struct {
	pointsman string
	store     string        // bucket or dir
	events    int           // that are sent
	rate      int           // a second
	every     time.Duration // from one kill to the next
	workers   int
	seed      uint64
}

// Stores of a soak.
const (
	inBucket = "bucket"
	inFolder = "dir"
)

func parse(args []string, out io.Writer) (c config, err error) {
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&c.pointsman, "pointsman", "", "the program to soak; empty: the one in PATH")
	f.StringVar(&c.store, "store", inBucket, "where events are kept: bucket (versitygw, killed too) or dir")
	f.IntVar(&c.events, "events", 100000, "events that are sent")
	f.IntVar(&c.rate, "rate", 500, "events a second, at most")
	f.DurationVar(&c.every, "every", 10*time.Second, "from one kill to the next")
	f.IntVar(&c.workers, "workers", 8, "workers, a process each")
	f.Uint64Var(&c.seed, "seed", 1, "fixes who is killed when; not how the machine interleaves it")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if c.store != inBucket && c.store != inFolder {
		return c, fmt.Errorf("store %q: want %s or %s", c.store, inBucket, inFolder)
	}
	if c.events < 1 || c.rate < 1 || c.every <= 0 || c.workers < 1 || c.workers > 64 || f.NArg() > 0 {
		return c, fmt.Errorf("want positive numbers, at most 64 workers and no arguments, have %q", args)
	}
	return c, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		_, err = run(ctx, c, os.Stdout, os.Stderr)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errHeld):
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(3)
	default:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run soaks, writes the table, and says what did not hold.
func run(ctx context.Context, c config, out, talk io.Writer) (result, error) {
	g, err := newGround(ctx, c)
	if err != nil {
		return result{}, err
	}
	s := &soak{config: c, ground: g, talk: talk, began: time.Now(), kills: map[victim]int{}}
	r, err := s.play(ctx)
	if err == nil {
		r.table(out)
		err = r.held()
	}
	return r, errors.Join(err, g.Close())
}
