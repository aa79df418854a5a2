package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
)

func said(t *testing.T, c codes.Code, reason, message string) error {
	t.Helper()
	st := status.New(c, message)
	if reason != "" {
		with, err := st.WithDetails(&errdetails.ErrorInfo{Domain: "pointsman", Reason: reason})
		if err != nil {
			t.Fatal(err)
		}
		st = with
	}
	return st.Err()
}

func TestCodes(t *testing.T) {
	for _, row := range []struct {
		name string
		err  error
		want Code
	}{
		{"bad request", said(t, codes.InvalidArgument, "INVALID_ARGUMENT", "x"), Usage},
		{"no quorum", said(t, codes.Unavailable, "NO_QUORUM", "x"), TryLater},
		{"not the leader", said(t, codes.Unavailable, "NOT_LEADER", "x"), TryLater},
		{"deadline of the call", said(t, codes.DeadlineExceeded, "", "x"), TryLater},
		{"broken off by the node", said(t, codes.Canceled, "", "stream terminated by RST_STREAM with error code: CANCEL"), TryLater},
		{"outcome unknown", said(t, codes.Unknown, "OUTCOME_UNKNOWN", "x"), TryLater},
		{"too many watches", said(t, codes.ResourceExhausted, "TOO_MANY_STREAMS", "x"), TryLater},
		{"a bound of ours", said(t, codes.ResourceExhausted, "LIMIT", "x"), Failed},
		{"not found", said(t, codes.NotFound, "NOT_FOUND", "x"), Failed},
		{"wrong phase", said(t, codes.FailedPrecondition, "WRONG_PHASE", "x"), Failed},
		{"overtaken", said(t, codes.Aborted, "STALE_REVISION", "x"), Failed},
		{"broken log", said(t, codes.DataLoss, "LOG_CORRUPT", "x"), Unhealthy},
		{"internal", said(t, codes.Internal, "INTERNAL", "x"), Failed},
		{"older node", said(t, codes.Unimplemented, "", "x"), Failed},
		{"our own deadline", context.DeadlineExceeded, TryLater},
		{"interrupted", context.Canceled, Failed},
		{"no file", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, Usage},
		{"endpoint", client.ErrEndpoint, Usage},
		{"usage", Wrong("x", ""), Usage},
		{"quiet", Quiet(Warnings), Warnings},
		{"anything", errors.New("x"), Failed},
	} {
		for _, err := range []error{row.err, At("do", row.err), fmt.Errorf("do: %w", row.err)} {
			if got := Explain(err).Code; got != row.want {
				t.Errorf("%s (%T): code %d, want %d", row.name, err, got, row.want)
			}
		}
	}
	if Quiet(OK) != nil || At("do", nil) != nil || About("do", "list", nil) != nil {
		t.Error("no error became one")
	}
}

func TestPrint(t *testing.T) {
	refused := About("show x", "pointsman things list", said(t, codes.NotFound, "NOT_FOUND", "there is no x"))
	bad, err := status.New(codes.InvalidArgument, "two problems").WithDetails(
		&errdetails.ErrorInfo{Reason: "INVALID_ARGUMENT"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "a.b", Description: "is wrong"}, {Field: "c", Description: "too"}}})
	if err != nil {
		t.Fatal(err)
	}
	dial := status.Error(codes.Unavailable, `last connection error: connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`)
	for _, row := range []struct {
		err  error
		want string
	}{
		{refused, "error: show x\n  why: there is no x (NOT_FOUND)\n  try: pointsman things list shows what there is\n"},
		{At("apply", bad.Err()), "error: apply\n  why: a.b: is wrong\n       c: too (INVALID_ARGUMENT)\n"},
		{At("outer", At("inner", errors.New("broke"))), "error: outer: inner\n  why: broke\n"},
		{At("list", dial), "error: list\n  why: dial tcp 127.0.0.1:1: connect: connection refused\n  try: " + nextNoAnswer + "\n"},
		{errors.New("plain"), "error: plain\n"},
		{Quiet(Unhealthy), ""},
	} {
		var out bytes.Buffer
		Explain(row.err).Print(&out)
		if out.String() != row.want {
			t.Errorf("got:\n%swant:\n%s", out.String(), row.want)
		}
	}
}

func TestUnknown(t *testing.T) {
	words := []string{"list", "show", "watch", "retry", "abandon"}
	if e := Explain(Unknown("word", "shwo", words)); !strings.Contains(e.Next, `did you mean "show"?`) {
		t.Errorf("got %q", e.Next)
	}
	if e := Explain(Unknown("word", "zzzzzz", words)); !strings.Contains(e.Next, "one of: list, show") {
		t.Errorf("got %q", e.Next)
	}
}
