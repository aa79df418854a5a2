package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const (
	keyOne = "the first worker's key"
	keyTwo = "the second worker's key"
)

// newPool is a cluster with a lock and a pool of four.
func newPool(t *testing.T, nodes int, limits Limits) *tape {
	w := newWorld(t, nodes, limits)
	w.must(fsm.PutSpec{Spec: fsm.Spec{Pools: []fsm.PoolSpec{
		{ID: "lock", Partitions: 1, TTL: 9 * time.Second}, {ID: "work", Partitions: 4, TTL: 7 * time.Second, Drain: time.Second, Moves: 2},
	}}})
	return w
}

func (w *tape) leases(id fsm.NodeID) pointsmanv1.LeaseServiceClient {
	return pointsmanv1.NewLeaseServiceClient(w.at(id).Conn())
}

func (w *tape) join(worker, key string) uint64 {
	w.t.Helper()
	got, err := w.leases("n1").OpenSession(w.t.Context(), &pointsmanv1.OpenSessionRequest{Pool: "work", Worker: worker, Zone: "z", Key: key})
	if err != nil {
		w.t.Fatal(err)
	}
	if s := got.GetSession(); s.GetWorker() != worker || s.GetPool() != "work" || got.GetTtl().AsDuration() != 7*time.Second || got.GetHeader().GetNodeId() != "n1" {
		w.t.Fatalf("session %v", got)
	}
	return got.GetSession().GetId()
}

func (w *tape) grant(to uint64, numbers ...int) uint64 {
	w.t.Helper()
	w.mu.Lock()
	c := fsm.GrantLeases{Term: w.term, Pool: "work"}
	w.mu.Unlock()
	for _, n := range numbers {
		c.Grants = append(c.Grants, fsm.Grant{Number: n, Session: fsm.SessionID(to)})
	}
	return uint64(w.must(c).Token)
}

func (w *tape) move(m fsm.LeaseMove, number int, token uint64) {
	w.t.Helper()
	w.mu.Lock()
	term := w.term
	w.mu.Unlock()
	w.must(fsm.MoveLeases{Term: term, Pool: "work", Move: m, Items: []fsm.LeaseItem{{Number: number, Token: fsm.Token(token)}}, Reason: "test"})
}

// assigned is an answer as text: partition, state, whether it prolongs.
func assigned(r *pointsmanv1.RenewResponse) string {
	var b strings.Builder
	for _, a := range r.GetAssignments() {
		fmt.Fprintf(&b, "%d %s %s; ", a.GetPartition(), strings.TrimPrefix(a.GetState().String(), leasePrefix), a.GetValidFor().AsDuration())
	}
	return b.String()
}

func facts(err error) map[string]string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()
		}
	}
	return nil
}

func TestRenew(t *testing.T) {
	w := newPool(t, 2, Limits{})
	ctx := t.Context()
	one, two := w.join("w1", keyOne), w.join("w2", keyTwo)
	old := w.grant(one, 0, 1)
	for _, node := range []fsm.NodeID{"n1", "n2"} { // a follower passes it on
		got, err := w.leases(node).Renew(ctx, &pointsmanv1.RenewRequest{Session: one, Key: keyOne})
		if err != nil || assigned(got) != "0 HELD 7s; 1 HELD 7s; " || got.GetTtl().AsDuration() != 7*time.Second || got.GetHeader().GetNodeId() != "n1" {
			t.Errorf("renewed at %s: %v, %v", node, got, err)
		}
	}
	w.move(fsm.MoveDrain, 0, old)
	w.move(fsm.MoveLapse, 0, old)
	w.move(fsm.MoveUnlock, 0, old)
	fresh := w.grant(two, 0)
	got, err := w.leases("n1").Renew(ctx, &pointsmanv1.RenewRequest{Session: one, Key: keyOne, Held: []*pointsmanv1.HeldToken{
		{Partition: 0, Token: old}, {Partition: 1, Token: old}, {Partition: 3, Token: old},
	}})
	if err != nil || assigned(got) != "1 HELD 7s; " || len(got.GetRefused()) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if r := got.GetRefused()[0]; r.GetToken() != old || r.GetCurrentToken() != fresh || r.GetState() != pointsmanv1.LeaseState_LEASE_STATE_HELD {
		t.Errorf("the old holder is told %v, the partition has %d", r, fresh)
	}
	if r := got.GetRefused()[1]; r.GetCurrentToken() != 0 || r.GetState() != pointsmanv1.LeaseState_LEASE_STATE_FREE {
		t.Errorf("of one never granted: %v", r)
	}
	_, err = w.leases("n1").CheckToken(ctx, &pointsmanv1.CheckTokenRequest{Id: "work/0", Token: old})
	wantError(t, err, codes.Aborted, "LEASE_FENCED")
	if f := facts(err); f["current_token"] != fmt.Sprint(fresh) {
		t.Errorf("the sink is told %v", f)
	}
	if got, err := w.leases("n2").CheckToken(ctx, &pointsmanv1.CheckTokenRequest{Id: "work/0", Token: fresh}); err != nil || got.GetLease().GetWorker() != "w2" {
		t.Errorf("the holder's own token: %v, %v", got, err)
	}
	w.setLead("")
	_, err = w.leases("n1").Renew(ctx, &pointsmanv1.RenewRequest{Session: one, Key: keyOne})
	wantError(t, err, codes.Unavailable, ReasonNoQuorum)
}

