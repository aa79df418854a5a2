package remote

import (
	"context"
	"time"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Examine is Status, looked at again a few times while the nodes stand at
// different log indexes, so that their states can be compared. The error says
// that nobody answered.
func (s *Session) Examine(ctx context.Context) (show.Status, error) {
	st, err := s.Status(ctx)
	for round := 1; err == nil && round < verifyRounds && !st.Aligned() && !st.Fallback; round++ {
		select {
		case <-ctx.Done():
			return st, nil
		case <-time.After(verifyPause):
		}
		again, failed := s.confirmed(ctx)
		if failed != nil {
			break // what is known stands
		}
		st.Cluster = again
	}
	return st, err
}

// Spec asks for the current spec; of any node when no leader confirms it.
func (s *Session) Spec(ctx context.Context) (*pointsmanv1.Spec, error) {
	resp, err := s.spec(ctx)
	if err == nil {
		return resp.GetRevision().GetSpec(), nil
	}
	resp, staleErr := s.through(s.Conn(), pointsmanv1.ReadLevel_READ_LEVEL_STALE).spec(ctx)
	if staleErr != nil {
		return nil, err
	}
	return resp.GetRevision().GetSpec(), nil
}

func (s *Session) spec(ctx context.Context) (*pointsmanv1.GetSpecResponse, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, confirmWait)
	defer stop()
	return pointsmanv1.NewSpecServiceClient(s.Conn()).GetSpec(ctx, &pointsmanv1.GetSpecRequest{Read: s.Read()})
}
