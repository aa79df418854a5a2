package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// applyTries bounds how often an ApplySpec without an etag is made again on
// top of a spec that somebody else applied meanwhile.
const applyTries = 3

type specService struct {
	pointsmanv1.UnimplementedSpecServiceServer
	*Server
}

func (s specService) GetSpec(ctx context.Context, req *pointsmanv1.GetSpecRequest) (*pointsmanv1.GetSpecResponse, error) {
	state, head, err := s.read(ctx, req.GetRead())
	if err != nil {
		return nil, err
	}
	rev, err := specAt(state, req.GetRevision())
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.GetSpecResponse{Header: head, Revision: rev}, nil
}

// ApplySpec is not checked by the validate interceptor: the problems of the
// message and those of its meaning are told together.
func (s specService) ApplySpec(ctx context.Context, req *pointsmanv1.ApplySpecRequest) (*pointsmanv1.ApplySpecResponse, error) {
	spec, err := s.compile(req, req.GetSpec())
	if err != nil {
		return nil, err
	}
	next := &pointsmanv1.SpecRevision{Spec: req.GetSpec(), Source: req.GetSource(), ApplyTime: timestamppb.New(time.Now())}
	if spec.Source, err = EncodeSpec(next); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		resp, err := s.applyOnce(ctx, req, spec, try)
		var refused *fsm.Refused
		overtaken := errors.As(err, &refused) && refused.Refusal == fsm.ErrRevision
		if !overtaken || req.GetEtag() != "" || try >= applyTries {
			return resp, err
		}
	}
}

// applyOnce replaces the spec that stands now.
func (s specService) applyOnce(ctx context.Context, req *pointsmanv1.ApplySpecRequest, spec fsm.Spec, try int) (*pointsmanv1.ApplySpecResponse, error) {
	state, head, err := s.readLinearizable(ctx)
	if err != nil {
		return nil, err
	}
	base := state.Spec().Revision
	now, err := DecodeSpec(state.Spec())
	if err != nil {
		return nil, err
	}
	if req.GetEtag() != "" {
		named, err := strconv.ParseUint(req.GetEtag(), 10, 64)
		if err != nil {
			return nil, invalid("etag", "not an etag of this API")
		}
		base = fsm.Revision(named)
	}
	same := now.Revision > 0 && proto.Equal(now.Spec, req.GetSpec()) && now.Source == req.GetSource()
	if same && base == state.Spec().Revision {
		return &pointsmanv1.ApplySpecResponse{Header: head, Revision: now, Changed: s.repeated(state, req, try), Warnings: warnings(state, spec)}, nil
	}
	c, err := s.commit(ctx, attempt{req, try}, fsm.PutSpec{
		Spec: spec, IfRevision: base, Keep: fsm.FormerSpecs, Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	rev, err := DecodeSpec(c.state.Spec())
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.ApplySpecResponse{Header: c.header, Revision: rev, Changed: true, Warnings: warnings(state, spec)}, nil
}

// repeated reports whether the log remembers that this very call made the spec
// that stands. Seldom asked: only for a call with a request_id that changes
// nothing.
func (s specService) repeated(state fsm.State, req *pointsmanv1.ApplySpecRequest, try int) bool {
	if req.GetRequestId() == "" || req.GetValidateOnly() {
		return false
	}
	answers := state.Flatten().Answers
	for t := try; t <= applyTries; t++ {
		id, err := commandID(attempt{req, t})
		if err != nil {
			return false
		}
		if slices.ContainsFunc(answers, func(k fsm.Kept) bool { return k.ID == id && k.Answer.Refusal == 0 }) {
			return true
		}
	}
	return false
}

// attempt gives each try of one ApplySpec a command id of its own, the same
// ones in the same order when the call is repeated.
type attempt struct {
	*pointsmanv1.ApplySpecRequest
	try int
}

func (a attempt) GetRequestId() string {
	if id := a.ApplySpecRequest.GetRequestId(); id != "" && a.try > 1 {
		return fmt.Sprintf("%s try %d", id, a.try)
	}
	return a.ApplySpecRequest.GetRequestId()
}

// compile finds every problem of a request and its spec at once.
func (s specService) compile(req proto.Message, asked *pointsmanv1.Spec) (fsm.Spec, error) {
	fields, err := violations(s.validator, req)
	if err != nil {
		return fsm.Spec{}, err
	}
	for _, f := range fields {
		f.Field = strings.TrimPrefix(f.Field, "spec.")
	}
	if asked == nil {
		return fsm.Spec{}, invalidFields(fields)
	}
	spec, problems := s.cfg.Compile(asked)
	for _, p := range problems {
		fields = append(fields, &errdetails.BadRequest_FieldViolation{Field: p.Path, Description: p.Message})
	}
	if len(fields) > 0 {
		return fsm.Spec{}, invalidFields(fields)
	}
	return spec, nil
}

// invalidFields tells all problems, each once.
func invalidFields(fields []*errdetails.BadRequest_FieldViolation) error {
	var kept []*errdetails.BadRequest_FieldViolation
	for _, f := range fields {
		if !slices.ContainsFunc(kept, func(k *errdetails.BadRequest_FieldViolation) bool { return proto.Equal(k, f) }) {
			kept = append(kept, f)
		}
	}
	lines := make([]string, len(kept))
	for i, f := range kept {
		lines[i] = f.GetField() + ": " + f.GetDescription()
	}
	return &fault{code: codes.InvalidArgument, reason: ReasonInvalid, message: strings.Join(lines, "; "), fields: kept}
}

// violations checks a message against the rules of the contract.
func violations(v protovalidate.Validator, msg proto.Message) (fields []*errdetails.BadRequest_FieldViolation, err error) {
	err = v.Validate(msg)
	var bad *protovalidate.ValidationError
	if err != nil && !errors.As(err, &bad) {
		return nil, fmt.Errorf("validate: %w", err)
	}
	if bad == nil {
		return nil, nil
	}
	for _, one := range bad.Violations {
		fields = append(fields, &errdetails.BadRequest_FieldViolation{
			Field:       protovalidate.FieldPathString(one.Proto.GetField()),
			Description: one.Proto.GetMessage(),
		})
	}
	return fields, nil
}

// warnings says what is allowed but looks wrong.
func warnings(state fsm.State, next fsm.Spec) (lines []string) {
	for _, m := range state.Spec().Masters {
		if _, kept := next.Master(m.ID); !kept {
			lines = append(lines, fmt.Sprintf("master %s is no longer declared: it is not watched from now on", m.ID))
		}
	}
	for _, m := range next.Masters {
		if m.Observe {
			lines = append(lines, fmt.Sprintf("master %s is only observed: its failovers are recorded and scored, and nothing of its plan is carried out", m.ID))
		}
		if len(m.Plan) == 0 {
			lines = append(lines, fmt.Sprintf("master %s has no plan: its failovers are recorded and nothing else", m.ID))
		}
		if len(m.Candidates) == 1 {
			lines = append(lines, fmt.Sprintf("master %s has one candidate: a switch to any other address is refused", m.ID))
		}
	}
	return lines
}
