package actuatortest

import (
	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// claimsVersionDecides: a compare-and-swap names the version that stands in the
// claim, which was read before it, whatever the object is at by now.
func claimsVersionDecides(b *bench) {
	one := b.action(1, b.world.A, b.world.B)
	old := b.look(one, false).Version
	b.drive(one)
	b.drive(b.action(2, b.world.B, b.world.A))
	late := b.action(3, b.world.A, b.world.B)
	s := b.look(late, false)
	late.Version = old
	if _, err := b.act(late, s); err == nil || actuators.Explain(err).Doubt || actuators.Explain(err).Permanent {
		b.Errorf("acted under a claim of an older version: %v; want a refusal, for a new claim", err)
	}
	b.points(b.world.A)
	late.Version = s.Version
	if _, err := b.act(late, s); err != nil {
		b.Error(err)
	}
	b.points(b.world.B)
}

// versionsNeverRepeat: else a late write would fit again once the value is back.
func versionsNeverRepeat(b *bench) {
	met := map[string]bool{}
	from, to := b.world.A, b.world.B
	for n := fsm.Number(1); n <= 4; n++ {
		a := b.action(n, from, to)
		v := b.look(a, false).Version
		if v == "" || met[v] {
			b.Errorf("version %q of failover %d is empty or was there before", v, n)
		}
		met[v] = true
		b.drive(a)
		from, to = to, from
	}
}

// keyIsTheActions: a later attempt, by another leader under another claim, is
// the same request to the provider.
func keyIsTheActions(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	s := b.look(a, false)
	if _, err := b.act(a, s); err != nil {
		b.Fatal(err)
	}
	b.drive(b.action(2, b.world.B, b.world.A))
	a.Token, a.Term, a.Node, a.Attempts, a.Doubt = fsm.TokenOf(0, 99), a.Term+1, "another", a.Attempts+1, true
	_, _ = b.act(a, s) // a delayed process that does not know better; either answer is fair
	b.points(b.world.A)
	if n := b.seen().Changes; n != 2 {
		b.Errorf("%d changes of the value by two actions", n)
	}
}

func blindIsSentOnce(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	s := b.look(a, false)
	if s.Verdict != actuators.Absent {
		b.Fatalf("a blind deed is %s, %s; nothing can be known of it: want absent", s.Verdict, s.Detail)
	}
	out, err := b.act(a, s)
	if err != nil {
		b.Fatal(err)
	}
	if out.Waiting || len(out.Requests) == 0 {
		b.Errorf("outcome %+v, want an answer with its id and nothing to wait for", out)
	}
	b.points(b.world.B)
	if n := b.seen().Mutating; n != 1 {
		b.Errorf("%d requests, want 1", n)
	}
}

func blindIsNotRepeated(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	for i, f := range []Fault{FailBefore, FailAfter, LoseBefore, LoseAfter, Hang, HangAfter} {
		s := b.look(a, false)
		b.world.Outside.Break(f)
		if _, err := b.act(a, s); !actuators.Explain(err).Doubt {
			b.Errorf("fault %d: %v, want doubt", f, err)
		}
		b.world.Outside.Mend()
		if n := b.seen().Mutating; n != i+1 {
			b.Fatalf("fault %d: %d requests after %d acts", f, n, i+1)
		}
		if found := b.look(a, false); found.Verdict == actuators.Applied {
			b.Errorf("fault %d: guessed %s, %s", f, found.Verdict, found.Detail)
		}
	}
}

// lostIsAskedAgain: nothing tells what came of a lost request but the same
// request again, which the other side knows by its key.
func lostIsAskedAgain(b *bench) {
	from, to := b.world.A, b.world.B
	for i, f := range []Fault{FailBefore, FailAfter, LoseBefore, LoseAfter, Hang, HangAfter} {
		a := b.action(fsm.Number(i+1), from, to)
		s := b.look(a, false)
		b.world.Outside.Break(f)
		if _, err := b.act(a, s); !actuators.Explain(err).Doubt {
			b.Errorf("fault %d: %v, want doubt", f, err)
		}
		b.world.Outside.Mend()
		a.Doubt = true
		if found := b.look(a, false); found.Verdict != actuators.Absent {
			b.Errorf("fault %d: guessed %s, %s", f, found.Verdict, found.Detail)
		}
		a.Token, a.Attempts = fsm.TokenOf(0, uint64(100+i)), a.Attempts+1
		b.drive(a)
		b.points(to)
		if n := b.seen().Changes; n != i+1 {
			b.Errorf("fault %d: %d changes by %d actions", f, n, i+1)
		}
		a.Phase = fsm.Done
		if found := b.look(a, false); found.Verdict != actuators.Applied {
			b.Errorf("done, and found %s, %s: it would be repaired", found.Verdict, found.Detail)
		}
		from, to = to, from
	}
}
