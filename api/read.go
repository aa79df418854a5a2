package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// read answers a state as fresh as asked for, and the header that says so.
func (s *Server) read(ctx context.Context, o *pointsmanv1.ReadOptions) (fsm.State, *pointsmanv1.ResponseHeader, error) {
	switch o.GetLevel() {
	case pointsmanv1.ReadLevel_READ_LEVEL_UNSPECIFIED, pointsmanv1.ReadLevel_READ_LEVEL_LINEARIZABLE:
		return s.readLinearizable(ctx)
	case pointsmanv1.ReadLevel_READ_LEVEL_LEADER:
		return s.readLeader()
	case pointsmanv1.ReadLevel_READ_LEVEL_STALE:
		return s.readStale(o)
	case pointsmanv1.ReadLevel_READ_LEVEL_AVAILABLE:
		return s.readAvailable(ctx, o)
	default:
		return fsm.State{}, nil, invalid("read.level", "unknown level %d", o.GetLevel())
	}
}

func (s *Server) readLinearizable(ctx context.Context) (fsm.State, *pointsmanv1.ResponseHeader, error) {
	bounded, cancel := context.WithTimeout(ctx, s.limits.ReadWait)
	defer cancel()
	state, err := s.cfg.Log.Read(bounded)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("no read within %s: %w", s.limits.ReadWait, ErrNoQuorum)
	}
	if err != nil {
		return fsm.State{}, nil, err
	}
	return state, header(state, s.cfg.Log.Status()), nil
}

// readLeader serves on the leader; the forward interceptor brings calls here.
func (s *Server) readLeader() (fsm.State, *pointsmanv1.ResponseHeader, error) {
	st := s.cfg.Log.Status()
	if !st.Leads() {
		return fsm.State{}, nil, &NotLeaderError{Leader: st.Leader, Address: st.LeaderAddress}
	}
	state, _ := s.cfg.Log.Watch()
	h := header(state, st)
	h.Stale = true
	return state, h, nil
}

// availableWithin is how long a read at level AVAILABLE waits for a majority.
const availableWithin = time.Second

// readAvailable answers as well as it can be had now: an app that asks for its
// address must not be left without one.
func (s *Server) readAvailable(ctx context.Context, o *pointsmanv1.ReadOptions) (fsm.State, *pointsmanv1.ResponseHeader, error) {
	if s.cfg.Log.Status().Leader == "" {
		return s.readStale(o)
	}
	soon, cancel := context.WithTimeout(ctx, availableWithin)
	defer cancel()
	state, h, err := s.readLinearizable(soon)
	var moved *NotLeaderError
	if err == nil || ctx.Err() != nil || soon.Err() == nil && !errors.Is(err, ErrNoQuorum) && !errors.As(err, &moved) {
		return state, h, err
	}
	return s.readStale(o)
}

func (s *Server) readStale(o *pointsmanv1.ReadOptions) (fsm.State, *pointsmanv1.ResponseHeader, error) {
	state, _ := s.cfg.Log.Watch()
	st := s.cfg.Log.Status()
	h := header(state, st)
	h.Stale, h.Age = true, durationpb.New(st.LastContact)
	if limit := o.GetMaxAge(); limit != nil && st.LastContact > limit.AsDuration() {
		return state, nil, &fault{
			code: codes.Unavailable, reason: ReasonStale, retry: retryAfter,
			message: fmt.Sprintf("the state of %s is %s old, asked for at most %s",
				st.Node, st.LastContact.Round(time.Millisecond), limit.AsDuration()),
		}
	}
	return state, h, nil
}

// header says who answers. It is that of an answer which is not stale.
func header(state fsm.State, st Status) *pointsmanv1.ResponseHeader {
	return &pointsmanv1.ResponseHeader{
		ClusterId:     string(state.Cluster()),
		NodeId:        string(st.Node),
		Term:          uint64(st.Term),
		AppliedIndex:  state.Index(),
		LeaderId:      string(st.Leader),
		LeaderAddress: st.LeaderAddress,
		Age:           durationpb.New(0),
	}
}

// streamHeader is the header of a watch's message: what this node has applied.
// It is stale when the node has lost its leader.
func streamHeader(state fsm.State, st Status) *pointsmanv1.ResponseHeader {
	h := header(state, st)
	h.Stale, h.Age = st.Leader == "", durationpb.New(st.LastContact)
	return h
}

// reach waits until this node has applied an index, at most CatchUp.
func (s *Server) reach(ctx context.Context, index uint64) (fsm.State, error) {
	timer := time.NewTimer(s.limits.CatchUp)
	defer timer.Stop()
	for {
		state, changed := s.cfg.Log.Watch()
		if state.Index() >= index {
			return state, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state, context.Cause(ctx)
		case <-s.done:
			return state, s.closing()
		case <-timer.C:
			return state, &fault{
				code: codes.Unavailable, reason: ReasonBehind, retry: retryAfter,
				message: fmt.Sprintf("this node is at index %d, not at %d", state.Index(), index),
			}
		}
	}
}
