package actuatortest

import (
	"time"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/fsm"
)

// doubtful wants a fault of a write to be told as doubt, and a read to find
// what came of it.
func doubtful(f Fault, effect bool) func(*bench) {
	return func(b *bench) {
		a := b.action(1, b.world.A, b.world.B)
		s := b.look(a, false)
		b.world.Outside.Break(f)
		_, err := b.act(a, s)
		switch x := actuators.Explain(err); {
		case err == nil:
			b.Fatal("no error")
		case !x.Doubt || x.Permanent:
			b.Errorf("%v: doubt %t, permanent %t; want doubt", err, x.Doubt, x.Permanent)
		}
		b.world.Outside.Mend()
		a.Doubt = true
		found := b.calm(a, false)
		if effect && found.Verdict != actuators.Staged && found.Verdict != actuators.Applied {
			b.Errorf("the effect happened, a read finds %s, %s", found.Verdict, found.Detail)
		}
		if !effect && found.Verdict != actuators.Absent {
			b.Errorf("nothing happened, a read finds %s, %s", found.Verdict, found.Detail)
		}
		b.endsOnce(a)
	}
}

// endsOnce drives an action on after a fault: one change, whatever happened.
func (b *bench) endsOnce(a fsm.Action) {
	b.Helper()
	b.drive(a)
	b.points(b.world.B)
	if n := b.seen().Changes; n != 1 {
		b.Errorf("%d changes of the value, want 1", n)
	}
}

// garbled: the status says that it was done, the body nothing. Either word of
// Act is fair as long as the read after it tells.
func garbled(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	s := b.look(a, false)
	b.world.Outside.Break(Garble)
	if _, err := b.act(a, s); err != nil && !actuators.Explain(err).Doubt {
		b.Errorf("%v, want none or doubt", err)
	}
	b.world.Outside.Mend()
	if found := b.calm(a, false); found.Verdict != actuators.Staged && found.Verdict != actuators.Applied {
		b.Errorf("the effect happened, a read finds %s, %s", found.Verdict, found.Detail)
	}
	b.endsOnce(a)
}

func refusedForGood(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	value := b.world.Outside.Value()
	s := b.look(a, false)
	b.world.Outside.Break(Refuse)
	_, err := b.act(a, s)
	if x := actuators.Explain(err); err == nil || !x.Permanent || x.Doubt {
		b.Errorf("%v: permanent %t, doubt %t; want permanent", err, x.Permanent, x.Doubt)
	}
	b.points(value)
	b.world.Outside.Mend()
	b.endsOnce(a) // after a human's retry
}

func tooMany(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	value := b.world.Outside.Value()
	s := b.look(a, false)
	b.world.Outside.Break(TooMany)
	_, err := b.act(a, s)
	if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt || x.After != RetryAfter {
		b.Errorf("%v: permanent %t, doubt %t, after %s; want only after %s", err, x.Permanent, x.Doubt, x.After, RetryAfter)
	}
	b.points(value)
	b.world.Outside.Mend()
	b.endsOnce(a)
}

func unreachable(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	s := b.look(a, false)
	time.Sleep(2 * time.Minute) // no connection is kept that long
	b.world.Outside.Break(Unreachable)
	_, err := b.act(a, s)
	if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt {
		b.Errorf("%v: permanent %t, doubt %t; want neither", err, x.Permanent, x.Doubt)
	}
	if _, err := b.read(a); err == nil || actuators.Explain(err).Permanent {
		b.Errorf("read: %v", err)
	}
	b.world.Outside.Mend()
	b.endsOnce(a)
}

func failedRead(b *bench) {
	a := b.action(1, b.world.A, b.world.B)
	b.world.Outside.Break(FailRead)
	_, err := b.read(a)
	if x := actuators.Explain(err); err == nil || x.Permanent || x.Doubt {
		b.Errorf("%v: permanent %t, doubt %t; want neither", err, x.Permanent, x.Doubt)
	}
	b.world.Outside.Mend()
	b.endsOnce(a)
}
