package fsm

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestLeasePromises lets commands come in any order, over elections, failovers
// and snapshots, and holds after each what a lease is.
func TestLeasePromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newPools(t, func(s *Spec) { s.Pools[0].Immediate = rapid.Bool().Draw(rt, "immediate") })
		b.must(b.see(Seed, "a:1", 1))
		for range rapid.IntRange(10, 120).Draw(rt, "steps") {
			before := b.state
			if rapid.IntRange(0, 9).Draw(rt, "election") == 0 {
				b.term++
			}
			c := drawLease(rt, b)
			answer := b.apply(c)
			did := fmt.Sprintf("%s %+v -> %+v", c.Kind(), c, answer)
			leased(rt, before, b.state, c, did)
			checkpointed(rt.Fatalf, before, b.state, c, did)
			if rapid.IntRange(0, 19).Draw(rt, "snapshot") == 0 {
				flat := b.state.Flatten()
				if b.state = Unflatten(flat); fmt.Sprint(b.state.Flatten()) != fmt.Sprint(flat) || len(b.state.Sessions("work")) != len(before.Sessions("work")) && c.Kind() != KindOpenSession && c.Kind() != KindCloseSessions {
					rt.Fatal("a snapshot does not give the state back")
				}
			}
		}
	})
}

func drawLease(rt *rapid.T, b *book) Command {
	sessions := []SessionID{1}
	for _, v := range b.state.Sessions("") {
		sessions = append(sessions, v.ID)
	}
	v := rapid.SampledFrom(sessions).Draw(rt, "session")
	n := rapid.IntRange(0, 4).Draw(rt, "partition")
	l, _ := b.state.Lease("work", n)
	token := l.Token - Token(rapid.IntRange(0, 1).Draw(rt, "late"))
	term := b.term - Term(rapid.IntRange(0, 5).Draw(rt, "old")/5)
	switch rapid.IntRange(0, 11).Draw(rt, "kind") {
	case 0, 1:
		return OpenSession{Pool: "work", Worker: fmt.Sprintf("w%d", n), Capacity: rapid.IntRange(0, 3).Draw(rt, "capacity"), Key: "k"}
	case 2:
		how := rapid.SampledFrom([]Leaving{LeftByItself, LeftBehind, LeftByForce}).Draw(rt, "how")
		return CloseSessions{Term: term, How: how, Sessions: []SessionID{v}}
	case 3:
		return b.see(Advance, rapid.SampledFrom([]Address{"a:1", "b:1"}).Draw(rt, "to"), Epoch(b.state.Index()+100))
	case 4:
		m, _ := b.state.Master("cache")
		return Abandon{Action: FailoverID{"cache", m.Number}.Action("workers"), Reason: "r"}
	case 5, 6, 7:
		return GrantLeases{Term: term, Pool: "work", Grants: []Grant{{n, v}, {rapid.IntRange(0, 3).Draw(rt, "also"), v}}}
	case 8, 9:
		return drawCheckpoint(rt, b, l, token, v)
	default:
		move := rapid.SampledFrom([]LeaseMove{MoveDrain, MoveRevoke, MoveLapse, MoveUnlock, MoveRelease}).Draw(rt, "move")
		return MoveLeases{Term: term, Pool: "work", Move: move, Session: v, Items: []LeaseItem{{n, token}}}
	}
}

// drawCheckpoint is mostly what the holder would save, else somewhat beside it.
func drawCheckpoint(rt *rapid.T, b *book, l Lease, token Token, v SessionID) Command {
	now, _ := b.state.Checkpoint("work", l.Number)
	c := SaveCheckpoint{Pool: "work", Number: l.Number, Session: l.Session, Token: token, Version: now.Version + 1, Data: []byte{byte(token)}}
	switch rapid.IntRange(0, 5).Draw(rt, "beside") {
	case 0:
		c.Session = v
	case 1:
		c.Version = now.Version + uint64(rapid.IntRange(0, 2).Draw(rt, "version"))
	}
	return c
}

// leased holds what is true of every step: tokens rise, a partition goes from one
// session to another only over free, and a suspended pool grants nothing.
func leased(rt *rapid.T, before, after State, c Command, did string) {
	p, _ := after.Pool("work")
	has := map[SessionID]int{}
	for _, l := range after.Leases("work") {
		was, known := before.Lease("work", l.Number)
		v, alive := after.Session(l.Session)
		granted := l.Token != was.Token
		switch {
		case l.Token < was.Token:
			rt.Fatalf("the token of %d fell: %s", l.Number, did)
		case granted && known && was.State != Free:
			rt.Fatalf("%d was granted while %s: %s", l.Number, was.State, did)
		case granted && (p.Suspended.Master != "" || l.Address != p.Address):
			rt.Fatalf("%d was granted for %s in pool %+v: %s", l.Number, l.Address, p, did)
		case !granted && l.Session != was.Session:
			rt.Fatalf("%d changed hands under one token: %s", l.Number, did)
		case l.State.Owned() && (!alive || v.Pool != "work"):
			rt.Fatalf("%d is owned by a session that is gone: %s", l.Number, did)
		case l.State == Held && p.Suspended.Master != "":
			rt.Fatalf("%d is held while the pool is suspended: %s", l.Number, did)
		case l.State == Held && l.Address != p.Address:
			rt.Fatalf("%d is held for %s, the pool is at %s: %s", l.Number, l.Address, p.Address, did)
		case was.State == Locked && l.State == Free && !told(c):
			rt.Fatalf("%d was unlocked: %s", l.Number, did)
		}
		if l.State.Owned() {
			if has[l.Session]++; has[l.Session] > v.Capacity {
				rt.Fatalf("session %d has more than its capacity: %s", v.ID, did)
			}
		}
	}
}

// told reports whether the command is a word that frees a locked partition.
func told(c Command) bool {
	switch c := c.(type) {
	case MoveLeases:
		return c.Move == MoveUnlock || c.Move == MoveRelease
	case CloseSessions:
		return c.How == LeftByItself
	}
	return false
}
