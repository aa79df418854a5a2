package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/client"
	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// maxActor bounds the actor's name in the log, in bytes. The contract bounds
// request_id itself.
const maxActor = 128

// mutation is a request that may be repeated safely.
type mutation interface {
	proto.Message
	GetRequestId() string
	GetValidateOnly() bool
}

// change is what a mutation did, or would do.
type change struct {
	state  fsm.State // includes the command
	answer fsm.Answer
	header *pointsmanv1.ResponseHeader
}

// commit logs a command and waits until this node has applied it, or, with
// validate_only, asks the rules what they would answer now.
func (s *Server) commit(ctx context.Context, req mutation, cmd fsm.Command) (change, error) {
	id, err := commandID(req)
	if err != nil {
		return change{}, err
	}
	if req.GetValidateOnly() {
		return s.rehearse(ctx, cmd)
	}
	answer, err := s.cfg.Log.Propose(ctx, cmd, id, actor(ctx))
	if errors.Is(err, ErrOutcomeUnknown) && req.GetRequestId() != "" {
		return change{}, &fault{code: codes.Unavailable, reason: ReasonOutcomeUnknown, message: err.Error(), retry: retryAfter}
	}
	if err == nil {
		err = answer.Err()
	}
	if err != nil {
		return change{}, err
	}
	state, err := s.reach(ctx, answer.Index)
	if err != nil {
		return change{}, err
	}
	return change{state: state, answer: answer, header: header(state, s.cfg.Log.Status())}, nil
}

// rehearse applies the command to the newest state and throws the result away.
func (s *Server) rehearse(ctx context.Context, cmd fsm.Command) (change, error) {
	state, h, err := s.readLinearizable(ctx)
	if err != nil {
		return change{}, err
	}
	next, answer := state.Apply(fsm.Entry{
		Index: state.Index() + 1, Term: state.Term(), Clock: state.Clock(), Actor: actor(ctx), Command: cmd,
	})
	if err := answer.Err(); err != nil {
		return change{}, err
	}
	return change{state: next, answer: answer, header: h}, nil
}

// commandID makes the id under which the log remembers the answer. It covers
// the whole request: the same request_id with another content is another
// command, so that nobody is told that something was done which was not.
func commandID(req mutation) (fsm.CommandID, error) {
	given := req.GetRequestId()
	if strings.ContainsFunc(given, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", invalid("request_id", "printable characters only")
	}
	if given == "" {
		return fsm.CommandID("api/" + rand.Text()), nil
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", req.ProtoReflect().Descriptor().FullName(), given, body))
	return fsm.CommandID("api/" + hex.EncodeToString(sum[:16])), nil
}

// actor is who asks, for the log: as the caller says, which nothing proves.
func actor(ctx context.Context) string {
	name := incoming(ctx, client.ActorKey)
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	if len(name) > maxActor {
		name = strings.ToValidUTF8(name[:maxActor], "")
	}
	if name == "" {
		return "api"
	}
	return name
}

func incoming(ctx context.Context, key string) string {
	if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}
