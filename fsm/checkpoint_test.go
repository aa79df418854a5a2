package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// saved is a partition's checkpoint as text: version, whether under this token,
// data.
func (b *book) saved(p PoolID, number int, token Token) string {
	c, ok := b.state.Checkpoint(p, number)
	if !ok {
		return "nothing"
	}
	return fmt.Sprintf("%d %v %s", c.Version, c.Token == token, c.Data)
}

func TestCheckpoint_IsTheHoldersAlone(t *testing.T) {
	b := newPools(t, nil)
	v, other := b.join("lock", "w1"), b.join("lock", "w2")
	save := SaveCheckpoint{Pool: "lock", Session: v, Token: 7, Version: 1, Data: []byte("a")}
	b.refused(ErrFenced, save) // never granted
	save.Token = b.grant("lock", v, 0)
	for name, change := range map[string]func(*SaveCheckpoint){
		"an older token":    func(c *SaveCheckpoint) { c.Token-- },
		"a newer token":     func(c *SaveCheckpoint) { c.Token++ },
		"another session":   func(c *SaveCheckpoint) { c.Session = other },
		"another partition": func(c *SaveCheckpoint) { c.Number = 1 },
		"another pool":      func(c *SaveCheckpoint) { c.Pool = "work" },
		"no token":          func(c *SaveCheckpoint) { c.Token = 0 },
		"no session":        func(c *SaveCheckpoint) { c.Session, c.Token, c.Pool = 0, 0, "work" },
	} {
		c := save
		change(&c)
		if err := b.apply(c).Err(); !errors.Is(err, ErrFenced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.saved("lock", 0, save.Token); got != "nothing" {
		t.Errorf("refused, and saved: %s", got)
	}
	b.must(save)
	c, _ := b.state.Checkpoint("lock", 0)
	if got := b.saved("lock", 0, save.Token); got != "1 true a" || c.Index != b.state.Index() {
		t.Errorf("%s %+v", got, c)
	}
}

// A version follows the one before; the same again changes nothing, and is no error.
func TestCheckpoint_Versions(t *testing.T) {
	b := newPools(t, nil)
	v := b.join("lock", "w1")
	token := b.grant("lock", v, 0)
	for _, row := range []struct {
		version uint64
		data    string
		want    Refusal
		saved   string
	}{
		{2, "a", ErrVersion, "nothing"},
		{0, "", ErrVersion, "nothing"},
		{1, "a", 0, "1 true a"},
		{1, "a", 0, "1 true a"}, // a repeat after a lost answer
		{1, "b", ErrVersion, "1 true a"},
		{3, "c", ErrVersion, "1 true a"},
		{2, "", 0, "2 true "},
		{2, "", 0, "2 true "},
		{1, "a", ErrVersion, "2 true "}, // a repeat that comes late
		{3, strings.Repeat("x", MaxCheckpointBytes+1), ErrLimit, "2 true "},
		{3, strings.Repeat("x", MaxCheckpointBytes), 0, "3 true " + strings.Repeat("x", MaxCheckpointBytes)},
	} {
		before, _ := b.state.Checkpoint("lock", 0)
		a := b.apply(SaveCheckpoint{Pool: "lock", Session: v, Token: token, Version: row.version, Data: []byte(row.data)})
		now, _ := b.state.Checkpoint("lock", 0)
		if got := b.saved("lock", 0, token); a.Refusal != row.want || got != row.saved || (now.Version == before.Version) != (now.Index == before.Index) {
			t.Errorf("version %d: %v %s, saved %s", row.version, a.Refusal, a.Detail, got)
		}
		if next := fmt.Sprintf("the next is %d", now.Version+1); a.Refusal == ErrVersion && !strings.Contains(a.Detail, next) {
			t.Errorf("version %d: %q does not say that %s", row.version, a.Detail, next)
		}
	}
}

// However a partition is left, its checkpoint stays for the next holder, and what
// the former one has still on its way is refused.
func TestCheckpoint_StaysOverHolders(t *testing.T) {
	b := newPools(t, nil)
	b.must(b.see(Seed, "a:1", 1))
	one, two := b.join("work", "w1"), b.join("work", "w2")
	old := b.grant("work", one, 0)
	save := SaveCheckpoint{Pool: "work", Session: one, Token: old, Version: 1, Data: []byte("a")}
	b.must(save)
	b.must(b.see(Advance, "b:1", 2)) // a failover suspends the pool
	late := save
	late.Version, late.Data = 2, []byte("b")
	b.must(late) // while it drains it may be saved
	b.must(MoveLeases{Term: 1, Pool: "work", Move: MoveLapse, Items: []LeaseItem{{0, old}}})
	late.Version = 3
	b.refused(ErrFenced, late) // locked
	b.must(MoveLeases{Term: 1, Pool: "work", Move: MoveUnlock, Items: []LeaseItem{{0, old}}})
	b.refused(ErrFenced, late) // free
	b.workersDone(FailoverID{"cache", 1})
	token := b.grant("work", two, 0)
	b.refused(ErrFenced, late) // another's
	if got := b.saved("work", 0, old); got != "2 true b" {
		t.Errorf("the next holder finds %s", got)
	}
	b.state = Unflatten(b.state.Flatten())
	b.must(SaveCheckpoint{Pool: "work", Session: two, Token: token, Version: 3, Data: []byte("c")})
	b.refused(ErrFenced, late)
	s, err := b.state.Restored(1)
	if err != nil {
		t.Fatal(err)
	}
	b.state = s
	b.refused(ErrFenced, SaveCheckpoint{Pool: "work", Session: two, Token: token, Version: 4})
	if got := b.saved("work", 0, token); got != "3 true c" {
		t.Errorf("after a recovery: %s", got)
	}
}

// A checkpoint goes with its partition, and with its pool.
func TestCheckpoint_GoesWithItsPartition(t *testing.T) {
	b := newPools(t, nil)
	b.must(b.see(Seed, "a:1", 1))
	v := b.join("work", "w1")
	token := b.grant("work", v, 1, 3)
	for _, n := range []int{1, 3} {
		b.must(SaveCheckpoint{Pool: "work", Number: n, Session: v, Token: token, Version: 1, Data: []byte("a")})
	}
	b.must(CloseSessions{How: LeftByItself, Sessions: []SessionID{v}})
	for _, row := range []struct {
		change     func(*Spec)
		one, three string
	}{
		{func(s *Spec) { s.Pools[0].TTL *= 2 }, "1 true a", "1 true a"},
		{func(s *Spec) { s.Pools[0].Partitions = 3 }, "1 true a", "nothing"},
		{func(*Spec) {}, "1 true a", "nothing"}, // grown again
		{func(s *Spec) {
			s.Pools = s.Pools[1:]
			s.Masters[0].Plan[1].Steps = s.Masters[0].Plan[1].Steps[:1]
		}, "nothing", "nothing"},
		{func(*Spec) {}, "nothing", "nothing"},
	} {
		s := poolSpec()
		row.change(&s)
		b.must(PutSpec{Spec: s, IfRevision: b.state.Spec().Revision})
		if one, three := b.saved("work", 1, token), b.saved("work", 3, token); one != row.one || three != row.three {
			t.Errorf("after a spec with %+v: %s and %s", s.Pools, one, three)
		}
	}
}

// checkpointed holds what is true of every step: a checkpoint changes by the word
// of whoever has the partition under its current token, from a version to the
// next, and never goes.
func checkpointed(fatal func(string, ...any), before, after State, c Command, did string) {
	for n := range 4 {
		was, known := before.Checkpoint("work", n)
		is, _ := after.Checkpoint("work", n)
		if was.Version == is.Version && was.Token == is.Token && bytes.Equal(was.Data, is.Data) && was.Index == is.Index {
			continue
		}
		l, _ := before.Lease("work", n)
		save, ok := c.(SaveCheckpoint)
		switch {
		case !ok || save.Number != n:
			fatal("the checkpoint of %d changed: %s", n, did)
		case is.Version != was.Version+1 || known != (was.Version > 0):
			fatal("the checkpoint of %d went from version %d to %d: %s", n, was.Version, is.Version, did)
		case is.Token != l.Token || save.Token != l.Token || save.Session != l.Session || !l.State.Owned():
			fatal("the checkpoint of %d, %s under %d of session %d: %s", n, l.State, l.Token, l.Session, did)
		case !bytes.Equal(is.Data, save.Data) || is.Index != after.Index():
			fatal("the checkpoint of %d is %+v: %s", n, is, did)
		}
	}
}
