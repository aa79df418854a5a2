package lab

import (
	"testing"

	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/deploy/samples"
)

// TestPoolsAreDeclared: one that depends on the master is moved by its plan.
func TestPoolsAreDeclared(t *testing.T) {
	pools := []Shared{{Name: "jobs", Spec: "partitions: 16, ttl: 2s", Moved: true}, {Name: "lock", Spec: "partitions: 1"}}
	text, err := announce(samples.Spec(), steps(pools))
	if err != nil {
		t.Fatal(err)
	}
	text = declare(text, "cache", pools)
	spec, _, err := config.ParseSpec("spec.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	plan := spec.Masters[0].Plan
	step := plan[len(plan)-1].Steps[0]
	if len(plan) != 2 || step.GetLeases().GetPool() != "jobs" || spec.Pools["jobs"].GetMaster() != "cache" || spec.Pools["jobs"].GetPartitions() != 16 || spec.Pools["lock"].GetMaster() != "" {
		t.Errorf("step %v, pools %v", step, spec.Pools)
	}
}
