package client

import (
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// Errors of dialling.
var (
	// ErrNoEndpoints is returned when no endpoint is named.
	ErrNoEndpoints = errors.New("no endpoint is named")
	// ErrEndpoint is returned when an endpoint is not host:port.
	ErrEndpoint = errors.New("endpoint is not host:port")
)

// Violation is one thing wrong in a request.
type Violation struct {
	Field, Description string
}

// Reason is the stable word of an error, such as NO_QUORUM or STALE_REVISION;
// empty when the error is not one that a node explained.
func Reason(err error) string {
	if info := detail[*errdetails.ErrorInfo](err); info != nil {
		return info.GetReason()
	}
	return ""
}

// Facts are the error's metadata, such as the leader's address. Nil when it
// has none.
func Facts(err error) map[string]string { return detail[*errdetails.ErrorInfo](err).GetMetadata() }

// LeaderAddress is the gRPC address of the leader that a NOT_LEADER error
// names; empty when it names none.
func LeaderAddress(err error) string { return Facts(err)["leader_address"] }

// RetryAfter is the delay after which the node asks to be tried again; false
// when it did not ask for one.
func RetryAfter(err error) (time.Duration, bool) {
	if info := detail[*errdetails.RetryInfo](err); info != nil {
		return info.GetRetryDelay().AsDuration(), true
	}
	return 0, false
}

// Violations lists everything wrong in the request; nil when the error is of
// another sort.
func Violations(err error) (all []Violation) {
	for _, v := range detail[*errdetails.BadRequest](err).GetFieldViolations() {
		all = append(all, Violation{Field: v.GetField(), Description: v.GetDescription()})
	}
	return all
}

// detail finds the one detail of a type; the zero value when there is none.
func detail[T any](err error) (found T) {
	st, ok := status.FromError(err)
	if !ok {
		return found
	}
	for _, d := range st.Details() {
		if d, ok := d.(T); ok {
			return d
		}
	}
	return found
}
