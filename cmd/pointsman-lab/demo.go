package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// crew is how many workers share a pool that depends on the master.
const crew = 3

type demo struct {
	options   lab.Options
	failovers int
	json      bool
	keep      bool
	report    string
	stdout    io.Writer
	screen    *screen
}

func newDemo(o *lab.Options) *cobra.Command {
	d := demo{}
	c := &cobra.Command{
		Use: "demo", Short: "Make failovers, kill a leader in mid-deed, and prove what came of it", Args: cobra.NoArgs,
		Long: `Runs the playground, kills the Redis master, and shows what happens until the
load balancer sends to the new one and the workers of a pool hold leases for it.
In the second failover, and in every other
one after it, the provider carries the refresh out and holds its answer; the
leading coordinator is killed then, and the answer dropped.

Exit code 0 when every claim of the report holds, 3 when one does not.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if d.failovers < 1 {
				return fmt.Errorf("%w: --failovers %d, at least one is needed", errUsage, d.failovers)
			}
			d.options, d.stdout = *o, c.OutOrStdout()
			d.options.Workers = crew
			return d.run(c.Context())
		},
	}
	f := c.Flags()
	f.IntVar(&d.failovers, "failovers", 2, "failovers to make, one after another")
	f.BoolVar(&d.json, "json", false, "only the report on stdout")
	f.BoolVar(&d.keep, "keep", false, "leave everything running afterwards, until Ctrl-C")
	f.StringVar(&d.report, "report", "report.json", "file for the JSON report; empty: none")
	return c
}

// kills says whether the leader dies in the nth failover: never in the first,
// in the second, and in every other one after it.
func kills(n int) bool { return n%2 == 0 }

func (d *demo) run(ctx context.Context) (err error) {
	d.screen = newScreen(os.Stderr)
	defer d.screen.close()
	d.options.Events = d.screen.event
	d.screen.title("starting a redis master, 2 replicas, 3 sentinels, 3 coordinators and a simulated OVH")
	begin := time.Now()
	l, err := lab.Start(ctx, d.options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	d.screen.say("  ready after %.1f s; a client writes through the load balancer from now on, %d workers share a pool\n", time.Since(begin).Seconds(), crew)
	a, leader := l.Addresses(ctx)
	d.screen.places(a, leader)

	want := lab.Expect{Failovers: d.failovers}
	var failed error
	for n := 1; n <= d.failovers; n++ {
		shot := lab.Shot{KillLeader: kills(n)}
		if shot.KillLeader {
			want.LeaderKills++
		}
		if failed == nil {
			d.screen.title("failover %d of %d", n, d.failovers)
			failed = l.Failover(ctx, shot)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = d.conclude(ctx, l, want, failed)
	if d.keep && ctx.Err() == nil {
		if err != nil {
			d.screen.say("%s %v", d.screen.paint(red, "failed:"), err)
		}
		d.linger(ctx, l)
	}
	return err
}

// conclude writes the report and shows the proof. A run that broke off is
// reported as far as it came.
func (d *demo) conclude(ctx context.Context, l *lab.Lab, want lab.Expect, failed error) error {
	if failed == nil {
		if err := l.WaitReady(ctx); err != nil { // the last victim is back before the logs are compared
			failed = fmt.Errorf("after the last failover: %w", err)
		}
	}
	r, checks, err := l.Report(ctx, want)
	if err := ctx.Err(); err != nil {
		return err
	}
	r.OK = r.OK && failed == nil
	text, encode := json.MarshalIndent(r, "", "  ")
	if encode != nil {
		return encode
	}
	text = append(text, '\n')
	if d.report != "" {
		if err := os.WriteFile(d.report, text, 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	d.screen.flush(time.Now())
	if d.json {
		if _, err := d.stdout.Write(text); err != nil {
			return err
		}
	} else {
		d.proof(r, checks)
	}
	for _, c := range checks {
		if !c.OK() {
			d.screen.say("%s %s: %s", d.screen.paint(red, "does not hold:"), c.Name, c.Detail)
		}
	}
	if failed != nil {
		return errors.Join(failed, err)
	}
	if !r.OK {
		return errors.Join(errClaims, err)
	}
	return err
}

// proof shows the report to people.
func (d *demo) proof(r lab.Report, checks []lab.Check) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "failover\tpromoted\taccepted\tfirst request\tapplied\tsettled\t  ms after the kill\t")
	for _, f := range r.Failovers {
		p := f.PhasesMS
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t\t\n", f.ID, ms(p.Promoted), ms(p.Accepted), ms(p.FirstRequest), ms(p.Applied), ms(p.Settled))
	}
	w.Flush()
	p := r.Provider
	fmt.Fprintf(&b, "\ncounted by the provider (failovers %d, leaders killed %d)\n", len(r.Failovers), r.LeaderKills)
	fmt.Fprintf(&b, "  frontend changes %d   refreshes %d   repeats that changed nothing %d\n", p.FrontendChanges, p.Refreshes, p.Repeats)
	fmt.Fprintf(&b, "  duplicates %d   stale %d   lost %d   orphans %d\n", p.Duplicates, p.Stale, p.Lost, p.Orphans)
	if w := r.Leases; w != nil {
		fmt.Fprintf(&b, "written down by the workers (%d, %d partitions, %d leases)\n", w.Workers, w.Partitions, w.Grants)
		fmt.Fprintf(&b, "  not moved %d   tokens that fell %d   two holders at a time %d\n", w.Unmoved, w.Fallen, w.Shared)
		fmt.Fprintf(&b, "  granted for an old master %d   held for it after the switch %d\n", w.Stale, w.Late)
	}
	fmt.Fprintf(&b, "counted by the client      %d writes acknowledged, longest gap %.0f ms\n", r.Client.WritesOK, r.Client.LongestGapMS)
	fmt.Fprintf(&b, "read back from the disks   %d entries, verified: %t\n", r.Log.Entries, r.Log.Verified)
	held := 0
	for _, c := range checks {
		if c.OK() {
			held++
		}
	}
	fmt.Fprintf(&b, "claims that hold           %d of %d\n", held, len(checks))
	if d.report != "" {
		fmt.Fprintf(&b, "report                     %s\n", d.report)
	}
	fmt.Fprintf(d.stdout, "\n%s", b.String())
}

func ms(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *v)
}

// linger leaves everything running until Ctrl-C.
func (d *demo) linger(ctx context.Context, l *lab.Lab) {
	a, leader := l.Addresses(ctx)
	d.screen.title("still running; Ctrl-C ends it")
	d.screen.places(a, leader)
	d.screen.say("\n  export POINTSMAN_ENDPOINTS=%s\n  pointsman status\n  pointsman failovers list", l.Nodes.Endpoints())
	<-ctx.Done()
}
