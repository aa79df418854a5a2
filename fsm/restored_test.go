package fsm

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestRestored_LongestTTL: a session that was opened before its pool's ttl was
// lowered believes for as long as it was told then, and after the snapshot it may
// have been granted any partition of its pool.
func TestRestored_LongestTTL(t *testing.T) {
	b := newPools(t, nil)
	b.join("work", "old")
	spec := b.state.Spec()
	spec.Pools = append([]PoolSpec(nil), spec.Pools...)
	for i := range spec.Pools {
		spec.Pools[i].TTL = 5 * time.Second
	}
	b.must(PutSpec{Spec: spec, IfRevision: b.state.Spec().Revision})
	s, err := b.state.Restored(1)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		if l, _ := s.Lease("work", n); l.TTL != 15*time.Second || l.State != Locked || l.Lapsed {
			t.Errorf("%+v", l)
		}
	}
	if l, _ := s.Lease("lock", 0); l.TTL != 5*time.Second {
		t.Errorf("a pool without sessions: %+v", l)
	}
}

// TestRestored_KeepsTheRest: generation, sessions and leases apart nothing changes,
// and the last generation has no next.
func TestRestored_KeepsTheRest(t *testing.T) {
	b := newPools(t, nil)
	b.must(b.see(Seed, "a:1", 1))
	b.must(b.see(Advance, "b:1", 2))
	if len(b.state.Open()) == 0 {
		t.Fatal("nothing is under way")
	}
	b.must(PutMember{Member{Node: "n1", Store: "s1"}})
	b.must(PutMember{Member{Node: "n2", Store: "s2"}})
	s, err := b.state.Restored(MaxGeneration)
	if err != nil {
		t.Fatal(err)
	}
	was, is := b.state.Flatten(), s.Flatten()
	was.Generation, was.Sessions, was.Leases = is.Generation, is.Sessions, is.Leases
	if fmt.Sprint(was) != fmt.Sprint(is) {
		t.Errorf("was\n%+v\nis\n%+v", was, is)
	}
	if int64(TokenOf(MaxGeneration, 1<<48-1)) < 0 {
		t.Error("the last token is negative in a signed number")
	}
	if _, err := s.Restored(MaxGeneration + 1); !errors.Is(err, ErrLimit) {
		t.Errorf("beyond the last: %v", err)
	}
	if all := s.Alone("n1").Members(); len(all) != 1 || all[0].Store != "s1" {
		t.Errorf("members %+v", all)
	}
}