// Whoever does not know a session's key neither renews, releases nor ends it,
// and is not told whether there is one.
func TestASessionIsItsWorkersAlone(t *testing.T) {
	w := newPool(t, 1, Limits{})
	ctx, c := t.Context(), w.leases("n1")
	one := w.join("w1", keyOne)
	token := w.grant(one, 0)
	held := []*pointsmanv1.HeldToken{{Partition: 0, Token: token}}
	for _, id := range []uint64{one, one + 1} {
		_, err := c.Renew(ctx, &pointsmanv1.RenewRequest{Session: id, Key: keyTwo})
		wantError(t, err, codes.NotFound, ReasonNotFound)
		_, err = c.Release(ctx, &pointsmanv1.ReleaseRequest{Session: id, Key: keyTwo, Released: held})
		wantError(t, err, codes.NotFound, ReasonNotFound)
		_, err = c.CloseSession(ctx, &pointsmanv1.CloseSessionRequest{Session: id, Key: keyTwo})
		wantError(t, err, codes.NotFound, ReasonNotFound)
	}
	two := w.join("w2", keyTwo) // its own session, another's token
	if _, err := c.Release(ctx, &pointsmanv1.ReleaseRequest{Session: two, Key: keyTwo, Released: held}); err != nil {
		t.Errorf("what is not held is passed over: %v", err)
	}
	if l, _ := w.now().Lease("work", 0); l.State != fsm.Held || uint64(l.Session) != one {
		t.Errorf("a stranger moved it: %+v", l)
	}
	goodbye := &pointsmanv1.CloseSessionRequest{Session: one, Key: keyOne, RequestId: "stop"}
	for range 2 { // a repeat is told what the first one was
		if _, err := c.CloseSession(ctx, goodbye); err != nil {
			t.Error(err)
		}
	}
	if l, _ := w.now().Lease("work", 0); l.State != fsm.Free {
		t.Errorf("after its worker left: %+v", l)
	}
	_, err := c.CloseSession(ctx, &pointsmanv1.CloseSessionRequest{Session: one, Key: keyOne})
	wantError(t, err, codes.NotFound, ReasonNotFound)
	if raw := fmt.Sprintf("%+v", w.now().Flatten()); strings.Contains(raw, keyOne) || strings.Contains(raw, keyTwo) {
		t.Error("a key stands in the state")
	}
}

// A number that is nobody's yet may be a session's by the time that the log comes
// to it: who guesses it ends nothing.
func TestNobodyEndsASessionToCome(t *testing.T) {
	w := newPool(t, 1, Limits{})
	guess := uint64(fsm.TokenOf(w.now().Generation(), w.now().Index()+1))
	var victim uint64
	w.nodes["n1"].before = func() {
		victim = uint64(w.must(fsm.OpenSession{Pool: "work", Worker: "w1", Key: keyHash(keyOne)}).Token)
	}
	_, err := w.leases("n1").CloseSession(t.Context(), &pointsmanv1.CloseSessionRequest{Session: guess, Key: keyTwo, RequestId: "guess"})
	wantError(t, err, codes.NotFound, ReasonNotFound)
	if _, ok := w.now().Session(fsm.SessionID(victim)); !ok || victim != guess {
		t.Errorf("session %d, guessed as %d, is there: %v", victim, guess, ok)
	}
}

func TestRevokeLease(t *testing.T) {
	w := newPool(t, 2, Limits{})
	ctx, c := t.Context(), w.leases("n2")
	one := w.join("w1", keyOne)
	token := w.grant(one, 0, 1)
	got, err := c.RevokeLease(ctx, &pointsmanv1.RevokeLeaseRequest{Id: "work/0", Token: token, Reason: "by hand"})
	if l := got.GetLease(); err != nil || l.GetState() != pointsmanv1.LeaseState_LEASE_STATE_DRAINING || l.GetReason() != "by hand" || l.GetWorker() != "w1" {
		t.Errorf("%v, %v", got, err)
	}
	got, err = c.RevokeLease(ctx, &pointsmanv1.RevokeLeaseRequest{Id: "work/1", Immediate: true, Reason: "by hand"})
	if err != nil || got.GetLease().GetState() != pointsmanv1.LeaseState_LEASE_STATE_LOCKED {
		t.Errorf("%v, %v", got, err)
	}
	_, err = c.RevokeLease(ctx, &pointsmanv1.RevokeLeaseRequest{Id: "work/0", Token: token - 1, Reason: "late"})
	wantError(t, err, codes.Aborted, "LEASE_FENCED")
	for _, id := range []string{"work/4", "work/x", "work", "other/0"} {
		_, err = c.RevokeLease(ctx, &pointsmanv1.RevokeLeaseRequest{Id: id, Reason: "r"})
		wantError(t, err, codes.NotFound, ReasonNotFound)
	}
}

