package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// The holder's checkpoint is taken at any node and shown wherever its partition
// is; anybody else's is refused, and so is one that comes late.
func TestSaveCheckpoint(t *testing.T) {
	w := newPool(t, 2, Limits{})
	ctx, c := t.Context(), w.leases("n2")
	one, two := w.join("w1", keyOne), w.join("w2", keyTwo)
	old := w.grant(one, 0)
	save := func(change func(*pointsmanv1.SaveCheckpointRequest)) error {
		r := &pointsmanv1.SaveCheckpointRequest{Session: one, Key: keyOne, Token: old, Version: 1, Data: []byte("a")}
		change(r)
		_, err := c.SaveCheckpoint(ctx, r)
		return err
	}
	if err := save(func(r *pointsmanv1.SaveCheckpointRequest) { r.ValidateOnly = true }); err != nil {
		t.Error(err)
	}
	if _, ok := w.now().Checkpoint("work", 0); ok {
		t.Error("asked only, and saved")
	}
	for range 2 { // a repeat without an id too
		if err := save(func(*pointsmanv1.SaveCheckpointRequest) {}); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, save(func(r *pointsmanv1.SaveCheckpointRequest) { r.Version = 3 }), codes.FailedPrecondition, "CHECKPOINT_VERSION")
	wantError(t, save(func(r *pointsmanv1.SaveCheckpointRequest) { r.Key = keyTwo }), codes.NotFound, ReasonNotFound)
	wantError(t, save(func(r *pointsmanv1.SaveCheckpointRequest) { r.Session, r.Key = two, keyTwo }), codes.Aborted, "LEASE_FENCED")
	wantError(t, save(func(r *pointsmanv1.SaveCheckpointRequest) { r.Partition = 4 }), codes.Aborted, "LEASE_FENCED")
	wantError(t, save(func(r *pointsmanv1.SaveCheckpointRequest) { r.Data = make([]byte, fsm.MaxCheckpointBytes+1) }), codes.InvalidArgument, ReasonInvalid)
	w.move(fsm.MoveDrain, 0, old)
	w.move(fsm.MoveLapse, 0, old)
	w.move(fsm.MoveUnlock, 0, old)
	w.grant(two, 0)
	wantError(t, save(func(r *pointsmanv1.SaveCheckpointRequest) { r.Version = 2 }), codes.Aborted, "LEASE_FENCED")
	want := &pointsmanv1.Checkpoint{Version: 1, Token: old, Data: []byte("a")}
	got, err := c.GetLease(ctx, &pointsmanv1.GetLeaseRequest{Id: "work/0"})
	if err != nil || !proto.Equal(got.GetLease().GetCheckpoint(), want) {
		t.Errorf("%v, %v", got, err)
	}
	all, err := c.ListLeases(ctx, &pointsmanv1.ListLeasesRequest{Filter: "pool=work"})
	if err != nil || !proto.Equal(all.GetLeases()[0].GetCheckpoint(), want) || all.GetLeases()[1].GetCheckpoint() != nil {
		t.Errorf("%v, %v", all, err)
	}
	_, body := w.nodes["n2"].get("/metrics")
	for result, n := range map[string]int{"saved": 2, "version": 1, "fenced": 3} {
		if line := fmt.Sprintf("pointsman_lease_checkpoints_total{result=%q} %d\n", result, n); !strings.Contains(body, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
}

// Over HTTP data is base64, and an error says which version is the next.
func TestGatewaySaveCheckpoint(t *testing.T) {
	w := newPool(t, 2, Limits{})
	b := w.web("n2")
	session := w.join("w1", keyOne)
	token := w.grant(session, 2)
	post := func(version string, change ...string) got {
		body := fmt.Sprintf(`{"key": %q, "partition": 2, "token": "%d", "version": %q, "data": "AAH/"}`, keyOne, token, version)
		return b.do(http.MethodPost, fmt.Sprintf("/v1/sessions/%d:saveCheckpoint", session), strings.NewReplacer(change...).Replace(body), "Content-Type: application/json")
	}
	if r := post("1"); r.code != http.StatusOK {
		t.Fatalf("%d %s", r.code, r.body)
	}
	l := b.get("/v1/leases/work/2")
	if l.at(t, "lease.checkpoint.data") != "AAH/" || l.at(t, "lease.checkpoint.version") != "1" || l.at(t, "lease.checkpoint.token") != fmt.Sprint(token) {
		t.Errorf("%d %s", l.code, l.body)
	}
	ahead := post("3")
	wantStatus(t, ahead, http.StatusConflict, codes.FailedPrecondition, "CHECKPOINT_VERSION")
	if !strings.Contains(ahead.body, "so the next is 2") {
		t.Error(ahead.body)
	}
	wantStatus(t, post("2", fmt.Sprint(token), fmt.Sprint(token-1)), http.StatusConflict, codes.Aborted, "LEASE_FENCED")
}

// A checkpoint is no news to whoever watches how leases move: it comes along with
// the next move.
func TestWatchLeases_CheckpointsComeAlong(t *testing.T) {
	w := newPool(t, 1, Limits{})
	session := w.join("w1", keyOne)
	token := w.grant(session, 0)
	before := w.now()
	w.must(fsm.SaveCheckpoint{Pool: "work", Session: fsm.SessionID(session), Token: fsm.Token(token), Version: 1, Data: []byte("a")})
	if w.now().Leased() != before.Leased() || len(leaseEvents(w.now(), "work", before.Index())) != 0 {
		t.Error("a checkpoint alone is told")
	}
	w.move(fsm.MoveDrain, 0, token)
	events := leaseEvents(w.now(), "work", before.Index())
	if !slices.ContainsFunc(events, func(e event[*pointsmanv1.WatchLeasesResponse]) bool {
		return e.message.GetLease().GetCheckpoint().GetVersion() == 1
	}) {
		t.Errorf("%+v", events)
	}
}
