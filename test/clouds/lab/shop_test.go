package lab

import (
	"testing"

	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/deploy/samples"
)

// TestShopIsDeclared: the sample with a shop is a spec whose second stage tells it.
func TestShopIsDeclared(t *testing.T) {
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
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := config.ParseSpec("spec.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	plan := spec.Masters[0].Plan
	step := plan[len(plan)-1].Steps[0]
	shop := spec.Targets[step.Target]
	if len(plan) != 2 || step.GetShopifyMetafields().GetValues()[ShopKey] == "" || shop.GetShopify().GetEndpoint() != s.URL || shop.GetRate() != 600 {
		t.Errorf("step %v, target %v", step, shop)
	}
}

// TestFenceIsDeclared: a stage of its own before the cutover.
func TestFenceIsDeclared(t *testing.T) {
	text, err := fence(samples.Spec())
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := config.ParseSpec("spec.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	step := spec.Masters[0].Plan[0].Steps[0]
	if step.GetRedisFence() == nil || step.GetName() != FenceStep || spec.Targets[step.Target].GetRedisFence() == nil || spec.Masters[0].Plan[1].GetStage() != "cutover" {
		t.Errorf("plan %v", spec.Masters[0].Plan)
	}
}
