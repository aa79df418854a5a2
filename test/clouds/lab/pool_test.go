package lab

import (
	"testing"

	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/deploy/samples"
)

// TestPoolIsDeclared: with a pool of workers besides, the second stage moves it.
func TestPoolIsDeclared(t *testing.T) {
	s, err := startShop(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Sim.Close(); err != nil {
			t.Error(err)
		}
	}()
	text, err := announce(samples.Spec(), []addition{s.addition(600)})
	if err == nil {
		text, err = share(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := config.ParseSpec("spec.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	plan := spec.Masters[0].Plan
	if steps := plan[len(plan)-1].Steps; len(steps) != 2 || steps[1].GetLeases().GetPool() != Pool || spec.Pools[Pool].GetMaster() != spec.Masters[0].Id {
		t.Errorf("steps %v, pools %v", steps, spec.Pools)
	}
}
