package fsm

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// poolSpec has a pool that depends on the master cache, and a lock.
func poolSpec() Spec {
	s := testSpec()
	s.Masters[0].Plan[1].Steps = append(s.Masters[0].Plan[1].Steps, Step{Name: "workers", Kind: "leases", Object: PoolObject("work"), Class: InLog})
	s.Pools = []PoolSpec{
		{ID: "work", Master: "cache", Partitions: 4, TTL: 15 * time.Second, Drain: 10 * time.Second, Moves: 2},
		{ID: "lock", Partitions: 1, TTL: 15 * time.Second},
	}
	return s
}

func newPools(t *testing.T, change func(*Spec)) *book {
	b := &book{t: t, state: New(), term: 1}
	b.must(InitCluster{Cluster: "c1"})
	s := poolSpec()
	if change != nil {
		change(&s)
	}
	b.must(PutSpec{Spec: s})
	return b
}

func (b *book) join(p PoolID, worker string) SessionID {
	b.t.Helper()
	return SessionID(b.must(OpenSession{Pool: p, Worker: worker, Zone: "a", Key: "k"}).Token)
}

func (b *book) grant(p PoolID, to SessionID, numbers ...int) Token {
	b.t.Helper()
	c := GrantLeases{Term: b.term, Pool: p}
	for _, n := range numbers {
		c.Grants = append(c.Grants, Grant{Number: n, Session: to})
	}
	return b.must(c).Token
}

// stands is a pool as a line of text: number, state, worker.
func (b *book) stands(p PoolID) (line string) {
	for _, l := range b.state.Leases(p) {
		line += fmt.Sprintf("%d %s %s %s; ", l.Number, l.State, l.Worker, l.Address)
	}
	return line
}

// workersDone carries the failover's plan out, up to the step that moves the pool.
func (b *book) workersDone(f FailoverID) {
	b.t.Helper()
	for _, step := range []string{"lb", "url", "mail", "workers"} {
		token := b.must(Claim{Action: f.Action(step), Term: b.term, Act: time.Second}).Token
		b.must(Settle{Action: f.Action(step), Token: token, To: Done, Effect: Changed})
	}
}

func TestLease_GrantNeedsAnOpenPoolAFreePartitionAndALiveSession(t *testing.T) {
	b := newPools(t, nil)
	w := b.join("work", "w1")
	grant := GrantLeases{Term: 1, Pool: "work", Grants: []Grant{{0, w}}}
	b.refused(ErrSuspended, grant) // its master has no address yet
	b.must(b.see(Seed, "a:1", 1))
	b.refused(ErrUnknown, GrantLeases{Term: 1, Pool: "other", Grants: []Grant{{0, w}}})
	b.refused(ErrUnknown, GrantLeases{Term: 1, Pool: "work", Grants: []Grant{{4, w}}})
	b.refused(ErrUnknown, GrantLeases{Term: 1, Pool: "work", Grants: []Grant{{0, w + 1}}})
	b.refused(ErrUnknown, GrantLeases{Term: 1, Pool: "lock", Grants: []Grant{{0, w}}}) // a session is of one pool
	b.refused(ErrLimit, GrantLeases{Term: 1, Pool: "work"})
	b.refused(ErrTerm, GrantLeases{Term: 2, Pool: "work", Grants: []Grant{{0, w}}})
	b.must(grant)
	b.refused(ErrHeld, grant)
	if got := b.stands("work"); got != "0 held w1 a:1; " {
		t.Error(got)
	}
}

func TestLease_CapacityIsKept(t *testing.T) {
	b := newPools(t, nil)
	b.must(b.see(Seed, "a:1", 1))
	w := SessionID(b.must(OpenSession{Pool: "work", Worker: "w1", Capacity: 2, Key: "k"}).Token)
	b.must(GrantLeases{Term: 1, Pool: "work", Grants: []Grant{{0, w}, {1, w}, {2, w}}}) // the third is passed over
	if got := b.stands("work"); got != "0 held w1 a:1; 1 held w1 a:1; " {
		t.Error(got)
	}
	b.refused(ErrLimit, GrantLeases{Term: 1, Pool: "work", Grants: []Grant{{3, w}}})
	for asked, want := range map[int]int{0: MaxPartitions, 100: 100, MaxPartitions + 1: MaxPartitions} { // the pool may grow
		v, _ := b.state.Session(SessionID(b.must(OpenSession{Pool: "work", Worker: "w", Capacity: asked, Key: "k"}).Token))
		if v.Capacity != want {
			t.Errorf("capacity %d is kept as %d, want %d", asked, v.Capacity, want)
		}
	}
}

