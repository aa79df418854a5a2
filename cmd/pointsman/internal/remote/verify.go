package remote

import (
	"context"
	"sync"
	"time"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Bounds of comparing states while the log moves on.
const (
	verifyRounds = 5
	verifyPause  = 200 * time.Millisecond
)

// Verify lets every known node read its log back. When the log moved on
// between the answers it asks again a few times, so that states are compared
// at one index. The error says that no node told which nodes there are.
func (s *Session) Verify(ctx context.Context) (show.Verified, error) {
	nodes, err := s.members(ctx)
	if err != nil {
		return nil, err
	}
	found := s.verifyAll(ctx, nodes)
	for round := 1; round < verifyRounds && !found.Compared(); round++ {
		select {
		case <-ctx.Done():
			return found, nil
		case <-time.After(verifyPause):
		}
		found = s.verifyAll(ctx, nodes)
	}
	return found, nil
}

// members asks which nodes there are: any node knows, leader or not.
func (s *Session) members(ctx context.Context) ([]*pointsmanv1.Node, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	resp, err := s.through(s.Conn(), pointsmanv1.ReadLevel_READ_LEVEL_STALE).Nodes(ctx, "", 0)
	return resp.GetNodes(), err
}

func (s *Session) verifyAll(ctx context.Context, nodes []*pointsmanv1.Node) show.Verified {
	found := make(show.Verified, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		found[i] = show.VerifiedNode{Node: n.GetId(), Address: n.GetGrpcAddress()}
		conn, err := s.Node(n.GetGrpcAddress())
		if err != nil {
			found[i].Error = err.Error()
			continue
		}
		wg.Go(func() {
			ctx, cancel := s.Call(ctx)
			defer cancel()
			resp, err := pointsmanv1.NewClusterServiceClient(conn).VerifyNode(ctx, &pointsmanv1.VerifyNodeRequest{})
			if err != nil {
				found[i].Error = fault.Spoken(err)
				return
			}
			found[i].Answer = resp
		})
	}
	wg.Wait()
	return found
}
