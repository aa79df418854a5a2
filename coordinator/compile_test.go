package coordinator_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/command"
	"github.com/pointsman/pointsman/actuators/httpcall"
	"github.com/pointsman/pointsman/actuators/leases"
	"github.com/pointsman/pointsman/actuators/ovh"
	"github.com/pointsman/pointsman/actuators/setting"
	"github.com/pointsman/pointsman/actuators/shopify"
	"github.com/pointsman/pointsman/coordinator"
	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/deploy/samples"
	"github.com/pointsman/pointsman/fsm"
)

const goodSpec = `
masters:
  - id: cache
    sentinel: {name: mymaster, addresses: ["10.0.1.10:26379"]}
    candidates:
      - {address: "10.0.1.20:6379", zone: a}
      - {address: "10.0.2.20:6379", zone: b}
    plan:
      - stage: cutover
        steps:
          - {name: lb, target: lb-par, ovh_iplb: {frontend: 4711, farms: {"10.0.1.20:6379": 11, "10.0.2.20:6379": 12}}}
          - {name: url, on_failure: block, attempts: 3, timeout: 2s, setting: {key: redis/cache/url, value: "redis://{{.New}}"}}
targets:
  lb-par: {hold: 20s, rate: 30, ovh_iplb: {endpoint: ovh-eu, service: ip-203.0.113.7, credentials: "env:OVH"}}
`

func kinds() actuators.Kinds {
	shop := shopify.New(shopify.Config{})
	return actuators.Kinds{
		command.Name: command.New(command.Config{}), httpcall.Name: httpcall.New(httpcall.Config{}), ovh.Name: ovh.New(ovh.Config{}), setting.Name: setting.Kind{}, leases.Name: leases.Kind{},
		shopify.Name: shop, shopify.HooksName: shop, shopify.TargetName: shop,
	}
}

func TestCompile(t *testing.T) {
	spec, _, err := config.ParseSpec("spec.yaml", []byte(goodSpec))
	if err != nil {
		t.Fatal(err)
	}
	got, problems := coordinator.Compile(spec, kinds())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	steps := got.Masters[0].Plan[0].Steps
	if steps[0].Object != "lb-par/frontend/4711" || steps[0].Class != fsm.Readable || steps[1].Class != fsm.InLog {
		t.Errorf("steps %+v", steps)
	}
	if !steps[1].Block || steps[1].MaxAttempts != 3 || steps[1].Act.Seconds() != 2 {
		t.Errorf("step url %+v", steps[1])
	}
	if target := got.Targets[0]; target.Hold.Seconds() != 20 || target.Rate != 30 {
		t.Errorf("target %+v", target)
	}
}

// TestCompileProblems holds each mistake to a place in the file and to words
// that name it. All come at once.
func TestCompileProblems(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"farm missing for a candidate", `, "10.0.2.20:6379": 12`, ``, "10.0.2.20:6379"},
		{"farm for no candidate", `"10.0.2.20:6379": 12`, `"10.0.2.20:6379": 12, "10.0.9.9:6379": 13`, "10.0.9.9:6379"},
		{"IPv6 where OVH wants IPv4", `10.0.2.20:6379`, `[2001:db8::1]:6379`, "IPv4"},
		{"unknown target", `target: lb-par`, `target: lb-pra`, "lb-pra"},
		{"target of another kind", `{name: url, on_failure`, `{name: url, target: lb-par, on_failure`, "kind"},
		{"step without its target", `target: lb-par, ovh`, `ovh`, "target"},
		{"template of an unknown field", `{{.New}}`, `{{.Nwe}}`, "Nwe"},
		{"target named like a master", `lb-par`, `cache`, "cache"},
		{"pool of an unknown master", "targets:\n", "pools:\n  work: {partitions: 4, master: cahce}\ntargets:\n", "cahce"},
		{"pool that nothing moves", "targets:\n", "pools:\n  work: {partitions: 4, master: cache}\ntargets:\n", "no step `leases` of the plan of cache"},
		{"step that moves a pool of no master", "targets:\n", "          - {name: workers, leases: {pool: lock}}\npools:\n  lock: {partitions: 1}\ntargets:\n", "has no master"},
		{"step that moves a pool that is not", "{name: url, ", "{name: workers, leases: {pool: jobs}}\n          - {name: url, ", "jobs"},
		{"one object in two steps", `{name: url, on_failure: block, attempts: 3, timeout: 2s, setting: {key: redis/cache/url, value: "redis://{{.New}}"}}`,
			`{name: two, target: lb-par, ovh_iplb: {frontend: 4711, farms: {"10.0.1.20:6379": 11, "10.0.2.20:6379": 12}}}`, "lb-par/frontend/4711"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec, file, err := config.ParseSpec("spec.yaml", []byte(strings.ReplaceAll(goodSpec, c.old, c.new)))
			if err != nil {
				t.Fatal(err)
			}
			_, problems := coordinator.Compile(spec, kinds())
			found := slices.ContainsFunc(problems, func(p config.Problem) bool {
				line := file.Locate(p)
				t.Log(line)
				return strings.Contains(p.Message+p.Path, c.want) && strings.HasPrefix(line, "spec.yaml:") && strings.Count(line, ":") >= 3
			})
			if !found {
				t.Fatalf("no problem names %q", c.want)
			}
		})
	}
}

// TestSampleOfWorkers: the spec with pools to start from compiles as it stands.
func TestSampleOfWorkers(t *testing.T) {
	spec, _, err := config.ParseSpec("workers.yaml", []byte(samples.Workers()))
	if err != nil {
		t.Fatal(err)
	}
	got, problems := coordinator.Compile(spec, kinds())
	if len(problems) > 0 || len(got.Pools) != 2 {
		t.Fatalf("%d pools, %v", len(got.Pools), problems)
	}
	lock, work := got.Pools[0], got.Pools[1]
	if lock.TTL != 30*time.Second || lock.Drain != coordinator.DefaultDrain || lock.LockDelay != 10*time.Second || lock.Moves != coordinator.DefaultMoves || lock.Master != "" {
		t.Errorf("lock %+v", lock)
	}
	spec, _, err = config.ParseSpec("workers.yaml", []byte(strings.Replace(samples.Workers(), "handover: graceful", "handover: immediate", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if got, problems = coordinator.Compile(spec, kinds()); len(problems) > 0 || !got.Pools[1].Immediate {
		t.Errorf("handover immediate: %v, %v", got.Pools, problems)
	}
	if work.Partitions != 64 || work.TTL != 15*time.Second || work.Drain != 10*time.Second || work.LockDelay != 5*time.Second || work.Master != "cache" || work.Immediate {
		t.Errorf("pool %+v", work)
	}
}