func TestLease_RepeatGetsTheFirstAnswer(t *testing.T) {
	b := newPools(t, nil)
	c := OpenSession{Pool: "lock", Worker: "w1", Key: "k"}
	first, again := b.applyAs("id", c), b.applyAs("id", c)
	if first.Token == 0 || first.Token != again.Token || first.Index != again.Index || len(b.state.Sessions("lock")) != 1 {
		t.Errorf("%+v then %+v: %d sessions", first, again, len(b.state.Sessions("lock")))
	}
}

// A failover holds the pool back in its own entry, whatever becomes of the rest
// of the plan, until the step of that very failover is done.
func TestLease_FailoverSuspendsAndItsStepReopens(t *testing.T) {
	for _, immediate := range []bool{false, true} {
		b := newPools(t, func(s *Spec) { s.Pools[0].Immediate = immediate })
		b.must(b.see(Seed, "a:1", 1))
		w, x := b.join("work", "w1"), b.join("lock", "w2")
		old := b.grant("work", w, 0, 1)
		b.grant("lock", x, 0)
		b.must(b.see(Advance, "b:1", 2))
		want := "0 draining w1 a:1; 1 draining w1 a:1; "
		if immediate {
			want = "0 locked w1 a:1; 1 locked w1 a:1; "
		}
		if got := b.stands("work"); got != want || b.stands("lock") != "0 held w2 ; " {
			t.Errorf("%s and %s", got, b.stands("lock"))
		}
		b.refused(ErrSuspended, GrantLeases{Term: 1, Pool: "work", Grants: []Grant{{2, w}}})
		b.must(MoveLeases{Pool: "work", Move: MoveRelease, Session: w, Items: []LeaseItem{{0, old}}})
		b.refused(ErrSuspended, GrantLeases{Term: 1, Pool: "work", Grants: []Grant{{0, w}}})
		b.must(b.see(Advance, "c:1", 3)) // the newer failover's step opens it, not the older's
		b.workersDone(FailoverID{"cache", 2})
		if fresh := b.grant("work", w, 0); fresh <= old || b.stands("work")[:17] != "0 held w1 c:1; 1 " {
			t.Errorf("token %d after %d: %s", fresh, old, b.stands("work"))
		}
	}
}

// Each pool of a master is held back, in its own way, and opened by its own step;
// those of other masters are left alone.
func TestLease_SeveralPoolsOfAMaster(t *testing.T) {
	b := newPools(t, func(s *Spec) {
		plan := &s.Masters[0].Plan
		(*plan)[0].Steps = append((*plan)[0].Steps, Step{Name: "jobs", Kind: "leases", Object: PoolObject("jobs"), Class: InLog})
		s.Pools = append(s.Pools, PoolSpec{ID: "jobs", Master: "cache", Partitions: 1, TTL: time.Second, Immediate: true})
	})
	b.must(b.see(Seed, "a:1", 1))
	for _, p := range []PoolID{"work", "jobs", "lock"} {
		b.grant(p, b.join(p, "w"), 0)
	}
	b.must(b.see(Advance, "b:1", 2))
	if got, want := b.stands("work")+b.stands("jobs")+b.stands("lock"), "0 draining w a:1; 0 locked w a:1; 0 held w ; "; got != want {
		t.Errorf("held back: %s, want %s", got, want)
	}
	a := FailoverID{"cache", 1}.Action("jobs")
	token := b.must(Claim{Action: a, Term: b.term, Act: time.Second}).Token
	b.must(Settle{Action: a, Token: token, To: Done, Effect: Changed})
	if err := b.state.Grantable("jobs"); err != nil {
		t.Errorf("after its own step: %v", err)
	}
	if err := b.state.Grantable("work"); !errors.Is(err, ErrSuspended) {
		t.Errorf("after the other pool's step: %v", err)
	}
	if err := b.state.Balanced("jobs"); !errors.Is(err, ErrSuspended) { // the load balancer has not been moved yet
		t.Errorf("evening out in a failover: %v", err)
	}
}

