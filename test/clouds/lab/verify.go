package lab

import (
	"bytes"
	"context"
	"fmt"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Verify has every node read its whole log back, and waits until all of them
// answer the same state index. The error says what does not hold.
func (n *Nodes) Verify(ctx context.Context) (log Log, err error) {
	var first *pointsmanv1.VerifyNodeResponse
	err = Until(ctx, waitEqual, "three nodes at one state index", func(ctx context.Context) error {
		log, first = Log{}, nil
		for _, node := range n.all {
			answer, err := node.verify(ctx)
			if err != nil {
				return err
			}
			log.Entries += answer.Entries
			if first == nil {
				first = answer
			}
			if answer.StateIndex != first.StateIndex {
				return fmt.Errorf("%s is at index %d, %s at %d", n.all[0].id, first.StateIndex, node.id, answer.StateIndex)
			}
			if !bytes.Equal(answer.StateHash, first.StateHash) || len(answer.StateHash) == 0 {
				return hopeless{fmt.Errorf("at index %d %s has state hash %x, %s %x", first.StateIndex, n.all[0].id, first.StateHash, node.id, answer.StateHash)}
			}
		}
		return nil
	})
	log.Verified = err == nil && log.Entries > 0
	return log, err
}

func (n *Node) verify(ctx context.Context) (*pointsmanv1.VerifyNodeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, waitEqual)
	defer cancel()
	answer, err := pointsmanv1.NewClusterServiceClient(n.conn).VerifyNode(ctx, &pointsmanv1.VerifyNodeRequest{})
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", n.id, err)
	}
	return answer, nil
}
