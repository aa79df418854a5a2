//go:build failpoints

package chaos

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/executor"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// crashes are the points at which the leader dies, one failover each: the step,
// a dot, the point. Two in one line are two leaders, one after the other: the
// second dies while it takes over what the first has left. Each point is here
// with one step at least; make chaos plays all of them with all steps.
func crashes() []string {
	return []string{
		"lb.before-observe", "lb.proposing", "lb.observed",
		"lb.looked", "lb.acted", "lb.read-back", "lb.released", "lb.before-settle", "lb.settling",
		"url.acted", "url.settled",
		"refresh.proposing", "refresh.claimed", "refresh.acted", "refresh.settling", "refresh.followed",
		"lb.observed lb.before-claim", "lb.looked lb.claimed",
	}
}

// Every point that the executor names is played.
func TestEveryPointIsPlayed(t *testing.T) {
	all := " " + strings.Join(crashes(), " ") + " "
	for _, name := range executor.FailpointNames() {
		if !strings.Contains(all, "."+name+" ") {
			t.Errorf("nobody dies at %q", name)
		}
	}
}

// The leader dies at every named point between Observe and Settle, and one
// effect remains each time.
func TestLeaderDiesAtEveryPoint(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	programs, points := build(t, "failpoints", lab.Program), t.TempDir()
	l, err := lab.Start(ctx, lab.Options{
		Pointsman: filepath.Join(programs, lab.Program), Quiet: true, Hold: 500 * time.Millisecond,
		Env: []string{"POINTSMAN_FAILPOINTS_DIR=" + points},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, names := range crashes() {
		ok := t.Run(names, func(t *testing.T) { crash(ctx, t, l, points, i+1, strings.Fields(names)) })
		if !ok {
			break // the counts of what follows would tell the same again
		}
	}
}

// crash makes the nth failover, in which the leader dies at each of the points.
func crash(ctx context.Context, t *testing.T, l *lab.Lab, dir string, n int, points []string) {
	if err := l.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	// A claim rides in the Observe entry only where nothing is busy from the failover before.
	if err := lab.Until(ctx, carriedWithin, "every object to be free", free(l)); err != nil {
		t.Fatal(err)
	}
	before := pids(l)
	for _, p := range points {
		if err := os.WriteFile(filepath.Join(dir, p), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(points) > 1 { // two of three dead at a time would be no quorum
		stop := revive(ctx, l)
		defer stop()
	}
	if err := l.Failover(ctx, lab.Shot{Switch: true}); err != nil {
		t.Fatal(err)
	}
	if unused := files(t, dir); len(unused) > 0 {
		t.Fatalf("nobody came to %q", unused)
	}
	if err := l.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	died := 0
	for id, pid := range pids(l) {
		if before[id] != pid {
			died++
		}
	}
	if died == 0 || died > len(points) {
		t.Errorf("%d nodes died at %d points", died, len(points))
	}
	one(ctx, t, l, n)
}

// one checks that after n failovers each has left one effect.
func one(ctx context.Context, t *testing.T, l *lab.Lab, n int) {
	t.Helper()
	r, checks, err := l.Report(ctx, lab.Expect{Failovers: n})
	if err != nil {
		t.Fatal(err)
	}
	// The client is not running, and refreshes may be posted again: they carry no value.
	apart := []string{"client", "refreshes", "repeats"}
	for _, c := range checks {
		if !c.OK() && !slices.Contains(apart, c.Name) {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	last := r.Failovers[n-1]
	p := last.PhasesMS
	t.Logf("promoted %.0f, first request %.0f, settled %.0f ms; refreshes %d, repeats %d so far; %v",
		*p.Promoted, *p.FirstRequest, *p.Settled, r.Provider.Refreshes, r.Provider.Repeats, last.Actions)
}

func pids(l *lab.Lab) map[string]int {
	out := map[string]int{}
	for _, n := range l.Nodes.List() {
		out[n.ID()] = n.PID()
	}
	return out
}

// revive starts every node again that dies, until it is stopped.
func revive(ctx context.Context, l *lab.Lab) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			for _, n := range l.Nodes.List() {
				if n.PID() == 0 {
					_ = l.Nodes.Restart(n) // refused when the lab was quicker
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// The leader is stopped for longer than a takeover, with a claim on its way,
// before its request, while it is under way, and with the outcome on its way. A
// newer failover is carried through without it, and it goes on from the very
// instruction: nothing of what it does late may be seen. make chaos plays X1 to
// X9.
func TestLeaderStopsAtPoints(t *testing.T) {
	s := &series{t: t, began: time.Now()}
	t.Cleanup(s.close)
	for i, f := range pointFaults() {
		switch f.name {
		case "leader stopped at X3", "leader stopped at X5", "leader stopped at X6", "leader stopped at X8":
			s.play(f, uint64(i))
		}
	}
	if s.sums == nil {
		t.Error("nothing was played")
	}
}
