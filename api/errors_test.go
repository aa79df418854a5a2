package api

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
)

// Every refusal of the state machine has a place in the table, and leaves as
// an error with its reason.
func TestEveryRefusalIsMapped(t *testing.T) {
	seen := 0
	for r := fsm.Refusal(1); r.Reason() != fsm.Refusal(255).Reason(); r++ {
		seen++
		v, ok := verdictOf(r)
		if !ok {
			t.Errorf("refusal %d (%s) has no place in the table", r, r.Reason())
			continue
		}
		err := refusal(&fsm.Refused{Refusal: r, Detail: "detail"})
		if v.code == codes.OK || v.code == codes.Internal || status.Code(err) != v.code || client.Reason(err) != v.reason || v.reason == "" {
			t.Errorf("%s leaves as %s %q", r.Reason(), status.Code(err), client.Reason(err))
		}
		if v.code == codes.InvalidArgument && len(client.Violations(err)) != 1 {
			t.Errorf("%s names no field", r.Reason())
		}
	}
	if seen < 20 {
		t.Fatalf("saw %d refusals", seen)
	}
}

func TestExplain(t *testing.T) {
	w := newWorld(t, 1, Limits{})
	s := w.nodes["n1"].server
	for _, row := range []struct {
		err    error
		code   codes.Code
		reason string
		retry  bool
	}{
		{fmt.Errorf("read: %w", ErrNoQuorum), codes.Unavailable, ReasonNoQuorum, true},
		{fmt.Errorf("transfer: %w", &NotLeaderError{Leader: "n2", Address: "n2:7801"}), codes.Unavailable, ReasonNotLeader, true},
		{fmt.Errorf("propose: %w", ErrOutcomeUnknown), codes.Unknown, ReasonOutcomeUnknown, false},
		{fmt.Errorf("transfer: %w", ErrUnfit), codes.FailedPrecondition, ReasonUnfit, false},
		{fmt.Errorf("entry 7: %w", ErrCorrupt), codes.DataLoss, ReasonCorrupt, false},
		{fmt.Errorf("retry: %w", &fsm.Refused{Refusal: fsm.ErrPhase}), codes.FailedPrecondition, "WRONG_PHASE", false},
		{invalid("filter", "odd"), codes.InvalidArgument, ReasonInvalid, false},
		{notFound("master", "x"), codes.NotFound, ReasonNotFound, false},
		{context.DeadlineExceeded, codes.DeadlineExceeded, ReasonDeadline, false},
		{context.Canceled, codes.Canceled, ReasonCancelled, false},
		{errors.New("what"), codes.Internal, ReasonInternal, false},
	} {
		err := s.explain(row.err)
		if status.Code(err) != row.code || client.Reason(err) != row.reason {
			t.Errorf("%v leaves as %s %q, want %s %q", row.err, status.Code(err), client.Reason(err), row.code, row.reason)
		}
		if _, retry := client.RetryAfter(err); retry != row.retry {
			t.Errorf("%v: retry info %v, want %v", row.err, retry, row.retry)
		}
		for _, d := range status.Convert(err).Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() != Domain {
				t.Errorf("domain %q", info.GetDomain())
			}
		}
	}
	if got := client.LeaderAddress(s.explain(&NotLeaderError{Leader: "n2", Address: "n2:7801"})); got != "n2:7801" {
		t.Errorf("leader address %q", got)
	}
	if s.explain(nil) != nil {
		t.Error("no error became one")
	}
}
