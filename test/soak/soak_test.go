package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/bucket"
	"github.com/pointsman/pointsman/test/clouds/lab"
)

// Bounds of the tests.
const (
	buildWithin = 5 * time.Minute
	soakWithin  = 5 * time.Minute // some 30 s on an idle machine
)

// A soak with small numbers: each kind is killed once and Redis fails over.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	c := config{pointsman: filepath.Join(t.TempDir(), lab.Program), store: inBucket, events: 2500, rate: 150, every: 3 * time.Second, workers: 8, seed: 1}
	if _, err := bucket.Binary(); err != nil {
		t.Log(err)
		c.store = inFolder
	}
	ctx, cancel := context.WithTimeout(t.Context(), buildWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", c.pointsman, "github.com/pointsman/pointsman/cmd/pointsman").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ctx, cancel = context.WithTimeout(t.Context(), soakWithin)
	defer cancel()
	var table, talk strings.Builder
	r, err := run(ctx, c, &table, &talk)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, talk.String(), table.String())
	}
	t.Logf("\n%s%s", talk.String(), table.String())
	if r.Sent != c.events || r.Twice == 0 || r.Repeats == 0 || r.Kills[leader]+r.Kills[worker]+r.Kills[receiver] < 3 {
		t.Errorf("%+v", r)
	}
}

// What does not hold is said.
func TestHeld(t *testing.T) {
	good := result{Sent: 2, Acked: 2, Failover: true}
	if err := good.held(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*result){
		"never acknowledged": func(r *result) { r.Acked-- },
		"never called":       func(r *result) { r.NoCall = []string{"a"} },
		"no effect":          func(r *result) { r.NoEffect = []string{"a"} },
		"two effects":        func(r *result) { r.Doubled = []string{"a: 2"} },
		"never sent":         func(r *result) { r.Unknown = []string{"a"} },
		"another's body":     func(r *result) { r.Sinks.Foreign = 1 },
		"dead letter":        func(r *result) { r.Dead = []string{"dead/000/a-1"} },
		"quarantine":         func(r *result) { r.Quarantined = []string{"quarantine/000/a-1"} },
		"no failover":        func(r *result) { r.Failover = false },
	} {
		r := good
		spoil(&r)
		if err := r.held(); !errors.Is(err, errHeld) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParse(t *testing.T) {
	c, err := parse([]string{"-events", "7", "-store", "dir"}, io.Discard)
	if err != nil || c.events != 7 || c.store != inFolder || c.every != 10*time.Second {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range [][]string{{"-store", "tape"}, {"-events", "0"}, {"-workers", "65"}, {"surplus"}, {"-every", "0s"}} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestDisordered(t *testing.T) {
	if n := disordered([]string{idOf(1), idOf(3), idOf(2), idOf(4)}); n != 1 {
		t.Errorf("%d come after a later one", n)
	}
}
