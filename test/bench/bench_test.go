package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// Bounds of the tests.
const (
	buildWithin = 5 * time.Minute
	playWithin  = 3 * time.Minute // some 15 s on an idle machine
)

// program compiles the coordinator into a folder of the test.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), lab.Program)
	ctx, cancel := context.WithTimeout(t.Context(), buildWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, "github.com/pointsman/pointsman/cmd/pointsman").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// The whole harness with small numbers: both sides carry a failover out, reads
// and watchers are counted, and the claims hold.
func TestHarness(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), playWithin)
	defer cancel()
	interpreter, err := python(ctx)
	if err != nil {
		t.Log(err) // Pointsman's side is still played
	}
	g, err := newStage(ctx, lab.Options{Pointsman: program(t), Rejoin: true}, interpreter)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := &bench{talk: io.Discard, began: time.Now()}
	f := figures{}
	leader, err := g.Nodes.WaitLeader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{Nodes: g.Nodes, leader: leader.GRPC(), any: strings.Split(g.Nodes.Endpoints(), ",")}
	if err := c.seed(ctx); err != nil {
		t.Fatal(err)
	}
	if f.Reads, err = b.read(ctx, c, 50*time.Millisecond, 1, 4); err != nil {
		t.Fatal(err)
	}
	if f.Watchers, err = b.watchers(ctx, c, 30, 2); err != nil {
		t.Fatal(err)
	}
	if f.Switches, err = b.duel(ctx, g, 1); err != nil {
		t.Fatal(err)
	}
	check(t, g, &f)
}

func check(t *testing.T, g *stage, f *figures) {
	if err := f.claims(); err != nil {
		t.Error(err)
	}
	for _, r := range f.Reads {
		if r.Rate <= 0 || r.Latency.N == 0 {
			t.Errorf("reads %+v", r)
		}
	}
	if len(f.Reads) != 8 || f.Watchers.Told.N != 60 {
		t.Errorf("%d ways of reading, %d told", len(f.Reads), f.Watchers.Told.N)
	}
	if len(f.Switches) != len(g.sides()) {
		t.Fatalf("%d sides measured of %d", len(f.Switches), len(g.sides()))
	}
	for _, s := range f.Switches {
		if s.N+s.Dirty != 1 {
			t.Errorf("%s: %d switches, %d left out", s.Side, s.N, s.Dirty)
		}
		if s.N == 1 && (s.Request.Max <= 0 || s.Traffic.Max <= s.Request.Max) {
			t.Errorf("%s: first request after %.1f ms, traffic after %.1f", s.Side, s.Request.Max, s.Traffic.Max)
		}
		if s.Side == byRecipe && s.N == 1 && (s.Writes.Values != 3 || s.Writes.Refreshes != 3) {
			t.Errorf("the recipe writes three times: %+v; the scripts said:\n%s", s.Writes, g.scripts.log())
		}
	}
	var out bytes.Buffer
	f.markdown(&out)
	for _, want := range []string{"first mutating request", "| stale | one node | 1 |", "| 30 | 2 |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestClaims(t *testing.T) {
	good := 12.0
	for name, f := range map[string]figures{
		"two writes of one value": {Switches: []switches{{Side: byPointsman, N: 1, Writes: tally{Values: 2, Refreshes: 1}}}},
		"refreshed twice":         {Switches: []switches{{Side: byPointsman, N: 1, Writes: tally{Values: 1, Refreshes: 2}}}},
		"left standing":           {Days: []ofDay{{Side: byPointsman, All: []outcome{{}}}}},
		"stale":                   {Days: []ofDay{{Side: byPointsman, All: []outcome{{RightMS: &good, Writes: tally{Stale: 1}}}}}},
		"lost":                    {Days: []ofDay{{Side: byPointsman, All: []outcome{{RightMS: &good, Faults: []string{"lost 1"}}}}}},
	} {
		if err := f.claims(); !errors.Is(err, errClaims) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fine := figures{
		Switches: []switches{{Side: byPointsman, N: 2, Writes: tally{Values: 2, Refreshes: 2}}, {Side: byRecipe, N: 1, Writes: tally{Values: 3}}},
		Days:     []ofDay{{Side: byPointsman, All: []outcome{{RightMS: &good}}}, {Side: byRecipe, All: []outcome{{}}}},
	}
	if err := fine.claims(); err != nil {
		t.Error(err)
	}
}

func TestStats(t *testing.T) {
	if got, want := spreadOf([]float64{3, 1, 2.04, 10}), (spread{N: 4, Median: 2.5, Min: 1, Max: 10}); got != want {
		t.Errorf("spread %+v, want %+v", got, want)
	}
	if got := percentile([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9); got != 10 {
		t.Errorf("percentile %v", got)
	}
	if got := ratio(8, 100); got != 12.5 {
		t.Errorf("ratio %v", got)
	}
	if got := ratio(0, 100); got != 0 {
		t.Errorf("ratio to nothing %v", got)
	}
	one, three := 1000.0, 3000.0
	for _, c := range []struct {
		list []*float64
		want string
	}{
		{[]*float64{&one, &three}, "median 2.0, max 3.0"},
		{[]*float64{&one, nil}, "median 1.0, max 1.0; never in 1 of 2"},
		{[]*float64{nil}, "never in 1 of 1"},
	} {
		if got := seconds(c.list); got != c.want {
			t.Errorf("seconds %q, want %q", got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	c, err := parse([]string{"-parts", "reads,watchers", "-reads", "1s"}, io.Discard)
	if err != nil || len(c.parts) != 2 || c.reads != time.Second || c.switches != 30 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range [][]string{{"-parts", "nothing"}, {"-switches", "0"}, {"surplus"}, {"-days", "x"}, {"-fences", "0"}, {"-leases", "0"}} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
