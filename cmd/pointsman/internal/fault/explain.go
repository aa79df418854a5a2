package fault

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/client"
)

// Explain makes an Error of any error. It is the only mapping from gRPC codes
// and ErrorInfo reasons to exit codes.
func Explain(err error) *Error {
	if errors.Is(err, client.ErrEndpoint) || errors.Is(err, client.ErrNoEndpoints) {
		return &Error{Code: Usage, What: err.Error(), Next: "--endpoints " + client.DefaultEndpoint, Err: err}
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	doing := doingOf(err)
	var remote interface{ GRPCStatus() *status.Status }
	if errors.As(err, &remote) {
		return explainStatus(doing, remote.GRPCStatus(), err)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: TryLater, What: doing, Why: "no answer in time", Next: nextNoAnswer, Err: err}
	case errors.Is(err, context.Canceled):
		return &Error{Code: Failed, What: doing, Why: "interrupted", Err: err}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrExist):
		return &Error{Code: Usage, What: doing, Why: rest(err), Err: err}
	}
	return &Error{Code: Failed, What: doing, Why: rest(err), Err: err}
}

const nextNoAnswer = "pointsman status, or a longer --timeout; --endpoints names the nodes to ask"

// doingOf joins what the program was at, outermost first; the whole message
// when nobody said.
func doingOf(err error) string {
	var words []string
	for e := err; e != nil; e = errors.Unwrap(e) {
		if at, ok := e.(*atError); ok { //nolint:errorlint // the loop unwraps
			words = append(words, at.doing)
		}
	}
	if len(words) == 0 {
		return err.Error()
	}
	return strings.Join(words, ": ")
}

// rest is the message below the last At; empty when there was none, since it
// is then in What already.
func rest(err error) string {
	inner := ""
	for e := err; e != nil; e = errors.Unwrap(e) {
		if at, ok := e.(*atError); ok { //nolint:errorlint // the loop unwraps
			inner = at.err.Error()
		}
	}
	return inner
}

func explainStatus(doing string, s *status.Status, err error) *Error {
	reason := client.Reason(err)
	e := &Error{Code: codeOf(s.Code(), reason), What: doing, Why: spoken(s), Next: nextOf(s.Code(), reason), Err: err}
	if reset(s) {
		e.Code, e.Next = TryLater, nextNoAnswer
	}
	if s.Code() == codes.NotFound {
		e.Next = listOf(err)
	}
	if lines := violations(err); lines != "" {
		e.Why = lines // the message repeats them
	}
	if reason != "" {
		e.Why += " (" + reason + ")"
	}
	return e
}

// spoken is a status in words: gRPC's own are for programmers.
func spoken(s *status.Status) string {
	text := s.Message()
	for _, wrapping := range []string{"error while dialing: ", "Error while dialing: "} {
		if _, cause, ok := strings.Cut(text, wrapping); ok {
			return strings.TrimSuffix(cause, `"`)
		}
	}
	switch {
	case reset(s):
		return "the node gave no answer in time"
	case s.Code() == codes.DeadlineExceeded && strings.HasPrefix(text, context.DeadlineExceeded.Error()):
		return "no answer in time"
	case strings.Contains(text, "connection error: desc"), strings.Contains(text, "http2:"), strings.HasPrefix(text, "error reading from server"):
		return "what answers there speaks no gRPC, or speaks TLS, or hangs up: is it the gRPC port of a node (7801, not HTTP's 7802)?"
	case text == "":
		return s.Code().String()
	}
	return text
}

// reset reports whether a node broke the call off because its time was up: the
// server's end of a deadline that we both count.
func reset(s *status.Status) bool {
	return s.Code() == codes.Canceled && strings.Contains(s.Message(), "RST_STREAM")
}

// Spoken is the cause of an error in a few words, for lists of causes.
func Spoken(err error) string {
	var remote interface{ GRPCStatus() *status.Status }
	if errors.As(err, &remote) {
		return spoken(remote.GRPCStatus())
	}
	return err.Error()
}

// listOf is the command that shows what there is; empty when nobody said.
func listOf(err error) string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if at, ok := e.(*atError); ok && at.list != "" { //nolint:errorlint // the loop unwraps
			return at.list + " shows what there is"
		}
	}
	return ""
}

// codeOf maps what a server said to an exit code.
func codeOf(c codes.Code, reason string) Code {
	switch reason {
	case "LIMIT":
		return Failed // a bound of ours: the same command fails again
	case "OUTCOME_UNKNOWN":
		return TryLater
	}
	switch c {
	case codes.OK:
		return OK
	case codes.InvalidArgument:
		return Usage
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return TryLater
	case codes.DataLoss:
		return Unhealthy
	}
	return Failed
}

func nextOf(c codes.Code, reason string) string {
	if next := nextByReason(reason); next != "" {
		return next
	}
	switch c {
	case codes.Unavailable, codes.DeadlineExceeded:
		return nextNoAnswer
	case codes.ResourceExhausted:
		return "the same command in a moment"
	case codes.Unimplemented:
		return "pointsman version and pointsman nodes list: the node that answered is older than this program"
	}
	return ""
}

// violations lists what a server found wrong in a request, one a line.
func violations(err error) string {
	var b strings.Builder
	for _, v := range client.Violations(err) {
		b.WriteString(v.Field + ": " + v.Description + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}
