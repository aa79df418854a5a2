package main

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/ovh"
)

// yard is a provider with the recipe's load balancer, and the recipe's files.
type yard struct {
	side    *side
	scripts *scripts
}

const (
	nodeA = "127.0.0.1:6001"
	nodeB = "127.0.0.1:6002"
)

func newYard(t *testing.T) yard {
	t.Helper()
	interpreter, err := python(t.Context())
	if err != nil {
		t.Skip(err) // there is nothing to run it with
	}
	sim, err := ovh.New(ovh.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	url, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := twin(&side{sim: sim, zone: "gra", farms: map[string]int64{nodeA: 1, nodeB: 2}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := installRecipe(t.TempDir(), interpreter, url, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return yard{s, p}
}

// call runs the script as a Sentinel does, and returns its exit code.
func (y yard) call(t *testing.T, to string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ip, port, _ := strings.Cut(to, ":")
	err := exec.CommandContext(ctx, y.scripts.path, "mymaster", "leader", "start", "127.0.0.1", "6000", ip, port).Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// On a good day the recipe does its work: one look, one write, one refresh.
func TestRecipeWorks(t *testing.T) {
	y := newYard(t)
	mark := time.Now()
	if code := y.call(t, nodeB); code != 0 {
		t.Fatalf("exit code %d: %s", code, y.scripts.log())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := y.side.waitApplied(ctx, nodeB); err != nil {
		t.Error(err)
	}
	if got, want := y.side.count(0, nodeB, mark), (tally{Values: 1, Refreshes: 1}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if said := y.scripts.log(); !strings.Contains(said, nodeB) {
		t.Errorf("it said %q", said)
	}
}

// It asks Sentinel to try again when the provider refuses, and for a master
// that it does not know.
func TestRecipeFails(t *testing.T) {
	y := newYard(t)
	if code := y.call(t, "127.0.0.1:1"); code != 1 {
		t.Errorf("unknown master: exit code %d", code)
	}
	fault := ovh.Fault{Method: http.MethodPut, Path: y.side.path("*"), Status: http.StatusInternalServerError}
	if _, err := y.side.sim.AddFault(fault); err != nil {
		t.Fatal(err)
	}
	if code := y.call(t, nodeB); code != 1 {
		t.Errorf("provider refuses: exit code %d", code)
	}
	if got, want := y.side.count(0, nodeB, time.Time{}), (tally{Refused: 1}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// A script of an older failover that runs after the newer one is counted as stale.
func TestStaleIsCounted(t *testing.T) {
	y := newYard(t)
	second := time.Now()
	for _, to := range []string{nodeB, nodeA, nodeB} {
		if code := y.call(t, to); code != 0 {
			t.Fatalf("exit code %d: %s", code, y.scripts.log())
		}
	}
	if got, want := y.side.count(0, nodeB, second), (tally{Values: 3, Refreshes: 3, Stale: 1}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if got := y.side.count(0, nodeA, second); got.Stale != 1 {
		t.Errorf("%d stale were A the newest, want the last write", got.Stale)
	}
	if got := y.side.count(0, nodeB, time.Now()); got.Stale != 0 {
		t.Errorf("%d stale before the newer value was taken", got.Stale)
	}
}

// A trace knows when traffic first went somewhere, and since when it goes there.
func TestTrace(t *testing.T) {
	y := newYard(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := y.side.put(ctx, nodeA); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r := y.side.trace(ctx)
	for _, to := range []string{nodeB, nodeA} {
		if err := y.side.put(ctx, to); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(20 * lookEvery) // it has looked since
	r.stop()
	toB, ok := r.first(began, nodeB)
	back, right := r.since(nodeA)
	if !ok || !right || !back.After(toB) || !toB.After(began) {
		t.Errorf("went to B at %s (%t), back at %s (%t), from %s", toB, ok, back, right, began)
	}
	if _, ok := r.since(nodeB); ok {
		t.Error("it is not at B at the end")
	}
	if _, ok := r.first(back, nodeB); ok {
		t.Error("it did not go to B again")
	}
}
