package api

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestSettings(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.putSpec("cache")
	ctx, c := client.AsActor(context.Background(), "ann\n@host"), w.at("n2").Settings()
	zero := uint64(0)
	put, err := c.PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "app/x", Value: "1", ExpectedRevision: &zero})
	if err != nil || put.GetSetting().GetRevision() != w.now().Index() || put.GetHeader().GetStale() {
		t.Fatalf("put: %v, %v", put, err)
	}
	if v, _ := w.now().Setting("app/x"); v.Actor != "ann@host" {
		t.Errorf("actor %q", v.Actor)
	}
	_, err = c.PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "app/x", Value: "2", ExpectedRevision: &zero})
	wantError(t, err, codes.Aborted, "STALE_REVISION")
	_, err = c.PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "redis/cache/url", Value: "mine"})
	wantError(t, err, codes.FailedPrecondition, "OWNED_BY_PLAN")
	_, err = c.PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "a//b", Value: "2"})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	if v := client.Violations(err); len(v) != 1 || v[0].Field != "key" {
		t.Errorf("violations %v", v)
	}
	before := w.now().Index()
	if _, err := c.DeleteSetting(ctx, &pointsmanv1.DeleteSettingRequest{Key: "app/x", ValidateOnly: true}); err != nil || w.now().Index() != before {
		t.Errorf("validate only: %v", err)
	}
	_, err = c.DeleteSetting(ctx, &pointsmanv1.DeleteSettingRequest{Key: "app/y", ValidateOnly: true})
	wantError(t, err, codes.NotFound, ReasonNotFound)
	if _, err := c.DeleteSetting(ctx, &pointsmanv1.DeleteSettingRequest{Key: "app/x"}); err != nil {
		t.Error(err)
	}
	_, err = c.GetSetting(ctx, &pointsmanv1.GetSettingRequest{Key: "app/x"})
	wantError(t, err, codes.NotFound, ReasonNotFound)
}

// A repeat with the same request_id changes nothing and answers what the first
// call did; another content is another call.
func TestRequestID(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	ctx := context.Background()
	put := func(node fsm.NodeID, id, value string) *pointsmanv1.Setting {
		t.Helper()
		resp, err := w.at(node).Settings().PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "k", Value: value, RequestId: id})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetSetting()
	}
	first := put("n1", "r1", "one")
	second := put("n1", "r2", "two")
	repeat := put("n2", "r1", "one")
	if repeat.GetValue() != "one" || repeat.GetRevision() != first.GetRevision() {
		t.Errorf("repeat answers %v", repeat)
	}
	if v, _ := w.now().Setting("k"); v.Value != "two" || v.Revision != second.GetRevision() {
		t.Errorf("repeat changed the key to %v", v)
	}
	if other := put("n1", "r1", "three"); other.GetValue() != "three" {
		t.Errorf("other content answers %v", other)
	}
	if v, _ := w.now().Setting("k"); v.Value != "three" {
		t.Errorf("other content was not written: %v", v)
	}
	_, err := w.at("n1").Settings().PutSetting(ctx, &pointsmanv1.PutSettingRequest{Key: "k", RequestId: "a\nb"})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
}

// The answer to a logged command is lost: the client repeats by itself under
// the id that it gave the call, and the command is logged once.
func TestLostAnswer(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	zero := uint64(0)
	w.nodes["n1"].forget = true
	resp, err := w.at("n1").Settings().PutSetting(context.Background(), &pointsmanv1.PutSettingRequest{Key: "k", Value: "v", ExpectedRevision: &zero})
	if err != nil || resp.GetSetting().GetRevision() == 0 {
		t.Fatalf("%v, %v", resp, err)
	}
	if ids := w.nodes["n1"].proposed; len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("proposed as %q", ids)
	}
	w.nodes["n1"].forget = true
	s := settingService{Server: w.nodes["n1"].server}
	_, err = s.PutSetting(context.Background(), &pointsmanv1.PutSettingRequest{Key: "k", Value: "w"})
	wantError(t, s.explain(err), codes.Unknown, ReasonOutcomeUnknown)
}

func TestRetryAndAbandon(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	f := w.failover("cache")
	w.stick(f, "url")
	ctx, c := context.Background(), w.at("n2").Actions()
	id := string(f.Action("url"))

	got, err := c.GetAction(ctx, &pointsmanv1.GetActionRequest{Id: id})
	if err != nil || got.GetAction().GetState() != pointsmanv1.ActionState_ACTION_STATE_STUCK || len(got.GetAction().GetHistory()) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	dry, err := c.RetryAction(ctx, &pointsmanv1.RetryActionRequest{Id: id, ValidateOnly: true})
	if err != nil || dry.GetAction().GetState() != pointsmanv1.ActionState_ACTION_STATE_PENDING {
		t.Errorf("validate only: %v, %v", dry, err)
	}
	if a, _ := w.now().Action(f.Action("url")); a.Phase != fsm.Stuck {
		t.Errorf("validate only changed the action to %s", a.Phase)
	}
	retried, err := c.RetryAction(ctx, &pointsmanv1.RetryActionRequest{Id: id, Reason: "credentials renewed"})
	if err != nil || retried.GetAction().GetState() != pointsmanv1.ActionState_ACTION_STATE_PENDING || retried.GetAction().GetReason() != "credentials renewed" {
		t.Errorf("retry: %v, %v", retried, err)
	}
	_, err = c.AbandonAction(ctx, &pointsmanv1.AbandonActionRequest{Id: id})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	gone, err := c.AbandonAction(ctx, &pointsmanv1.AbandonActionRequest{Id: id, Reason: "done by hand"})
	if err != nil || gone.GetAction().GetSettledAt() == nil {
		t.Errorf("abandon: %v, %v", gone, err)
	}
	_, err = c.RetryAction(ctx, &pointsmanv1.RetryActionRequest{Id: id})
	wantError(t, err, codes.FailedPrecondition, "WRONG_PHASE")
	_, err = c.RetryAction(ctx, &pointsmanv1.RetryActionRequest{Id: "cache/9/url"})
	wantError(t, err, codes.NotFound, ReasonNotFound)
	later, err := c.GetAction(ctx, &pointsmanv1.GetActionRequest{Id: string(f.Action("b"))})
	if err != nil || len(later.GetAction().GetGates()) != 0 {
		t.Errorf("stage opened: %v, %v", later.GetAction().GetGates(), err)
	}
}

