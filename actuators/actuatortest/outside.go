package actuatortest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

func readChangesNothing(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	value := b.world.Outside.Value()
	for range 3 {
		b.look(a, false) // counts what it sends
	}
	b.points(value)
	if b.seen().All == 0 {
		b.Error("a read sent nothing: what was seen came from nowhere")
	}
}

func writeReadBack(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	s := b.look(a, false)
	if s.Verdict != actuators.Absent || s.Detail == "" {
		b.Fatalf("before any write: %s, %q; want absent with a detail", s.Verdict, s.Detail)
	}
	out, err := b.act(a, s)
	if err != nil {
		b.Fatal(err)
	}
	if len(out.Requests) == 0 {
		b.Error("no id of the provider's answer was kept")
	}
	if s = b.calm(a, false); s.Verdict != actuators.Staged && s.Verdict != actuators.Applied {
		b.Fatalf("read back after a write: %s, %s", s.Verdict, s.Detail)
	}
	b.drive(a)
	b.points(b.world.B)
	if n := b.seen().Changes; n != 1 {
		b.Errorf("%d changes of the value, want 1", n)
	}
	a.Phase = fsm.Done
	if s = b.look(a, false); s.Verdict != actuators.Applied {
		b.Errorf("a done action is %s, %s", s.Verdict, s.Detail)
	}
}

func actAgain(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	b.drive(a)
	before := b.seen().Mutating
	if _, err := b.act(a, b.look(a, true)); err == nil || actuators.Explain(err).Doubt {
		b.Errorf("acting with nothing due: %v", err)
	}
	if after := b.seen().Mutating; after != before {
		b.Errorf("%d more requests that could change something", after-before)
	}
	b.points(b.world.B)
}

func thereAndBack(b *bench) {
	from := b.world.A
	for n, to := range []fsm.Address{b.world.B, b.world.A, b.world.B} {
		b.drive(b.action(fsm.Number(n+1), from, to))
		b.points(to)
		if got := b.seen().Changes; got != n+1 {
			b.Errorf("%d changes after %d failovers", got, n+1)
		}
		from = to
	}
}

// sameAgain: a higher epoch with the same address is a failover too.
func sameAgain(b *bench) {
	b.drive(b.action(1, b.world.A, b.world.B))
	b.drive(b.action(2, b.world.B, b.world.B))
	b.points(b.world.B)
	if n := b.seen().Changes; n != 1 {
		b.Errorf("%d changes of the value, want 1", n)
	}
	if s := b.look(b.action(1, b.world.A, b.world.B), false); s.Verdict != actuators.Newer {
		b.Errorf("the first failover finds %s, %s; want newer", s.Verdict, s.Detail)
	}
}

// foundByAll: whichever failover looks, older ones too, it is there and not
// written again; and Act knows that nothing is due.
func foundByAll(b *bench) {
	b.drive(b.action(2, b.world.A, b.world.B))
	before := b.seen().Mutating
	for n, to := range map[fsm.Number]fsm.Address{1: b.world.B, 3: b.world.A, 4: b.world.B} {
		a := b.action(n, b.world.A, to)
		s := b.look(a, false)
		if s.Verdict != actuators.Applied {
			b.Errorf("%s finds %s, %s; want applied", a.ID, s.Verdict, s.Detail)
		}
		s.Verdict = actuators.Absent
		if _, err := b.act(a, s); err == nil || actuators.Explain(err).Doubt {
			b.Errorf("acted with nothing due: %v", err)
		}
	}
	if after := b.seen().Mutating; after != before {
		b.Errorf("%d requests that could change something", after-before)
	}
	b.points(b.world.B)
}

func olderNeverWrites(b *bench) {
	b.drive(b.action(2, b.world.A, b.world.B))
	b.neverWrites(b.action(1, b.world.B, b.world.A), Cluster)
}

func otherCluster(b *bench) {
	b.drive(b.action(1, b.world.A, b.world.B))
	b.neverWrites(b.action(2, b.world.B, b.world.A), "ffffffff000000000000000000000000")
}

// neverWrites wants newer, and no write even from a caller who does not care.
func (b *bench) neverWrites(a fsm.Action, cluster fsm.ClusterID) {
	b.Helper()
	r, err := b.read(a)
	if err != nil {
		b.Fatal(err)
	}
	w := work(a, false)
	w.Cluster = cluster
	s := b.tool.Judge(r, w)
	if s.Verdict != actuators.Newer {
		b.Fatalf("verdict %s, %s; want newer", s.Verdict, s.Detail)
	}
	before := b.seen().Mutating
	for _, verdict := range []actuators.Verdict{actuators.Newer, actuators.Absent} {
		s.Verdict = verdict
		ctx, cancel := within()
		_, err := b.tool.Act(ctx, w, s)
		cancel()
		if err == nil || actuators.Explain(err).Doubt {
			b.Errorf("acted on a newer object: %v", err)
		}
	}
	if after := b.seen().Mutating; after != before {
		b.Errorf("%d requests that could change something", after-before)
	}
	b.points(b.world.B)
}

