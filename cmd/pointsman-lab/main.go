package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// Exit codes, as the program pointsman has them.
const (
	exitFailed = 1
	exitUsage  = 2
	exitClaims = 3 // a claim of the report does not hold
)

var (
	// errClaims is returned when the run went through and a claim does not hold.
	errClaims = errors.New("not every claim holds")
	// errUsage is returned for a flag whose value makes no sense.
	errUsage = errors.New("bad flag")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	started := false
	var o lab.Options
	root := &cobra.Command{
		Use: "pointsman-lab", Short: "Playground of Pointsman: real Redis, simulated OVH, three coordinators",
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			started = true
			if o.Rate < 1 {
				return fmt.Errorf("%w: --rate %d, at least one request per minute is needed", errUsage, o.Rate)
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().StringVar(&o.Pointsman, "pointsman", "", "program that the coordinators run (default: beside this one, then PATH)")
	root.PersistentFlags().IntVar(&o.Rate, "rate", lab.DefaultRate, "requests per minute that the spec grants the provider; the sample's own is meant for failovers far apart")
	root.AddCommand(newDemo(&o), newUp(&o), newBench(&o), newBareRaft())
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errClaims):
		return exitClaims
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "interrupted; everything is stopped")
		return exitFailed
	case !started, errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "pointsman-lab: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(os.Stderr, "pointsman-lab: %v\n", err)
	return exitFailed
}
