package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pointsman/pointsman/test/clouds/lab"
)

// series is runs one after another on one playground; after a run that went
// wrong, and for a fault that needs another ground, the next one gets a new one.
type series struct {
	t     *testing.T
	began time.Time
	seed  uint64

	version string // of the source that is played

	on       ground
	grounds  int        // playgrounds so far
	also     []lab.Kind // what this one has besides OVH
	l        *lab.Lab   // nil: none
	net      *network   // nil: on loopback
	sight    *sight
	points   string            // folder in which crash points are armed
	programs map[string]string // by build tag

	names  []string
	sums   map[string]*tally
	failed []string
}

// play plays one run and keeps its figures.
func (s *series) play(f fault, seed uint64) {
	ctx, cancel := context.WithTimeout(s.t.Context(), runWithin)
	defer cancel()
	if err := s.ready(ctx, f.on, seed); err != nil {
		s.t.Fatal(err)
	}
	r := &run{seed: seed, fault: f, rng: rand.New(rand.NewPCG(seed, 1)), l: s.l, also: providersOf(s.also), net: s.net, points: s.points, sight: s.sight, begin: time.Now()}
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
		again := fmt.Sprintf("go test ./test/chaos -run '^TestChaos$' -v -chaos.story -chaos.fault=%q -chaos.seed=%d -chaos.also=%s", f.name, seed, alsoText(s.also))
		s.failed = append(s.failed, fmt.Sprintf("%s (seed %d): %v", name, seed, err))
		s.t.Errorf("%s, seed %d: %v\nplay it again: %s", name, seed, err, again)
		for _, n := range s.l.Nodes.List() {
			s.t.Logf("log of %s ends:\n%s", n.ID(), n.Log())
		}
	}
	if len(t.violations) > 0 || t.left > 0 {
		s.close()
	}
	if *flags.matrix != "" { // after each run: a series that is broken off counts too
		if err := publish(*flags.matrix, s.text()); err != nil {
			s.t.Error(err)
		}
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
	if err := r.hurt(); err != nil {
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
	if r.base.proof, err = r.l.Prove(ctx); err != nil {
		return err
	}
	r.base.besides, err = r.besides(ctx)
	return err
}

// ready is a playground of the ground on which a failover can be made.
func (s *series) ready(ctx context.Context, on ground, seed uint64) (err error) {
	if s.l != nil && s.on == on {
		return nil
	}
	s.close()
	s.on, s.points = on, ""
	if s.also, err = alsoOn(on, s.grounds, seed); err != nil {
		return err
	}
	s.grounds++
	o, tags := lab.Options{Hold: hold, Besides: providersOf(s.also), Fence: slices.Contains(s.also, alsoFence)}, ""
	switch on {
	case points:
		s.points, tags = s.t.TempDir(), "failpoints"
		o.Env = []string{"POINTSMAN_FAILPOINTS_DIR=" + s.points}
	case spaces:
		if s.net, err = newNetwork(coordinators); err != nil {
			return err
		}
		o.Sites, o.Reach = s.net.sites(), s.net.link
	}
	o.Pointsman = s.program(tags)
	if s.l, err = lab.Start(ctx, o); err == nil {
		s.sight = startSight(s.l.Cloud)
	}
	return err
}

// program builds each kind of the program once.
func (s *series) program(tags string) string {
	if s.programs == nil {
		s.programs = map[string]string{}
	}
	if s.programs[tags] == "" {
		s.programs[tags] = filepath.Join(build(s.t, tags, lab.Program), lab.Program)
	}
	return s.programs[tags]
}

func (s *series) close() {
	if s.l != nil {
		s.sight.stop()
		if err := s.l.Close(); err != nil {
			s.t.Error(err)
		}
		s.l = nil
	}
	if s.net != nil {
		if err := s.net.close(); err != nil {
			s.t.Error(err)
		}
		s.net = nil
	}
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
