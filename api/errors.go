package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
)

// Domain is the ErrorInfo domain of every error of this API.
const Domain = "pointsman"

// Reasons of errors that do not come from the state machine. Those that do
// carry the reason of their fsm.Refusal.
const (
	ReasonNotLeader      = "NOT_LEADER"         // metadata: leader, leader_address
	ReasonNoQuorum       = "NO_QUORUM"          // no leader with a majority
	ReasonUnreachable    = "LEADER_UNREACHABLE" // metadata: leader_address
	ReasonOutcomeUnknown = "OUTCOME_UNKNOWN"    // the command may or may not have been logged
	ReasonNotFound       = "NOT_FOUND"          // metadata: resource
	ReasonInvalid        = "INVALID_ARGUMENT"   // with BadRequest: one violation for each problem
	ReasonCompacted      = "COMPACTED"          // the watch cannot be resumed from the token
	ReasonStale          = "TOO_STALE"          // older than ReadOptions.max_age
	ReasonBehind         = "NODE_BEHIND"        // this node has not reached the token's index
	ReasonSlow           = "SLOW_CONSUMER"      // the watcher did not take its messages
	ReasonStreams        = "TOO_MANY_STREAMS"   // Limits.Streams
	ReasonClosing        = "SHUTTING_DOWN"      // this node stops
	ReasonUnfit          = "NO_FIT_VOTER"       // nobody may take the leadership over
	ReasonCorrupt        = "LOG_CORRUPT"        // an entry read back does not hold
	ReasonPeerOnly       = "PEER_ONLY"          // for coordinators only
	ReasonReport         = "REPORT_REFUSED"     // of a stranger, too late, or too large
	ReasonDeclined       = "SENTINEL_REFUSED"   // the Sentinel that was asked for a switchover did nothing
	ReasonDenied         = "SENTINEL_NOPERM"    // its ACL does not allow SENTINEL FAILOVER
	ReasonOldMember      = "OLD_MEMBER"         // not every voter can read the command yet
	ReasonDeadline       = "DEADLINE_EXCEEDED"  // the call's own time was up
	ReasonCancelled      = "CANCELLED"          // the caller went away
	ReasonInternal       = "INTERNAL"           // a mistake of ours
)

// retryAfter is the delay that RetryInfo asks for while there is no leader:
// about the time that an election takes.
const retryAfter = 500 * time.Millisecond

// fault is an error as callers get it.
type fault struct {
	code    codes.Code
	reason  string
	message string
	facts   map[string]string
	retry   time.Duration
	fields  []*errdetails.BadRequest_FieldViolation
}

func (f *fault) Error() string { return f.message }

// GRPCStatus lets gRPC find the status.
func (f *fault) GRPCStatus() *status.Status {
	st := status.New(f.code, f.message)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Domain: Domain, Reason: f.reason, Metadata: f.facts}}
	if f.retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.retry)})
	}
	if len(f.fields) > 0 {
		details = append(details, &errdetails.BadRequest{FieldViolations: f.fields})
	}
	if with, err := st.WithDetails(details...); err == nil {
		return with
	}
	return st
}

// invalid is the error of one bad field.
func invalid(field, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return &fault{
		code: codes.InvalidArgument, reason: ReasonInvalid, message: field + ": " + text,
		fields: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: text}},
	}
}

// notFound is the error of a thing that does not exist.
func notFound(sort, id string) error {
	return &fault{
		code: codes.NotFound, reason: ReasonNotFound, message: fmt.Sprintf("there is no %s %q", sort, id),
		facts: map[string]string{"resource": sort + "/" + id},
	}
}

// verdict is how a refusal of the state machine leaves this API.
type verdict struct {
	code   codes.Code
	reason string
	field  string // of the request, for INVALID_ARGUMENT
}

