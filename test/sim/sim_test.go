package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pointsman/pointsman/actuators"
	actleases "github.com/pointsman/pointsman/actuators/leases"
	actovh "github.com/pointsman/pointsman/actuators/ovh"
	"github.com/pointsman/pointsman/actuators/setting"
	actshop "github.com/pointsman/pointsman/actuators/shopify"
	"github.com/pointsman/pointsman/coordinator"
	"github.com/pointsman/pointsman/coordinator/config"
	"github.com/pointsman/pointsman/fsm"
)

type options struct {
	seeds, from, repeat *uint64
	seed                *int64
	story, search       *bool
	pools               *bool
	enough              *int
}

// flags are read by the tests; this is the one place that go test gives for them.
var flags = options{
	seeds:  flag.Uint64("sim.seeds", 60, "seeds to run"),
	from:   flag.Uint64("sim.from", 1, "first seed"),
	repeat: flag.Uint64("sim.repeat", 1, "runs of each seed"),
	seed:   flag.Int64("sim.seed", -1, "run this seed only"),
	search: flag.Bool("sim.search", false, "look for planted bugs in -sim.seeds seeds, not only in those that are known"),
	enough: flag.Int("sim.enough", 1, "stop looking for a planted bug when so many seeds have caught it"),
	pools:  flag.Bool("sim.pools", false, "have a pool of leases in each seed, not in a part of them"),
	story:  flag.Bool("sim.story", false, "print the story of a good run too"),
}

// compile makes the log's form of a plan's spec.
func compile(t testing.TB, p *plan) fsm.Spec {
	var b strings.Builder
	b.WriteString("masters:\n")
	for i, m := range p.Masters {
		farms, candidates := []string{}, []string{}
		for _, c := range m.Candidates {
			farms = append(farms, fmt.Sprintf("%q: %d", c, m.Farms[c]))
			candidates = append(candidates, fmt.Sprintf("{address: %q, zone: z}", c))
		}
		policy := ""
		if m.Stuck {
			policy = ", foreign: stuck"
		}
		fmt.Fprintf(&b, "  - id: %s\n    sentinel: {name: %s, addresses: [\"10.9.0.1:26379\"]}\n    candidates: [%s]\n    plan:\n", m.ID, m.ID, strings.Join(candidates, ", "))
		b.WriteString(p.sideSteps(t, i, m, true))
		fmt.Fprintf(&b, "      - stage: cutover\n        steps:\n          - {name: lb, target: lb-par, timeout: %s, ovh_iplb: {frontend: %d, farms: {%s}%s}}\n", p.Act, m.Frontend, strings.Join(farms, ", "), policy)
		fmt.Fprintf(&b, "      - stage: announce\n        steps:\n          - {name: url, setting: {key: redis/%s/url, value: \"redis://{{.New}}\"}}\n", m.ID)
		b.WriteString(p.shopStep(m))
		b.WriteString(p.sideSteps(t, i, m, false))
		b.WriteString(p.poolStep(m))
	}
	fmt.Fprintf(&b, "targets:\n  lb-par: {hold: %s, rate: %d, ovh_iplb: {endpoint: %q, service: %s, credentials: \"env:OVH\"}}\n", p.Hold, p.Rate, apiURL, service)
	b.WriteString(p.shopTarget())
	b.WriteString(p.sideTargets(t))
	b.WriteString(p.poolSpec())
	spec, _, err := config.ParseSpec("spec.yaml", []byte(b.String()))
	if err != nil {
		t.Fatalf("spec of seed %d: %v\n%s", p.Seed, err, b.String())
	}
	shop := actshop.New(actshop.Config{})
	kinds := sideKinds(nil)
	maps.Copy(kinds, actuators.Kinds{actovh.Name: actovh.New(actovh.Config{}), setting.Name: setting.Kind{}, actleases.Name: actleases.Kind{}, actshop.Name: shop, actshop.TargetName: shop})
	made, problems := coordinator.Compile(spec, kinds)
	if len(problems) > 0 {
		t.Fatalf("spec of seed %d: %v", p.Seed, problems)
	}
	return made
}

// room is a folder for the nodes' stores, in memory where there is such a place:
// what a crash leaves is decided by the simulation, not by the disk.
func room(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "pointsman-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// once runs a seed in a bubble of its own.
func once(t *testing.T, seed uint64, b *bug) *run {
	p := draw(seed)
	spec, dir := compile(t, p), room(t)
	var r *run
	synctest.Test(t, func(*testing.T) {
		r = newRun(p, b, dir, spec)
		r.play()
	})
	r.sum()
	return r
}

func TestSim(t *testing.T) {
	from, n := *flags.from, *flags.seeds
	if *flags.seed >= 0 {
		from, n = uint64(*flags.seed), 1
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // small heaps, much garbage
	var sum total
	t.Run("seed", func(t *testing.T) {
		for seed := from; seed < from+n; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				for range *flags.repeat {
					r := once(t, seed, nil)
					sum.add(r)
					sum.tell()
					if len(r.fails) > 0 || *flags.story {
						tellRun(t, r)
					}
					if t.Failed() {
						return
					}
				}
			})
		}
	})
	t.Log(&sum)
	if n > 1 {
		fmt.Println(&sum)
	}
}

// TestPlantedBugs: each guard that is taken out is missed by a check.
func TestPlantedBugs(t *testing.T) {
	for _, b := range bugs() {
		t.Run(strings.ReplaceAll(b.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			seeds := b.seeds
			for seed := *flags.from; *flags.search && seed < *flags.from+*flags.seeds; seed++ {
				seeds = append(seeds, seed)
			}
			caught := 0
			for _, seed := range seeds {
				r := once(t, seed, b)
				if len(r.fails) == 0 {
					continue
				}
				t.Logf("seed %d: %s: %.300s", seed, r.fails[0].Check, r.fails[0].Detail)
				if caught++; caught == *flags.enough {
					return
				}
			}
			if caught == 0 {
				t.Errorf("not caught by %d seeds", len(seeds))
			}
		})
	}
}

func tellRun(t *testing.T, r *run) {
	text, _ := json.Marshal(r.plan)
	t.Logf("plan %s\n%s", text, r.story)
	for _, f := range r.fails {
		t.Errorf("seed %d: %s: %s", r.plan.Seed, f.Check, f.Detail)
	}
	if len(r.fails) > 0 {
		fmt.Fprintf(os.Stderr, "seed %d: %s: %.200s\n", r.plan.Seed, r.fails[0].Check, r.fails[0].Detail) // the rest comes when all have ended
		t.Errorf("run it again: go test ./test/sim -run TestSim -sim.seed=%d", r.plan.Seed)
	}
}