func TestLease_AbandonedStepReopensToo(t *testing.T) {
	b := newPools(t, nil)
	b.must(b.see(Seed, "a:1", 1))
	b.must(b.see(Advance, "b:1", 2))
	w := b.join("work", "w1")
	b.refused(ErrSuspended, GrantLeases{Term: 1, Pool: "work", Grants: []Grant{{0, w}}})
	b.must(Abandon{Action: "cache/1/workers", Reason: "by hand"})
	b.grant("work", w, 0)
	if got := b.stands("work"); got != "0 held w1 b:1; " {
		t.Error(got)
	}
}

func TestLease_ALateWordOfAnOldGrantIsFenced(t *testing.T) {
	b := newPools(t, nil)
	v, w := b.join("lock", "w1"), b.join("lock", "w2")
	old := b.grant("lock", v, 0)
	b.refused(ErrTerm, CloseSessions{Term: 9, How: LeftBehind, Sessions: []SessionID{v}})
	b.must(CloseSessions{Term: 1, How: LeftBehind, Sessions: []SessionID{v}})
	b.refused(ErrHeld, GrantLeases{Term: 1, Pool: "lock", Grants: []Grant{{0, w}}})
	b.refused(ErrTerm, MoveLeases{Pool: "lock", Move: MoveUnlock, Items: []LeaseItem{{0, old}}})
	b.must(MoveLeases{Term: 1, Pool: "lock", Move: MoveUnlock, Items: []LeaseItem{{0, old}}})
	fresh := b.grant("lock", w, 0)
	release := MoveLeases{Pool: "lock", Move: MoveRelease, Session: v, Items: []LeaseItem{{0, old}}}
	b.refused(ErrFenced, release)
	release.Items[0].Token = fresh // a stranger who knows the token
	b.refused(ErrFenced, release)
	b.refused(ErrFenced, MoveLeases{Pool: "lock", Move: MoveRevoke, Items: []LeaseItem{{0, old}}})
	b.refused(ErrUnknown, CloseSessions{How: LeftByItself, Sessions: []SessionID{v}})
	if got := b.stands("lock"); got != "0 held w2 ; " {
		t.Error(got)
	}
}

// However a partition is left, it is locked unless its worker said that it had
// stopped; and what was revoked counts as lapsed once the session has.
func TestLease_WaysToLeave(t *testing.T) {
	for _, row := range []struct {
		how    Leaving
		before LeaseMove
		want   string
	}{
		{LeftByItself, 0, "free false"}, {LeftBehind, 0, "locked true"}, {LeftByForce, 0, "locked false"},
		{LeftByItself, MoveDrain, "free false"}, {LeftBehind, MoveDrain, "locked true"}, {LeftByForce, MoveDrain, "locked false"},
		{LeftByItself, MoveRevoke, "free false"}, {LeftBehind, MoveRevoke, "locked true"}, {LeftByForce, MoveRevoke, "locked false"},
	} {
		b := newPools(t, nil)
		v := b.join("lock", "w1")
		token := b.grant("lock", v, 0)
		if row.before != 0 {
			b.must(MoveLeases{Pool: "lock", Move: row.before, Items: []LeaseItem{{0, token}}})
		}
		b.must(CloseSessions{Term: 1, How: row.how, Sessions: []SessionID{v}})
		l, _ := b.state.Lease("lock", 0)
		if got := fmt.Sprint(l.State, l.Lapsed); got != row.want {
			t.Errorf("%s after %s: %s, want %s", row.how, row.before, got, row.want)
		}
	}
}

