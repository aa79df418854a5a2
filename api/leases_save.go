package api

import (
	"context"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func (s leaseService) SaveCheckpoint(ctx context.Context, req *pointsmanv1.SaveCheckpointRequest) (*pointsmanv1.SaveCheckpointResponse, error) {
	v, _, err := s.speaker(ctx, req.GetSession(), req.GetKey())
	if err != nil {
		return nil, err
	}
	c, err := s.commit(ctx, req, fsm.SaveCheckpoint{
		Pool: v.Pool, Number: int(req.GetPartition()), Session: v.ID, Token: fsm.Token(req.GetToken()), Version: req.GetVersion(), Data: req.GetData(),
	})
	if !req.GetValidateOnly() {
		s.metrics.saved(err)
	}
	if err != nil {
		return nil, err
	}
	return &pointsmanv1.SaveCheckpointResponse{Header: c.header}, nil
}
