package api

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/client"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func applyNamed(t *testing.T, c pointsmanv1.SpecServiceClient, source, reason string, masters ...string) *pointsmanv1.SpecRevision {
	t.Helper()
	resp, err := c.ApplySpec(client.AsActor(context.Background(), "ann@host"),
		&pointsmanv1.ApplySpecRequest{Spec: specMessage(masters...), Source: source, Reason: reason})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetRevision()
}

func TestSpecRevisions(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	ctx, c := context.Background(), w.at("n2").Specs()
	none, err := c.ListSpecRevisions(ctx, &pointsmanv1.ListSpecRevisionsRequest{})
	if err != nil || len(none.GetRevisions()) != 0 {
		t.Fatalf("before the first: %v, %v", none, err)
	}
	one := applyNamed(t, c, "# one", "begin", "cache")
	applyNamed(t, c, "# two", "more", "cache", "queue")
	applyNamed(t, c, "# three", "", "queue")
	var seen []uint64
	token := ""
	for {
		list, err := c.ListSpecRevisions(ctx, &pointsmanv1.ListSpecRevisionsRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.GetRevisions() {
			seen = append(seen, r.GetRevision())
			if r.GetSpec() != nil || r.GetSource() != "" || r.GetActor() != "ann@host" || r.GetIndex() == 0 || r.GetApplyTime() == nil {
				t.Errorf("listed %v", r)
			}
		}
		if token = list.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(seen, []uint64{3, 2, 1}) {
		t.Errorf("listed %v", seen)
	}
	list, err := c.ListSpecRevisions(ctx, &pointsmanv1.ListSpecRevisionsRequest{Filter: "actor=bob"})
	if err != nil || len(list.GetRevisions()) != 0 {
		t.Errorf("of bob: %v, %v", list, err)
	}
	first, err := c.GetSpec(ctx, &pointsmanv1.GetSpecRequest{Revision: 1})
	if err != nil || !proto.Equal(first.GetRevision(), one) || first.GetRevision().GetReason() != "begin" {
		t.Errorf("revision 1 is %v, %v", first, err)
	}
	_, err = c.GetSpec(ctx, &pointsmanv1.GetSpecRequest{Revision: 4})
	wantError(t, err, codes.NotFound, ReasonNotFound)
}

func TestRollbackSpec(t *testing.T) {
	w := newWorld(t, 2, Limits{})
	ctx, c := client.AsActor(context.Background(), "ann@host"), w.at("n2").Specs()
	one := applyNamed(t, c, "# one", "begin", "cache")
	two := applyNamed(t, c, "# two", "more", "cache", "queue")
	req := &pointsmanv1.RollbackSpecRequest{Revision: 1, Etag: two.GetEtag(), Reason: "wrong", RequestId: "r1", ValidateOnly: true}
	try, err := c.RollbackSpec(ctx, req)
	if err != nil || !try.GetChanged() || w.now().Spec().Revision != 2 || len(try.GetWarnings()) == 0 {
		t.Fatalf("validate only: %v, %v", try, err)
	}
	req.ValidateOnly = false
	for range 2 { // a repeat is the same change, not a second one
		done, err := c.RollbackSpec(ctx, req)
		if err != nil || !done.GetChanged() || done.GetRevision().GetRevision() != 3 || done.GetRevision().GetSource() != "# one" {
			t.Fatalf("rolled back: %v, %v", done, err)
		}
		if got := done.GetRevision(); !proto.Equal(got.GetSpec(), one.GetSpec()) || got.GetReason() != "rollback to revision 1: wrong" || got.GetActor() != "ann@host" {
			t.Errorf("revision 3 is %v", got)
		}
	}
	_, err = c.RollbackSpec(ctx, &pointsmanv1.RollbackSpecRequest{Revision: 2, Etag: two.GetEtag()})
	wantError(t, err, codes.Aborted, "STALE_REVISION")
	_, err = c.RollbackSpec(ctx, &pointsmanv1.RollbackSpecRequest{Revision: 9})
	wantError(t, err, codes.NotFound, ReasonNotFound)
	_, err = c.RollbackSpec(ctx, &pointsmanv1.RollbackSpecRequest{})
	wantError(t, err, codes.InvalidArgument, ReasonInvalid)
	same, err := c.RollbackSpec(ctx, &pointsmanv1.RollbackSpecRequest{Revision: 3})
	if err != nil || same.GetChanged() || w.now().Spec().Revision != 3 {
		t.Errorf("to the current one: %v, %v", same, err)
	}
}