func TestLease_MovesThatDoNotFit(t *testing.T) {
	b := newPools(t, nil)
	v := b.join("lock", "w1")
	token := b.grant("lock", v, 0)
	move := func(m LeaseMove) MoveLeases {
		return MoveLeases{Term: 1, Pool: "lock", Move: m, Session: v, Items: []LeaseItem{{0, token}}}
	}
	b.refused(ErrPhase, move(MoveLapse))
	b.refused(ErrPhase, move(MoveUnlock))
	b.must(move(MoveDrain))
	b.refused(ErrPhase, move(MoveDrain))
	b.must(move(MoveLapse))
	b.refused(ErrPhase, move(MoveRevoke))
	b.must(move(MoveUnlock))
	b.refused(ErrPhase, move(MoveRelease))
	b.refused(ErrUnknown, MoveLeases{Pool: "work", Move: MoveRevoke, Items: []LeaseItem{{0, token}}})
	b.refused(ErrLimit, MoveLeases{Pool: "lock", Move: MoveRelease + 1, Items: []LeaseItem{{0, token}}})
	b.refused(ErrLimit, MoveLeases{Pool: "lock", Move: MoveRevoke})
}

func TestLease_SpecOfPools(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*Spec)
		want   Refusal
	}{
		"fine":                 {func(*Spec) {}, 0},
		"no such master":       {func(s *Spec) { s.Pools[0].Master = "nope" }, ErrSpec},
		"nothing moves it":     {func(s *Spec) { s.Masters[0].Plan[1].Steps = s.Masters[0].Plan[1].Steps[:1] }, ErrSpec},
		"moved by another":     {func(s *Spec) { s.Pools[0].Master = "queue" }, ErrSpec},
		"a lock that is moved": {func(s *Spec) { s.Pools[0].Master = "" }, ErrSpec},
		"observed":             {func(s *Spec) { s.Masters[0].Observe = true }, ErrSpec},
		"twice":                {func(s *Spec) { s.Pools[1].ID = "work" }, ErrSpec},
		"no partitions":        {func(s *Spec) { s.Pools[1].Partitions = 0 }, ErrSpec},
		"too many partitions":  {func(s *Spec) { s.Pools[1].Partitions = MaxPartitions + 1 }, ErrSpec},
		"no ttl":               {func(s *Spec) { s.Pools[1].TTL = 0 }, ErrSpec},
		"a step without pool":  {func(s *Spec) { s.Pools = s.Pools[1:] }, ErrSpec},
	} {
		b := newPools(t, nil)
		s := poolSpec()
		row.change(&s)
		if a := b.apply(PutSpec{Spec: s, IfRevision: 1}); a.Refusal != row.want {
			t.Errorf("%s: %v %s", name, a.Refusal, a.Detail)
		}
	}
}

// What a new spec takes away must be free: a worker may believe in it.
func TestLease_SpecChangeUnderHolders(t *testing.T) {
	b := newPools(t, nil)
	b.must(b.see(Seed, "a:1", 1))
	w := b.join("work", "w1")
	token := b.grant("work", w, 3)
	put := func(change func(*Spec)) PutSpec {
		s := poolSpec()
		change(&s)
		return PutSpec{Spec: s, IfRevision: b.state.Spec().Revision}
	}
	less := func(s *Spec) { s.Pools[0].Partitions = 3 }
	gone := func(s *Spec) {
		s.Pools = s.Pools[1:]
		s.Masters[0].Plan[1].Steps = s.Masters[0].Plan[1].Steps[:1]
	}
	b.refused(ErrHeld, put(less))
	b.refused(ErrHeld, put(gone))
	b.must(put(func(s *Spec) { s.Pools[0].TTL = time.Minute }))
	b.must(MoveLeases{Pool: "work", Move: MoveRelease, Session: w, Items: []LeaseItem{{3, token}}})
	b.must(put(less))
	if got := b.stands("work"); got != "" {
		t.Errorf("partition 3 of 3: %s", got)
	}
	b.must(b.see(Advance, "b:1", 2))
	b.refused(ErrOpenActions, put(gone)) // suspended, and the step is open
	b.workersDone(FailoverID{"cache", 1})
	b.must(put(gone))
	if _, ok := b.state.Pool("work"); ok || len(b.state.Sessions("work")) != 0 {
		t.Error("the pool is still there")
	}
	b.must(put(func(*Spec) {}))
	if p, _ := b.state.Pool("work"); p.Address != "b:1" || b.grant("work", b.join("work", "w1"), 3) <= token {
		t.Errorf("declared again: %+v", p)
	}
}