// lateIsRepaired: no check before sending closes the gap between check and
// wire, so what lands late must at least be seen and mended.
func lateIsRepaired(b *bench) {
	older := b.action(1, b.world.B, b.world.A)
	s := b.look(older, false)
	b.world.Late.HoldNext()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := b.actIn(ctx, older, s); !actuators.Explain(err).Doubt {
		b.Fatalf("a held request: %v, want doubt", err)
	}
	newer := b.action(2, b.world.A, b.world.B)
	b.drive(newer)
	b.world.Late.Deliver()
	if b.step.Class == fsm.Fenced {
		b.points(b.world.B)
		return
	}
	newer.Phase = fsm.Done
	if s = b.calm(newer, false); s.Verdict != actuators.Absent {
		b.Fatalf("after a late write of an older failover: %s, %s; want absent", s.Verdict, s.Detail)
	}
	newer.Phase = fsm.Claimed
	newer.ID += "~1" // a repair is an action of its own
	b.drive(newer)
	b.points(b.world.B)
}

func refreshTwice(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	if _, err := b.act(a, b.look(a, false)); err != nil {
		b.Fatal(err)
	}
	s := b.calm(a, false)
	if s.Verdict != actuators.Staged {
		return // this kind's writes take effect at once
	}
	for _, fault := range []Fault{LoseAfter, FailAfter, LoseBefore, FailBefore, Garble} {
		b.world.Outside.Break(fault)
		r := refreshOf(b.world.Target, *s.Refresh)
		_, err := b.act(r, b.look(r, false))
		if !actuators.Explain(err).Doubt {
			b.Errorf("refresh with fault %d: %v, want doubt", fault, err)
		}
		b.world.Outside.Mend()
		r.Doubt = true
		if again := b.look(r, false); again.Verdict != actuators.Absent {
			b.Errorf("a refresh in doubt is %s, %s; want absent", again.Verdict, again.Detail)
		}
		time.Sleep(patience / 4) // what was begun has ended
	}
	for range 2 { // the second meets the first, and may be refused for now
		r := refreshOf(b.world.Target, *s.Refresh)
		r.Doubt = true
		if _, err := b.act(r, b.look(r, false)); actuators.Explain(err).Permanent || actuators.Explain(err).Doubt {
			b.Errorf("refresh beside another: %v", err)
		}
	}
	b.drive(a)
	b.points(b.world.B)
	if n := b.seen().Changes; n != 1 {
		b.Errorf("%d changes of the value, want 1", n)
	}
}

func budgetPaces(b *bench) {
	b.drive(b.action(1, b.world.A, b.world.B))
	if sent := b.seen().All; b.waits < sent {
		b.Errorf("%d requests after %d waits for the budget", sent, b.waits)
	}
}

// probeWithoutBudget: whoever probes opens the target without one.
func probeWithoutBudget(b *bench) {
	tool, err := b.world.Kind.Open(b.world.Target, nil)
	if err != nil {
		b.Fatal(err)
	}
	if c, ok := tool.(interface{ Close() error }); ok {
		defer func() {
			if err := c.Close(); err != nil {
				b.Error(err)
			}
		}()
	}
	prober, ok := tool.(actuators.Prober)
	if !ok {
		return
	}
	before := b.seen().Mutating
	ctx, cancel := within()
	defer cancel()
	b.note(prober.Probe(ctx)) // what a world without a place to probe says is fair
	if after := b.seen().Mutating; after != before {
		b.Errorf("a probe sent %d requests that could change something", after-before)
	}
}

func budgetEnds(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	s := b.look(a, false)
	before := b.seen().All
	b.broken = errBudget
	if _, err := b.read(a); seenAgain(b) && !errors.Is(err, errBudget) {
		b.Errorf("read without budget: %v", err)
	}
	if _, err := b.act(a, s); !errors.Is(err, errBudget) || actuators.Explain(err).Doubt {
		b.Errorf("act without budget: %v", err)
	}
	if after := b.seen().All; after != before {
		b.Errorf("%d requests without budget", after-before)
	}
}

// comparesValues holds a Comparer to the value alone: neither another failover's
// number nor an older marker changes what it says.
func comparesValues(b *bench) {
	c := b.tool.(actuators.Comparer)
	compare := func(r actuators.Reading, a fsm.Action, want ...actuators.Shown) {
		b.Helper()
		if got := c.Compare(r, a); !slices.Contains(want, got) {
			b.Errorf("%s, to %s: shown %d, want one of %d", a.ID, a.Wanted, got, want)
		}
	}
	older, other := b.action(1, b.world.A, b.world.B), b.action(7, b.world.B, b.world.A)
	compare(actuators.Reading{}, older, 0)
	if !seenAgain(b) { // nothing can be read back, so nothing can be told
		r, err := b.read(older)
		if err != nil {
			b.Fatal(err)
		}
		compare(r, older, 0)
		return
	}
	b.drive(older)
	newer := b.action(7, b.world.A, b.world.B)
	newer.Phase = fsm.Observed
	r, err := b.read(newer)
	if err != nil {
		b.Fatal(err)
	}
	compare(r, older, actuators.ShownValue)
	compare(r, newer, actuators.ShownValue)
	if b.world.Standing {
		compare(r, other, actuators.ShownValue)
	} else {
		compare(r, other, actuators.ShownOther)
	}
	broken := newer
	broken.Value = []byte("{")
	compare(r, broken, 0)
}
