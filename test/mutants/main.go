package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/pointsman/pointsman/internal/planted"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o := options{}
	flag.StringVar(&o.only, "only", "", "play this bug only")
	flag.Uint64Var(&o.seeds, "seeds", 60, "seeds of test/sim to search when the known ones do not catch a bug")
	flag.IntVar(&o.parallel, "parallel", max(1, runtime.NumCPU()), "bugs to play at once; those of test/chaos are played alone")
	flag.BoolVar(&o.markdown, "markdown", false, "print the table of docs/guarantees.md, too")
	flag.Parse()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

type options struct {
	only     string
	seeds    uint64
	parallel int
	markdown bool
}

var errSurvived = errors.New("not every planted bug is caught")

func run(ctx context.Context, o options) error {
	if !planted.Known(o.only) {
		return fmt.Errorf("no planted bug is called %q", o.only)
	}
	var list []planted.Entry
	for _, e := range planted.Bugs() {
		if o.only == "" || o.only == string(e.Name) {
			list = append(list, e)
		}
	}
	dir, err := os.MkdirTemp("", "pointsman-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	p := &player{dir: dir, seeds: o.seeds, clean: map[string]error{}}
	if err := p.compile(ctx, list); err != nil {
		return err
	}
	fmt.Printf("compiled in %.0f s\n", time.Since(began).Seconds())
	results := playAll(ctx, p, list, o.parallel)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fmt.Print(table(results))
	if o.markdown {
		fmt.Print("\n", markdown(results))
	}
	survived := slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.caught() })
	fmt.Printf("%d planted bugs, %d caught, %.0f s\n", len(results), len(results)-len(survived), time.Since(began).Seconds())
	if len(survived) > 0 {
		return errSurvived
	}
	return nil
}

// playAll plays the bugs side by side, then those that need the machine for
// themselves.
func playAll(ctx context.Context, p *player, list []planted.Entry, parallel int) []result {
	results := make([]result, len(list))
	slots := make(chan struct{}, parallel)
	var work sync.WaitGroup
	alone := func(e planted.Entry) bool { return catchers()[e.Name].whole.pkg == chaos }
	for i, e := range list {
		if alone(e) {
			continue
		}
		work.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = p.play(ctx, e)
			fmt.Println(results[i].line())
		})
	}
	work.Wait()
	for i, e := range list {
		if alone(e) && ctx.Err() == nil {
			results[i] = p.play(ctx, e)
			fmt.Println(results[i].line())
		}
	}
	return results
}