// What a worker was told when it joined holds for its session, whatever the spec
// says later: otherwise somebody would count less than the worker believes.
func TestLease_ALowerTTLIsForSessionsToCome(t *testing.T) {
	b := newPools(t, nil)
	b.must(b.see(Seed, "a:1", 1))
	w := b.join("work", "w1")
	b.grant("work", w, 0)
	drain := MoveLeases{Pool: "work", Move: MoveDrain, Items: []LeaseItem{{0, b.grant("work", w, 1)}}}
	drain.Items[0].Number = 1
	b.must(drain)
	s := poolSpec()
	s.Pools[0].TTL, s.Pools[0].Drain = 2*time.Second, time.Second
	b.must(PutSpec{Spec: s, IfRevision: 1})
	b.grant("work", w, 2)
	b.grant("work", b.join("work", "w2"), 3)
	got := ""
	for _, l := range b.state.Leases("work") {
		got += fmt.Sprintf("%d %s ttl %s drain %s; ", l.Number, l.State, l.TTL, l.Wait)
	}
	if want := "0 held ttl 15s drain 0s; 1 draining ttl 15s drain 10s; 2 held ttl 15s drain 0s; 3 held ttl 2s drain 0s; "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A pool that is not suspended is where its master is, a reset of the epochs
// included: that leaves the accepted address as it is.
func TestLease_AResetOfEpochsMovesNobody(t *testing.T) {
	b := newPools(t, nil)
	b.must(b.see(Seed, "a:1", 7))
	w := b.join("work", "w1")
	b.grant("work", w, 0)
	b.must(b.see(Rebase, "b:1", 2))
	b.grant("work", w, 1)
	m, _ := b.state.Master("cache")
	if got := b.stands("work"); got != "0 held w1 a:1; 1 held w1 a:1; " || m.Address != "a:1" {
		t.Errorf("%s, the master is at %s", got, m.Address)
	}
}

// After a restore nobody knows what was granted since the snapshot: all is locked
// until the beliefs of that time have run out, and tokens rise.
func TestLease_ARestoreLocksEverything(t *testing.T) {
	b := newPools(t, nil)
	b.must(b.see(Seed, "a:1", 1))
	w := b.join("work", "w1")
	b.grant("work", w, 0)
	snapshot := b.state
	lost := b.grant("work", w, 1) // after the snapshot
	if _, err := snapshot.Restored(snapshot.Generation()); !errors.Is(err, ErrTerm) {
		t.Errorf("the generation did not rise: %v", err)
	}
	s, err := snapshot.Restored(snapshot.Generation() + 1)
	if err != nil {
		t.Fatal(err)
	}
	b.state = Unflatten(s.Flatten())
	if got := b.stands("work"); got != "0 locked w1 a:1; 1 locked  ; 2 locked  ; 3 locked  ; " || b.stands("lock") != "0 locked  ; " || len(s.Sessions("")) != 0 {
		t.Errorf("%s and %s, %d sessions", got, b.stands("lock"), len(s.Sessions("")))
	}
	b.refused(ErrHeld, GrantLeases{Term: 1, Pool: "work", Grants: []Grant{{1, b.join("work", "w2")}}})
	b.must(MoveLeases{Term: 1, Pool: "work", Move: MoveUnlock, Items: []LeaseItem{{Number: 1}}})
	if fresh := b.grant("work", b.join("work", "w2"), 1); fresh <= lost {
		t.Errorf("token %d after the restore, %d before it", fresh, lost)
	}
	if l, _ := b.state.Lease("work", 2); l.TTL != 15*time.Second || l.Lapsed {
		t.Errorf("%+v: the lock has to outlast a ttl", l)
	}
}