func TestApplySpec(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	ctx, c := context.Background(), w.at("n2").Specs()
	first := &pointsmanv1.ApplySpecRequest{Spec: specMessage("cache"), Source: "# mine", RequestId: "r1"}

	dry := proto.Clone(first).(*pointsmanv1.ApplySpecRequest)
	dry.ValidateOnly = true
	if resp, err := c.ApplySpec(ctx, dry); err != nil || resp.GetRevision().GetRevision() != 1 || !resp.GetChanged() || w.now().Spec().Revision != 0 {
		t.Errorf("validate only: %v, %v", resp, err)
	}
	resp, err := c.ApplySpec(ctx, first)
	if err != nil || resp.GetRevision().GetRevision() != 1 || !resp.GetChanged() {
		t.Fatalf("apply: %v, %v", resp, err)
	}
	if again, err := c.ApplySpec(ctx, first); err != nil || again.GetRevision().GetRevision() != 1 || !again.GetChanged() {
		t.Errorf("repeat: %v, %v", again, err)
	}
	same := proto.Clone(first).(*pointsmanv1.ApplySpecRequest)
	same.RequestId = "r2"
	if again, err := c.ApplySpec(ctx, same); err != nil || again.GetRevision().GetRevision() != 1 || again.GetChanged() {
		t.Errorf("equal spec: %v, %v", again, err)
	}
	got, err := c.GetSpec(ctx, &pointsmanv1.GetSpecRequest{})
	if err != nil || !proto.Equal(got.GetRevision().GetSpec(), first.GetSpec()) || got.GetRevision().GetSource() != "# mine" ||
		got.GetRevision().GetApplyTime() == nil {
		t.Fatalf("get: %v, %v", got, err)
	}
	next := &pointsmanv1.ApplySpecRequest{Spec: specMessage("cache", "queue"), Etag: got.GetRevision().GetEtag()}
	if resp, err := c.ApplySpec(ctx, next); err != nil || resp.GetRevision().GetRevision() != 2 {
		t.Errorf("with etag: %v, %v", resp, err)
	}
	_, err = c.ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: specMessage("queue"), Etag: "1"})
	wantError(t, err, codes.Aborted, "STALE_REVISION")
	dropped, err := c.ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: specMessage("queue")})
	if err != nil || len(dropped.GetWarnings()) != 1 {
		t.Errorf("dropped master: %v, %v", dropped, err)
	}
	_, err = c.GetSpec(ctx, &pointsmanv1.GetSpecRequest{Revision: 9})
	wantError(t, err, codes.NotFound, ReasonNotFound)
}

// All problems come at once: those of the message, and those of its meaning.
func TestApplySpecTellsAllProblems(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	w.putSpec("cache")
	w.seed("cache")
	f := w.failover("cache")
	c, ctx := w.at("n1").Specs(), context.Background()
	bad := specMessage("cache", "Queue")
	bad.Masters[0].Candidates[1].Zone = ""
	bad.Masters[0].Plan[0].Steps[0].Kind = &pointsmanv1.Step_OvhIplb{OvhIplb: &pointsmanv1.OvhIplbStep{Frontend: 1, Farms: map[string]int64{address(1): 1}}}
	_, err := c.ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: bad})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	var fields []string
	for _, v := range client.Violations(err) {
		fields = append(fields, v.Field)
	}
	if got := strings.Join(fields, " "); got != "masters[0].candidates[1].zone masters[1].id masters.cache" {
		t.Errorf("fields %s", got)
	}
	_, err = c.ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	_, err = c.ApplySpec(ctx, &pointsmanv1.ApplySpecRequest{Spec: specMessage("queue")})
	wantError(t, err, codes.FailedPrecondition, "OPEN_ACTIONS")
	if !strings.Contains(err.Error(), f.String()) {
		t.Errorf("does not name the action: %v", err)
	}
}

// A spec without an etag replaces any, also one that was applied in between.
func TestApplySpecIsOvertaken(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	s := specService{Server: w.nodes["n1"].server}
	s.cfg.Log = overtaking{w.nodes["n1"], new(int)}
	req := &pointsmanv1.ApplySpecRequest{Spec: specMessage("cache"), RequestId: "r"}
	resp, err := s.ApplySpec(context.Background(), req)
	if err != nil || resp.GetRevision().GetRevision() != 2 || !resp.GetChanged() {
		t.Fatalf("%v, %v", resp, err)
	}
	if again, err := s.ApplySpec(context.Background(), req); err != nil || again.GetRevision().GetRevision() != 2 || !again.GetChanged() {
		t.Errorf("repeat: %v, %v", again, err)
	}
}

// overtaking applies another spec just before the first proposal.
type overtaking struct {
	*node
	proposals *int
}

func (o overtaking) Propose(ctx context.Context, cmd fsm.Command, id fsm.CommandID, actor string) (fsm.Answer, error) {
	if *o.proposals++; *o.proposals == 1 {
		o.tape.putSpec("queue")
	}
	return o.node.Propose(ctx, cmd, id, actor)
}