func TestPoolsAndLeasesAreListed(t *testing.T) {
	w := newPool(t, 2, Limits{})
	ctx, c := t.Context(), w.leases("n2")
	one := w.join("w1", keyOne)
	token := w.grant(one, 1, 3)
	w.move(fsm.MoveRevoke, 3, token)
	pools, err := c.ListPools(ctx, &pointsmanv1.ListPoolsRequest{})
	if err != nil || len(pools.GetPools()) != 2 {
		t.Fatalf("%v, %v", pools, err)
	}
	if p := pools.GetPools()[1]; p.GetId() != "work" || p.GetHeld() != 1 || p.GetLocked() != 1 || p.GetFree() != 2 || p.GetSessions() != 1 || p.GetPartitions() != 4 {
		t.Errorf("pool %v", p)
	}
	var all []string
	for token, more := "", true; more; more = token != "" {
		got, err := c.ListLeases(ctx, &pointsmanv1.ListLeasesRequest{PageSize: 2, PageToken: token})
		if err != nil || len(got.GetLeases()) > 2 {
			t.Fatalf("%v, %v", got, err)
		}
		for _, l := range got.GetLeases() {
			all = append(all, l.GetId()+" "+strings.TrimPrefix(l.GetState().String(), leasePrefix)+" "+l.GetWorker())
		}
		token = got.GetNextPageToken()
	}
	if got, want := strings.Join(all, "; "), "lock/0 FREE ; work/0 FREE ; work/1 HELD w1; work/2 FREE ; work/3 LOCKED w1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for filter, want := range map[string]string{"pool=work worker=w1": "work/1", "state=locked": "work/3", "pool=lock": "lock/0"} {
		got, err := c.ListLeases(ctx, &pointsmanv1.ListLeasesRequest{Filter: filter})
		if err != nil || len(got.GetLeases()) != 1 || got.GetLeases()[0].GetId() != want {
			t.Errorf("%s: %v, %v", filter, got, err)
		}
	}
	got, err := c.GetLease(ctx, &pointsmanv1.GetLeaseRequest{Id: "work/1"})
	if l := got.GetLease(); err != nil || l.GetToken() != token || l.GetSession() != one {
		t.Errorf("%v, %v", got, err)
	}
	two := w.join("w2", keyTwo) // has nothing, and is shown
	pool, err := c.GetPool(ctx, &pointsmanv1.GetPoolRequest{Id: "work"})
	if s := pool.GetSessions(); err != nil || len(s) != 2 || s[0].GetId() != one || s[1].GetId() != two || s[1].GetWorker() != "w2" {
		t.Errorf("workers of the pool: %v, %v", s, err)
	}
	if _, err := c.GetPool(ctx, &pointsmanv1.GetPoolRequest{Id: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("a pool that is not: %v", err)
	}
}

func TestWatchLeases(t *testing.T) {
	w := newPool(t, 1, Limits{Bookmark: 20 * time.Millisecond})
	one := w.join("w1", keyOne)
	token := w.grant(one, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next := func(stream pointsmanv1.LeaseService_WatchLeasesClient) (*pointsmanv1.Lease, string) {
		for {
			m, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if l := m.GetLease(); l != nil {
				return l, m.GetResumeToken()
			}
		}
	}
	stream, err := w.leases("n1").WatchLeases(ctx, &pointsmanv1.WatchLeasesRequest{Pool: "work"})
	if err != nil {
		t.Fatal(err)
	}
	if l, _ := next(stream); l.GetId() != "work/1" || l.GetState() != pointsmanv1.LeaseState_LEASE_STATE_HELD {
		t.Errorf("first listing: %v", l)
	}
	w.move(fsm.MoveDrain, 1, token)
	l, resume := next(stream)
	if l.GetState() != pointsmanv1.LeaseState_LEASE_STATE_DRAINING {
		t.Errorf("then: %v", l)
	}
	cancel()
	w.move(fsm.MoveRevoke, 1, token)
	again, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	stream, err = w.leases("n1").WatchLeases(again, &pointsmanv1.WatchLeasesRequest{Pool: "work", ResumeToken: resume})
	if err != nil {
		t.Fatal(err)
	}
	if l, _ := next(stream); l.GetState() != pointsmanv1.LeaseState_LEASE_STATE_LOCKED {
		t.Errorf("resumed: %v", l)
	}
}
