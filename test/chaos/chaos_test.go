//go:build !failpoints

package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

type options struct {
	runs, pauses *int
	seed         *uint64
	fault        *string
	story        *bool
}

// flags are read by the tests; this is the one place that go test gives for them.
var flags = options{
	runs:   flag.Int("chaos.runs", 0, "runs to play; 0: the small selection"),
	seed:   flag.Uint64("chaos.seed", 0, "seed of the first run; 0: one of this moment"),
	fault:  flag.String("chaos.fault", "", "play this fault only"),
	story:  flag.Bool("chaos.story", false, "print the story of a good run too"),
	pauses: flag.Int("chaos.pauses", 10, "pauses of the pause-read test"),
}

// runWithin bounds one run with its healing.
const runWithin = 6 * time.Minute

// small is the selection that every test run plays, in this order.
func small() []string {
	return []string{
		"leader killed", "leader paused over a newer failover", "leading sentinel killed at promotion",
		"quorum lost and back", "provider trouble", "store damaged",
	}
}

// deck is the faults to play: the named one, the selection, or all of them in
// turn, shuffled anew each time round.
func deck(t *testing.T, seed uint64) []fault {
	all, left := playable()
	for _, name := range left {
		fmt.Printf("NOT PLAYED: %q needs root\n", name)
	}
	byName := map[string]fault{}
	for _, f := range all {
		byName[f.name] = f
	}
	names := small()
	switch {
	case *flags.fault != "":
		if _, ok := byName[*flags.fault]; !ok {
			t.Fatalf("no fault %q", *flags.fault)
		}
		names = names[:0]
		for range max(1, *flags.runs) {
			names = append(names, *flags.fault)
		}
	case *flags.runs > 0:
		names = names[:0]
		for rng := rand.New(rand.NewPCG(seed, 0)); len(names) < *flags.runs; {
			for _, i := range rng.Perm(len(all)) {
				names = append(names, all[i].name)
			}
		}
		names = names[:*flags.runs]
	}
	var list []fault
	for _, name := range names {
		list = append(list, byName[name])
	}
	return list
}

// TestChaos plays failovers on real processes under real faults, and counts at
// the provider, in the log and at a client.
func TestChaos(t *testing.T) {
	seed := *flags.seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) >> 10 & (1<<32 - 1)
	}
	s := &series{t: t, program: filepath.Join(build(t, ""), lab.Program)}
	t.Cleanup(s.close)
	for i, f := range deck(t, seed) {
		s.play(f, seed+uint64(i))
	}
	fmt.Println(table(s.rows()))
	for _, text := range s.failed {
		fmt.Println(text)
	}
}

// series is runs one after another on one playground; after a run that went
// wrong the next one gets a new one.
type series struct {
	t       *testing.T
	program string
	l       *lab.Lab
	sight   *sight
	names   []string
	sums    map[string]*tally
	failed  []string
}

// play plays one run and keeps its figures.
func (s *series) play(f fault, seed uint64) {
	ctx, cancel := context.WithTimeout(s.t.Context(), runWithin)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		s.t.Fatal(err)
	}
	r := &run{seed: seed, fault: f, rng: rand.New(rand.NewPCG(seed, 1)), l: s.l, sight: s.sight, begin: time.Now()}
	t := r.run(ctx)
	name := f.name
	if r.outlasted > 0 {
		name += " (outlasted the window)"
	}
	s.sum(name, t)
	fmt.Printf("%s  %-40s seed %-12d %5.1f s  %s\n", time.Now().Format(time.TimeOnly), name, seed, time.Since(r.begin).Seconds(), word(t))
	if *flags.story || len(t.violations) > 0 {
		s.t.Logf("%s, seed %d\n%s\nthe provider's writes:\n%s", name, seed, r.told(), writes(s.l, r.mark))
	}
	if err := t.error(); err != nil {
		again := fmt.Sprintf("go test ./test/chaos -run '^TestChaos$' -v -chaos.story -chaos.fault=%q -chaos.seed=%d", f.name, seed)
		s.failed = append(s.failed, fmt.Sprintf("%s (seed %d): %v", name, seed, err))
		s.t.Errorf("%s, seed %d: %v\nplay it again: %s", name, seed, err, again)
		for _, n := range s.l.Nodes.List() {
			s.t.Logf("log of %s ends:\n%s", n.ID(), n.Log())
		}
	}
	if len(t.violations) > 0 || t.left > 0 {
		s.close()
	}
}

// writes lists the provider's journal of the run, reads left out.
func writes(l *lab.Lab, after int64) string {
	var b strings.Builder
	for _, c := range l.Cloud.Sim.Journal(after).Calls {
		if !c.Write() {
			continue
		}
		fmt.Fprintf(&b, "%d %s %s %s received %s effect %s", c.Seq, c.Method, c.Path, c.Phase, c.Received.Format("05.000"), c.Effect.Format("05.000"))
		if w := c.Frontend; w != nil {
			fmt.Fprintf(&b, " farm %d → %d %q", w.FarmBefore, w.FarmAfter, w.NameAfter)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

func word(t tally) string {
	if len(t.violations) == 0 {
		return fmt.Sprintf("ok: accepted %d, done %d, repeats %d, slowest %d ms", t.accepted, t.done, t.repeats, t.slowest.Milliseconds())
	}
	return "VIOLATED: " + strings.Join(t.violations, "; ")
}

// run plays the fault, heals it and counts.
func (r *run) run(ctx context.Context) (t tally) {
	t.runs = 1
	ctx, cancel := context.WithCancel(ctx)
	defer r.wg.Wait()
	defer cancel()
	if err := r.note(ctx); err != nil {
		t.violate("before the fault: %v", err)
		return t
	}
	played := r.fault.play(ctx, r)
	if err := errors.Join(played, r.heal(ctx)); err != nil {
		t.violate("%v", err)
		return t
	}
	t, err := r.count(ctx)
	if err != nil {
		t.violate("count: %v", err)
	}
	return t
}

// note takes down how everything stands.
func (r *run) note(ctx context.Context) (err error) {
	m, err := r.l.Master(ctx)
	if err != nil {
		return err
	}
	r.base.number, r.base.promotions, r.mark = m.Number, len(r.l.Recorder.Promotions()), r.l.Cloud.Mark()
	r.base.proof, err = r.l.Prove(ctx)
	return err
}

// ready is a playground on which a failover can be made.
func (s *series) ready(ctx context.Context) (err error) {
	if s.l != nil {
		return nil
	}
	s.l, err = lab.Start(ctx, lab.Options{Pointsman: s.program, Hold: hold})
	if err == nil {
		s.sight = startSight(s.l.Cloud)
	}
	return err
}

func (s *series) close() {
	if s.l == nil {
		return
	}
	s.sight.stop()
	if err := s.l.Close(); err != nil {
		s.t.Error(err)
	}
	s.l = nil
}

func (s *series) sum(name string, t tally) {
	if s.sums == nil {
		s.sums = map[string]*tally{}
	}
	if s.sums[name] == nil {
		s.sums[name] = &tally{}
		s.names = append(s.names, name)
	}
	s.sums[name].add(t)
}

// rows are the figures in the order of the table of faults.
func (s *series) rows() (list []row) {
	for _, f := range faults() {
		for _, name := range s.names {
			if name == f.name || name == f.name+" (outlasted the window)" {
				list = append(list, row{name, *s.sums[name]})
			}
		}
	}
	return list
}
