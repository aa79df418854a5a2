package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// How the bench measures.
const (
	idleFor   = 20 * time.Second // CPU of the idle nodes, both kinds at the same time
	idleAfter = 3 * time.Second  // of quiet before
	startRuns = 5                // fresh clusters for start → leader
)

type bench struct {
	options   lab.Options
	failovers int
	screen    *screen
}

// figures is what a bench came to. Its JSON is stable.
type figures struct {
	Machine string     `json:"machine"`
	Binary  float64    `json:"binary_mb"`
	Start   spread     `json:"start_to_leader_ms"`      // three nodes with empty stores, from their start
	Request spread     `json:"promotion_to_request_ms"` // promotion visible to first mutating request at the provider
	Applied spread     `json:"promotion_to_applied_ms"` // to traffic; half a second of it is the simulated provider's task
	Idle    idle       `json:"idle"`
	Report  lab.Report `json:"report"`
}

// spread is a set of measurements in milliseconds.
type spread struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// idle compares three kinds of idle nodes over the same seconds: coordinators
// that watch one master, coordinators without a spec, and bare nodes of
// hashicorp/raft with the same timings.
type idle struct {
	Seconds       float64 `json:"seconds"`
	Watching      rest    `json:"watching"`
	Empty         rest    `json:"empty"`
	Bare          rest    `json:"bare_raft"`
	WatchingRatio float64 `json:"watching_cpu_ratio"` // to the bare nodes
	EmptyRatio    float64 `json:"empty_cpu_ratio"`
}

// rest is what three idle nodes take: CPU in percent of one core, the mean; RSS
// in MB, the largest.
type rest struct {
	CPU float64 `json:"cpu_percent"`
	RSS float64 `json:"rss_mb"`
}

func newBench(o *lab.Options) *cobra.Command {
	b := bench{}
	asJSON := false
	c := &cobra.Command{
		Use: "bench", Short: "Measure the figures of the README", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if b.failovers < 1 {
				return fmt.Errorf("%w: --failovers %d, at least one is needed", errUsage, b.failovers)
			}
			b.options = *o
			b.options.Rejoin = true
			f, err := b.run(c.Context())
			if err != nil && !errors.Is(err, errClaims) {
				return err
			}
			return errors.Join(err, show(c.OutOrStdout(), f, asJSON))
		},
	}
	c.Flags().IntVar(&b.failovers, "failovers", 30, "real failovers to make")
	c.Flags().BoolVar(&asJSON, "json", false, "the figures as JSON")
	return c
}

func (b *bench) run(ctx context.Context) (f figures, err error) {
	b.screen = newScreen(os.Stderr)
	defer b.screen.close()
	dir, err := os.MkdirTemp("", "pointsman-bench-")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f.Machine = machine()
	if f.Start, err = b.starts(ctx, dir); err != nil {
		return f, err
	}
	l, err := lab.Start(ctx, b.options)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if f.Binary, err = binary(l); err != nil {
		return f, err
	}
	if f.Idle, err = b.idle(ctx, l, dir); err != nil {
		return f, err
	}
	if err := b.shoot(ctx, l); err != nil {
		return f, err
	}
	if err := l.WaitReady(ctx); err != nil {
		return f, err
	}
	var checks []lab.Check
	if f.Report, checks, err = l.Report(ctx, lab.Expect{Failovers: b.failovers}); err != nil {
		return f, err
	}
	f.count()
	for _, c := range checks {
		if !c.OK() {
			b.screen.say("does not hold: %s: %s", c.Name, c.Detail)
			err = errClaims
		}
	}
	return f, err
}

// starts measures three nodes with empty stores, again and again.
func (b *bench) starts(ctx context.Context, dir string) (spread, error) {
	var all []float64
	for i := range startRuns {
		b.screen.say("start of three nodes, %d of %d", i+1, startRuns)
		begin := time.Now()
		n, err := lab.StartNodes(ctx, b.options, dir)
		if err != nil {
			return spread{}, err
		}
		all = append(all, millis(time.Since(begin)))
		if err := n.Close(); err != nil {
			return spread{}, err
		}
	}
	return spreadOf(all), nil
}

func (b *bench) shoot(ctx context.Context, l *lab.Lab) error {
	for i := range b.failovers {
		b.screen.say("failover %d of %d", i+1, b.failovers)
		if err := l.Failover(ctx, lab.Shot{}); err != nil {
			return err
		}
	}
	return nil
}

// count takes the spans out of the report.
func (f *figures) count() {
	var request, applied []float64
	for _, o := range f.Report.Failovers {
		if p := o.PhasesMS; p.Promoted != nil && p.FirstRequest != nil && p.Applied != nil {
			request = append(request, *p.FirstRequest-*p.Promoted)
			applied = append(applied, *p.Applied-*p.Promoted)
		}
	}
	f.Request, f.Applied = spreadOf(request), spreadOf(applied)
}

func spreadOf(all []float64) spread {
	if len(all) == 0 {
		return spread{}
	}
	slices.Sort(all)
	mid := all[len(all)/2]
	if len(all)%2 == 0 {
		mid = (mid + all[len(all)/2-1]) / 2
	}
	return spread{N: len(all), Median: tenth(mid), Max: tenth(all[len(all)-1])}
}

func binary(l *lab.Lab) (mb float64, err error) {
	info, err := os.Stat(l.Program())
	if err != nil {
		return 0, err
	}
	return tenth(float64(info.Size()) / 1e6), nil
}

// machine names where the figures are from.
func machine() string {
	model := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// show writes the figures, for people or for programs.
func show(out io.Writer, f figures, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(f)
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	p := f.Report.Provider
	fmt.Fprintf(w, "machine\t%s\n", f.Machine)
	fmt.Fprintf(w, "promotion → first mutating request\tmedian %.1f ms, max %.1f ms (n=%d)\n", f.Request.Median, f.Request.Max, f.Request.N)
	fmt.Fprintf(w, "promotion → traffic on the new master\tmedian %.0f ms, max %.0f ms (the provider's task included)\n", f.Applied.Median, f.Applied.Max)
	fmt.Fprintf(w, "provider, for %d failovers\t%d changes, %d refreshes, duplicates %d, stale %d, lost %d, orphans %d\n",
		len(f.Report.Failovers), p.FrontendChanges, p.Refreshes, p.Duplicates, p.Stale, p.Lost, p.Orphans)
	fmt.Fprintf(w, "three empty nodes → leader\tmedian %.0f ms, max %.0f ms (n=%d)\n", f.Start.Median, f.Start.Max, f.Start.N)
	for _, r := range []struct {
		who string
		rest
		ratio float64
	}{
		{"idle coordinator, watching one master", f.Idle.Watching, f.Idle.WatchingRatio},
		{"idle coordinator without a spec", f.Idle.Empty, f.Idle.EmptyRatio},
		{"idle bare hashicorp/raft node", f.Idle.Bare, 1},
	} {
		fmt.Fprintf(w, "%s\t%.1f MB RSS, %.2f %% of a core, %.2f times the bare node\n", r.who, r.RSS, r.CPU, r.ratio)
	}
	fmt.Fprintf(w, "binary %s\t%.1f MB\n", filepath.Base(lab.Program), f.Binary)
	return w.Flush()
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func tenth(v float64) float64        { return float64(int64(v*10+0.5)) / 10 }
func hundredth(v float64) float64    { return float64(int64(v*100+0.5)) / 100 }