// verdictOf maps every refusal. What must not be repeated as it stands because
// the state says no is FAILED_PRECONDITION; what was built on old state is
// ABORTED: read again, then decide.
func verdictOf(r fsm.Refusal) (verdict, bool) {
	table := map[fsm.Refusal]verdict{
		fsm.ErrUnknown:     {codes.NotFound, ReasonNotFound, ""},
		fsm.ErrBase:        {codes.Aborted, r.Reason(), ""},
		fsm.ErrRevision:    {codes.Aborted, r.Reason(), ""},
		fsm.ErrEpoch:       {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrCandidate:   {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrPlan:        {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrTerm:        {codes.Aborted, r.Reason(), ""},
		fsm.ErrPhase:       {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrNotHolder:   {codes.Aborted, r.Reason(), ""},
		fsm.ErrBusy:        {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrStage:       {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrBackoff:     {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrBlind:       {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrReason:      {codes.InvalidArgument, r.Reason(), "reason"},
		fsm.ErrSpec:        {codes.InvalidArgument, r.Reason(), "spec"},
		fsm.ErrOpenActions: {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrOwned:       {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrStore:       {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrLimit:       {codes.ResourceExhausted, r.Reason(), ""},
		fsm.ErrCluster:     {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrSwitchover:  {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrSuspended:   {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrHeld:        {codes.FailedPrecondition, r.Reason(), ""},
		fsm.ErrFenced:      {codes.Aborted, r.Reason(), ""},
		fsm.ErrVersion:     {codes.FailedPrecondition, r.Reason(), ""},
	}
	v, ok := table[r]
	return v, ok
}

func refusal(r *fsm.Refused) *fault {
	v, ok := verdictOf(r.Refusal)
	if !ok {
		v = verdict{code: codes.Internal, reason: r.Refusal.Reason()}
	}
	f := &fault{code: v.code, reason: v.reason, message: r.Error()}
	if v.field != "" {
		f.fields = []*errdetails.BadRequest_FieldViolation{{Field: v.field, Description: r.Error()}}
	}
	return f
}

// explain turns any error of a handler into one that callers can act on. It is
// called in one place, the outermost interceptor of ours.
func (s *Server) explain(err error) error {
	if err == nil {
		return nil
	}
	var (
		told      *fault
		refused   *fsm.Refused
		notLeader *NotLeaderError
		objected  *ObjectionsError
	)
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &refused):
		return refusal(refused)
	case errors.As(err, &objected):
		return objected.fault()
	case errors.As(err, &notLeader):
		return notLeader.fault(codes.Unavailable)
	case errors.Is(err, ErrNoQuorum):
		return s.noQuorum(err)
	}
	if plain := plainFault(err); plain != nil {
		return plain
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return &fault{code: codes.Internal, reason: ReasonInternal, message: err.Error()}
}

func plainFault(err error) error {
	f := &fault{message: err.Error()}
	switch {
	case errors.Is(err, ErrOutcomeUnknown):
		f.code, f.reason = codes.Unknown, ReasonOutcomeUnknown
	case errors.Is(err, ErrUnfit):
		f.code, f.reason = codes.FailedPrecondition, ReasonUnfit
	case errors.Is(err, ErrDeclined):
		f.code, f.reason = codes.FailedPrecondition, ReasonDeclined
	case errors.Is(err, ErrDenied):
		f.code, f.reason = codes.FailedPrecondition, ReasonDenied
	case errors.Is(err, ErrOldMember):
		f.code, f.reason = codes.FailedPrecondition, ReasonOldMember
	case errors.Is(err, ErrReport):
		f.code, f.reason = codes.FailedPrecondition, ReasonReport
	case errors.Is(err, ErrCorrupt):
		f.code, f.reason = codes.DataLoss, ReasonCorrupt
	case errors.Is(err, context.DeadlineExceeded):
		f.code, f.reason = codes.DeadlineExceeded, ReasonDeadline
	case errors.Is(err, context.Canceled):
		f.code, f.reason = codes.Canceled, ReasonCancelled
	default:
		return nil
	}
	return f
}

func (e *NotLeaderError) fault(code codes.Code) *fault {
	f := &fault{code: code, reason: ReasonNotLeader, message: e.Error(), facts: map[string]string{}}
	if e.Leader != "" {
		f.facts["leader"], f.facts["leader_address"] = string(e.Leader), e.Address
	}
	if code == codes.Unavailable {
		f.retry = retryAfter
	}
	return f
}

func (s *Server) noQuorum(err error) *fault {
	st := s.cfg.Log.Status()
	return &fault{
		code: codes.Unavailable, reason: ReasonNoQuorum, message: err.Error(), retry: retryAfter,
		facts: map[string]string{"node": string(st.Node), "term": fmt.Sprint(st.Term)},
	}
}

func (s *Server) closing() error {
	return &fault{code: codes.Unavailable, reason: ReasonClosing, message: "this node stops", retry: retryAfter}
}
